package jt808

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device          string         // of the readings; "decode" when empty
	GCJ02           bool           // coordinates are GCJ-02
	LenientChecksum bool           // take frames with a wrong check
	LenientLength   bool           // don't believe the length in the header
	YueBiao         bool           // items 64 to 70 have a DWORD for their length
	UTCOffset       *time.Duration // of times; 8h when nil
}

// maxDecoded bounds the terminals whose alarms and fragments a capture keeps apart.
const maxDecoded = 1024

// Decode reads captured bytes of terminals, of any number of connections, and emits what their locations,
// registrations and parameters tell. What the platform sends is passed over. reject, which may be nil, gets the first 256 bytes of what
// was thrown away, where it began and why; raw is valid during the call only. Decode never fails on garbage, only on errors of r or emit.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	d := newDecoder(opt, reject)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		d.feed(buf[:n])
		if err != nil {
			d.finish()
		}
		for _, reading := range d.rs {
			if err := emit(reading); err != nil {
				return d.counts.snapshot(), err
			}
		}
		clear(d.rs)
		d.rs = d.rs[:0]
		switch {
		case errors.Is(err, io.EOF):
			return d.counts.snapshot(), nil
		case err != nil:
			return d.counts.snapshot(), err
		}
	}
}

// A decoder turns bytes into readings. It starts no goroutine and asks no clock.
type decoder struct {
	framer
	how       *profile
	counts    counters
	open      atomic.Int64
	terminals map[phone]*decoded
	rs        []telemetry.Reading
}

// decoded is what a capture remembers of a terminal.
type decoded struct {
	edges edges
	parts assemblies
}

func newDecoder(opt Options, reject func(offset int64, raw []byte, reason string)) *decoder {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	t := Terminal{
		ID: opt.Device, GCJ02: opt.GCJ02, LenientChecksum: opt.LenientChecksum, LenientLength: opt.LenientLength,
		YueBiao: opt.YueBiao, UTCOffset: opt.UTCOffset,
	}
	d := &decoder{how: t.profile(phone{}), terminals: map[phone]*decoded{}}
	d.framer = framer{take: d.frame, count: &d.counts}
	if reject != nil {
		d.framer.reject = func(why counter, offset int64, raw []byte) { reject(offset, raw, counterNames[why]) }
	}
	return d
}

func (d *decoder) frame(content []byte, good bool) counter {
	h, body, why := parseHeader(content[:len(content)-1])
	switch {
	case !good && !d.how.lenientChecksum:
		return badChecksum
	case why != framesOK && (!d.how.lenientLength || body == nil):
		return why
	case !good || why != framesOK:
		d.counts.add(lenient)
	}
	if h.attr&encryptionBits != 0 {
		d.counts.add(encrypted)
		return framesOK
	}
	t := d.terminals[h.phone]
	if t == nil {
		if len(d.terminals) >= maxDecoded {
			clear(d.terminals)
			d.open.Store(0)
		}
		t = &decoded{parts: assemblies{all: &d.open}}
		d.terminals[h.phone] = t
	}
	if h.attr&fragmentBit != 0 {
		if !assembled(h.id) {
			d.counts.add(unsupported)
			return framesOK
		}
		whole, _, why := t.parts.add(h, body, time.Time{}, &d.counts)
		if whole == nil {
			if why == malformed {
				return malformed
			}
			return framesOK
		}
		body = whole
	}
	return d.message(&h, body, t)
}

func (d *decoder) message(h *header, body []byte, t *decoded) counter {
	switch h.id {
	case locationReport, locationReply:
		if h.id == locationReply {
			body = body[min(2, len(body)):]
		}
		l, ok := parseLocation(body)
		if !ok {
			return malformed
		}
		d.locate(&l, h.is2019, false, t)
	case locationBatch:
		if len(body) < batchHead {
			return malformed
		}
		if bad := eachPoint(body, func(l location, late bool) { d.locate(&l, h.is2019, late, t) }); len(bad) > 0 {
			d.counts.add(badPoints)
			if d.framer.reject != nil {
				d.framer.reject(badPoints, d.start, bad)
			}
		}
	case registerRequest:
		reg, ok := parseRegistration(body, h.is2019)
		if !ok {
			return malformed
		}
		d.counts.add(registers)
		d.rs = append(d.rs, reg.reading(d.how.device))
	case paramsReply:
		ps, ok := parseParams(body[min(2, len(body)):])
		if !ok {
			return malformed
		}
		d.rs = append(d.rs, paramsReading(d.how.device, ps))
	case heartbeat:
		d.counts.add(heartbeats)
	case terminalAck, logout, timeRequest, authRequest, attributesReply:
	default:
		if h.id&0x8000 == 0 { // the platform's are the other half of the capture
			d.counts.add(unsupported)
		}
	}
	return framesOK
}

// locate collects what one location tells.
func (d *decoder) locate(l *location, is2019, late bool, t *decoded) {
	before := len(d.rs)
	rs, at, ok := l.readings(d.rs, d.how.device, d.how, is2019, late, &d.counts)
	if !ok {
		return
	}
	if late {
		d.counts.add(replayed)
	}
	d.rs = t.edges.appendAlarms(rs, d.how.device, l.alarm, is2019, at, rs[before].TQ, &d.counts)
}
