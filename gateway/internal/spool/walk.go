package spool

import (
	"errors"
	"io"
)

// A walker reads the records of a segment one after the other. Where bytes are no record it goes on
// at the next offset that begins one.
type walker struct {
	f    io.ReaderAt
	seed uint32
	off  int64 // of the next record
	end  int64 // of the records
	buf  []byte
	at   int64 // offset of buf[0] in the file
	torn bool  // bytes before off, since the record returned before, were no record

	twin   *twin                        // where a record is looked for that is bad here; nil: nowhere
	mended func(off int64, rec *stored) // told of each that was found there; may be nil
}

const chunk = 64 << 10

func newWalker(f io.ReaderAt, seed uint32, from, end int64) *walker {
	return &walker{f: f, seed: seed, off: from, end: end, at: from}
}

// next returns the next record; ok is false at the end. The record's payload is good until the next call.
func (w *walker) next() (r stored, off int64, ok bool) {
	w.torn = false
	for w.off < w.end {
		b := w.have(recordHead)
		r, need, err := decodeRecord(b, w.seed)
		if err == nil && need > len(b) {
			if b = w.have(need); len(b) >= need {
				r, _, err = decodeRecord(b, w.seed)
			} else {
				err = errRecord
			}
		}
		if err == nil {
			off = w.off
			w.off += int64(r.size)
			return r, off, true
		}
		if !w.torn { // here it should be
			if r, ok := w.twin.record(w.seed, w.off); ok {
				off = w.off
				w.off += int64(r.size)
				if w.mended != nil {
					w.mended(off, &r)
				}
				return r, off, true
			}
		}
		w.off++
		w.torn = true
	}
	return r, w.end, false
}

// have returns at least n bytes from off on, or all there are.
func (w *walker) have(n int) []byte {
	n = int(min(int64(n), w.end-w.off))
	i := int(w.off - w.at)
	if len(w.buf)-i < n {
		size := int(min(int64(max(chunk, n)), w.end-w.off))
		b := w.buf[:0]
		if cap(b) < size {
			b = make([]byte, size)
		}
		b = b[:size]
		kept := copy(b, w.buf[min(i, len(w.buf)):])
		fill(w.f, b[kept:], w.off+int64(kept))
		w.buf, w.at, i = b, w.off, 0
	}
	return w.buf[i:]
}

// fill reads b from off. What can't be read, even alone, is left zero: a record there fails its CRC.
func fill(f io.ReaderAt, b []byte, off int64) {
	const block = 4096
	if n, err := f.ReadAt(b, off); n == len(b) || errors.Is(err, io.EOF) {
		return
	}
	for len(b) > 0 {
		part := b[:min(len(b), int(block-off%block))]
		if n, err := f.ReadAt(part, off); n < len(part) && !errors.Is(err, io.EOF) {
			clear(part)
		}
		b, off = b[len(part):], off+int64(len(part))
	}
}
