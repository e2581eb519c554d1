package llrp

import (
	"errors"
	"io"
)

// frames cuts a byte stream into messages and finds the next one after garbage.
type frames struct {
	counts *counts
	// patient: a message is judged once the header behind it is there. A file waits for that, a
	// live connection can't, and there no bytes go missing.
	patient bool
	reject  func(offset int64, raw []byte, reason string)

	buf        []byte
	start, end int
	offset     int64 // of buf[start] in the stream
	junk       []byte
	junkSize   int // bytes thrown away since the last good message
}

const (
	readSize = 1 << 16
	junkKept = 256
)

// fill reads more bytes. Messages that next returned are no longer valid.
func (f *frames) fill(r io.Reader) error {
	if f.start > 0 {
		copy(f.buf, f.buf[f.start:f.end])
		f.start, f.end = 0, f.end-f.start
	}
	if len(f.buf)-f.end < readSize/2 {
		f.buf = append(make([]byte, 0, 2*len(f.buf)+readSize), f.buf[:f.end]...)
		f.buf = f.buf[:cap(f.buf)]
	}
	n, err := r.Read(f.buf[f.end:])
	f.end += n
	return err
}

// next returns the next message that is complete; at last, when no more bytes come, what can't
// be completed is garbage.
func (f *frames) next(last bool) (h header, body []byte, ok bool) {
	for {
		b := f.buf[f.start:f.end]
		if len(b) < headerSize {
			if last {
				f.skip(len(b))
				f.endJunk()
			}
			return header{}, nil, false
		}
		h, s, plausible := parseHeader(b)
		switch {
		case !plausible:
			f.skip(1)
		case h.length > len(b) && last:
			f.skip(1)
		case h.length > len(b), f.patient && !last && h.length+headerSize > len(b):
			return header{}, nil, false
		case !wellFormed(h, s, b):
			f.skip(1)
		default:
			f.endJunk()
			f.start += h.length
			f.offset += int64(h.length)
			f.counts.add(framesOK, 1)
			return h, b[headerSize:h.length], true
		}
	}
}

// wellFormed reports whether the message at the start of b is one: its parameters fill it
// exactly. What follows must be a header; if it isn't, then either garbage follows, or bytes of this message are
// missing and it ends within the next one.
func wellFormed(h header, s shape, b []byte) bool {
	sound := true
	if s.fields >= 0 {
		p := params{rest: b[headerSize+s.fields : h.length]}
		for p.next() {
			if p.typ == prmTagReport && sound {
				inner := params{rest: p.body}
				for inner.next() {
				}
				sound = inner.end != broken
			}
		}
		if p.end == broken {
			return false
		}
	}
	after := b[h.length:]
	if len(after) == 0 {
		return true
	}
	if len(after) >= headerSize {
		if _, _, ok := parseHeader(after); ok {
			return true
		}
	}
	return sound && !endsInNext(h, b)
}

// endsInNext reports whether another message begins within the one at the start of b and goes on behind
// its end.
func endsInNext(h header, b []byte) bool {
	for i := headerSize; i < h.length && i+headerSize <= len(b); i++ {
		if next, _, ok := parseHeader(b[i:]); ok && i+next.length > h.length {
			return true
		}
	}
	return false
}

func (f *frames) skip(n int) {
	if f.junkSize == 0 {
		f.junk = f.junk[:0]
	}
	keep := min(n, junkKept-len(f.junk))
	f.junk = append(f.junk, f.buf[f.start:f.start+keep]...)
	f.junkSize += n
	f.start += n
	f.offset += int64(n)
}

// endJunk tells of the garbage since the last good message.
func (f *frames) endJunk() {
	if f.junkSize == 0 {
		return
	}
	f.counts.add(resync, 1)
	f.counts.add(garbageBytes, uint64(f.junkSize))
	if f.reject != nil {
		f.reject(f.offset-int64(f.junkSize), f.junk, "resync")
	}
	f.junkSize = 0
}

// errGarbage ends a connection that is no LLRP.
var errGarbage = errors.New("llrp: the other side doesn't speak LLRP")

// maxJunk is how much garbage in a row a connection may send.
const maxJunk = 1 << 16
