package command

import (
	"context"
	"strings"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
)

// A Stepper does what Run does, one step at a time and in the caller's goroutine: a simulation drives it in place of
// Run.
type Stepper struct {
	d     *Desk
	waits []waiting
}

// waiting is an order that waits for a report of its gateway's clock.
type waiting struct {
	county.Command
	until time.Time
	asked bool
}

// Stepper begins with what was issued and not sent.
func (d *Desk) Stepper() *Stepper { return &Stepper{d: d} }

// Step sends the orders that can be sent, and has those refused that waited for too long.
func (s *Stepper) Step(ctx context.Context) error {
	for len(s.d.queue) > 0 {
		s.waits = append(s.waits, waiting{Command: <-s.d.queue, until: s.d.opt.Now().Add(s.d.opt.PingWait)})
	}
	var rest []waiting
	for i := range s.waits {
		w := s.waits[i]
		again, err := s.try(ctx, &w)
		if err != nil {
			return err
		}
		if again {
			rest = append(rest, w)
		}
	}
	s.waits = rest
	return nil
}

func (s *Stepper) try(ctx context.Context, w *waiting) (again bool, err error) {
	d := s.d
	gateway, _, _ := strings.Cut(w.Device, "/")
	now := d.opt.Now()
	boot, mono, at, known, err := d.store.GatewayClock(ctx, gateway)
	switch {
	case err != nil:
		return false, err
	case known && at.After(now.Add(-d.opt.Lease/3)):
		return false, d.dispatch(ctx, w.Command, boot, mono, true)
	case !w.asked:
		d.pings.Add(1)
		w.asked = true
		if d.post(gateway, frame.Command{ID: w.ID + "-ping", Action: ping, Issuer: "cloud"}) == nil {
			return true, nil
		}
	case now.Before(w.until):
		return true, nil
	}
	return false, d.dispatch(ctx, w.Command, boot, mono, false)
}
