package soak

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"time"
)

// trace is all that happened, as a hash, and as text for who wants to read it.
type trace struct {
	sum   hash.Hash
	to    io.Writer
	lines int
}

func newTrace(to io.Writer) *trace { return &trace{sum: sha256.New(), to: to} }

// note adds a line.
func (t *trace) note(now time.Duration, format string, args ...any) {
	t.lines++
	line := fmt.Appendf(nil, "%12.3f %s\n", now.Seconds(), fmt.Sprintf(format, args...))
	_, _ = t.sum.Write(line) // a hash never fails
	if t.to != nil {
		_, _ = t.to.Write(line) // a trace that can't be written is no reason to stop
	}
}

func (t *trace) hash() string { return hex.EncodeToString(t.sum.Sum(nil)[:16]) }

// brief is a payload in a line of the trace.
func brief(b []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return fmt.Sprintf("%d bytes %016x", len(b), h.Sum64())
}
