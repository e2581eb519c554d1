package modem

import (
	"slices"
	"time"
)

const (
	day        = 24 * time.Hour
	maxWaiting = 256             // messages that wait for their report
	reportTime = 7 * day         // for a report to come
	lateTime   = 5 * time.Minute // for the reference of a message whose outcome is unknown
)

// A waiting message was taken by the network, or may have been. The number is kept to its last digits, in memory only.
type waiting struct {
	command, ref string
	tail         string
	since        time.Time
	open         []int // references of the parts that no report came for
	parts        int   // that were handed over
	doubt        bool  // the last part's reference didn't come, yet
}

// An outbox remembers what went out. Touched by Run only.
type outbox struct {
	times   []time.Time // of the last day's parts, the oldest first
	waiting []*waiting  // the oldest first
	ref     byte        // of the next message of several parts
}

// lastDay is how many parts went out in the last 24 hours.
func (o *outbox) lastDay(now time.Time) int {
	i := 0
	for i < len(o.times) && now.Sub(o.times[i]) >= day {
		i++
	}
	o.times = slices.Delete(o.times, 0, i)
	return len(o.times)
}

// rest is how long to wait before the next part.
func (o *outbox) rest(now time.Time, spacing time.Duration) time.Duration {
	if len(o.times) == 0 {
		return 0
	}
	return o.times[len(o.times)-1].Add(spacing).Sub(now)
}

// expect waits for reports on w.
func (o *outbox) expect(w *waiting) {
	if len(o.waiting) == maxWaiting {
		o.waiting = slices.Delete(o.waiting, 0, 1)
	}
	o.waiting = append(o.waiting, w)
}

// late gives a reference that came unasked to the message it is missing of.
func (o *outbox) late(mr int, now time.Time) bool {
	for i := len(o.waiting) - 1; i >= 0; i-- {
		if w := o.waiting[i]; w.doubt && now.Sub(w.since) < lateTime {
			w.doubt = false
			w.open = append(w.open, mr)
			return true
		}
	}
	return false
}

// find returns the message that a report is on; the newest, for references come again after 256 messages.
func (o *outbox) find(mr int, number string, now time.Time) *waiting {
	o.waiting = slices.DeleteFunc(o.waiting, func(w *waiting) bool { return now.Sub(w.since) > reportTime })
	for i := len(o.waiting) - 1; i >= 0; i-- {
		if w := o.waiting[i]; slices.Contains(w.open, mr) && w.tail == tail(number) {
			return w
		}
	}
	return nil
}

func (o *outbox) forget(w *waiting) {
	o.waiting = slices.DeleteFunc(o.waiting, func(x *waiting) bool { return x == w })
}

// tail is what a number has in common with and without its country code.
func tail(number string) string { return number[max(len(number)-8, 0):] }
