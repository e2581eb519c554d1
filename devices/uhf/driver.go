package uhf

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
)

// refusalLimit: a module that is still starting refuses too, so it's believed the third time.
const refusalLimit = 3

// Driver reads one module. What it must not forget between two connections is here.
type Driver struct {
	devices.BadFrames
	cfg    Config
	env    devices.Env
	counts counts

	known    passage.Names
	teller   *passage.Teller
	antenna  *passage.Edges
	crc      crcJudge
	found    place // where a module answered last
	refusals int
}

// A place is a family at an address.
type place struct {
	addr string
	fam  family
}

// New makes the driver of one module. It does no I/O.
func New(cfg Config, env devices.Env) (*Driver, error) {
	cfg = cfg.withDefaults()
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("uhf: random id: %w", err)
	}
	every := cfg.RawInterval
	if cfg.RawReads != "on" {
		every = 0
	}
	d := &Driver{
		cfg: cfg, env: env,
		teller: passage.NewTeller(env.Name, hex.EncodeToString(id[:]), passage.New(cfg.Passage, cfg.Antennas), every),
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

// Run finds the module, sets it up, lets it read tags and emits until ctx ends or the module fails.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	err := d.run(ctx, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (d *Driver) run(ctx context.Context, emit devices.Emit) error {
	if err := d.teller.Flush(ctx, emit); err != nil { // what the last Run couldn't hand over
		return err
	}
	s, err := d.find(ctx, emit)
	if err != nil {
		return err
	}
	defer s.close()
	defer func() { d.teller.Suspend(time.Now()) }()
	if err = s.apply(ctx); err == nil {
		d.refusals = 0
		d.counts.add(connects, 1)
		d.env.Log.Info("device up", "addr", d.found.addr, "family", d.found.fam.word())
		d.teller.Resume(time.Now())
		s.up = true
		err = s.serve(ctx)
	}
	s.leave()
	return d.judge(err)
}

// judge turns a module's refusals into what the runtime understands.
func (d *Driver) judge(err error) error {
	var no *refusedError
	if errors.As(err, &no) {
		if d.refusals++; d.refusals >= refusalLimit {
			return fmt.Errorf("uhf: %w: %w", devices.ErrPermanent, err)
		}
	}
	if err != nil {
		return fmt.Errorf("uhf: %w", err)
	}
	return nil
}

// errNobody ends a Run that found no module.
var errNobody = errors.New("no module answers at any speed")

// find opens the port at each speed and asks in each family, beginning where a module answered last.
func (d *Driver) find(ctx context.Context, emit devices.Emit) (*session, error) {
	addrs, fams := d.cfg.addresses(), families()
	if f, ok := familyOf(d.cfg.Family); ok {
		fams = []family{f}
	}
	if d.found.fam != nil {
		addrs = append([]string{d.found.addr}, without(addrs, d.found.addr)...)
		fams = append([]family{d.found.fam}, without(fams, d.found.fam)...)
	}
	for _, addr := range addrs {
		s, err := d.ask(ctx, emit, addr, fams)
		if err != nil {
			return nil, err
		}
		if s != nil {
			d.found = place{addr, s.fam}
			return s, nil
		}
	}
	return nil, fmt.Errorf("uhf: %w", errNobody)
}

func without[T comparable](all []T, one T) (rest []T) {
	for _, v := range all {
		if v != one {
			rest = append(rest, v)
		}
	}
	return rest
}

// ask opens addr and asks in each family, twice: the first question may end in what a module made
// of noise. It returns nil when nobody answers.
func (d *Driver) ask(ctx context.Context, emit devices.Emit, addr string, fams []family) (*session, error) {
	p, err := d.env.Open(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := newSession(d, p, emit)
	// Whatever blocks on the port is let go soon after ctx ends.
	release := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, func() { p.Close() }) })
	s.close = func() {
		release()
		p.Close()
	}
	for range 2 {
		for _, f := range fams {
			d.counts.add(probes, 1)
			switch err := s.hello(ctx, f); {
			case err == nil:
				return s, nil
			case !errors.Is(err, errNoAnswer):
				s.close()
				return nil, fmt.Errorf("uhf: %w", err)
			}
		}
	}
	s.close()
	return nil, nil
}
