package cabinet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// Disk is a small file on the card.
type Disk interface {
	Read() ([]byte, error) // nil when there is none yet
	Append([]byte) error   // durable when it returns
	Replace([]byte) error  // all of it at once, durable when it returns
}

// compactAt is the number of lines at which the log is rewritten.
const compactAt = 1024

// book is the log: the last word on each cell and on the tries. Lines are 8 hex digits of CRC-32C, a space, a change as JSON.
type book struct {
	disk    Disk
	cells   map[int]cell
	tries   tries
	lines   int
	damaged uint64
	broken  error // the end of the file isn't known: it is rewritten before anything is appended
	lost    error // the file can't be read: nothing is written, and nothing opened
}

func openBook(d Disk) *book {
	b := &book{disk: d, cells: map[int]cell{}}
	raw, err := d.Read()
	if err != nil {
		b.lost = fmt.Errorf("cabinet log: %w", err)
		return b
	}
	for len(raw) > 0 {
		line, rest, whole := bytes.Cut(raw, []byte("\n"))
		raw = rest
		var c change
		if !whole { // torn by a power cut: nothing came of it
			break
		}
		if !sound(line) || json.Unmarshal(line[9:], &c) != nil {
			b.damaged++
			continue
		}
		b.put(&c)
	}
	return b
}

func sound(line []byte) bool {
	if len(line) < 9 || line[8] != ' ' {
		return false
	}
	sum, err := hex.DecodeString(string(line[:8]))
	return err == nil && fmt.Sprintf("%x", sum) == checksum(line[9:])
}

func checksum(b []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func appendLine(dst []byte, c *change) []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic("BUG: cabinet log: " + err.Error())
	}
	dst = append(append(dst, checksum(b)...), ' ')
	return append(append(dst, b...), '\n')
}

func (b *book) put(c *change) {
	for _, x := range c.Cells {
		b.cells[x.No] = x
	}
	if c.Tries != nil {
		b.tries = *c.Tries
	}
}

// write makes a change durable. What couldn't be written is with the next that can.
func (b *book) write(c *change) error {
	if b.lost != nil {
		return b.lost
	}
	b.put(c)
	if b.broken != nil || b.lines >= compactAt {
		b.broken = b.compact()
		return b.broken
	}
	b.lines++
	if err := b.disk.Append(appendLine(nil, c)); err != nil {
		b.broken = fmt.Errorf("cabinet log: %w", err)
	}
	return b.broken
}

func (b *book) compact() error {
	if b.lost != nil {
		return b.lost
	}
	all := change{Tries: &b.tries}
	for _, no := range slices.Sorted(maps.Keys(b.cells)) {
		all.Cells = append(all.Cells, b.cells[no])
	}
	if err := b.disk.Replace(appendLine(nil, &all)); err != nil {
		return fmt.Errorf("cabinet log: %w", err)
	}
	b.lines = 1
	return nil
}
