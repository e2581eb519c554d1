package llrp

import (
	"time"

	"yizhan/devices/passage"
)

// clock decides whether the reader's clock is believed. A reader without one, or whose clock
// is far from the gateway's, is dated by the moment its report came.
type clock struct {
	maxSkew time.Duration
	heard   bool // an event notification told its time
	good    bool
}

// held is how old a report may be that the reader kept while nobody listened.
const held = 24 * time.Hour

// hear judges the clock by an event notification, which readers send at once.
func (c *clock) hear(now, reader time.Time) {
	c.heard = true
	skew := now.Sub(reader).Abs()
	c.good = passage.Believable(reader) && (!passage.Believable(now) || skew <= c.maxSkew)
}

// date fills in when r was seen.
func (c *clock) date(now time.Time, t *tagReport, r *passage.Read) {
	r.First, r.Last, r.Exact = now, now, false
	first, last, ok := t.seen()
	if !ok || c.heard && !c.good || !passage.Believable(last) {
		return
	}
	if passage.Believable(now) {
		oldest := now.Add(-c.maxSkew)
		if c.heard {
			oldest = now.Add(-held)
		}
		if last.Before(oldest) || last.After(now.Add(c.maxSkew)) {
			return
		}
	}
	if first.After(last) || last.Sub(first) > held {
		first = last
	}
	r.First, r.Last, r.Exact = first, last, true
}
