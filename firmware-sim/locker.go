package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/scenario"
)

// kept are the boards whose lockers keep themselves: scanner and keypad, codes, and nobody's phone. The others are older.
var kept = map[string]bool{"lk-qingshi-1": true, "lk-zhuhai-1": true, "lk-baihe-1": true}

// keep puts keypad and scanner into a locker.
func (y *yard) keep(b *board, locker *scenario.Locker, rack *scenario.Rack) error {
	pad, port, err := y.line(b, "pad", 9600)
	if err != nil {
		return err
	}
	b.add("pad", "keypad", port, "family: panel")
	k := firmware.NewKeypad(pad)
	b.run = append(b.run, k.Run)
	scan, port, err := y.line(b, "slot", 9600)
	if err != nil {
		return err
	}
	b.add("slot", "scanner", port, "")
	rack.Keypad, rack.Slot = panel{k}, &firmware.Scanner{Line: scan, AIM: true}
	b.locker = locker
	return nil
}

// panel is a keypad as the story knows it.
type panel struct{ *firmware.Keypad }

// Await implements scenario.Keypad.
func (p panel) Await(ctx context.Context, n int, words ...string) (word string, cell int, err error) {
	s, err := p.Keypad.Await(ctx, n, words...)
	return s.Word, s.Cell, err
}

// keeps is the part of a board's configuration about the locker that it keeps; its key lies beside its certificate.
func (s *site) keeps(ctx context.Context, b *board) (string, error) {
	if b.locker == nil {
		return "", nil
	}
	made, err := tool(ctx, "", s.cloud, "ca", "locker", s.ca, b.locker.ID)
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(strings.TrimSpace(string(made)))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(b.file("locker.key"), key, 0o600); err != nil {
		return "", err
	}
	_, device, _ := strings.Cut(s.yard.racks[b.locker.ID].Board, "/")
	return fmt.Sprintf("locker: {device: %s, scanner: slot, keypad: pad, key_file: locker.key, cells: [%s]}\n", device, strings.Join(b.locker.Cells, ", ")), nil
}
