package keypad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// The families.
const (
	Panel = "panel"
	Keys  = "keys"
)

// Config is one keypad.
type Config struct {
	Port   string `yaml:"port" strict:"required"`
	Family string `yaml:"family"` // panel (default) or keys
	Beep   bool   `yaml:"beep"`   // family keys: BEL tells what became of an entry
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	if err := port.Check(c.Port); err != nil {
		errs = append(errs, fmt.Errorf("port: %w", err))
	}
	switch c.Family {
	case "", Panel, Keys:
	default:
		errs = append(errs, fmt.Errorf("family: %.20q is neither %s nor %s", c.Family, Panel, Keys))
	}
	if c.Beep && c.Family != Keys {
		errs = append(errs, fmt.Errorf("beep: is of the family %s", Keys))
	}
	return errors.Join(errs...)
}

const (
	silence   = 35 * time.Second // of a panel, three and a half heartbeats
	forget    = 20 * time.Second // what was typed and not finished
	tellEvery = time.Minute
)

var errSilent = errors.New("keypad: the panel is silent")

type counters struct {
	framesOK, badChecksum, malformed, tooLong, entries, repeated, early, abandoned, shown atomic.Uint64
}

// Driver drives one keypad. Its Listen and Show may be called at any time.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	counts counters
	wake   chan struct{} // something to write

	mu     sync.Mutex
	take   func(devices.Entry)
	screen *devices.Screen // to be shown
	last   *devices.Screen // that was to be shown: again where a panel has been switched on
	out    []byte          // lines to be written before it
	since  panel           // what is known of the panel outlives a Run: so an entry isn't taken twice
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	c.Family = cmp.Or(c.Family, Panel)
	return &Driver{cfg: c, env: env, wake: make(chan struct{}, 1)}, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 {
	c := &d.counts
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "malformed": c.malformed.Load(), "too_long": c.tooLong.Load(),
		"entries": c.entries.Load(), "repeated": c.repeated.Load(), "early": c.early.Load(), "abandoned": c.abandoned.Load(), "shown": c.shown.Load(),
	}
}

// Private marks everything that passes there as a person's: it isn't recorded unasked. No action is known.
func (d *Driver) Private(string) bool { return true }

// Command refuses: a keypad takes no commands.
func (d *Driver) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	return telemetry.Result{Command: c.ID, Outcome: telemetry.Refused, Detail: "unknown_action"}
}

// Listen has take called with each entry.
func (d *Driver) Listen(take func(devices.Entry)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.take = take
}

// Show puts words on the screen.
func (d *Driver) Show(s devices.Screen) {
	d.mu.Lock()
	d.screen, d.last = &s, &s
	d.mu.Unlock()
	d.poke()
}

func (d *Driver) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// say queues a line to the panel.
func (d *Driver) say(text string) {
	d.mu.Lock()
	if len(d.out) < 1024 { // else nobody takes what is sent
		d.out = append(d.out, line(text)...)
	}
	d.mu.Unlock()
	d.poke()
}

// Run hears the keypad until ctx ends or the port fails.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return fmt.Errorf("keypad: %w", err)
	}
	defer p.Close()
	g, inner := errgroup.WithContext(ctx)
	defer context.AfterFunc(inner, func() { _ = p.Close() })()
	d.mu.Lock()
	d.out = d.out[:0]
	d.since.known = false // it may have been exchanged: it says so
	d.mu.Unlock()
	if d.cfg.Family == Panel {
		d.say("WHO")
	}
	g.Go(func() error { return d.write(inner, p) })
	g.Go(func() error { return d.read(inner, p, emit) })
	err = g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// write sends what there is to send.
func (d *Driver) write(ctx context.Context, p port.Port) error {
	for {
		d.mu.Lock()
		b := append([]byte(nil), d.out...)
		d.out = d.out[:0]
		if d.screen != nil {
			b = append(b, d.render(*d.screen)...)
			d.screen = nil
			d.counts.shown.Add(1)
		}
		d.mu.Unlock()
		if len(b) > 0 {
			if _, err := p.Write(b); err != nil {
				return fmt.Errorf("keypad: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.wake:
		}
	}
}

// render is a screen as the device is told it.
func (d *Driver) render(s devices.Screen) []byte {
	if d.cfg.Family == Panel {
		return line(fmt.Sprintf("SC,%s,%d,%d", word(s.Word), s.Cell, int(s.Wait/time.Second)))
	}
	if !d.cfg.Beep {
		return nil
	}
	switch s.Word {
	case "ready":
		return nil
	case "opening", "take", "put", "done", "emptied", "welcome":
		return []byte{0x07}
	}
	return []byte{0x07, 0x07, 0x07}
}

// read takes what the device sends.
func (d *Driver) read(ctx context.Context, p port.Port, emit devices.Emit) error {
	in := input{driver: d}
	heard, told := time.Now(), time.Time{}
	var buf [256]byte
	for {
		if err := p.SetReadDeadline(d.patience(&in, heard)); err != nil {
			return fmt.Errorf("keypad: %w", err)
		}
		n, err := p.Read(buf[:])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("keypad: %w", err)
		}
		if n == 0 {
			in.idle()
			if d.cfg.Family == Panel && time.Since(heard) >= silence {
				return errSilent
			}
			continue
		}
		if in.feed(buf[:n]) == 0 {
			continue
		}
		heard = time.Now()
		if heard.Sub(told) < tellEvery {
			continue
		}
		told = heard
		h := telemetry.Health{{Name: "online", Value: 1}}
		if in.uptime > 0 {
			h = append(h, telemetry.Gauge{Name: "uptime_s", Value: in.uptime})
		}
		if err := emit(ctx, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, h)); err != nil {
			return err
		}
	}
}

// patience is until when something must come.
func (d *Driver) patience(in *input, heard time.Time) time.Time {
	switch {
	case d.cfg.Family == Panel:
		return heard.Add(silence)
	case len(in.buf) > 0:
		return time.Now().Add(forget)
	}
	return time.Time{}
}

// entry gives what was typed to who listens.
func (d *Driver) entry(keys string) {
	d.counts.entries.Add(1)
	d.mu.Lock()
	take := d.take
	d.mu.Unlock()
	if take != nil {
		take(devices.Entry{Keys: keys})
	}
}
