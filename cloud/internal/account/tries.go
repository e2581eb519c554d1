package account

import "time"

const (
	freeTries = 5
	maxWait   = time.Minute
	maxTriers = 4096
)

// tries remembers who failed; it is bounded, and who was quiet longest is forgotten first.
type tries struct {
	by map[string]try
}

type try struct {
	failed int
	last   time.Time
}

func newTries() tries { return tries{by: map[string]try{}} }

// wait is how long who must wait until the next try.
func (t *tries) wait(who string, now time.Time) time.Duration {
	e, ok := t.by[who]
	if !ok || e.failed < freeTries {
		return 0
	}
	pause := maxWait
	if n := e.failed - freeTries; n < 6 {
		pause = time.Second << n
	}
	return max(0, e.last.Add(pause).Sub(now))
}

func (t *tries) failed(who string, now time.Time) {
	e, known := t.by[who]
	if known && now.Sub(e.last) > 10*maxWait {
		e.failed = 0
	}
	if !known && len(t.by) >= maxTriers {
		t.dropOldest()
	}
	t.by[who] = try{failed: e.failed + 1, last: now}
}

func (t *tries) forget(who string) { delete(t.by, who) }

func (t *tries) dropOldest() {
	var who string
	var at time.Time
	for k, e := range t.by {
		if who == "" || e.last.Before(at) {
			who, at = k, e.last
		}
	}
	delete(t.by, who)
}
