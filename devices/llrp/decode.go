package llrp

import (
	"errors"
	"io"
	"time"

	"yizhan/devices/passage"
	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device string // device of the readings, default "decode"
}

// Decode reads LLRP messages as they were captured, in either direction or both, and emits one
// raw tag reading for each TagReportData. It starts anywhere and finds the next message after
// garbage, which goes to reject with its offset in r and at most its first 256 bytes, as do reports
// that are broken. It fails only when r or emit does.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	var c counts
	in := frames{counts: &c, reject: reject, patient: true}
	var known passage.Names
	for last := false; ; {
		h, body, ok := in.next(last)
		switch {
		case ok && h.typ == msgReport:
			at := in.offset - int64(h.length)
			err := eachTag(body, &c, func(t *tagReport) error {
				return emit(rawReading(opt.Device, t, known.Of(t.epc, t.iso())))
			}, func(raw []byte, reason string) {
				if reject != nil {
					reject(at, raw[:min(len(raw), junkKept)], reason)
				}
			})
			if err != nil {
				return c.snapshot(), err
			}
		case ok:
		case last:
			return c.snapshot(), nil
		default:
			if err := in.fill(r); errors.Is(err, io.EOF) {
				last = true
			} else if err != nil {
				return c.snapshot(), err
			}
		}
	}
}

// rawReading takes the reader's times as they are: nothing is known of a captured clock but
// whether it was set at all.
func rawReading(device string, t *tagReport, n passage.Name) telemetry.Reading {
	tag := telemetry.Tag{EPC: n.EPC, EPCHex: n.Hex, Antenna: t.antenna, RSSIDBm: t.rssi, Reads: t.count}
	var at time.Time
	if first, last, ok := t.seen(); ok && set(first) && set(last) {
		tag.FirstSeen, tag.LastSeen, at = first, last, last
	}
	return reading(device, at, telemetry.RTC, &tag)
}

// reading is telemetry.New for tags with one allocation: a portal makes hundreds a second.
func reading(device string, at time.Time, q telemetry.Quality, tag *telemetry.Tag) telemetry.Reading {
	if at.IsZero() {
		q = telemetry.Unknown
	}
	const usual = 256
	return telemetry.Reading{
		Device: device, Kind: telemetry.KindTag, At: at.UTC().Truncate(time.Millisecond), TQ: q,
		Body: tag.AppendJSON(make([]byte, 0, usual)),
	}
}

// set reports whether a clock that shows t was ever set.
func set(t time.Time) bool { return t.Year() >= 2010 && t.Year() < 2100 }
