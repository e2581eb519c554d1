package scale

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// agreeing is how many frames must say the same before it is believed.
const agreeing = 3

var errSilent = errors.New("no frame")

// Driver reads one indicator.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	counts counters
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	return &Driver{cfg: c.withDefaults(), env: env}, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run tells weighings until ctx ends, the port fails, or no frame came for ReopenAfter.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()
	f, err := newFramer(d.cfg.Format, d.cfg.Unit, &d.counts)
	if err != nil {
		return fmt.Errorf("scale: %w: %w", devices.ErrPermanent, err)
	}
	var news []telemetry.Reading
	pan := pan{settle: d.cfg.Settle, minChange: d.cfg.MinChange}
	heard := time.Now()
	f.weight = func(w weight) {
		heard = time.Now()
		if b := pan.put(w, heard); b != nil {
			news = append(news, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, b))
			d.note(b)
		}
	}
	f.reject = func(_ int64, raw []byte, reason string) { d.Add(reason, raw) }
	buf := make([]byte, 1024)
	for {
		if err = p.SetReadDeadline(heard.Add(d.cfg.ReopenAfter)); err != nil {
			break
		}
		var n int
		if n, err = p.Read(buf); err != nil {
			break
		}
		f.feed(buf[:n])
		if len(news) > 0 {
			began := time.Now()
			if err = emit(ctx, news...); err != nil {
				break
			}
			heard = heard.Add(time.Since(began)) // while emit waited nobody listened
			news = nil
		}
		if time.Since(heard) >= d.cfg.ReopenAfter {
			err = os.ErrDeadlineExceeded
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.counts.timeouts.Add(1)
		return fmt.Errorf("scale: %s: %w for %v", d.cfg.Port, errSilent, d.cfg.ReopenAfter)
	}
	return fmt.Errorf("scale: %w", err)
}

func (d *Driver) note(b telemetry.Body) {
	if b.Kind() == telemetry.KindAlarm {
		d.counts.overloads.Add(1)
		d.env.Log.Warn("scale overloaded")
		return
	}
	d.counts.weighings.Add(1)
}

// A pan tells weighings from frames. It asks no clock.
type pan struct {
	settle    time.Duration
	minChange float64

	told  float64
	any   bool // told holds something
	left  bool // the pan was at less than half of told since
	over  bool // told as overloaded
	now   float64
	since time.Time // now stands since then, at rest
	same  int       // frames that said so; 0: none
}

// put takes what a frame says and returns what there is to tell: a Weight, an Alarm or nil.
func (p *pan) put(w weight, at time.Time) telemetry.Body {
	if w.over {
		p.same, p.left = 0, true
		if p.over {
			return nil
		}
		p.over = true
		return telemetry.Alarm{Code: "scale_overload", Severity: telemetry.Minor, Detail: "the scale says its load is out of range"}
	}
	if math.Abs(w.kg) < math.Abs(p.told)/2 {
		p.left = true
	}
	if w.motion == moving {
		p.same = 0
		return nil
	}
	if p.same == 0 || w.kg != p.now {
		p.now, p.since, p.same = w.kg, at, 0
	}
	p.same++
	if p.same < agreeing || at.Sub(p.since) < p.settle {
		return nil
	}
	p.over = false
	moved := math.Abs(w.kg-p.told) > p.minChange
	if p.any && !moved && !p.left {
		return nil
	}
	if p.any && w.kg == 0 && p.told == 0 {
		return nil // an empty pan stays empty
	}
	p.told, p.any, p.left = w.kg, true, false
	return telemetry.Weight{WeightKg: telemetry.Some(w.kg), Stable: telemetry.Some(true)}
}
