package notify

import (
	"hash/fnv"
	"strconv"
	"time"

	"yizhan/cloud/internal/county"
)

// Rules are the step functions: what becomes of a notice when it is looked at, after a try, and when a
// report comes. They are pure; whoever holds a notice writes down what they return before anything else happens.
type Rules struct {
	Channels   []Lane
	ReportWait time.Duration
	TaskAfter  time.Duration
	GiveUp     time.Duration
	Lease      time.Duration // how long a try may take before it counts as interrupted
}

// Lane is what the rules know of a channel.
type Lane struct {
	Name    string
	Tries   int  // in a row
	Reports bool // it says later what became of a message
	Polled  bool // its outcome is asked for
}

// Act is what has to be done with a notice after a look.
type Act byte

// The acts.
const (
	Rest Act = iota // write it down; there is nothing to do now
	Send            // try a channel
	Poll            // ask the channel what became of the last try
)

// mostHanded is how often a message may have been handed over: once, and one repeat.
const mostHanded = 2

// pollEvery is how often a pending try is asked for.
const pollEvery = time.Second

// Look tells what to do with a notice that came up at now.
func (r *Rules) Look(n *county.Notice, now time.Time) Act {
	switch n.Status {
	case county.NoticeDue:
		if now.Sub(n.Due) >= r.GiveUp {
			fail(n, "gave_up", now)
			return Rest
		}
		r.late(n, now)
		return Send
	case county.NoticeSending:
		last := lastTry(n)
		if lane := r.lane(last.Channel); lane != nil && lane.Polled {
			return Poll
		}
		r.Settle(n, last.Ref, Outcome{Class: county.TryUnknown, Detail: "interrupted"}, now)
		return Rest
	case county.NoticeOpen:
		return r.open(n, now)
	case county.NoticeSent:
		r.late(n, now)
		if n.Next = lastTry(n).Answered.Add(r.ReportWait); !now.Before(n.Next) {
			n.Next = time.Time{}
			task(n, "no_report", now)
		}
	default:
		n.Next = time.Time{}
	}
	return Rest
}

// open decides on a notice of which nobody knows whether it went out: it is sent once more when no report has come, and
// only once.
func (r *Rules) open(n *county.Notice, now time.Time) Act {
	if wait := lastTry(n).At.Add(r.ReportWait); now.Before(wait) {
		n.Next = wait
		r.late(n, now)
		return Rest
	}
	if handed(n) >= mostHanded {
		fail(n, "no_report", now)
		return Rest
	}
	n.Status, n.Next = county.NoticeDue, now
	r.late(n, now)
	return Send
}

// late makes what isn't out in time a person's task too.
func (r *Rules) late(n *county.Notice, now time.Time) {
	if now.Sub(n.Due) >= r.TaskAfter {
		task(n, "late", now)
	}
}

// within is at, or when the notice becomes a person's task, if that is before.
func (r *Rules) within(n *county.Notice, at, now time.Time) time.Time {
	if t := n.Due.Add(r.TaskAfter); n.Task.IsZero() && t.After(now) && t.Before(at) {
		return t
	}
	return at
}

// Begin writes the intent of a try by channel.
func (r *Rules) Begin(n *county.Notice, channel string, now time.Time) (ref string) {
	ref = n.ID + "-" + strconv.Itoa(len(n.Tries)+1)
	n.Tries = append(n.Tries, county.NoticeTry{Ref: ref, Channel: channel, At: now})
	n.Status, n.Next = county.NoticeSending, now.Add(r.Lease)
	return ref
}

// Settle writes down what a try came to. Of a notice that is not being sent any more only the try changes.
func (r *Rules) Settle(n *county.Notice, ref string, o Outcome, now time.Time) {
	t := find(n, ref)
	if t == nil || ended(t.Outcome) {
		return
	}
	t.Outcome, t.Detail, t.Answered = o.Class, o.Detail, now
	if o.Provider != "" {
		t.Provider = o.Provider
	}
	if n.Status != county.NoticeSending || t != lastTry(n) {
		return
	}
	switch o.Class {
	case county.TryAccepted:
		if lane := r.lane(t.Channel); lane != nil && !lane.Reports {
			n.Status, n.Next, n.Task = county.NoticeDelivered, time.Time{}, time.Time{}
			return
		}
		n.Status, n.Next = county.NoticeSent, r.within(n, now.Add(r.ReportWait), now)
	case county.TryPending:
		n.Next = now.Add(pollEvery)
	case county.TryUnknown:
		n.Status, n.Next = county.NoticeOpen, r.within(n, t.At.Add(r.ReportWait), now)
	default:
		n.Status, n.Next = county.NoticeDue, now
	}
}

// Report writes down what a channel said later about a try. It tells whether anything changed.
func (r *Rules) Report(n *county.Notice, ref string, delivered bool, detail string, now time.Time) bool {
	t := find(n, ref)
	if t == nil || ended(t.Outcome) {
		return false
	}
	t.Detail, t.Answered = detail, now
	if delivered {
		t.Outcome = county.TryDelivered
		if n.Status != county.NoticeTold && n.Status != county.NoticeDropped {
			n.Status, n.Reason, n.Next, n.Task = county.NoticeDelivered, "", time.Time{}, time.Time{}
		}
		return true
	}
	t.Outcome = county.TryFailed
	switch n.Status {
	case county.NoticeSending, county.NoticeOpen, county.NoticeSent:
		if t == lastTry(n) && handed(n) < mostHanded {
			n.Status, n.Next = county.NoticeDue, now
		}
	}
	return true
}

// Choose picks the channel to try: the first of the channels that can, which hasn't failed so often in a row that the
// next one's turn is. can tells whether a channel reaches the recipient at all. When none can be tried before some
// time it returns that time, and when none ever can an empty name and the zero time.
func (r *Rules) Choose(n *county.Notice, can func(channel string) bool, now time.Time) (channel string, at time.Time) {
	type state struct {
		failures int
		last     time.Time
	}
	all := map[string]*state{}
	out := map[string]bool{}
	var last time.Time
	for i := range n.Tries {
		t := &n.Tries[i]
		s := all[t.Channel]
		if s == nil {
			s = &state{}
			all[t.Channel] = s
		}
		lane := r.lane(t.Channel)
		switch t.Outcome {
		case county.TryTemporary:
			s.failures++
		case county.TryUnknown:
			if lane != nil {
				s.failures += lane.Tries - s.failures%lane.Tries
			}
		case county.TryPermanent, county.TryFailed:
			out[t.Channel] = true
		}
		s.last = t.At
		if t.Answered.After(s.last) {
			s.last = t.Answered
		}
		if s.last.After(last) {
			last = s.last
		}
	}
	round := -1
	for _, pass := range []bool{false, true} {
		for i := range r.Channels {
			lane := &r.Channels[i]
			s := all[lane.Name]
			if s == nil {
				s = &state{}
			}
			if out[lane.Name] || !can(lane.Name) {
				continue
			}
			k := s.failures / lane.Tries
			if !pass {
				if round < 0 || k < round {
					round = k
				}
				continue
			}
			if k != round {
				continue
			}
			return lane.Name, r.ready(n, s.failures%lane.Tries, s.last, round, last)
		}
	}
	return "", time.Time{}
}

// ready is when a channel may be tried that failed so often in a row within this round.
func (r *Rules) ready(n *county.Notice, failures int, last time.Time, round int, any time.Time) time.Time {
	wait := time.Duration(0)
	switch {
	case failures > 0:
		wait = min(5*time.Second<<(2*(failures-1)), time.Minute)
		wait += jitter(n, wait/4)
	case round > 0:
		wait = min(time.Minute<<(round-1), 30*time.Minute)
		wait += jitter(n, wait/4)
		last = any
	}
	if wait == 0 {
		return time.Time{}
	}
	return last.Add(wait)
}

// jitter spreads notices that failed together; the same notice gets the same each time.
func jitter(n *county.Notice, most time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.ID + strconv.Itoa(len(n.Tries))))
	return time.Duration(int64(h.Sum32()) % int64(most+1))
}

func (r *Rules) lane(name string) *Lane {
	for i := range r.Channels {
		if r.Channels[i].Name == name {
			return &r.Channels[i]
		}
	}
	return nil
}

// handed counts how often a notice may have reached somebody.
func handed(n *county.Notice) int {
	count := 0
	for i := range n.Tries {
		switch n.Tries[i].Outcome {
		case county.TryTemporary, county.TryPermanent, county.TryFailed:
		default:
			count++
		}
	}
	return count
}

func ended(outcome string) bool {
	return outcome == county.TryDelivered || outcome == county.TryFailed || outcome == county.TryTemporary || outcome == county.TryPermanent
}

func lastTry(n *county.Notice) *county.NoticeTry {
	if len(n.Tries) == 0 {
		return &county.NoticeTry{}
	}
	return &n.Tries[len(n.Tries)-1]
}

func find(n *county.Notice, ref string) *county.NoticeTry {
	for i := range n.Tries {
		if n.Tries[i].Ref == ref {
			return &n.Tries[i]
		}
	}
	return nil
}

// fail ends what a notice can do by itself.
func fail(n *county.Notice, reason string, now time.Time) {
	n.Status, n.Reason, n.Next = county.NoticeFailed, reason, time.Time{}
	task(n, reason, now)
}

// task puts a notice that matters on the list of the person it is for.
func task(n *county.Notice, reason string, now time.Time) {
	if !n.Task.IsZero() || !Matters(n.Event) {
		return
	}
	n.Task = now
	if n.Reason == "" {
		n.Reason = reason
	}
}

// drop ends a notice that nobody needs any more.
func drop(n *county.Notice, reason string) {
	n.Status, n.Reason, n.Next, n.Task = county.NoticeDropped, reason, time.Time{}, time.Time{}
}

// Matters reports whether somebody must tell the recipient when no message can.
func Matters(e county.NoticeEvent) bool {
	switch e {
	case county.NoticeReminder, county.NoticeExtended, county.NoticeCollected, county.NoticeResolved, county.NoticeSignIn:
		return false
	}
	return true
}
