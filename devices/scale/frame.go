package scale

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
)

// A weight is what one frame says.
type weight struct {
	kg     float64
	motion motion
	over   bool // out of range: kg says nothing
}

// motion is what the indicator says of the load.
type motion uint8

const (
	untold motion = iota // the format has no word for it
	resting
	moving
)

// Why a frame is no weight. The texts are the counters' names.
var (
	errChecksum = errors.New("bad_checksum")
	errFormat   = errors.New("malformed")
	errUnit     = errors.New("unknown_unit")
	errOther    = errors.New("ignored") // a frame, but of no weight: a tare
)

// units is a kilogram's worth of each.
var units = map[string]float64{
	"kg": 1, "g": 0.001, "t": 1000, "lb": 0.45359237, "oz": 0.028349523125, "jin": 0.5,
}

// Units lists the units.
func Units() []string { return []string{"kg", "g", "jin", "lb", "oz", "t"} }

// A format says how frames stand in the stream and what they mean.
type format struct {
	// length is how long the frame is that begins with b[0]: 0 when none does, -1 when more bytes are needed.
	length func(b []byte) int
	lines  bool // a frame is a whole line: what follows a bad byte is none
	parse  func(frame []byte, perUnit float64) (weight, error)
}

// maxFrame bounds every format's frames.
const maxFrame = 64

var formats = map[string]format{
	"st-gs":    {line, true, parseSTGS},
	"yaohua":   {lengthYaohua, false, parseYaohua},
	"reversed": {lengthEquals, false, parseReversed},
	"equals":   {lengthEquals, false, parseEquals},
	"wg":       {line, true, parseWG},
	"toledo":   {lengthToledo, false, parseToledo},
	"sics":     {line, true, parseSICS},
	"plain":    {line, true, parsePlain},
}

// Formats lists the formats, the commonest first.
func Formats() []string {
	return []string{"st-gs", "yaohua", "reversed", "equals", "wg", "toledo", "sics", "plain"}
}

// line is a frame that ends with a line: CR LF, CR or LF. What isn't text begins none.
func line(b []byte) int {
	if b[0] == '\r' || b[0] == '\n' {
		return 0
	}
	for i, c := range b {
		switch {
		case c == '\r' || c == '\n':
			return i + 1
		case c < ' ' || c > '~' || i == maxFrame:
			return 0
		}
	}
	return -1
}

// number reads a sign, spaces and a decimal number, alone.
func number(b []byte) (float64, bool) {
	b = bytes.TrimSpace(b)
	negative := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative = b[0] == '-'
		b = bytes.TrimLeft(b[1:], " ")
	}
	digits, points := 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		default:
			return 0, false
		}
	}
	if digits == 0 || digits > 9 || points > 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if negative {
		v = -v
	}
	return v, err == nil
}

// withUnit splits "12.34 kg", and turns it into kilograms.
func withUnit(b []byte, perUnit float64) (float64, error) {
	b = bytes.TrimSpace(b)
	i := len(b)
	for i > 0 && (b[i-1] >= 'a' && b[i-1] <= 'z' || b[i-1] >= 'A' && b[i-1] <= 'Z') {
		i--
	}
	v, ok := number(bytes.TrimRight(b[:i], ","))
	if !ok {
		return 0, errFormat
	}
	if i < len(b) {
		if perUnit, ok = units[string(bytes.ToLower(b[i:]))]; !ok {
			return 0, errUnit
		}
	}
	return tidy(v * perUnit), nil
}

// tidy rounds to the tenth of a gram that a reading tells, so that equal loads are equal.
func tidy(kg float64) float64 { return math.Round(kg*1e4) / 1e4 }

func trimLine(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }

func parsePlain(f []byte, perUnit float64) (weight, error) {
	kg, err := withUnit(trimLine(f), perUnit)
	return weight{kg: kg}, err
}

func parseSTGS(f []byte, perUnit float64) (weight, error) {
	f = trimLine(f)
	var w weight
	head, rest, ok := bytes.Cut(f, []byte(","))
	if !ok {
		return w, errFormat
	}
	switch string(bytes.TrimSpace(head)) {
	case "ST":
		w.motion = resting
	case "US":
		w.motion = moving
	case "OL":
		return weight{over: true}, nil
	default:
		return w, errFormat
	}
	if mode, value, ok := bytes.Cut(rest, []byte(",")); ok {
		switch string(bytes.TrimSpace(mode)) {
		case "GS", "NT", "G", "N":
			rest = value
		case "TR":
			return w, errOther
		}
	}
	var err error
	w.kg, err = withUnit(rest, perUnit)
	return w, err
}

func parseSICS(f []byte, perUnit float64) (weight, error) {
	f = trimLine(f)
	var w weight
	if len(f) < 3 || f[0] != 'S' || f[1] != ' ' || len(f) > 3 && f[3] != ' ' {
		return w, errFormat
	}
	switch f[2] {
	case 'S':
		w.motion = resting
	case 'D':
		w.motion = moving
	case '+', '-':
		return weight{over: true}, nil
	case 'I':
		return w, errOther
	default:
		return w, errFormat
	}
	var err error
	w.kg, err = withUnit(f[3:], perUnit)
	return w, err
}

// parseWG: two letters, seven characters, two of unit, two of checksum.
func parseWG(f []byte, perUnit float64) (weight, error) {
	f = trimLine(f)
	if len(f) != 13 {
		return weight{}, errFormat
	}
	var sum byte
	for _, c := range f[:11] {
		sum ^= c
	}
	if check, ok := hexPair(f[11], f[12]); !ok || check != sum {
		return weight{}, errChecksum
	}
	switch {
	case string(bytes.TrimSpace(f[:11])) == "OL", string(bytes.TrimSpace(f[:11])) == "LO":
		return weight{over: true}, nil
	case f[0] != 'W' || f[1] != 'G' && f[1] != 'N':
		return weight{}, errFormat
	}
	kg, err := withUnit(f[2:11], perUnit)
	return weight{kg: kg}, err
}

func hexPair(hi, lo byte) (byte, bool) {
	const digits = "0123456789ABCDEF"
	h, l := bytes.IndexByte([]byte(digits), hi), bytes.IndexByte([]byte(digits), lo)
	return byte(h<<4 | l&15), h >= 0 && l >= 0
}

const (
	stx = 0x02
	etx = 0x03
)

func lengthYaohua(b []byte) int {
	switch {
	case b[0] != stx:
		return 0
	case len(b) < 12:
		return -1
	case b[11] != etx:
		return 0
	}
	return 12
}

func parseYaohua(f []byte, perUnit float64) (weight, error) {
	var sum byte
	for _, c := range f[1:9] {
		sum ^= c
	}
	if check, ok := hexPair(f[9], f[10]); !ok || check != sum {
		return weight{}, errChecksum
	}
	v, ok := number(f[1:8])
	if !ok || f[1] != '+' && f[1] != '-' || f[8] < '0' || f[8] > '4' {
		return weight{}, errFormat
	}
	return weight{kg: tidy(v / math.Pow10(int(f[8]-'0')) * perUnit)}, nil
}

// lengthEquals: a frame ends where the next one begins, or where a line does.
func lengthEquals(b []byte) int {
	if b[0] != '=' {
		return 0
	}
	for i, c := range b[1:] {
		switch {
		case c == '=' || c == '\r' || c == '\n':
			return i + 1
		case i == 8 || c != '.' && c != '-' && c != '+' && c != ' ' && (c < '0' || c > '9'):
			return 0
		}
	}
	return -1
}

func parseEquals(f []byte, perUnit float64) (weight, error) {
	v, ok := number(f[1:])
	if !ok || len(f) < 8 {
		return weight{}, errFormat
	}
	return weight{kg: tidy(v * perUnit)}, nil
}

func parseReversed(f []byte, perUnit float64) (weight, error) {
	turned := slices.Clone(f)
	slices.Reverse(turned[1:])
	return parseEquals(turned, perUnit)
}

// Status word B of Toledo's continuous output.
const (
	bNegative = 1 << 1
	bRange    = 1 << 2
	bMotion   = 1 << 3
	bKg       = 1 << 4
)

func lengthToledo(b []byte) int {
	switch {
	case b[0] != stx:
		return 0
	case len(b) < 17:
		return -1
	case b[16] != '\r':
		return 0
	case len(b) < 18:
		return -1 // the next byte shows whether a checksum follows
	case (b[17] == stx || b[17] == '\n') && b[17] != checkToledo(b[:17]):
		return 17
	}
	return 18
}

func checkToledo(b []byte) (sum byte) {
	for _, c := range b {
		sum += c & 0x7F
	}
	return -sum & 0x7F
}

func parseToledo(f []byte, _ float64) (weight, error) {
	if len(f) == 18 && f[17]&0x7F != checkToledo(f[:17]) {
		return weight{}, errChecksum
	}
	b := f[2]
	w := weight{motion: resting}
	if b&bMotion != 0 {
		w.motion = moving
	}
	if b&bRange != 0 {
		return weight{over: true}, nil
	}
	digits := bytes.TrimLeft(f[4:10], " ")
	v, ok := number(digits)
	if !ok || bytes.ContainsAny(digits, "+-. ") {
		return w, errFormat
	}
	// Place 2 is no decimals, 3 is one; 0 and 1 have zeros that aren't sent.
	v /= math.Pow10(int(f[1]&7) - 2)
	if b&bNegative != 0 {
		v = -v
	}
	switch unit := f[3] & 7; {
	case unit == 0 && b&bKg == 0:
		v *= units["lb"]
	case unit == 1:
		v *= units["g"]
	case unit == 2:
		v *= units["t"]
	case unit == 3:
		v *= units["oz"]
	case unit > 3:
		return w, errUnit
	}
	w.kg = tidy(v)
	return w, nil
}
