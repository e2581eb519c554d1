package llrp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"yizhan/devices"
	"yizhan/devices/passage"
	"yizhan/devices/telemetry"
)

// ErrBusy is wrapped by Run's error when the reader serves another client, perhaps our own
// connection of before. Readers hold on to a dead one for a while, so the next Run waits
// before it knocks again.
var ErrBusy = errors.New("the reader serves another client")

const (
	busyPause    = 5 * time.Second
	edgePause    = time.Second // between two door readings of an input
	refusalLimit = 3           // a reader that is still booting refuses too: it's believed the third time
)

// Driver reads one LLRP reader. What it must not forget between two connections is here.
type Driver struct {
	devices.BadFrames
	cfg    Config
	env    devices.Env
	counts counts

	clock   clock
	known   passage.Names
	teller  *passage.Teller
	antenna *passage.Edges
	input   *passage.Edges

	busyUntil time.Time
	refusals  int
}

// New makes the driver of one reader. It does no I/O.
func New(cfg Config, env devices.Env) (*Driver, error) {
	cfg = cfg.withDefaults()
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("llrp: random id: %w", err)
	}
	every := cfg.RawInterval
	if cfg.RawReads != "on" {
		every = 0
	}
	d := &Driver{
		cfg: cfg, env: env,
		clock:  clock{maxSkew: cfg.MaxClockSkew},
		teller: passage.NewTeller(env.Name, hex.EncodeToString(id[:]), passage.New(cfg.Passage, cfg.Antennas), every),
		input:  passage.NewEdges(edgePause, false, func() {}),
	}
	d.antenna = passage.NewAntennaEdges(d.teller.Held)
	return d, nil
}

// Counters returns what doc.go lists.
func (d *Driver) Counters() map[string]uint64 {
	m := d.counts.snapshot()
	maps.Copy(m, d.teller.Counters())
	return m
}

// Run connects to the reader, starts its inventory and emits until ctx ends or the connection
// fails.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	err := d.run(ctx, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (d *Driver) run(ctx context.Context, emit devices.Emit) error {
	if err := pause(ctx, time.Until(d.busyUntil)); err != nil {
		return err
	}
	if err := d.teller.Flush(ctx, emit); err != nil { // what the last Run couldn't hand over
		return err
	}
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return err
	}
	defer p.Close()
	s := newSession(d, p, emit)
	// Whatever blocks on the port is let go soon after ctx ends.
	release := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, func() { p.Close() }) })
	defer release()
	defer func() { d.teller.Suspend(time.Now()) }()

	err = s.start(ctx)
	if err == nil {
		d.refusals = 0
		d.counts.add(connects, 1)
		d.env.Log.Info("device up", "addr", d.cfg.Port)
		d.teller.Resume(time.Now())
		err = s.serve(ctx)
	}
	if s.greeted && ctx.Err() != nil {
		s.stop()
	}
	return d.judge(err)
}

// judge turns the reader's refusals into what the runtime understands.
func (d *Driver) judge(err error) error {
	if errors.Is(err, ErrBusy) {
		d.counts.add(busy, 1)
		d.busyUntil = time.Now().Add(busyPause)
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		if d.refusals++; d.refusals >= refusalLimit {
			return fmt.Errorf("llrp: %w: %w", devices.ErrPermanent, err)
		}
	}
	if err != nil {
		return fmt.Errorf("llrp: %w", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (d *Driver) door(c passage.Change) {
	for _, in := range d.cfg.Inputs {
		if in.Port == c.ID {
			open := c.On != (in.Open == "low")
			d.teller.Keep(telemetry.Door{Door: in.Door, Open: telemetry.Some(open)})
		}
	}
}

// tick tells what time alone brings.
func (d *Driver) tick(now time.Time) {
	d.teller.Tick(now)
	for _, c := range d.antenna.Tick(now) {
		d.teller.AntennaAlarm(c)
	}
	for _, c := range d.input.Tick(now) {
		d.door(c)
	}
}
