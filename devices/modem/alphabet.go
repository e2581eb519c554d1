package modem

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// An alphabet is how a text stands in a PDU (3GPP TS 23.038 section 6.2).
type alphabet string

const (
	gsm7  alphabet = "gsm7"
	ucs2  alphabet = "ucs2"
	eight alphabet = "8bit"
)

// gsmAlphabet is the default alphabet (table 6.2.1): a character's place is its code. At 1B stands the escape to gsmMore.
var gsmAlphabet = [128]rune([]rune("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"))

// gsmMore is what follows an escape (table 6.2.1.1).
var gsmMore = map[byte]rune{
	0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\', 0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
}

const escape = 0x1B

var gsmCodes = func() map[rune][]byte {
	m := make(map[rune][]byte, 140)
	for code, r := range gsmAlphabet {
		m[r] = []byte{byte(code)}
	}
	for code, r := range gsmMore {
		m[r] = []byte{escape, code}
	}
	delete(m, escape)
	return m
}()

// septets spells a text in the default alphabet, one slice a character; ok is false when it has another character.
func septets(text string) (chars [][]byte, ok bool) {
	for _, r := range text {
		code, known := gsmCodes[r]
		if !known {
			return nil, false
		}
		chars = append(chars, code)
	}
	return chars, true
}

// units spells a text in UTF-16, big-endian, one slice of two or four bytes a character.
func units(text string) (chars [][]byte) {
	for _, r := range text {
		var b []byte
		for _, u := range utf16.AppendRune(nil, r) {
			b = append(b, byte(u>>8), byte(u))
		}
		chars = append(chars, b)
	}
	return chars
}

// pack puts septets into octets after fill bits (3GPP TS 23.038 section 6.1.2.1).
func pack(septets []byte, fill int) []byte {
	out := make([]byte, (fill+7*len(septets)+7)/8)
	at := fill
	for _, s := range septets {
		v := uint16(s&0x7F) << (at % 8)
		out[at/8] |= byte(v)
		if v > 0xFF {
			out[at/8+1] |= byte(v >> 8)
		}
		at += 7
	}
	return out
}

// unpack is pack's inverse; n septets must fit.
func unpack(b []byte, n, fill int) []byte {
	out := make([]byte, n)
	for i := range out {
		at := fill + 7*i
		v := uint16(b[at/8]) >> (at % 8)
		if at%8 > 1 {
			v |= uint16(b[at/8+1]) << (8 - at%8)
		}
		out[i] = byte(v & 0x7F)
	}
	return out
}

// fromSeptets reads the default alphabet. An escape that nothing known follows is a space, as the standard asks.
func fromSeptets(s []byte) string {
	var out []rune
	for i := 0; i < len(s); i++ {
		if s[i] != escape {
			out = append(out, gsmAlphabet[s[i]])
			continue
		}
		r := ' '
		if i++; i < len(s) {
			if more, known := gsmMore[s[i]]; known {
				r = more
			} else if s[i] != escape {
				r = gsmAlphabet[s[i]]
			}
		}
		out = append(out, r)
	}
	return string(out)
}

func fromUnits(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return string(utf16.Decode(u))
}

var errText = errors.New("is empty, no UTF-8, or holds control characters")

// checkText accepts what a phone can show.
func checkText(text string) error {
	if text == "" || !utf8.ValidString(text) {
		return errText
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\r' || r >= 0x7F && r < 0xA0 || r == utf8.RuneError {
			return errText
		}
	}
	return nil
}
