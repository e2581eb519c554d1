package onewire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

const (
	attempts = 3 // reads until a probe counts as failed
	patience = 3 // rounds without any probe until Run ends
)

var (
	errNobody = errors.New("no probe on the bus answers")
	errHangs  = errors.New("the kernel doesn't finish a read")
	errGone   = errors.New("gone")
)

type counters struct {
	framesOK, badChecksum, allZero, allOnes, powerOn, disagree, malformed, outOfRange atomic.Uint64
	readErrors, gone, timeouts, retries, probeFaults, probesLost, unlisted            atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "all_zero": c.allZero.Load(),
		"all_ones": c.allOnes.Load(), "power_on": c.powerOn.Load(), "disagree": c.disagree.Load(),
		"malformed": c.malformed.Load(), "out_of_range": c.outOfRange.Load(), "read_errors": c.readErrors.Load(),
		"gone": c.gone.Load(), "timeouts": c.timeouts.Load(), "retries": c.retries.Load(),
		"probe_faults": c.probeFaults.Load(), "probes_lost": c.probesLost.Load(), "unlisted": c.unlisted.Load(),
	}
}

// refused counts an answer that is no value.
func (c *counters) refused(why error) {
	switch why {
	case errChecksum:
		c.badChecksum.Add(1)
	case errZero:
		c.allZero.Add(1)
	case errOnes:
		c.allOnes.Add(1)
	case errPowerOn:
		c.powerOn.Add(1)
	case errDisagree:
		c.disagree.Add(1)
	case errFormat:
		c.malformed.Add(1)
	case errRange:
		c.outOfRange.Add(1)
	case errGone:
		c.gone.Add(1)
	default:
		c.readErrors.Add(1)
	}
}

// Driver reads the probes of one bus.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	open   func(context.Context) (bus, error)
	probes []*probe      // touched by Run only; grows when the config names none
	owner  chan struct{} // holds one token while a goroutine may be reading the bus
	counts counters
}

// A probe is what is known of one.
type probe struct {
	Probe
	judge judge
	watch devices.ProbeWatch
	lost  bool
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env, owner: make(chan struct{}, 1)}
	d.open = func(ctx context.Context) (bus, error) { return openFolder(ctx, d.cfg.Root) }
	for _, p := range d.cfg.Probes {
		d.probes = append(d.probes, d.watched(p))
	}
	return d, nil
}

func (d *Driver) watched(p Probe) *probe {
	return &probe{
		Probe: p, judge: newJudge(familyOf(p.Address)),
		watch: devices.ProbeWatch{FaultEvery: d.cfg.FaultEvery, StuckAfter: d.cfg.StuckAfter},
	}
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run reads until ctx ends, the bus is gone or hangs, or no probe answers for three rounds.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	err := d.run(ctx, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("onewire: %w", err)
}

func (d *Driver) run(ctx context.Context, emit devices.Emit) error {
	once, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	select {
	case d.owner <- struct{}{}:
	case <-once.Done():
		return errHangs // still the one of the run before
	}
	b, err := d.open(ctx)
	if err != nil {
		<-d.owner
		return err
	}
	r := newReader(b, d.cfg.Timeout)
	defer close(r.asked)
	defer context.AfterFunc(ctx, r.hangUp)()
	go func() {
		r.run()
		<-d.owner
	}()
	tick := time.NewTicker(d.cfg.Every)
	defer tick.Stop()
	for silent := 0; ; {
		answered, err := d.round(ctx, r, emit)
		switch {
		case err != nil:
			return err
		case answered:
			silent = 0
		default:
			silent++
		}
		if silent == patience {
			return errNobody
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round reads each probe once.
func (d *Driver) round(ctx context.Context, r *reader, emit devices.Emit) (answered bool, err error) {
	found, err := r.bus.Probes()
	if err != nil {
		return false, err
	}
	d.meet(found)
	for _, p := range d.probes {
		c, why, err := d.sense(ctx, r, p, slices.Contains(found, p.Address))
		if err != nil {
			return false, err
		}
		answered = answered || why == nil
		d.note(p, why)
		if !p.watch.Tell(&c, time.Now()) {
			continue
		}
		if err := emit(ctx, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, c)); err != nil {
			return false, err
		}
	}
	return answered, nil
}

// maxProbes bounds what a bus with noise on it may pretend to have.
const maxProbes = 64

// meet takes up probes that are new, unless the config says which there are.
func (d *Driver) meet(found []string) {
	unlisted := 0
	for _, address := range found {
		switch {
		case slices.ContainsFunc(d.probes, func(p *probe) bool { return p.Address == address }):
		case len(d.cfg.Probes) > 0 || len(d.probes) >= maxProbes:
			unlisted++
		default:
			d.probes = append(d.probes, d.watched(Probe{Address: address, Probe: address}))
			d.env.Log.Info("probe found", "addr", address)
		}
	}
	d.counts.unlisted.Store(uint64(unlisted))
}

// note keeps, counts and logs whether the probe is there.
func (d *Driver) note(p *probe, why error) {
	if why != nil {
		d.counts.probeFaults.Add(1)
	}
	switch lost := why != nil; {
	case lost && !p.lost:
		d.counts.probesLost.Add(1)
		d.env.Log.Warn("probe lost", "addr", p.Address, "err", why)
	case !lost && p.lost:
		d.counts.probesLost.Add(^uint64(0))
		d.env.Log.Info("probe back", "addr", p.Address)
	}
	p.lost = why != nil
}

// sense reads one probe in up to three attempts, one if it is lost. why tells why c is a fault; err is
// a bus that hangs, or ctx's.
func (d *Driver) sense(ctx context.Context, r *reader, p *probe, plugged bool) (c telemetry.Climate, why, err error) {
	fault := telemetry.Climate{Probe: p.Probe.Probe, Quality: telemetry.ClimateFault}
	if !plugged {
		d.counts.refused(errGone)
		p.judge = newJudge(p.judge.family)
		return fault, errGone, nil
	}
	n := attempts
	if p.lost {
		n = 1
	}
	for i := range n {
		if i > 0 {
			d.counts.retries.Add(1)
		}
		var text []byte
		text, why, err = r.read(ctx, p.Address)
		if err != nil {
			if errors.Is(err, errHangs) {
				d.counts.timeouts.Add(1)
			}
			return fault, nil, err
		}
		var degrees float64
		if why == nil {
			degrees, why = d.value(p, text)
		}
		if why == nil {
			d.counts.framesOK.Add(1)
			return climate(p.Probe.Probe, degrees), nil, nil
		}
		if errors.Is(why, fs.ErrNotExist) {
			why = errGone
		}
		d.counts.refused(why)
	}
	return fault, why, nil
}

// value is what a w1_slave says.
func (d *Driver) value(p *probe, text []byte) (float64, error) {
	h, t, err := parse(text)
	degrees := 0.0
	if err == nil {
		degrees, err = p.judge.degrees(h, t)
	}
	if err != nil {
		d.Add(err.Error(), text)
	}
	return degrees, err
}

func climate(probe string, degrees float64) telemetry.Climate {
	return telemetry.Climate{Probe: probe, TemperatureC: telemetry.Some(degrees), Quality: telemetry.ClimateOK}
}

// A reader is the one goroutine that reads a bus.
type reader struct {
	bus     bus
	timeout time.Duration
	hangUp  func()
	asked   chan string
	answers chan answer // room for one: the reader ends though nobody waits any more
}

type answer struct {
	text []byte
	err  error
}

func newReader(b bus, timeout time.Duration) *reader {
	return &reader{
		bus: b, timeout: timeout, hangUp: sync.OnceFunc(func() { _ = b.Close() }),
		asked: make(chan string), answers: make(chan answer, 1),
	}
}

func (r *reader) run() {
	defer r.hangUp()
	for address := range r.asked {
		text, err := r.bus.Read(address)
		r.answers <- answer{text, err}
	}
}

// read reads a probe's file. why is the file's error, err a bus that hangs, or ctx's.
func (r *reader) read(ctx context.Context, address string) (text []byte, why, err error) {
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	select {
	case r.asked <- address:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	select {
	case a := <-r.answers:
		return a.text, a.err, nil
	case <-timer.C:
		return nil, nil, errHangs
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}
