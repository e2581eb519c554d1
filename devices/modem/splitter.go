package modem

// maxLine bounds a line: the longest PDU takes 352 digits, and it stands in a line of its own.
const maxLine = 1024

// Kinds of token.
const (
	textLine = iota
	prompt   // the modem waits for a PDU
	garbled  // a line with bytes that no modem sends
	overlong // the beginning of a line without end
)

// A splitter cuts what a modem sends into lines. CR and LF both end one, empty ones are passed over: so an echo, which ends in
// CR alone, is a line too. The zero value is ready.
type splitter struct {
	line     []byte
	foreign  bool // the line has bytes that no modem sends
	dropping bool // until the line's end

	awaited bool // a prompt is: it has no end of line
}

// feed cuts b. took must not keep the bytes.
func (s *splitter) feed(b []byte, took func(kind int, line []byte)) {
	for _, c := range b {
		switch {
		case c == '\r' || c == '\n':
			s.end(took)
		case s.dropping:
		default:
			s.line = append(s.line, c)
			s.foreign = s.foreign || (c < ' ' && c != ctrlZ && c != esc) || c > '~'
			switch {
			case s.awaited && string(s.line) == "> ":
				s.awaited = false
				s.line = s.line[:0]
				took(prompt, nil)
			case len(s.line) == maxLine:
				took(overlong, s.line)
				s.line, s.dropping = s.line[:0], true
			}
		}
	}
}

func (s *splitter) end(took func(int, []byte)) {
	line, kind := s.line, textLine
	for len(line) >= 2 && line[0] == '>' && line[1] == ' ' { // a prompt that nobody waited for any more
		line = line[2:]
	}
	if s.foreign {
		kind = garbled
	}
	s.line, s.foreign, s.dropping = s.line[:0], false, false
	if len(line) > 0 {
		took(kind, line)
	}
}

// hidden is a line as it may be kept for support: no digit of a number, and nothing of a PDU.
func hidden(line []byte) []byte {
	out := append([]byte(nil), line...)
	for i := 0; i < len(out); {
		n := 0
		for i+n < len(line) && isHex(line[i+n]) {
			n++
		}
		for j := i; j < i+n; j++ {
			if n >= 4 || line[j] >= '0' && line[j] <= '9' {
				out[j] = '#'
			}
		}
		i += n + 1
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}
