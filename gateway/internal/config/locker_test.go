package config_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/config"
)

type lock struct{ driver }

func (lock) Command(context.Context, telemetry.CommandTo) telemetry.Result { return telemetry.Result{} }

type pad struct{ lock }

func (pad) Listen(func(devices.Entry)) {}
func (pad) Show(devices.Screen)        {}

func TestLocker(t *testing.T) {
	kinds := append(kinds(), devices.Kind("lock", func(settings, devices.Env) (lock, error) { return lock{}, nil }),
		devices.Kind("pad", func(settings, devices.Env) (pad, error) { return pad{}, nil }))
	load := func(section string) (config.Config, error) {
		return config.Parse("/etc/g.yaml", []byte(head+`devices:
  - {id: board, kind: lock, port: x}
  - {id: pad, kind: pad, port: x}
  - {id: scan, kind: gnss, port: x}
`+section), kinds)
	}
	c, err := load("locker: {device: board, scanner: scan, keypad: pad, key_file: lk.key, cells: [s, xl]}\n")
	require.NoError(t, err)
	require.Equal(t, config.Locker{Device: "board", Scanner: "scan", Keypad: "pad", KeyFile: filepath.Join("/etc", "lk.key"), Cells: []pickup.Size{"s", "xl"}}, c.Locker)
	c, err = load("")
	require.NoError(t, err)
	require.Empty(t, c.Locker)
	for section, want := range map[string][]string{
		"locker: {keypad: pad}":   {"locker.device: is required"},
		"locker: {device: board}": {"locker.keypad: name a keypad, a scanner or both", "locker.key_file: is empty", "locker.cells: 0 cells"},
		"locker: {device: gone, keypad: board, scanner: pad, key_file: k, cells: [s, tall]}": {
			`locker.device: there is no device "gone"`, `locker.keypad: device "board" is no keypad`, `locker.scanner: device "pad" is no scanner`, `locker.cells[1]: "tall" is none of`,
		},
		"locker: {device: pad, scanner: scan, key_file: k, cells: [s]}":             {`locker.device: device "pad" is no locker`},
		"locker: {device: scan, scanner: scan, key_file: k, cells: [s], colour: x}": {`locker.device: device "scan" is no locker`, "locker.colour"},
	} {
		_, err := load(section + "\n")
		for _, w := range want {
			require.ErrorContains(t, err, w, section)
		}
	}
}
