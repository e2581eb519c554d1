package telemetry

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner walks RFC 8259 JSON without allocating. It is strict: no trailing commas, no
// control characters in strings, valid UTF-8, nesting of at most maxDepth.
type scanner struct {
	b []byte
	i int
}

const maxDepth = 16

func (s *scanner) errf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", s.i, fmt.Sprintf(format, args...))
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.i >= len(s.b) {
		return s.errf("ends where %q is due", c)
	}
	if s.b[s.i] != c {
		return s.errf("%q where %q is due", s.b[s.i], c)
	}
	s.i++
	return nil
}

// value walks one value and returns its bytes.
func (s *scanner) value(depth int) ([]byte, error) {
	start := s.i
	var err error
	switch c := s.peek(); {
	case c == '{':
		err = s.object(depth, nil)
	case c == '[':
		err = s.array(depth, nil)
	case c == '"':
		_, err = s.str()
	case c == '-' || c >= '0' && c <= '9':
		err = s.number()
	default:
		err = s.word()
	}
	return s.b[start:s.i], err
}

func (s *scanner) word() error {
	for _, w := range [...]string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
			s.i += len(w)
			return nil
		}
	}
	if s.i >= len(s.b) {
		return s.errf("ends where a value is due")
	}
	return s.errf("%q begins no value", s.b[s.i])
}

func (s *scanner) object(depth int, each func(key, val []byte) error) error {
	if depth >= maxDepth {
		return s.errf("nested deeper than %d", maxDepth)
	}
	if err := s.expect('{'); err != nil {
		return err
	}
	s.space()
	if s.peek() == '}' {
		s.i++
		return nil
	}
	for {
		s.space()
		key, err := s.str()
		if err != nil {
			return err
		}
		s.space()
		if err := s.expect(':'); err != nil {
			return err
		}
		s.space()
		val, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if each != nil {
			if err := each(key[1:len(key)-1], val); err != nil {
				return err
			}
		}
		s.space()
		if s.peek() == '}' {
			s.i++
			return nil
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}

func (s *scanner) array(depth int, each func(val []byte) error) error {
	if depth >= maxDepth {
		return s.errf("nested deeper than %d", maxDepth)
	}
	if err := s.expect('['); err != nil {
		return err
	}
	s.space()
	if s.peek() == ']' {
		s.i++
		return nil
	}
	for {
		s.space()
		val, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if each != nil {
			if err := each(val); err != nil {
				return err
			}
		}
		s.space()
		if s.peek() == ']' {
			s.i++
			return nil
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}

// str walks a string and returns it with its quotes, escapes untouched.
func (s *scanner) str() ([]byte, error) {
	start := s.i
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start:s.i], nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < 0x20:
			return nil, s.errf("control character %#02x in a string", c)
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.errf("invalid UTF-8")
			}
			s.i += n
		}
	}
	return nil, s.errf("string does not end")
}

func (s *scanner) escape() error {
	s.i++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		if _, err := hex4(s.b[s.i+1:]); err != nil {
			return s.errf("bad \\u escape")
		}
		s.i += 5
		return nil
	}
	return s.errf("bad escape")
}

func hex4(b []byte) (rune, error) {
	if len(b) < 4 {
		return 0, errors.New("short")
	}
	v, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(v), err
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	switch c := s.peek(); {
	case c == '0':
		s.i++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.errf("number without digits")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.errf("no digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.errf("no digit in the exponent")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

// EachField calls each with every key (as written between its quotes) and raw value of the
// JSON object obj. It checks the syntax of the whole object; an error of each ends the walk.
func EachField(obj []byte, each func(key, val []byte) error) error {
	s := scanner{b: obj}
	s.space()
	if err := s.object(0, each); err != nil {
		return err
	}
	s.space()
	if s.i != len(obj) {
		return s.errf("bytes after the object")
	}
	return nil
}

var errType = errors.New("wrong type")

// text returns the string that the raw JSON value val stands for.
func text(val []byte) (string, error) {
	if len(val) < 2 || val[0] != '"' {
		return "", fmt.Errorf("%w: not a string", errType)
	}
	in := val[1 : len(val)-1]
	for i := range in {
		if in[i] == '\\' {
			return unescape(in), nil
		}
	}
	return string(in), nil
}

func unescape(in []byte) string {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			out = append(out, in[i])
			continue
		}
		i++
		switch in[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(in[i+1:])
			i += 4
			if utf16.IsSurrogate(r) && i+6 < len(in) && in[i+1] == '\\' && in[i+2] == 'u' {
				if lo, err := hex4(in[i+3:]); err == nil && utf16.DecodeRune(r, lo) != utf8.RuneError {
					r = utf16.DecodeRune(r, lo)
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, in[i])
		}
	}
	return string(out)
}

func number(val []byte) (float64, error) {
	if len(val) == 0 || val[0] != '-' && (val[0] < '0' || val[0] > '9') {
		return 0, fmt.Errorf("%w: not a number", errType)
	}
	return strconv.ParseFloat(string(val), 64)
}

func integer(val []byte) (int64, error) {
	if len(val) == 0 || val[0] != '-' && (val[0] < '0' || val[0] > '9') {
		return 0, fmt.Errorf("%w: not a number", errType)
	}
	v, err := strconv.ParseInt(string(val), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: not an integer", errType)
	}
	return v, nil
}

func boolean(val []byte) (bool, error) {
	switch string(val) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: neither true nor false", errType)
}
