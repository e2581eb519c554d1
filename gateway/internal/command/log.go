package command

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Disk is the file of the log.
type Disk interface {
	Read() ([]byte, error) // nil when there is none yet
	Append([]byte) error   // durable when it returns
	Replace([]byte) error  // all of it at once, durable when it returns
}

// entry is one line of the log.
type entry struct {
	ID      string            `json:"id"`
	Device  string            `json:"device,omitempty"`
	Action  string            `json:"action,omitempty"`
	Args    string            `json:"args,omitempty"`    // fingerprint of device, action and arguments; empty in logs of older releases
	Outcome telemetry.Outcome `json:"outcome,omitempty"` // empty: the intent
	Detail  string            `json:"detail,omitempty"`
	Told    bool              `json:"told,omitempty"`
}

// fingerprint tells whether two commands are the same without telling what they ask: 16 bytes of an HMAC-SHA256 over device, action and
// arguments, keyed with the id, so that equal arguments of two commands look different.
func fingerprint(cmd *frame.Command) string {
	b, err := json.Marshal([]any{cmd.Device, cmd.Action, cmd.Args}) // keys of maps are sorted
	if err != nil {
		panic("BUG: command log: " + err.Error())
	}
	sum := hmac.New(sha256.New, []byte(cmd.ID))
	sum.Write(b)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// keep is how many commands the log remembers, and compactAt the lines at which it is rewritten.
const (
	keep      = 1024
	compactAt = 4 * keep
)

// book is the log as it is in memory: the last word on each command, the oldest first.
type book struct {
	disk    Disk
	byID    map[string]*entry
	order   []*entry
	lines   int
	damaged uint64
	broken  error // the end of the file is not known: it must be rewritten before anything is appended
	lost    error // the file could not be read: nothing may be written, and so no command run
}

func openBook(d Disk) *book {
	b := &book{disk: d, byID: map[string]*entry{}}
	raw, err := d.Read()
	if err != nil {
		b.lost = fmt.Errorf("command log: %w", err)
		b.broken = b.lost
		return b
	}
	for len(raw) > 0 {
		line, rest, whole := bytes.Cut(raw, []byte("\n"))
		raw = rest
		var e entry
		if !whole { // torn by a power cut: never acknowledged
			break
		}
		if !checkLine(line) || json.Unmarshal(line[9:], &e) != nil || e.ID == "" {
			b.damaged++
			continue
		}
		b.put(e)
	}
	b.broken = b.compact()
	return b
}

func checkLine(line []byte) bool {
	if len(line) < 9 || line[8] != ' ' {
		return false
	}
	sum, err := hex.DecodeString(string(line[:8]))
	return err == nil && fmt.Sprintf("%x", sum) == checksum(line[9:])
}

func checksum(b []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func appendLine(dst []byte, e *entry) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic("BUG: command log: " + err.Error())
	}
	dst = append(append(dst, checksum(b)...), ' ')
	return append(append(dst, b...), '\n')
}

func (b *book) put(e entry) *entry {
	b.lines++
	if old, ok := b.byID[e.ID]; ok {
		*old = e
		return old
	}
	p := &e
	b.byID[e.ID] = p
	b.order = append(b.order, p)
	return p
}

// write makes e durable and then the last word on its command.
func (b *book) write(e entry) error {
	if b.lost != nil {
		return b.lost
	}
	if b.broken != nil || b.lines >= compactAt {
		if b.broken = b.compact(); b.broken != nil {
			return b.broken
		}
	}
	if err := b.disk.Append(appendLine(nil, &e)); err != nil {
		b.broken = fmt.Errorf("command log: %w", err) // a whole line may be on the card: it must go
		return b.broken
	}
	b.put(e)
	return nil
}

// compact forgets the oldest commands and rewrites the log.
func (b *book) compact() error {
	if n := len(b.order) - keep; n > 0 {
		for _, e := range b.order[:n] {
			delete(b.byID, e.ID)
		}
		b.order = append(b.order[:0:0], b.order[n:]...)
	}
	var out []byte
	for _, e := range b.order {
		out = appendLine(out, e)
	}
	if err := b.disk.Replace(out); err != nil {
		return fmt.Errorf("command log: %w", err)
	}
	b.lines = len(b.order)
	return nil
}
