package state

import (
	"bytes"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Ahead is how far a measured time may lie after its receipt and still be believed.
const Ahead = 2 * time.Minute

// clock is an anchor of a gateway's monotonic clock: at mono of boot it was received here.
type clock struct {
	boot     frame.Boot
	mono     int64 // nanoseconds
	received time.Time
}

// dated is when a reading was measured, as well as it is known.
type dated struct {
	at     time.Time
	tq     telemetry.Quality
	future bool // its own time lies too far ahead and was not believed
}

// date dates a reading: by its own time; else by the gateway's clock when the record was made;
// else by its distance from the gateway's last anchor of the same boot; else by its receipt,
// with quality unknown. It is never later than Ahead after the receipt.
func date(r *telemetry.Reading, rec *frame.Record, received time.Time, anchor *clock) dated {
	limit := received.Add(Ahead)
	var d dated
	if !r.At.IsZero() && !suspect(r) {
		if !r.At.After(limit) {
			return dated{at: r.At, tq: r.TQ}
		}
		d.future = true
	}
	if wall := moment(rec.WallMS); rec.WallMS > 0 && rec.Quality != telemetry.Unknown && !wall.After(limit) {
		d.at, d.tq = wall, rec.Quality
		return d
	}
	if !anchor.received.IsZero() && anchor.boot == rec.Boot {
		t := anchor.received.Add(-time.Duration(anchor.mono - rec.MonoNS)).Truncate(time.Millisecond)
		if t.After(received) {
			t = received
		}
		d.at, d.tq = t, telemetry.Retro
		return d
	}
	d.at, d.tq = received.Truncate(time.Millisecond), telemetry.Unknown
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
