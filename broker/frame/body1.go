package frame

import (
	"encoding/binary"
	"fmt"
)

// pack1 writes records as the body of version 1.
func pack1(body []byte, rs []Record) ([]byte, error) {
	var boots bootTable
	for i := range rs {
		boots.index(rs[i].Boot)
	}
	if len(boots) > maxBoots {
		return nil, fmt.Errorf("records of %d boots, at most %d", len(boots), maxBoots)
	}
	body = boots.append(body)
	var mono, wall int64
	for i := range rs {
		r := &rs[i]
		body = append(body, byte(r.Type), qualityByte(r.Quality))
		body = binary.AppendUvarint(body, uint64(boots.index(r.Boot)))
		body = binary.AppendVarint(body, r.MonoNS-mono)
		body = binary.AppendVarint(body, r.WallMS-wall)
		mono, wall = r.MonoNS, r.WallMS
		body = binary.AppendUvarint(body, uint64(len(r.Payload)))
		body = append(body, r.Payload...)
	}
	return body, nil
}

// read1 reads the records of a body of version 1 into f.Records.
func read1(f *Frame, body []byte) error {
	c := cursor{b: body}
	boots := c.boots()
	var mono, wall int64
	for i := range f.Records {
		r := &f.Records[i]
		head := c.take(2, "type")
		if r.Type = Type(head[0]); c.err == nil && (r.Type < TypeReading || r.Type > TypeQuarantine || int(head[1]) >= len(qualities)) {
			return fmt.Errorf("%w: record %d: type %d, quality %d", ErrFormat, i, head[0], head[1])
		}
		if c.err == nil {
			r.Quality = qualities[head[1]]
		}
		if n := c.uvarint("boot index"); n < uint64(len(boots)) {
			r.Boot = boots[n]
		} else if c.err == nil {
			return fmt.Errorf("%w: record %d: boot %d of %d", ErrFormat, i, n, len(boots))
		}
		mono += c.varint("mono")
		wall += c.varint("wall")
		r.MonoNS, r.WallMS = mono, wall
		r.Payload = c.take(c.count("payload", MaxBody), "payload")
		if c.err != nil {
			return c.err
		}
	}
	if c.i != len(body) {
		return fmt.Errorf("%w: byte %d of the body: bytes after the last record", ErrFormat, c.i)
	}
	return nil
}
