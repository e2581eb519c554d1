package frame

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"yizhan/devices/telemetry"
)

// The kinds of columns, as the package comment lists them.
const (
	colText    = 0
	colWords   = 1
	colTime    = 2
	colSince   = 3
	colDecimal = 4
	colFixed   = 5
	colHex     = 6
	colDigits  = 7
	colMinutes = 8
)

const (
	chunk     = 12 // hex digits in one number
	maxDigits = 18 // of a number
	maxRuns   = 8  // of digits in one text
)

// column is one way to write the values of a slot.
type column struct {
	kind   byte
	head   []byte
	nums   [][]int64 // streams of numbers, a number a row
	tokens [][]byte  // of colText
}

// cost is about how many bytes the column takes with its rows in order.
func (c *column) cost(rows, groups []int, room []int64) int {
	n := 1 + len(c.head)
	for _, t := range c.tokens {
		n += len(t)
	}
	for _, v := range c.nums {
		n += plan(permute(room, v, rows), groups).cost
	}
	return n
}

func permute(room, v []int64, rows []int) []int64 {
	room = room[:len(rows)]
	for i, r := range rows {
		room[i] = v[r]
	}
	return room
}

func (c *column) append(dst []byte, rows, groups []int, room []int64) []byte {
	dst = append(dst, c.kind)
	dst = append(dst, c.head...)
	for _, v := range c.nums {
		dst = appendInts(dst, permute(room, v, rows), groups)
	}
	for i := range c.tokens {
		dst = append(dst, c.tokens[rows[i]]...)
	}
	return dst
}

// columns lists the ways in which tokens may be written. wall is the record's clock, a row each.
func columns(tokens [][]byte, wall []int64) []column {
	out := make([]column, 0, 3)
	if c, ok := words(tokens); ok {
		if out = append(out, c); c.nums == nil {
			return out // they are all the same
		}
	}
	n := len(out)
	for _, try := range []func([][]byte, []int64) (column, bool){times, since, decimals, hexes, digits} {
		c, ok := try(tokens, wall)
		if !ok {
			continue
		}
		if out = append(out, c); c.kind == colDecimal || c.kind == colFixed {
			if c, ok = minutes(&c); ok {
				out = append(out, c)
			}
			break
		}
	}
	if len(out) == n {
		out = append(out, texts(tokens))
	}
	return out
}

func texts(tokens [][]byte) column {
	lens := make([]int64, len(tokens))
	for i, t := range tokens {
		lens[i] = int64(len(t))
	}
	return column{kind: colText, nums: [][]int64{lens}, tokens: tokens}
}

// words are values of which there are few different ones.
func words(tokens [][]byte) (column, bool) {
	limit := len(tokens)/2 + 1
	index := make(map[string]int64, 4)
	rows := make([]int64, len(tokens))
	c := column{kind: colWords}
	for i, t := range tokens {
		k, ok := index[string(t)]
		if !ok {
			if len(index) == limit {
				return c, false
			}
			k = int64(len(index))
			index[string(t)] = k
			c.head = binary.AppendUvarint(c.head, uint64(len(t)))
			c.head = append(c.head, t...)
		}
		rows[i] = k
	}
	c.head = append(binary.AppendUvarint(nil, uint64(len(index))), c.head...)
	if len(index) > 1 {
		c.nums = [][]int64{rows}
	}
	return c, true
}

const timeToken = len(`"` + telemetry.TimeLayout + `"`)

// readTime reads a quoted time if writing it again gives the same text.
func readTime(t []byte) (ms int64, ok bool) {
	if len(t) != timeToken || t[0] != '"' || t[timeToken-2] != 'Z' {
		return 0, false
	}
	at, err := time.Parse(telemetry.TimeLayout, string(t[1:timeToken-1]))
	if err != nil {
		return 0, false
	}
	var room [32]byte
	return at.UnixMilli(), bytes.Equal(appendTime(room[:0], at.UnixMilli()), t)
}

func appendTime(dst []byte, ms int64) []byte {
	dst = append(dst, '"')
	dst = time.UnixMilli(ms).UTC().AppendFormat(dst, telemetry.TimeLayout)
	return append(dst, '"')
}

func times(tokens [][]byte, _ []int64) (column, bool) {
	v := make([]int64, len(tokens))
	for i, t := range tokens {
		ms, ok := readTime(t)
		if !ok {
			return column{}, false
		}
		v[i] = ms
	}
	return column{kind: colTime, nums: [][]int64{v}}, true
}

// since is times as their distance from the record's clock.
func since(tokens [][]byte, wall []int64) (column, bool) {
	c, ok := times(tokens, nil)
	if !ok || slices.Contains(wall, 0) {
		return c, false
	}
	for i := range wall {
		c.nums[0][i] -= wall[i]
	}
	c.kind = colSince
	return c, true
}

// readDecimal reads a number without exponent if writing it again gives the same text.
func readDecimal(t []byte) (mantissa int64, places int, ok bool) {
	b := t
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == '.' || b[0] == '0' && len(b) > 1 && b[1] != '.' || len(b) > maxDigits {
		return 0, 0, false
	}
	dot := -1
	for i, d := range b {
		switch {
		case d == '.' && dot < 0:
			dot = i
		case d >= '0' && d <= '9':
			mantissa = mantissa*10 + int64(d-'0')
		default:
			return 0, 0, false
		}
	}
	if dot >= 0 {
		places = len(b) - 1 - dot
	}
	if dot == len(b)-1 || len(t) > len(b) && mantissa == 0 {
		return 0, 0, false
	}
	if len(t) > len(b) {
		mantissa = -mantissa
	}
	return mantissa, places, true
}

// decimals are numbers: with zeros at the end left out, or all with the same number of places.
func decimals(tokens [][]byte, _ []int64) (column, bool) {
	v, places := make([]int64, len(tokens)), make([]int, len(tokens))
	most, fixed, trimmed := 0, true, true
	for i, t := range tokens {
		var ok bool
		if v[i], places[i], ok = readDecimal(t); !ok {
			return column{}, false
		}
		most = max(most, places[i])
		fixed = fixed && places[i] == places[0]
		trimmed = trimmed && (places[i] == 0 || t[len(t)-1] != '0')
	}
	c := column{kind: colDecimal, head: []byte{byte(most)}, nums: [][]int64{v}}
	switch {
	case trimmed:
		for i := range v {
			for range most - places[i] {
				if x := v[i] * 10; x/10 != v[i] {
					return c, false
				} else {
					v[i] = x
				}
			}
		}
	case fixed:
		c.kind = colFixed
	default:
		return c, false
	}
	return c, true
}

// Receivers that speak NMEA 0183 give minutes with 4 to 7 places, which as degrees with 9 places have no
// round steps.
const (
	minutePlaces = 9
	leastMinutes = 4
	mostMinutes  = 7
)

// minutes are numbers with 9 places that are whole parts of a minute: the mantissas are counts of them.
func minutes(decimal *column) (column, bool) {
	v := decimal.nums[0]
	if decimal.kind != colDecimal || decimal.head[0] != minutePlaces {
		return column{}, false
	}
	for places := leastMinutes; places <= mostMinutes; places++ {
		up, down := degrees(places)
		parts := make([]int64, len(v))
		same := 0
		for i, x := range v {
			if x > 360e9 || x < -360e9 {
				return column{}, false
			}
			if parts[i] = divide(x*down, up); divide(parts[i]*up, down) == x {
				same++
			}
		}
		if same == len(v) {
			return column{kind: colMinutes, head: []byte{byte(places)}, nums: [][]int64{parts}}, true
		}
	}
	return column{}, false
}

// degrees is by what a count of parts of a minute is multiplied and divided to give 1e-9 degrees.
func degrees(places int) (up, down int64) {
	up, down = 5e7, 3 // a minute in degrees: 1e9 / 60
	for range places {
		up /= 10
	}
	return up, down
}

// divide is a/b rounded to the nearest.
func divide(a, b int64) int64 {
	if a < 0 {
		return -((-a + b/2) / b)
	}
	return (a + b/2) / b
}

// appendDecimal writes what decimals read.
func appendDecimal(dst []byte, v int64, places int, trim bool) []byte {
	if v < 0 {
		dst = append(dst, '-')
	}
	var room [20]byte
	b := strconv.AppendUint(room[:0], abs(v), 10)
	whole := len(b) - places
	if whole <= 0 {
		dst = append(dst, '0')
	} else {
		dst = append(dst, b[:whole]...)
	}
	if places == 0 {
		return dst
	}
	dst = append(dst, '.')
	for range -whole {
		dst = append(dst, '0')
	}
	dst = append(dst, b[max(0, whole):]...)
	if trim {
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
		if dst[len(dst)-1] == '.' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}

func abs(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
