package modbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// patience is how many rounds nothing may answer before the port is opened anew.
const patience = 3

var errSilent = errors.New("no unit on the line answers")

type counters struct {
	framesOK, badChecksum, resync, timeouts, retries, exceptions, late atomic.Uint64
	probeFaults, outOfRange, textReports, unitsLost                    atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "resync": c.resync.Load(),
		"timeouts": c.timeouts.Load(), "retries": c.retries.Load(), "exceptions": c.exceptions.Load(),
		"late_replies": c.late.Load(), "probe_faults": c.probeFaults.Load(), "out_of_range": c.outOfRange.Load(),
		"text_reports": c.textReports.Load(), "units_lost": c.unitsLost.Load(),
	}
}

// Driver polls the units of one line.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	units  []*unit // touched by Run only
	counts counters
}

// A unit is one device on the line and what is known of it.
type unit struct {
	id     byte
	blocks []request
	probes []*watched
	lost   bool
}

// A watched probe remembers what was told of it last.
type watched struct {
	probe
	faulty bool
	told   time.Time // of the last fault
	bits   []uint32
	since  time.Time // bits stand still since then
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env}
	for _, u := range c.Units {
		p, ok := c.profile(u.Profile)
		if !ok {
			return nil, fmt.Errorf("unit %d: no profile %q", u.Unit, u.Profile)
		}
		us := &unit{id: byte(u.Unit), blocks: p.blocks(byte(u.Unit))}
		for _, pr := range p.probes(u.Probe) {
			us.probes = append(us.probes, &watched{probe: pr})
		}
		d.units = append(d.units, us)
	}
	return d, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run polls until ctx ends, the port fails, or nothing answers for three rounds.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return err
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()

	l := newLine(p, d.cfg, &d.counts, &d.BadFrames)
	tick := time.NewTicker(d.cfg.Every)
	defer tick.Stop()
	for silent := 0; ; {
		answered, err := d.round(ctx, l, emit)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case answered:
			silent = 0
		default:
			silent++
		}
		if silent == patience {
			return errSilent
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round asks every unit once. answered tells whether any did.
func (d *Driver) round(ctx context.Context, l *line, emit devices.Emit) (answered bool, err error) {
	for _, u := range d.units {
		m, why, err := d.ask(ctx, l, u)
		if err != nil {
			return false, err
		}
		answered = answered || !errors.Is(why, errTimeout)
		d.note(u, why)
		if rs := d.readings(u, m, time.Now()); len(rs) > 0 {
			if err := emit(ctx, rs...); err != nil {
				return false, err
			}
		}
	}
	return answered, nil
}

// ask reads the unit's blocks. why tells what is missing from the image: errTimeout or an
// Exception; err is a broken port.
func (d *Driver) ask(ctx context.Context, l *line, u *unit) (m image, why, err error) {
	m = image{}
	n := attempts
	if u.lost {
		n = 1
	}
	for _, q := range u.blocks {
		regs, err := l.read(ctx, q, n)
		var no Exception
		switch {
		case err == nil:
			m.put(q, regs)
		case errors.As(err, &no):
			why = fmt.Errorf("function %d address %d: %w", q.function, q.address, no)
		case errors.Is(err, errTimeout):
			return image{}, err, nil // a unit that went away in the middle: nothing of it is one moment
		default:
			return nil, nil, err
		}
	}
	return m, why, nil
}

// note keeps and logs whether the unit is there.
func (d *Driver) note(u *unit, why error) {
	switch lost := why != nil; {
	case lost && !u.lost:
		d.counts.unitsLost.Add(1)
		d.env.Log.Warn("unit lost", "addr", int(u.id), "err", why)
	case !lost && u.lost:
		d.counts.unitsLost.Add(^uint64(0))
		d.env.Log.Info("unit back", "addr", int(u.id))
	}
	u.lost = why != nil
}

// readings tells what m says of the unit's probes.
func (d *Driver) readings(u *unit, m image, now time.Time) []telemetry.Reading {
	var rs []telemetry.Reading
	for _, w := range u.probes {
		c, read, err := w.climate(m)
		switch {
		case errors.Is(err, errRange):
			d.counts.outOfRange.Add(1)
		case err != nil:
			d.counts.probeFaults.Add(1)
		}
		if read < len(w.values) {
			c = faulty(w.name)
		}
		if !w.tell(&c, m, now, d.cfg) {
			continue
		}
		rs = append(rs, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, c))
	}
	return rs
}

// tell decides whether c goes out, and whether it is stuck.
func (w *watched) tell(c *telemetry.Climate, m image, now time.Time, cfg Config) bool {
	if c.Quality == telemetry.ClimateFault {
		if w.faulty && now.Sub(w.told) < cfg.FaultEvery {
			return false
		}
		w.faulty, w.told, w.bits = true, now, nil
		return true
	}
	w.faulty = false
	bits := make([]uint32, 0, len(w.values))
	for _, v := range w.values {
		b, _ := v.raw(m)
		bits = append(bits, b)
	}
	if !slices.Equal(bits, w.bits) {
		w.bits, w.since = bits, now
	}
	if cfg.StuckAfter > 0 && now.Sub(w.since) >= cfg.StuckAfter {
		c.Quality = telemetry.ClimateStuck
	}
	return true
}
