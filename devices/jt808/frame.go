package jt808

import "bytes"

const (
	mark   = 0x7e // begins and ends a frame
	escape = 0x7d // 7D 02 is 7E, 7D 01 is 7D

	maxSegment = 2100 // bytes between two marks, escapes included
	minContent = 13   // the shortest header and the check
	keptOfBad  = 256  // bytes of a segment that is too long
)

// A framer cuts a byte stream into frames (JT/T 808-2013, 4.4). Every mark both ends and begins one, so that
// nothing but the frame it hits is lost to noise, however the stream is chunked. It holds at most one segment.
type framer struct {
	// take gets header, body and check; good tells whether the check is right. It returns framesOK or why the
	// frame is thrown away. content is valid during the call only.
	take   func(content []byte, good bool) counter
	reject func(why counter, offset int64, raw []byte) // raw as it came, valid during the call only
	count  *counters

	held   []byte // of the open segment, from earlier chunks
	plain  []byte // unescaped
	over   bool   // the open segment is too long
	offset int64  // of the next byte in the stream
	start  int64  // of the open segment
}

// feed takes the next bytes of the stream.
func (f *framer) feed(b []byte) {
	for {
		i := bytes.IndexByte(b, mark)
		if i < 0 {
			f.hold(b)
			f.offset += int64(len(b))
			return
		}
		segment := b[:i]
		if len(f.held) > 0 {
			f.hold(segment)
			segment = f.held
		}
		f.offset += int64(i)
		f.segment(segment)
		f.offset++
		f.start, f.held, f.over = f.offset, f.held[:0], false
		b = b[i+1:]
	}
}

func (f *framer) hold(b []byte) {
	if f.over {
		return
	}
	if len(f.held)+len(b) > maxSegment {
		f.over = true
		b = b[:max(0, min(len(b), keptOfBad-len(f.held)))]
	}
	f.held = append(f.held, b...)
}

// finish closes what is open because the stream has ended: without its mark it is no frame.
func (f *framer) finish() {
	if len(f.held) > 0 {
		f.drop(cut, f.held)
	}
	f.held, f.over = f.held[:0], false
}

// segment takes what stands between two marks.
func (f *framer) segment(s []byte) {
	switch {
	case len(s) == 0:
		return
	case f.over || len(s) > maxSegment:
		f.drop(tooLong, s)
		return
	}
	content := s
	if bytes.IndexByte(s, escape) >= 0 {
		var ok bool
		if f.plain, ok = unescape(f.plain[:0], s); !ok {
			f.drop(badEscape, s)
			return
		}
		content = f.plain
	}
	if len(content) < minContent {
		f.drop(resync, s)
		return
	}
	if why := f.take(content, xor(content) == 0); why != framesOK {
		f.drop(why, s)
		return
	}
	f.count.add(framesOK)
}

func (f *framer) drop(why counter, raw []byte) {
	f.count.add(why)
	if f.reject != nil {
		f.reject(why, f.start, raw[:min(len(raw), keptOfBad)])
	}
}

// unescape appends s without its escapes; ok is false when an escape is followed by nothing it may be.
func unescape(dst, s []byte) (_ []byte, ok bool) {
	for {
		i := bytes.IndexByte(s, escape)
		if i < 0 {
			return append(dst, s...), true
		}
		dst = append(dst, s[:i]...)
		if i+1 == len(s) || s[i+1] != 1 && s[i+1] != 2 {
			return dst, false
		}
		dst = append(dst, escape+s[i+1]-1)
		s = s[i+2:]
	}
}

func xor(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// appendFrame appends the frame of a header and body: check, escapes and marks.
func appendFrame(dst []byte, parts ...[]byte) []byte {
	dst = append(dst, mark)
	var sum byte
	for _, p := range parts {
		for _, c := range p {
			sum ^= c
			dst = appendEscaped(dst, c)
		}
	}
	return append(appendEscaped(dst, sum), mark)
}

func appendEscaped(dst []byte, c byte) []byte {
	if c == mark || c == escape {
		return append(dst, escape, c-escape+1)
	}
	return append(dst, c)
}
