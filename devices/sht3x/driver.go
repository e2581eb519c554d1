package sht3x

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

const (
	attempts = 3                    // measurements until a sensor counts as failed
	rereads  = 3                    // of a measurement that isn't acknowledged
	notReady = 5 * time.Millisecond // pause after a read that wasn't acknowledged
	settled  = 2 * time.Millisecond // after a command; a soft reset takes 1.5 ms
	patience = 3                    // rounds without any sensor until the bus is opened anew
)

var (
	cmdBreak = [2]byte{0x30, 0x93} // ends periodic measurement
	cmdReset = [2]byte{0x30, 0xA2} // soft reset
)

var errNobody = errors.New("no sensor on the bus answers")

type counters struct {
	framesOK, badChecksum, nacks, timeouts, retries, outOfRange atomic.Uint64
	resets, probeFaults, sensorsLost, resync                    atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "nacks": c.nacks.Load(),
		"timeouts": c.timeouts.Load(), "retries": c.retries.Load(), "out_of_range": c.outOfRange.Load(),
		"resets": c.resets.Load(), "probe_faults": c.probeFaults.Load(), "sensors_lost": c.sensorsLost.Load(),
		"resync": c.resync.Load(),
	}
}

// Driver polls the sensors of one bus.
type Driver struct {
	devices.BadFrames

	cfg     Config
	env     devices.Env
	open    func(context.Context) (bus, error)
	sensors []*sensor // touched by Run only
	counts  counters
}

type sensor struct {
	Sensor
	watch devices.ProbeWatch
	lost  bool
	known bool // its state: set up, or measuring since
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env}
	d.open = func(ctx context.Context) (bus, error) { return openBus(ctx, d.cfg.Port, d.cfg.Timeout, env.Open) }
	for _, s := range d.cfg.Sensors {
		d.sensors = append(d.sensors, &sensor{Sensor: s, watch: devices.ProbeWatch{FaultEvery: d.cfg.FaultEvery, StuckAfter: d.cfg.StuckAfter}})
	}
	return d, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run polls until ctx ends, the bus breaks, or no sensor answers for three rounds.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	b, err := d.open(ctx)
	if err != nil {
		return fmt.Errorf("sht3x: %w", err)
	}
	hangUp := sync.OnceFunc(func() { _ = b.Close() })
	defer hangUp()
	if _, slow := b.(*bridge); slow { // ends a read that waits; /dev/i2c waits at most a second
		defer context.AfterFunc(ctx, hangUp)()
	}
	for _, s := range d.sensors {
		s.known = false
	}
	tick := time.NewTicker(d.cfg.Every)
	defer tick.Stop()
	for silent := 0; ; {
		answered, err := d.round(ctx, b, emit)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("sht3x: %w", err)
		case answered:
			silent = 0
		default:
			silent++
		}
		if silent == patience {
			return fmt.Errorf("sht3x: %s: %w", d.cfg.Port, errNobody)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round measures with each sensor once.
func (d *Driver) round(ctx context.Context, b bus, emit devices.Emit) (answered bool, err error) {
	for _, s := range d.sensors {
		c, why, err := d.sense(ctx, b, s)
		if err != nil {
			return false, err
		}
		answered = answered || why == nil || errors.Is(why, errRange)
		d.note(s, why)
		if !s.watch.Tell(&c, time.Now()) {
			continue
		}
		if err := emit(ctx, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, c)); err != nil {
			return false, err
		}
	}
	return answered, nil
}

// note keeps, counts and logs whether the sensor is there.
func (d *Driver) note(s *sensor, why error) {
	if why != nil {
		d.counts.probeFaults.Add(1)
	}
	switch lost := why != nil; {
	case lost && !s.lost:
		d.counts.sensorsLost.Add(1)
		d.env.Log.Warn("sensor lost", "addr", s.Address, "err", why)
	case !lost && s.lost:
		d.counts.sensorsLost.Add(^uint64(0))
		d.env.Log.Info("sensor back", "addr", s.Address)
	}
	s.lost, s.known = why != nil, why == nil
}

// sense measures once, in up to three attempts, one for a sensor that is lost. why tells why c is a fault;
// err is a bus that broke, or ctx's.
func (d *Driver) sense(ctx context.Context, b bus, s *sensor) (c telemetry.Climate, why, err error) {
	n := attempts
	if s.lost {
		n = 1
	}
	for i := range n {
		if i > 0 {
			d.counts.retries.Add(1)
		}
		t, rh, err := d.measure(ctx, b, s)
		switch {
		case err == nil:
			d.counts.framesOK.Add(1)
			return climate(s.Probe, t, rh), nil, nil
		case ctx.Err() != nil:
			return c, nil, ctx.Err()
		case errors.Is(err, errBroken):
			return c, nil, err
		}
		why = err
		s.known = false
	}
	return telemetry.Climate{Probe: s.Probe, Quality: telemetry.ClimateFault}, why, nil
}

// measure sends one command and fetches what it gave.
func (d *Driver) measure(ctx context.Context, b bus, s *sensor) (t, rh float64, err error) {
	addr := uint16(s.Address)
	if !s.known {
		if err := d.reset(ctx, b, addr); err != nil {
			return 0, 0, err
		}
		s.known = true
	}
	cmd := commands[d.cfg.Repeatability]
	if err := d.transfer(b, addr, cmd.code[:], nil); err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, cmd.wait); err != nil {
		return 0, 0, err
	}
	var f [frameSize]byte
	for i := 0; ; i++ {
		if err = d.transfer(b, addr, nil, f[:]); err == nil {
			break
		}
		if i == rereads || errors.Is(err, errBroken) {
			return 0, 0, err
		}
		if err := pause(ctx, notReady); err != nil {
			return 0, 0, err
		}
	}
	t, rh, err = parse(f)
	switch {
	case errors.Is(err, errChecksum):
		d.counts.badChecksum.Add(1)
		d.Add(err.Error(), f[:])
	case err != nil:
		d.counts.outOfRange.Add(1)
		d.Add(err.Error(), f[:])
	}
	return t, rh, err
}

// reset brings a sensor to the state after power-on. A sensor that isn't there doesn't acknowledge;
// the measurement will tell.
func (d *Driver) reset(ctx context.Context, b bus, addr uint16) error {
	d.counts.resets.Add(1)
	for _, cmd := range [][2]byte{cmdBreak, cmdReset} {
		if err := d.transfer(b, addr, cmd[:], nil); errors.Is(err, errBroken) {
			return err
		}
		if err := pause(ctx, settled); err != nil {
			return err
		}
	}
	return nil
}

// transfer is one Tx, counted.
func (d *Driver) transfer(b bus, addr uint16, w, r []byte) error {
	err := b.Tx(addr, w, r)
	switch {
	case err == nil, errors.Is(err, errBroken):
	case errors.Is(err, errSilent):
		d.counts.timeouts.Add(1)
	default:
		d.counts.nacks.Add(1)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
