package epc

// bits reads n bits (at most 64) of b from bit at on. They must exist.
func bits(b []byte, at, n int) (v uint64) {
	for n > 0 {
		take := min(8-at%8, n)
		chunk := b[at/8] << (at % 8) >> (8 - take)
		v = v<<take | uint64(chunk)
		at += take
		n -= take
	}
	return v
}

// put writes the low n bits of v into b, which is zero there, from bit at on.
func put(b []byte, at, n int, v uint64) {
	for n > 0 {
		take := min(8-at%8, n)
		chunk := byte(v >> (n - take) & (1<<take - 1))
		b[at/8] |= chunk << (8 - at%8 - take)
		at += take
		n -= take
	}
}

// zeroFrom reports whether all bits of b from bit at on are zero.
func zeroFrom(b []byte, at int) bool {
	i := at / 8
	if i >= len(b) {
		return true
	}
	if b[i]<<(at%8) != 0 {
		return false
	}
	for _, c := range b[i+1:] {
		if c != 0 {
			return false
		}
	}
	return true
}

// digits parses s, which may be empty, as at most 19 decimal digits.
func digits(s string, v *uint64) bool {
	if len(s) > 19 {
		return false
	}
	*v = 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		*v = *v*10 + uint64(s[i]-'0')
	}
	return true
}

// appendPadded appends v as exactly n digits.
func appendPadded(dst []byte, v uint64, n int) []byte {
	var buf [20]byte
	for i := n - 1; i >= 0; i-- {
		buf[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, buf[:n]...)
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// serialChar reports whether c is one of the 82 characters of GS1 serials (TDS 1.13, annex A).
func serialChar(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '_':
		return true
	case c == '!', c == '"', c >= '%' && c <= '/', c >= ':' && c <= '?':
		return true
	}
	return false
}
