package devices

import (
	"time"

	"yizhan/devices/telemetry"
)

// A ProbeWatch decides what is told of one climate probe that is read round after round. The zero
// value tells every round, and never calls a probe stuck. One goroutine uses it.
type ProbeWatch struct {
	FaultEvery time.Duration // a lasting fault is told again after this
	StuckAfter time.Duration // values that stand still for this long are stuck; 0: never

	faulty bool
	told   time.Time // of the last fault
	last   telemetry.Climate
	since  time.Time // last stands still since then
}

// Tell reports whether c goes out, and marks it stuck where it is: a fault at once when it comes
// and then every FaultEvery, everything else each time.
func (w *ProbeWatch) Tell(c *telemetry.Climate, now time.Time) bool {
	if c.Quality == telemetry.ClimateFault {
		if w.faulty && now.Sub(w.told) < w.FaultEvery {
			return false
		}
		w.faulty, w.told, w.last = true, now, telemetry.Climate{}
		return true
	}
	w.faulty = false
	if *c != w.last {
		w.last, w.since = *c, now
	}
	if w.StuckAfter > 0 && now.Sub(w.since) >= w.StuckAfter {
		c.Quality = telemetry.ClimateStuck
	}
	return true
}
