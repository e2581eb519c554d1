package person

import (
	"strings"
	"unicode/utf8"
)

// Phone is a number as it is compared: digits, an extension behind ',', a + before the code of a country other
// than 86. Empty when it is no number of 5 to 15 digits with at most 8 of extension.
func Phone(s string) string {
	main, ext, hasExt := strings.Cut(strings.NewReplacer("，", ",", "转", ",", "#", ",").Replace(strings.TrimSpace(s)), ",")
	main, ok := digits(main)
	if !ok {
		return ""
	}
	for _, code := range []string{"+86", "0086"} {
		if rest, is := strings.CutPrefix(main, code); is && len(rest) >= 7 {
			main = rest
		}
	}
	if n := len(strings.TrimPrefix(main, "+")); n < 5 || n > 15 {
		return ""
	}
	if !hasExt {
		return main
	}
	ext, ok = digits(ext)
	if !ok || ext == "" || len(ext) > 8 || ext[0] == '+' {
		return ""
	}
	return main + "," + ext
}

// digits leaves out what people write between digits; ok is false where there is anything else.
func digits(s string) (string, bool) {
	var b strings.Builder
	for i, r := range strings.TrimSpace(s) {
		switch {
		case r >= '0' && r <= '9', r == '+' && i == 0:
			b.WriteRune(r)
		case r >= '０' && r <= '９':
			b.WriteRune(r - '０' + '0')
		case r == ' ' || r == '-' || r == '(' || r == ')':
		default:
			return "", false
		}
	}
	return b.String(), true
}

// MaskPhone leaves of a number what its owner knows again: 138****5678. An extension isn't shown.
func MaskPhone(phone string) string {
	p, _, _ := strings.Cut(Phone(phone), ",")
	switch n := len(p); {
	case n == 0:
		return ""
	case n < 8:
		return strings.Repeat("*", n-2) + p[n-2:]
	default:
		return p[:3] + strings.Repeat("*", n-7) + p[n-4:]
	}
}

// MaskName leaves the first sign of a Chinese name, or the first letter of each word of another.
func MaskName(name string) string {
	name = strings.TrimSpace(name)
	first, size := utf8.DecodeRuneInString(name)
	switch {
	case size == 0 || first == utf8.RuneError:
		return ""
	case first > 0x2e80: // signs, not letters
		return string(first) + strings.Repeat("*", max(1, min(2, utf8.RuneCountInString(name)-1)))
	}
	words := strings.Fields(name)
	for i, w := range words {
		r, _ := utf8.DecodeRuneInString(w)
		words[i] = string(r) + "***"
	}
	return strings.Join(words, " ")
}
