package gnss

import (
	"time"

	"yizhan/devices/telemetry"
)

// days counts a date from 1970; a date that is none is an error.
func days(year, month, dayOfMonth int) (telemetry.Opt[int64], error) {
	t := time.Date(year, time.Month(month), dayOfMonth, 0, 0, 0, 0, time.UTC)
	if t.Year() != year || int(t.Month()) != month || t.Day() != dayOfMonth || year < 1980 || year > 2199 {
		return telemetry.Opt[int64]{}, errField
	}
	return telemetry.Some(t.Unix() / (24 * 60 * 60)), nil
}

// rollover is how near to midnight, and to the epoch before, a date is suspected to have rolled
// late or early.
const rollover = 10_000

// A calendar turns times of day into times, in milliseconds since 1970.
type calendar struct {
	last telemetry.Opt[int64] // the time of the last dated epoch with a fix
}

// resolve dates a time of day with the epoch's own date or, without one, as the nearest to the
// last time. corrected tells that the own date was a day off at midnight.
func (c *calendar) resolve(tod int64, own telemetry.Opt[int64]) (at telemetry.Opt[int64], corrected bool) {
	last, known := c.last.Get()
	date, dated := own.Get()
	if !dated {
		if !known {
			return telemetry.Opt[int64]{}, false
		}
		t := last - last%day + tod
		if t-last > day/2 {
			t -= day
		} else if last-t > day/2 {
			t += day
		}
		return telemetry.Some(t), false
	}
	t := date*day + tod
	if known && (tod < rollover || tod > day-rollover) {
		for _, shifted := range [...]int64{t + day, t - day} {
			if d := shifted - last; d > -rollover && d < rollover {
				return telemetry.Some(shifted), true
			}
		}
	}
	return telemetry.Some(t), false
}

// learn remembers a time that can be trusted.
func (c *calendar) learn(at int64) { c.last = telemetry.Some(at) }
