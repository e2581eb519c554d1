package scale

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"yizhan/devices/telemetry"
)

type counters struct {
	framesOK, badChecksum, malformed, unknownUnit, ignored, resync atomic.Uint64
	unstable, overloads, weighings, timeouts                       atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "malformed": c.malformed.Load(),
		"unknown_unit": c.unknownUnit.Load(), "ignored": c.ignored.Load(), "resync": c.resync.Load(),
		"unstable": c.unstable.Load(), "overloads": c.overloads.Load(), "weighings": c.weighings.Load(), "timeouts": c.timeouts.Load(),
	}
}

// A framer cuts a stream into frames. It holds at most maxFrame bytes beyond what it is fed, and gives
// the same frames however the stream is chunked.
type framer struct {
	format format
	kg     float64 // a unit's worth, where a frame tells none
	weight func(weight)
	reject func(offset int64, raw []byte, reason string)
	counts *counters

	broken  bool // within a line that is none
	buf     []byte
	at      int64  // of buf[0]
	skipped []byte // bytes before buf that are no frame, not yet rejected
}

// kept bounds one reject.
const kept = 256

func (f *framer) feed(b []byte) {
	f.buf = append(f.buf, b...)
	for len(f.buf) > 0 {
		n := 0
		if !f.broken {
			n = f.format.length(f.buf)
		}
		switch {
		case n < 0 && len(f.buf) <= maxFrame:
			return
		case n <= 0:
			f.skip()
		default:
			f.flush()
			f.take(f.buf[:n])
			f.drop(n)
		}
	}
}

func (f *framer) take(frame []byte) {
	w, err := f.format.parse(frame, f.kg)
	if err == nil {
		f.counts.framesOK.Add(1)
		if w.motion == moving {
			f.counts.unstable.Add(1)
		}
		f.weight(w)
		return
	}
	switch {
	case errors.Is(err, errOther):
		f.counts.ignored.Add(1)
		return
	case errors.Is(err, errChecksum):
		f.counts.badChecksum.Add(1)
	case errors.Is(err, errUnit):
		f.counts.unknownUnit.Add(1)
	default:
		f.counts.malformed.Add(1)
	}
	f.reject(f.at, frame, err.Error())
}

// skip gives up one byte. Line ends and spaces between frames are no loss.
func (f *framer) skip() {
	c := f.buf[0]
	if c == '\r' || c == '\n' || !f.broken && (c == ' ' || c == 0) {
		f.broken = false
		f.flush()
		f.drop(1)
		return
	}
	f.broken = f.format.lines
	f.counts.resync.Add(1)
	f.skipped = append(f.skipped, c)
	f.drop(1)
	if len(f.skipped) == kept {
		f.flush()
	}
}

func (f *framer) flush() {
	if len(f.skipped) > 0 {
		f.reject(f.at-int64(len(f.skipped)), f.skipped, "no frame begins here")
		f.skipped = f.skipped[:0]
	}
}

func (f *framer) drop(n int) {
	f.at += int64(n)
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
}

// end rejects what is left when the stream ends.
func (f *framer) end() {
	for len(f.buf) > 0 {
		f.skip()
	}
	f.flush()
}

// Options of Decode.
type Options struct {
	Device string // of the readings; "decode" when empty
	Format string // one of Formats; st-gs when empty
	Unit   string // of weights without one, one of Units; kg when empty
}

// Decode reads what an indicator sends and emits a weight for each frame, stable where the frame says so;
// frames that say overload are counted only. It never fails on garbage, only on options, and errors of
// r or emit. reject may be nil.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	var counts counters
	f, err := newFramer(opt.Format, opt.Unit, &counts)
	if err != nil {
		return nil, err
	}
	var emitErr error
	f.weight = func(w weight) {
		switch {
		case emitErr != nil:
		case w.over:
			counts.overloads.Add(1)
		default:
			emitErr = emit(telemetry.New(opt.Device, time.Time{}, telemetry.Unknown, w.body()))
		}
	}
	f.reject = func(offset int64, raw []byte, reason string) {
		if reject != nil {
			reject(offset, raw, reason)
		}
	}
	var chunk [4096]byte
	for {
		n, err := r.Read(chunk[:])
		f.feed(chunk[:n])
		if err != nil {
			f.end()
		}
		switch {
		case emitErr != nil:
			return counts.named(), emitErr
		case errors.Is(err, io.EOF):
			return counts.named(), nil
		case err != nil:
			return counts.named(), err
		}
	}
}

func newFramer(name, unit string, counts *counters) (*framer, error) {
	if name == "" {
		name = Formats()[0]
	}
	if unit == "" {
		unit = "kg"
	}
	form, ok := formats[name]
	if !ok {
		return nil, fmt.Errorf("format: %.20q is none of %q", name, Formats())
	}
	kg, ok := units[unit]
	if !ok {
		return nil, fmt.Errorf("unit: %.20q is none of %q", unit, Units())
	}
	return &framer{format: form, kg: kg, counts: counts}, nil
}

func (w weight) body() telemetry.Weight {
	b := telemetry.Weight{WeightKg: telemetry.Some(w.kg)}
	if w.motion != untold {
		b.Stable = telemetry.Some(w.motion == resting)
	}
	return b
}
