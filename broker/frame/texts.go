package frame

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// The columns of texts that differ in a number: hexes and digits.

const lower, upper = "0123456789abcdef", "0123456789ABCDEF"

// hexes are texts of one length that differ in hexadecimal digits of one case.
func hexes(tokens [][]byte, _ []int64) (column, bool) {
	t := tokens[0]
	from, to := len(t), len(t)
	for _, o := range tokens[1:] {
		if len(o) != len(t) {
			return column{}, false
		}
		for i := 0; i < from; i++ {
			if o[i] != t[i] {
				from = i
			}
		}
	}
	for to > from && sameAt(tokens, to-1) {
		to--
	}
	small, big := true, true
	for _, o := range tokens {
		for _, c := range o[from:to] {
			switch {
			case c >= '0' && c <= '9':
			case c >= 'a' && c <= 'f':
				big = false
			case c >= 'A' && c <= 'F':
				small = false
			default:
				return column{}, false
			}
		}
	}
	n := to - from
	if !small && !big || n == 0 || (n+chunk-1)/chunk > maxRuns {
		return column{}, false
	}
	c := column{kind: colHex, head: appendText(appendText(nil, t[:from]), t[to:])}
	c.head = binary.AppendUvarint(c.head, uint64(n))
	c.head = append(c.head, bit(!small))
	for at := from; at < to; at += chunk {
		v := make([]int64, len(tokens))
		for i, o := range tokens {
			x, _ := strconv.ParseUint(string(o[at:min(at+chunk, to)]), 16, 64) // they are digits
			v[i] = int64(x)
		}
		c.nums = append(c.nums, v)
	}
	return c, true
}

func sameAt(tokens [][]byte, i int) bool {
	for _, t := range tokens {
		if t[i] != tokens[0][i] {
			return false
		}
	}
	return true
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendText(dst, t []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(t))), t...)
}

func appendHex(dst []byte, v int64, digits int, alphabet string) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, alphabet[v>>(4*i)&15])
	}
	return dst
}

// digits are texts that differ only in runs of decimal digits.
func digits(tokens [][]byte, _ []int64) (column, bool) {
	var shape, room []byte
	var runs [][]byte
	widths := [maxRuns]int{}
	c := column{kind: colDigits}
	for i, t := range tokens {
		room, runs = splitDigits(t, room[:0], runs[:0])
		if i == 0 {
			shape = bytes.Clone(room)
			if len(runs) == 0 || len(runs) > maxRuns {
				return c, false
			}
			for range runs {
				c.nums = append(c.nums, make([]int64, len(tokens)))
			}
		}
		if !bytes.Equal(shape, room) || len(runs) != len(c.nums) {
			return c, false
		}
		for k, r := range runs {
			if len(r) > maxDigits || bytes.IndexByte(t, slot) >= 0 {
				return c, false
			}
			if r[0] == '0' && len(r) > 1 {
				widths[k] = len(r)
			}
			x, _ := strconv.ParseInt(string(r), 10, 64) // they are digits
			c.nums[k][i] = x
		}
	}
	c.head = appendText(nil, shape)
	for k := range c.nums {
		c.head = append(c.head, byte(widths[k]))
	}
	for _, t := range tokens { // a run is of one width, or has no zeros in front
		_, runs = splitDigits(t, room[:0], runs[:0])
		for k, r := range runs {
			if widths[k] != 0 && len(r) != widths[k] {
				return c, false
			}
		}
	}
	return c, true
}

// splitDigits cuts the runs of digits out of t; a slot is left in the place of each.
func splitDigits(t, shape []byte, runs [][]byte) ([]byte, [][]byte) {
	for i := 0; i < len(t); {
		if t[i] < '0' || t[i] > '9' {
			shape = append(shape, t[i])
			i++
			continue
		}
		from := i
		for i < len(t) && t[i] >= '0' && t[i] <= '9' {
			i++
		}
		shape = append(shape, slot)
		runs = append(runs, t[from:i])
	}
	return shape, runs
}

// appendPadded writes v with zeros in front up to width.
func appendPadded(dst []byte, v int64, width int) []byte {
	var room [20]byte
	b := strconv.AppendUint(room[:0], abs(v), 10)
	for range width - len(b) {
		dst = append(dst, '0')
	}
	return append(dst, b...)
}
