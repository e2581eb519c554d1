package onewire

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// scratchpadSize is temperature (2), alarms (2), configuration, reserved (3), checksum.
const scratchpadSize = 9

type scratchpad [scratchpadSize]byte

// Where the probes measure.
const (
	minC = -55.0
	maxC = 125.0
)

const (
	powerOn     = 85.0 // what a probe says before it has measured
	nearPowerOn = 5.0  // a real 85 comes from nearby
)

// Why a probe's answer is no value. The texts are the counters' names.
var (
	errChecksum = errors.New("bad_checksum")
	errZero     = errors.New("all_zero")
	errOnes     = errors.New("all_ones")
	errPowerOn  = errors.New("power_on")
	errDisagree = errors.New("disagree")
	errFormat   = errors.New("malformed")
	errRange    = errors.New("out_of_range")
)

// crc8 is the Dallas checksum: polynomial 31, reflected, start 0.
func crc8(b []byte) (crc byte) {
	for _, c := range b {
		crc ^= c
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8C
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// A head is the first line of w1_slave: the bytes as they were read, and the kernel's verdict.
type head struct {
	bytes scratchpad
	crc   byte
	yes   bool
}

// parseHead reads "93 01 7f 80 7f ff 0d 10 bd : crc=bd YES".
func parseHead(line []byte) (h head, ok bool) {
	rest, ok := parseBytes(line, &h.bytes)
	if !ok {
		return h, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(": crc="))
	if !ok || len(rest) < 3 || rest[2] != ' ' {
		return h, false
	}
	if h.crc, ok = hexByte(rest); !ok {
		return h, false
	}
	verdict := string(bytes.TrimRight(rest[3:], " \r"))
	h.yes = verdict == "YES"
	return h, h.yes || verdict == "NO"
}

// A tail is the second line: the bytes of the last good read, and what the kernel makes of them.
type tail struct {
	bytes scratchpad
	milli int // thousandths of a degree
}

// parseTail reads "93 01 7f 80 7f ff 0d 10 bd t=25187".
func parseTail(line []byte) (t tail, ok bool) {
	rest, ok := parseBytes(line, &t.bytes)
	if !ok {
		return t, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte("t="))
	rest = bytes.TrimRight(rest, " \r")
	if !ok || len(rest) > 8 {
		return t, false
	}
	milli, err := strconv.Atoi(string(rest))
	t.milli = milli
	return t, err == nil
}

// parseBytes reads nine bytes in hex, each with a space behind it.
func parseBytes(line []byte, to *scratchpad) (rest []byte, ok bool) {
	for i := range to {
		if len(line) < 3 || line[2] != ' ' {
			return nil, false
		}
		if to[i], ok = hexByte(line); !ok {
			return nil, false
		}
		line = line[3:]
	}
	return line, true
}

func hexByte(b []byte) (byte, bool) {
	hi, lo := hexDigit(b[0]), hexDigit(b[1])
	return hi<<4 | lo, hi < 16 && lo < 16
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// parse reads a whole w1_slave.
func parse(text []byte) (h head, t tail, err error) {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	second, rest, _ := bytes.Cut(rest, []byte("\n"))
	h, ok := parseHead(first)
	if !ok {
		return h, t, errFormat
	}
	t, ok = parseTail(second)
	if !ok || len(bytes.TrimSpace(rest)) > 0 {
		return h, t, errFormat
	}
	return h, t, nil
}

// A judge turns answers of one probe into degrees. It remembers the last, to tell a real 85 degrees.
type judge struct {
	family byte
	last   float64 // of the answer before; NaN when that was no value
}

func newJudge(family byte) judge { return judge{family, math.NaN()} }

// degrees returns what an answer says, or why it says nothing.
func (j *judge) degrees(h head, t tail) (float64, error) {
	c, err := j.check(h, t)
	last := j.last
	j.last = math.NaN()
	if err != nil {
		return 0, err
	}
	if c == powerOn && !(math.Abs(last-powerOn) <= nearPowerOn) {
		return 0, errPowerOn
	}
	j.last = c
	return c, nil
}

func (j *judge) check(h head, t tail) (float64, error) {
	switch {
	case h.bytes == scratchpad{}:
		return 0, errZero
	case same(h.bytes[:], 0xFF), h.bytes[0] == 0xFF && h.bytes[1] == 0x07:
		return 0, errOnes
	case !h.yes || crc8(h.bytes[:8]) != h.bytes[8] || h.crc != h.bytes[8]:
		return 0, errChecksum
	case h.bytes != t.bytes:
		return 0, errDisagree
	}
	c := celsius(j.family, h.bytes)
	switch {
	case math.Abs(c-float64(t.milli)/1000) > 0.5:
		return 0, errDisagree
	case c < minC || c > maxC:
		return 0, errRange
	}
	return c, nil
}

func same(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}

// familyS20 counts half degrees, and tells the rest in count remain and count per degree.
const familyS20 = 0x10

// celsius is what a scratchpad says.
func celsius(family byte, s scratchpad) float64 {
	raw := int(int16(uint16(s[1])<<8 | uint16(s[0])))
	if family == familyS20 {
		if s[7] == 0 {
			return float64(raw) / 2
		}
		return math.Floor(float64(raw)/2) - 0.25 + float64(int(s[7])-int(s[6]))/float64(s[7])
	}
	undefined := 1<<(3-s[4]>>5&3) - 1 // bits that a lower resolution leaves undefined
	return float64(raw&^undefined) / 16
}
