package llrp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
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
	alarmPause   = time.Minute // between two alarms of the same cause
	refusalLimit = 3           // a reader that is still booting refuses too: it's believed the third time
)

// Driver reads one LLRP reader. What it must not forget between two connections is here.
type Driver struct {
	devices.BadFrames
	cfg    Config
	env    devices.Env
	counts counts

	clock   clock
	known   names
	fold    *passage.Fold
	raw     rawReads
	antenna edges
	input   edges
	alarms  map[string]time.Time // by code: no further one before

	life    string              // of this driver, begins its message ids
	told    uint64              // message ids given
	pending []telemetry.Reading // to be kept, and not yet taken over
	shown   []telemetry.Reading // raw reads, lost when emit fails

	busyUntil time.Time
	refusals  int

	mu     sync.Mutex
	folded passage.Counts
}

// New makes the driver of one reader. It does no I/O.
func New(cfg Config, env devices.Env) (*Driver, error) {
	cfg = cfg.withDefaults()
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("llrp: random id: %w", err)
	}
	d := &Driver{
		cfg: cfg, env: env,
		clock:  clock{maxSkew: cfg.MaxClockSkew},
		fold:   passage.New(cfg.Passage, cfg.Antennas),
		raw:    rawReads{every: cfg.RawInterval},
		alarms: map[string]time.Time{},
		life:   hex.EncodeToString(id[:]),
	}
	held := func() { d.counts.add(alarmsHeld, 1) }
	d.antenna = edges{pause: alarmPause, quiet: true, held: held}
	d.input = edges{pause: edgePause, held: func() {}}
	return d, nil
}

// Counters returns what doc.go lists.
func (d *Driver) Counters() map[string]uint64 {
	d.mu.Lock()
	f := d.folded
	d.mu.Unlock()
	m := d.counts.snapshot()
	maps.Copy(m, map[string]uint64{
		"tracked": f.Tracked, "arrived": f.Arrived, "departed": f.Departed, "crossed": f.Crossed,
		"weak": f.Weak, "fleeting": f.Fleeting, "evicted": f.Evicted, "repeated": f.Repeated,
	})
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
	if err := d.flush(ctx, emit); err != nil { // what the last Run couldn't hand over
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
	defer func() { d.fold.Suspend(time.Now()) }()

	err = s.start(ctx)
	if err == nil {
		d.refusals = 0
		d.counts.add(connects, 1)
		d.env.Log.Info("device up", "addr", d.cfg.Port)
		d.fold.Resume(time.Now())
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

// flush hands over what is to be told. What must be kept stays until it was taken over, and
// carries the same id when it is told again.
func (d *Driver) flush(ctx context.Context, emit devices.Emit) error {
	d.mu.Lock()
	d.folded = d.fold.Counts()
	d.mu.Unlock()
	if len(d.pending)+len(d.shown) == 0 {
		return nil
	}
	rs := slices.Concat(d.pending, d.shown)
	shown := len(d.shown)
	d.shown = d.shown[:0]
	err := emit(ctx, rs...)
	if err == nil {
		d.counts.add(rawEmitted, uint64(shown))
	}
	if err == nil || errors.Is(err, telemetry.ErrInvalid) { // an invalid one is in quarantine now
		d.pending = nil
	}
	return err
}

// keep readies a reading that must not be lost, under an id of its own: nothing else tells
// two alarms of the same words apart.
func (d *Driver) keep(r telemetry.Reading) {
	d.told++
	r.N = d.life + "-" + strconv.FormatUint(d.told, 10)
	d.pending = append(d.pending, r)
}

func (d *Driver) undated(age time.Duration, b telemetry.Body) telemetry.Reading {
	r := telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, b)
	r.ErrMS = age.Milliseconds()
	return r
}

// passages keeps what the fold made of reads. Times of the gateway's own clock are left out
// when it was never set; the reading is then dated by its record, Age late.
func (d *Driver) passages(now time.Time, events []passage.Event) {
	for _, e := range events {
		if e.Exact {
			d.keep(telemetry.New(d.env.Name, e.At, telemetry.RTC, e.Tag))
			continue
		}
		if !believable(now) {
			e.Tag.FirstSeen, e.Tag.LastSeen = time.Time{}, time.Time{}
		}
		d.keep(d.undated(e.Age, e.Tag))
	}
}

func (d *Driver) show(now time.Time, r passage.Read) {
	tag := rawTagBody(r)
	if r.Exact {
		d.shown = append(d.shown, telemetry.New(d.env.Name, r.Last, telemetry.RTC, tag))
		return
	}
	if !believable(now) {
		tag.FirstSeen, tag.LastSeen = time.Time{}, time.Time{}
	}
	d.shown = append(d.shown, d.undated(now.Sub(r.Last), tag))
}

// alarm keeps an alarm, at most one of its code in alarmPause.
func (d *Driver) alarm(now time.Time, code string, severity telemetry.Severity, detail string) {
	if now.Before(d.alarms[code]) {
		d.counts.add(alarmsHeld, 1)
		return
	}
	d.alarms[code] = now.Add(alarmPause)
	d.keep(d.undated(0, telemetry.Alarm{Code: code, Severity: severity, Detail: detail}))
}

func (d *Driver) antennaAlarm(c change) {
	a := telemetry.Alarm{Code: "antenna_lost", Severity: telemetry.Major, Detail: "antenna " + strconv.Itoa(c.id)}
	if c.on {
		a.Code, a.Severity = "antenna_back", telemetry.Info
	}
	d.keep(d.undated(0, a))
}

func (d *Driver) door(c change) {
	for _, in := range d.cfg.Inputs {
		if in.Port == c.id {
			open := c.on != (in.Open == "low")
			d.keep(d.undated(0, telemetry.Door{Door: in.Door, Open: telemetry.Some(open)}))
		}
	}
}

// tick tells what time alone brings.
func (d *Driver) tick(now time.Time) {
	d.passages(now, d.fold.Tick(nil, now))
	for _, r := range d.raw.tick(now) {
		d.show(now, r)
	}
	for _, c := range d.antenna.tick(now) {
		d.antennaAlarm(c)
	}
	for _, c := range d.input.tick(now) {
		d.door(c)
	}
}
