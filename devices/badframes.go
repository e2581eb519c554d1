package devices

import (
	"encoding/hex"
	"sync"
)

// Bounds of a BadFrames ring: the last frames kept, and the bytes kept of each.
const (
	BadFramesKept = 20
	BadFrameBytes = 256
)

// BadFrame is input that a driver threw away.
type BadFrame struct {
	N      uint64 `json:"n"`      // how many this driver has thrown away, this one included
	Reason string `json:"reason"` // a constant word: bad_checksum, resync
	Hex    string `json:"hex"`    // the bytes, cut to BadFrameBytes
}

// BadFrames keeps the last bad frames for support. The zero value is ready; it may be used by
// several goroutines.
type BadFrames struct {
	mu   sync.Mutex
	n    uint64
	ring [BadFramesKept]struct {
		reason string
		raw    []byte
	}
}

// Add keeps a copy of raw.
func (b *BadFrames) Add(reason string, raw []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slot := &b.ring[b.n%BadFramesKept]
	slot.reason = reason
	slot.raw = append(slot.raw[:0], raw[:min(len(raw), BadFrameBytes)]...)
	b.n++
}

// LastBad returns what is kept, the oldest first.
func (b *BadFrames) LastBad() []BadFrame {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := min(b.n, BadFramesKept)
	frames := make([]BadFrame, 0, kept)
	for n := b.n - kept; n < b.n; n++ {
		slot := b.ring[n%BadFramesKept]
		frames = append(frames, BadFrame{N: n + 1, Reason: slot.reason, Hex: hex.EncodeToString(slot.raw)})
	}
	return frames
}

// Suspecting is implemented by drivers that keep their last bad frames (every one should):
// embedding a BadFrames does it. It may be called at any time.
type Suspecting interface {
	LastBad() []BadFrame
}
