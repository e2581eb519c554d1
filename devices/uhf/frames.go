package uhf

import "io"

// A verdict says what stands at the front of some bytes.
type verdict uint8

const (
	foreign verdict = iota // no frame begins here
	short                  // perhaps the beginning of one
	whole                  // a frame
	badSum                 // a frame with a wrong check
)

// A cutter looks for a frame at the front of b and returns its size. What it said of bytes doesn't
// change when more follow, but for short.
type cutter func(b []byte) (size int, v verdict)

// frames cuts a byte stream into frames and finds the next one after garbage, byte by byte.
type frames struct {
	cut    cutter
	counts *counts
	reject func(offset int64, raw []byte, reason string)

	buf        []byte
	start, end int
	offset     int64 // of buf[start] in the stream
	junk       []byte
	junkSize   int // bytes thrown away since the last sound frame
}

const (
	readSize = 1 << 12
	maxFrame = 1 << 12 // of any family
	junkKept = 256
)

// fill reads more bytes. Frames that next returned are no longer valid.
func (f *frames) fill(r io.Reader) error {
	if f.start > 0 {
		copy(f.buf, f.buf[f.start:f.end])
		f.start, f.end = 0, f.end-f.start
	}
	if f.buf == nil {
		f.buf = make([]byte, readSize+maxFrame) // next leaves less than maxFrame
	}
	n, err := r.Read(f.buf[f.end:])
	f.end += n
	return err
}

// next returns the next frame; at last, when no more bytes come, what isn't complete is garbage.
func (f *frames) next(last bool) (frame []byte, ok bool) {
	for f.start < f.end {
		b := f.buf[f.start:f.end]
		size, v := f.cut(b)
		switch {
		case v == whole:
			f.endJunk()
			f.start += size
			f.offset += int64(size)
			f.counts.add(framesOK, 1)
			f.counts.add(frameBytes, uint64(size))
			return b[:size], true
		case v == short && !last && len(b) < maxFrame:
			return nil, false
		case v == badSum && f.junkSize == 0: // in the midst of garbage it would say nothing
			f.counts.add(badChecksum, 1)
			if f.reject != nil {
				f.reject(f.offset, b[:min(size, junkKept)], "bad_checksum")
			}
			f.skip()
		default:
			f.skip()
		}
	}
	if last {
		f.endJunk()
	}
	return nil, false
}

func (f *frames) skip() {
	if f.junkSize == 0 {
		f.junk = f.junk[:0]
	}
	if len(f.junk) < junkKept {
		f.junk = append(f.junk, f.buf[f.start])
	}
	f.junkSize++
	f.start++
	f.offset++
}

// endJunk tells of the garbage since the last sound frame.
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

// sum is the low byte of the sum of b, the check of three of the families.
func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}
