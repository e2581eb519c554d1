package mqttlocker

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

type counters struct {
	messages, rejected, ignored, answers, lateAnswers, logins, commands, unanswered atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.messages.Load(), "rejected": c.rejected.Load(), "ignored": c.ignored.Load(), "answers": c.answers.Load(),
		"late_replies": c.lateAnswers.Load(), "logins": c.logins.Load(), "commands": c.commands.Load(), "timeouts": c.unanswered.Load(),
	}
}

// Driver is one locker.
type Driver struct {
	devices.BadFrames
	cfg    Config
	env    devices.Env
	reader *reader
	counts counters

	told presence // by Run only

	mu      sync.Mutex
	state   state
	online  bool
	since   time.Time // of online
	changed chan struct{}
	running chan struct{} // closed when Run ends; nil while it isn't running
	waiting *waiting      // the command that waits for its answer
	past    map[string]outcome
	order   []string // of past, the oldest first
}

// presence is what was told of the connection.
type presence int

const (
	unsaid presence = iota
	isOnline
	isOffline
)

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	c = c.withDefaults()
	return &Driver{
		cfg: c, env: env, reader: newReader(c), state: newState(env.Name), changed: make(chan struct{}, 1), past: map[string]outcome{},
	}, nil
}

// Counters returns the counters of the package comment.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Lodging says who logs in and which topics are its own.
func (d *Driver) Lodging() devices.Lodging {
	return devices.Lodging{User: d.cfg.User, Publish: d.cfg.publishes(), Subscribe: d.cfg.subscribes()}
}

// Translate makes readings of what the locker publishes.
func (d *Driver) Translate(topic string, payload []byte) ([]telemetry.Reading, []telemetry.Rejected) {
	m, err := d.reader.message(topic, payload)
	switch {
	case errors.Is(err, errIgnored):
		d.counts.ignored.Add(1)
		return nil, nil
	case err != nil:
		d.counts.rejected.Add(1)
		d.Add("rejected", payload)
		return nil, []telemetry.Rejected{{Raw: payload, Err: fmt.Errorf("topic %.80q: %w", topic, err)}}
	}
	d.counts.messages.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	rs := d.state.fold(m)
	d.settle(m, rs)
	return rs, nil
}

// Present notes that the locker has logged in or is gone.
func (d *Driver) Present(online bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if online {
		d.counts.logins.Add(1)
		d.state = newState(d.env.Name)
	}
	if d.online != online {
		d.online, d.since = online, time.Now()
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Run tells whether the locker is there, and lets commands in, until ctx ends.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	defer d.available()()
	for {
		now, wait := d.presence()
		if now != unsaid && now != d.told {
			if err := emit(ctx, d.tell(now)...); err != nil {
				return err
			}
			d.told = now
		}
		if wait == 0 {
			wait = time.Hour // nothing is due
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-d.changed:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// presence is what there is to tell; unsaid until the locker has been away for long enough, which wait says.
func (d *Driver) presence() (now presence, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.online {
		return isOnline, 0
	}
	if wait = time.Until(d.since.Add(d.cfg.OfflineAfter)); wait > 0 {
		return unsaid, wait
	}
	return isOffline, 0
}

func (d *Driver) tell(p presence) []telemetry.Reading {
	online := 0.0
	if p == isOnline {
		online = 1
	}
	rs := []telemetry.Reading{telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown, telemetry.Health{{Name: "online", Value: online}})}
	if p == isOffline {
		d.env.Log.Warn("locker offline")
		rs = append(rs, telemetry.New(d.env.Name, time.Time{}, telemetry.Unknown,
			telemetry.Alarm{Code: "locker_offline", Severity: telemetry.Major, Detail: "no connection for " + d.cfg.OfflineAfter.String()}))
	} else {
		d.env.Log.Info("locker online")
	}
	return rs
}

// available lets commands in until the returned function is called.
func (d *Driver) available() func() {
	ended := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = ended
	if d.since.IsZero() {
		d.since = time.Now()
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running = nil
		close(ended)
	}
}
