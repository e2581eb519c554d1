package uplink

import (
	"slices"
	"time"

	"yizhan/broker/frame"
)

const (
	refusedFirst = time.Minute
	refusedMost  = time.Hour
	refusedKept  = 64 // ranges that are remembered of a lane
)

// A refusal is what was sent and not committed, although the cloud answered meanwhile. It is a hole again at until.
type refusal struct {
	frame.Range
	times int
	until time.Time
}

// refuse notes that the cloud did not take r. Frames are cut anew each time, so what overlaps it is the same.
func (l *lane) refuse(now time.Time, r frame.Range) {
	f := refusal{Range: r, until: now}
	l.refused = slices.DeleteFunc(l.refused, func(o refusal) bool {
		same := o.From <= r.To && r.From <= o.To
		if same {
			f.times = max(f.times, o.times)
		}
		return same
	})
	if f.times++; f.times > 1 {
		f.until = now.Add(min(refusedFirst<<min(f.times-2, 10), refusedMost))
	}
	if len(l.refused) == refusedKept {
		l.refused = slices.Delete(l.refused, 0, 1)
	}
	l.refused = append(l.refused, f)
}

// taken forgets refusals of what is committed now.
func (l *lane) taken() {
	l.refused = slices.DeleteFunc(l.refused, func(r refusal) bool {
		_, ok := l.committed.end(r.From)
		return ok
	})
}
