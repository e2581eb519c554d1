package keypad

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	maxLine  = 64 // of a panel, without its end
	maxEntry = 16 // keys
)

// panel is what is known of a panel.
type panel struct {
	known bool // it has said who it is, in this Run
	boot  string
	last  uint64 // number of the last entry
}

// line makes a line to the panel.
func line(text string) []byte { return fmt.Appendf(nil, "$%s*%02X\r\n", text, xor(text)) }

func xor(s string) (x byte) {
	for i := range len(s) {
		x ^= s[i]
	}
	return x
}

// word keeps to the letters that a panel may be sent.
func word(s string) string {
	if s == "" || len(s) > 24 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "error"
	}
	return s
}

// input is what has come and isn't finished. It holds at most a line, and is wiped when it is thrown away.
type input struct {
	driver *Driver
	buf    []byte
	over   bool // the line is too long already
	uptime float64
}

// feed takes bytes and returns how many lines or keys of them were good.
func (in *input) feed(b []byte) (good int) {
	for _, c := range b {
		if in.driver.cfg.Family == Keys {
			good += in.key(c)
		} else {
			good += in.char(c)
		}
	}
	return good
}

func (in *input) wipe() {
	clear(in.buf[:cap(in.buf)])
	in.buf, in.over = in.buf[:0], false
}

// idle throws away what nobody finishes.
func (in *input) idle() {
	if len(in.buf) > 0 || in.over {
		in.bad(&in.driver.counts.abandoned, "abandoned")
	}
}

// bad throws away what has come, and keeps why. The bytes may be somebody's code.
func (in *input) bad(count *atomic.Uint64, why string) int {
	count.Add(1)
	in.driver.Add(why, nil)
	in.wipe()
	return 0
}

// key takes one key of a keypad.
func (in *input) key(c byte) int {
	d := in.driver
	switch {
	case c == '\n':
		return 0
	case c == '*' || c == 0x1B:
		if len(in.buf) == 0 {
			d.entry("*")
		}
		in.wipe()
	case c == '#' || c == '\r':
		in.enter()
	case c < '0' || c > '9':
		return in.bad(&d.counts.malformed, "malformed")
	case len(in.buf) == maxEntry:
		return in.bad(&d.counts.tooLong, "too_long")
	default:
		in.buf = append(in.buf, c)
	}
	d.counts.framesOK.Add(1)
	return 1
}

// enter ends an entry, or divides a cell from a code.
func (in *input) enter() {
	keys := string(in.buf)
	switch {
	case keys == "":
	case keys == "0" || len(keys) > 3 || strings.Contains(keys, "#"):
		in.wipe()
		in.driver.entry(keys)
	default:
		in.buf = append(in.buf, '#')
	}
}

// char takes one character of a panel.
func (in *input) char(c byte) int {
	switch {
	case c == '$':
		if len(in.buf) > 0 {
			in.bad(&in.driver.counts.malformed, "malformed")
		}
		in.wipe()
		in.buf = append(in.buf, c)
	case len(in.buf) == 0: // between lines
	case c == '\r':
		return in.line()
	case len(in.buf) == maxLine:
		return in.bad(&in.driver.counts.tooLong, "too_long")
	default:
		in.buf = append(in.buf, c)
	}
	return 0
}

// line takes a whole line of a panel.
func (in *input) line() int {
	d := in.driver
	text := string(in.buf[1:])
	star := strings.LastIndexByte(text, '*')
	if star < 0 || len(text)-star != 3 {
		return in.bad(&d.counts.malformed, "malformed")
	}
	sum, err := strconv.ParseUint(text[star+1:], 16, 8)
	if err != nil || byte(sum) != xor(text[:star]) {
		return in.bad(&d.counts.badChecksum, "bad_checksum")
	}
	if !in.obey(strings.Split(text[:star], ",")) {
		return in.bad(&d.counts.malformed, "malformed")
	}
	in.wipe()
	d.counts.framesOK.Add(1)
	return 1
}

// obey does what a panel's line says; false when it says nothing known.
func (in *input) obey(f []string) bool {
	d := in.driver
	switch {
	case f[0] == "HI" && len(f) == 3:
		last, err := strconv.ParseUint(f[2], 10, 31)
		if err != nil || f[1] == "" || len(f[1]) > 16 || strings.Trim(f[1], "0123456789abcdef") != "" {
			return false
		}
		d.mu.Lock()
		if d.since.boot == f[1] {
			last = max(last, d.since.last)
		}
		if d.since.boot != f[1] || !d.since.known {
			d.screen = d.last
		}
		d.since = panel{known: true, boot: f[1], last: last}
		d.mu.Unlock()
		d.poke()
	case f[0] == "HB" && len(f) == 2:
		up, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			return false
		}
		in.uptime = float64(up)
		d.mu.Lock()
		known := d.since.known
		d.mu.Unlock()
		if !known {
			d.say("WHO")
		}
	case f[0] == "EN" && len(f) == 3:
		n, err := strconv.ParseUint(f[1], 10, 31)
		if err != nil || !validKeys(f[2]) {
			return false
		}
		d.numbered(n, f[2])
	default:
		return false
	}
	return true
}

// numbered takes an entry that hasn't come before.
func (d *Driver) numbered(n uint64, keys string) {
	d.mu.Lock()
	known, fresh := d.since.known, n > d.since.last
	if known && fresh {
		d.since.last = n
	}
	d.mu.Unlock()
	switch {
	case !known:
		d.counts.early.Add(1)
		d.say("WHO")
		return
	case !fresh:
		d.counts.repeated.Add(1)
	}
	d.say("OK," + strconv.FormatUint(n, 10))
	if fresh {
		d.entry(keys)
	}
}

func validKeys(keys string) bool {
	return keys == "*" || keys != "" && len(keys) <= maxEntry && strings.Trim(keys, "0123456789#") == "" && strings.Count(keys, "#") <= 1
}
