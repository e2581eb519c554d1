package modem

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"yizhan/devices"
)

// Driver owns one modem.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	counts counters

	// What is known of messages and of the modem outlives a Run. Touched by Run only.
	outbox outbox
	stuck  int // prompts that never came, in a row
	alarms alarms

	commands chan command
	mu       sync.Mutex
	running  chan struct{} // closed when Run ends; nil while it isn't running
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env, commands: make(chan command)}
	d.outbox.ref = byte(rand.Uint32()) // a phone must not join parts with those of a message before the restart
	return d, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run watches the modem and sends messages until ctx ends, the port fails, or the modem doesn't answer.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return err
	}
	l, hangUp := listen(p, &d.counts, &d.BadFrames)
	defer hangUp()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })() // a write that doesn't end
	defer d.available()()

	s := session{Driver: d, line: l, emit: emit}
	err = s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// available lets commands in until the returned function is called.
func (d *Driver) available() func() {
	ended := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = ended
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running = nil
		close(ended)
	}
}

// run obeys commands and looks after the modem between them.
func (s *session) run(ctx context.Context) error {
	if err := s.setUp(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	if err := s.look(ctx); err != nil {
		return err
	}
	for {
		if err := s.hear(ctx); err != nil {
			return err
		}
		if err := s.tell(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-s.commands:
			if err := s.obey(ctx, c); err != nil {
				return err
			}
		case chunk, ok := <-s.line.rx:
			if err := s.line.feed(chunk, ok); err != nil {
				return err
			}
			if err := s.line.drain(ctx); err != nil {
				return err
			}
		case <-tick.C:
			if err := s.look(ctx); err != nil {
				return err
			}
		}
		if s.line.again {
			return errRestart
		}
	}
}
