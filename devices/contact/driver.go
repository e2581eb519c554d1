package contact

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

type counters struct {
	edges, changes, bounces, missed, storms, early, polls atomic.Uint64
}

// Driver watches the contacts of one config.
type Driver struct {
	devices.BadFrames // stays empty: a level is never malformed

	cfg    Config
	env    devices.Env
	open   func() (board, error)
	counts counters
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env}
	d.open = func() (board, error) { return openKernel(d.cfg.Chip) }
	return d, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 {
	c := &d.counts
	return map[string]uint64{
		"edges": c.edges.Load(), "changes": c.changes.Load(), "bounces": c.bounces.Load(), "missed_edges": c.missed.Load(),
		"storms": c.storms.Load(), "early_waits": c.early.Load(), "polls": c.polls.Load(),
	}
}

// Run tells how the contacts stand, and then each change, until ctx ends or a line is gone.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	err := d.run(ctx, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("contact: %w", err)
}

func (d *Driver) run(ctx context.Context, emit devices.Emit) error {
	b, err := d.open()
	if err != nil {
		return err
	}
	defer b.Close()
	watches, err := d.claim(b)
	if err != nil {
		return err
	}
	now := make([]telemetry.Reading, 0, len(watches))
	for _, w := range watches {
		now = append(now, d.reading(w.event(w.told)))
	}
	if err := emit(ctx, now...); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	g, watching := errgroup.WithContext(ctx)
	events := make(chan event)
	tell := func(e event) error {
		select {
		case events <- e:
			return nil
		case <-watching.Done():
			return watching.Err()
		}
	}
	for _, w := range watches {
		g.Go(func() error { return w.run(watching, tell) })
	}
	err = d.tell(watching, events, emit)
	cancel()
	if lost := g.Wait(); err == nil {
		err = lost
	}
	return err
}

// claim makes inputs of all lines and reads them.
func (d *Driver) claim(b board) ([]*watch, error) {
	watches := make([]*watch, 0, len(d.cfg.Contacts))
	for _, c := range d.cfg.Contacts {
		p, err := b.Pin(c.Line)
		if err != nil {
			return nil, err
		}
		w := &watch{Contact: c, pin: p, counts: &d.counts, every: d.cfg.Poll}
		if err := w.claim(); err != nil {
			return nil, err
		}
		watches = append(watches, w)
	}
	for _, w := range watches {
		w.told = w.pin.Read()
	}
	return watches, nil
}

// tell emits events until emit fails or watching ends.
func (d *Driver) tell(watching context.Context, events <-chan event, emit devices.Emit) error {
	for {
		select {
		case <-watching.Done():
			return nil
		case e := <-events:
			if e.storm {
				d.env.Log.Warn("contact storms", "addr", e.contact.Line)
			}
			if err := emit(watching, d.reading(e)); err != nil {
				return err
			}
		}
	}
}

func (d *Driver) reading(e event) telemetry.Reading {
	if e.storm {
		return telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, telemetry.Alarm{
			Code: "contact_storm", Severity: telemetry.Minor, Detail: "contact " + e.contact.Name + " doesn't come to rest: check its cable",
		})
	}
	r := telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, telemetry.Door{Door: e.contact.Name, Open: telemetry.Some(e.open)})
	if e.contact.Type == "beam" {
		r.Body = append(r.Body[:len(r.Body)-1], `,"sensor":"beam"}`...)
	}
	return r
}
