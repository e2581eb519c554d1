package county

import (
	"bytes"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Ahead is how far a measured time may lie after its receipt and still be believed.
const Ahead = 2 * time.Minute

// Clock is an anchor of a gateway's monotonic clock: at MonoNS of Boot something of it was received here.
type Clock struct {
	Boot     frame.Boot
	MonoNS   int64
	Received time.Time
}

// Dated is when a reading was measured, as well as it is known.
type Dated struct {
	At     time.Time
	TQ     telemetry.Quality
	ErrMS  int64 // bound of At's error in milliseconds; 0 means not stated
	Future bool  // its own time lies too far ahead and was not believed
}

// Bounds is what is known of a boot in which the gateway never knew the time: it began after From, when the boot before it
// still ran, and ended before To, when the one behind it began. Zero times are unknown.
type Bounds struct{ From, To time.Time }

// Since dates a record of a boot whose start is known. d is what Date made of it, without a quality.
func (d Dated) Since(start time.Time, rec *frame.Record) Dated {
	if t := start.Add(time.Duration(rec.MonoNS)).Truncate(time.Millisecond); t.Before(d.At) {
		d.At = t
	}
	d.TQ = telemetry.Retro
	return d
}

// Between dates a record of a boot that is only known to lie in between: in the middle of when it can have been, with
// half of that as the bound of its error. Records of one boot keep their order. Where a bound is unknown d
// stays as it is.
func (d Dated) Between(b Bounds, rec *frame.Record) Dated {
	if b.From.IsZero() || b.To.IsZero() {
		return d
	}
	from, to := b.From.Add(time.Duration(rec.MonoNS)), b.To
	if to.After(d.At) {
		to = d.At
	}
	if from.After(to) { // the bounds are of clocks that differ
		from = to
	}
	half := to.Sub(from) / 2
	d.At, d.TQ = from.Add(half).Truncate(time.Millisecond), telemetry.Retro
	d.ErrMS = int64((half + time.Millisecond - 1) / time.Millisecond)
	return d
}

// Date dates a reading: by its own time; else by the gateway's clock when the record was made;
// else by its distance from the gateway's last anchor of the same boot; else by its receipt,
// with quality unknown; then Since or Between may know better. It is never later than Ahead after the receipt.
func Date(r *telemetry.Reading, rec *frame.Record, received time.Time, anchor Clock) Dated {
	limit := received.Add(Ahead)
	var d Dated
	if !r.At.IsZero() && !suspect(r) {
		if !r.At.After(limit) {
			return Dated{At: r.At, TQ: r.TQ, ErrMS: r.ErrMS}
		}
		d.Future = true
	}
	if wall := time.UnixMilli(rec.WallMS).UTC(); rec.WallMS > 0 && rec.Quality != telemetry.Unknown && !wall.After(limit) {
		d.At, d.TQ = wall, rec.Quality
		return d
	}
	if !anchor.Received.IsZero() && anchor.Boot == rec.Boot {
		t := anchor.Received.Add(-time.Duration(anchor.MonoNS - rec.MonoNS)).Truncate(time.Millisecond)
		if t.After(received) {
			t = received
		}
		d.At, d.TQ = t, telemetry.Retro
		return d
	}
	d.At, d.TQ = received.Truncate(time.Millisecond), telemetry.Unknown
	return d
}

// suspect tells that a receiver doubts its own date (a week roll-over): the place holds, the date doesn't.
func suspect(r *telemetry.Reading) bool {
	if r.Kind != telemetry.KindPosition || !bytes.Contains(r.Body, []byte(`"date_suspect"`)) {
		return false
	}
	p, err := telemetry.As[telemetry.Position](*r)
	return err == nil && p.DateSuspect
}
