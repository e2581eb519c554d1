package contact

import (
	"context"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"
)

const (
	slice     = 200 * time.Millisecond // of waiting for an edge; how soon a lost edge is found
	pollEvery = 50 * time.Millisecond  // of a line that storms
	calm      = time.Minute            // a line that storms is polled for
	restless  = time.Second            // without rest is a storm
	maxEdges  = 200                    // a second; more is a storm
)

// A watch looks after one line. Its goroutine is the only one that touches it.
type watch struct {
	Contact
	pin    pin
	counts *counters
	told   gpio.Level
	due    time.Time // when the line is claimed anew
	every  time.Duration

	second time.Time // when the running count of edges began
	edges  int
}

// An event is a change of a contact, or a storm on its line.
type event struct {
	contact *Contact
	open    bool
	storm   bool
}

// claim makes the line an input. Its error is the only sign that a line is gone.
func (w *watch) claim() error {
	w.due = time.Now().Add(w.every)
	w.counts.polls.Add(1)
	if err := w.pin.In(pulls[w.Pull], gpio.BothEdges); err != nil {
		return fmt.Errorf("%s: %w: %w", w.Line, errLine, err)
	}
	return nil
}

func (w *watch) event(l gpio.Level) event {
	return event{contact: &w.Contact, open: (l == gpio.High) == (w.OpenWhen == "high")}
}

// run tells changes until ctx ends or the line is gone.
func (w *watch) run(ctx context.Context, tell func(event) error) error {
	for ctx.Err() == nil {
		if !time.Now().Before(w.due) {
			if err := w.claim(); err != nil {
				return err
			}
		}
		edge := w.wait(ctx, slice)
		if !edge && w.pin.Read() == w.told {
			continue
		}
		level, rested := w.rest(ctx)
		if !rested {
			if err := w.storm(ctx, tell); err != nil {
				return err
			}
			continue
		}
		if level == w.told {
			w.counts.bounces.Add(1)
			continue
		}
		if !edge {
			w.counts.missed.Add(1)
		}
		if err := w.change(level, tell); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *watch) change(level gpio.Level, tell func(event) error) error {
	w.told = level
	w.counts.changes.Add(1)
	return tell(w.event(level))
}

// wait waits for an edge. Where the kernel returns at once without one, it lasts all the same.
func (w *watch) wait(ctx context.Context, d time.Duration) bool {
	began := time.Now()
	if w.pin.WaitForEdge(d) {
		w.counts.edges.Add(1)
		if began.Sub(w.second) > time.Second {
			w.second, w.edges = began, 0
		}
		w.edges++
		return true
	}
	if left := d - time.Since(began); left > d/2 {
		w.counts.early.Add(1)
		pause(ctx, left)
	}
	return false
}

// rest waits until no edge came for debounce and returns the level then; not rested is a storm.
func (w *watch) rest(ctx context.Context) (level gpio.Level, rested bool) {
	for began := time.Now(); w.wait(ctx, w.Debounce); {
		if w.edges > maxEdges || time.Since(began) > restless {
			return level, false
		}
	}
	return w.pin.Read(), ctx.Err() == nil
}

// storm polls the line until it has been left alone for a while. A level counts when it stands for two looks.
func (w *watch) storm(ctx context.Context, tell func(event) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.counts.storms.Add(1)
	if err := tell(event{contact: &w.Contact, storm: true}); err != nil {
		return err
	}
	before := w.pin.Read()
	for end := time.Now().Add(calm); time.Now().Before(end); {
		if pause(ctx, pollEvery); ctx.Err() != nil {
			return ctx.Err()
		}
		if !time.Now().Before(w.due) {
			if err := w.claim(); err != nil {
				return err
			}
		}
		level := w.pin.Read()
		if level == before && level != w.told {
			if err := w.change(level, tell); err != nil {
				return err
			}
		}
		before = level
	}
	// What the kernel kept of the storm is old.
	for n := 0; n < maxEdges && w.pin.WaitForEdge(time.Millisecond); n++ {
	}
	w.edges = 0
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
