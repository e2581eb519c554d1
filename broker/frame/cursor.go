package frame

import (
	"encoding/binary"
	"fmt"
)

// A cursor reads fields in order; after the first error it returns zeros.
type cursor struct {
	b   []byte
	i   int
	err error
}

func (c *cursor) fail(field string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: byte %d: %s is cut or out of bounds", ErrFormat, c.i, field)
	}
}

// zeros is what take returns after an error, so that callers index without asking.
var zeros [32]byte

func (c *cursor) take(n int, field string) []byte {
	if c.err == nil && len(c.b)-c.i < n {
		c.fail(field)
	}
	if c.err != nil {
		return zeros[:min(n, len(zeros))]
	}
	c.i += n
	return c.b[c.i-n : c.i : c.i]
}

func (c *cursor) uvarint(field string) uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.i:])
	if n <= 0 {
		c.fail(field)
		return 0
	}
	c.i += n
	return v
}

func (c *cursor) varint(field string) int64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Varint(c.b[c.i:])
	if n <= 0 {
		c.fail(field)
		return 0
	}
	c.i += n
	return v
}

// count reads a length that must be at most limit.
func (c *cursor) count(field string, limit int) int {
	v := c.uvarint(field)
	if v > uint64(limit) {
		c.fail(field)
		return 0
	}
	return int(v)
}
