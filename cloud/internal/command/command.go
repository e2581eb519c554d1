package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Errors that a caller tells apart.
var (
	ErrConflict = errors.New("that id belongs to another command")
	ErrBusy     = errors.New("too many commands are waiting")
)

// The actions that a person may order.
const (
	OpenCell = "open_cell"
	Identify = "identify"
	Restart  = "restart"
	ping     = "ping"
)

// Words of Detail that this room sets.
const (
	Unreachable = "unreachable" // never sent
	NoResult    = "no_result"   // sent, and nothing came back
)

// Store keeps commands and knows the gateways' clocks.
type Store interface {
	PutCommand(ctx context.Context, c county.Command) error
	// NoteCommand keeps how far a command came; what its gateway answered stays.
	NoteCommand(ctx context.Context, c county.Command) error
	Command(ctx context.Context, id string) (county.Command, bool, error)
	// GatewayClock is what the gateway reported last, and when that was received.
	GatewayClock(ctx context.Context, gateway string) (boot frame.Boot, monoNS int64, received time.Time, ok bool, err error)
}

// Send publishes on down/{gateway}/{what}.
type Send func(gateway, what string, payload []byte) error

// Options of a Desk; zero values take the defaults.
type Options struct {
	Lease    time.Duration // 30 s
	PingWait time.Duration // how long a hello may take; 10 s
	Patience time.Duration // how long after it was sent an outcome may take; lease and 15 s
	Waiting  int           // commands that wait; 64
	Now      func() time.Time
	NewID    func() string
	Log      *slog.Logger
}

const workers = 8

// Desk takes orders and sends them.
type Desk struct {
	opt   Options
	store Store
	send  Send
	queue chan county.Command

	mu    sync.Mutex
	heard map[string]chan struct{} // closed when that gateway's hello was taken

	issued, sent, pings, unreachable, lost atomic.Uint64
}

// New makes a Desk.
func New(store Store, send Send, opt Options) *Desk {
	if opt.Lease == 0 {
		opt.Lease = 30 * time.Second
	}
	if opt.PingWait == 0 {
		opt.PingWait = 10 * time.Second
	}
	if opt.Patience == 0 {
		opt.Patience = opt.Lease + 15*time.Second
	}
	if opt.Waiting == 0 {
		opt.Waiting = 64
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{opt: opt, store: store, send: send, queue: make(chan county.Command, opt.Waiting), heard: map[string]chan struct{}{}}
}

// Counters returns the counters of doc.go.
func (d *Desk) Counters() map[string]uint64 {
	return map[string]uint64{
		"issued": d.issued.Load(), "sent": d.sent.Load(), "pings": d.pings.Load(),
		"unreachable": d.unreachable.Load(), "lost": d.lost.Load(),
	}
}

// Issue stores an order and has it sent. An order whose id is known is answered as it stands.
func (d *Desk) Issue(ctx context.Context, c county.Command) (county.Command, error) {
	if c.ID == "" {
		c.ID = d.opt.NewID()
	}
	d.mu.Lock() // two requests with one id: the second must find the first
	defer d.mu.Unlock()
	old, found, err := d.store.Command(ctx, c.ID)
	if err != nil {
		return c, fmt.Errorf("command: %w", err)
	}
	if found {
		if old.Device != c.Device || old.Action != c.Action || !maps.Equal(old.Args, c.Args) {
			return c, ErrConflict
		}
		return d.Shown(old), nil
	}
	if len(d.queue) == cap(d.queue) {
		return c, ErrBusy
	}
	c.Created = d.opt.Now().UTC().Truncate(time.Millisecond)
	if err := d.store.PutCommand(ctx, c); err != nil {
		return c, fmt.Errorf("command: %w", err)
	}
	d.issued.Add(1)
	d.queue <- c // never blocks: only Issue sends, under mu
	return c, nil
}

// Shown is c as people are told of it now.
func (d *Desk) Shown(c county.Command) county.Command {
	since := c.Created.Add(d.opt.PingWait) // stored, then the process died before it was sent
	if c.Sent != nil {
		since = *c.Sent
	}
	if c.Outcome == "" && d.opt.Now().Sub(since) > d.opt.Patience {
		c.Outcome, c.Detail = telemetry.OutcomeUnknown, NoResult
	}
	return c
}

// Find returns an order as people are told of it now.
func (d *Desk) Find(ctx context.Context, id string) (c county.Command, found bool, err error) {
	c, found, err = d.store.Command(ctx, id)
	if err != nil {
		return c, false, fmt.Errorf("command: %w", err)
	}
	return d.Shown(c), found, nil
}

// Heard tells that a hello of gateway was taken.
func (d *Desk) Heard(gateway string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ch, ok := d.heard[gateway]; ok {
		close(ch)
		delete(d.heard, gateway)
	}
}

// Run sends orders until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case c := <-d.queue:
					if err := d.deliver(ctx, c); err != nil && ctx.Err() == nil {
						d.lost.Add(1)
						d.opt.Log.Error("command lost", "device", c.Device, "err", err)
					}
				}
			}
		})
	}
	return g.Wait()
}

// deliver sends one order, or has it refused.
func (d *Desk) deliver(ctx context.Context, c county.Command) error {
	gateway, _, _ := strings.Cut(c.Device, "/")
	boot, mono, ok, err := d.clock(ctx, gateway, c.ID)
	if err != nil {
		return err
	}
	return d.dispatch(ctx, c, boot, mono, ok)
}

// dispatch sends an order with what is known of the gateway's clock, or has it refused where nothing is known (ok false).
func (d *Desk) dispatch(ctx context.Context, c county.Command, boot frame.Boot, mono int64, ok bool) error {
	gateway, device, _ := strings.Cut(c.Device, "/")
	now := d.opt.Now().UTC().Truncate(time.Millisecond)
	if ok {
		// Stored first: what is stored as sent may not have left, but nothing leaves unrecorded.
		sent := c
		sent.Sent = &now
		if err := d.store.NoteCommand(ctx, sent); err != nil {
			return err
		}
		if err := d.post(gateway, frame.Command{
			ID: c.ID, Issuer: c.Issuer, Device: device, Action: c.Action, Args: arguments(c),
			Boot: boot, MonoNS: mono, LeaseMS: d.opt.Lease.Milliseconds(),
		}); err == nil {
			d.sent.Add(1)
			return nil
		}
	}
	d.unreachable.Add(1)
	c.Outcome, c.Detail, c.Answered = telemetry.Refused, Unreachable, &now
	return d.store.NoteCommand(ctx, c)
}

// arguments are all that an order's device is told.
func arguments(c county.Command) map[string]string {
	if len(c.Secret) == 0 {
		return c.Args
	}
	all := maps.Clone(c.Secret)
	maps.Copy(all, c.Args)
	return all
}

// clock is a report of the gateway's clock that is younger than a third of the lease; ok is false when
// there is none to be had.
func (d *Desk) clock(ctx context.Context, gateway, id string) (boot frame.Boot, mono int64, ok bool, err error) {
	fresh := d.opt.Now().Add(-d.opt.Lease / 3)
	deadline := time.NewTimer(d.opt.PingWait)
	defer deadline.Stop()
	for asked := false; ; asked = true {
		hello := d.listen(gateway)
		boot, mono, at, known, err := d.store.GatewayClock(ctx, gateway)
		if err != nil {
			return boot, 0, false, err
		}
		if known && at.After(fresh) {
			return boot, mono, true, nil
		}
		if !asked {
			d.pings.Add(1)
			if d.post(gateway, frame.Command{ID: id + "-ping", Action: ping, Issuer: "cloud"}) != nil {
				return boot, 0, false, nil // not connected
			}
		}
		select {
		case <-ctx.Done():
			return boot, 0, false, ctx.Err()
		case <-deadline.C:
			return boot, 0, false, nil
		case <-hello:
		}
	}
}

func (d *Desk) listen(gateway string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch, ok := d.heard[gateway]
	if !ok {
		ch = make(chan struct{})
		d.heard[gateway] = ch
	}
	return ch
}

func (d *Desk) post(gateway string, c frame.Command) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return d.send(gateway, topic.Command, b)
}
