package cabinet

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Clock is the board's time.
type Clock interface {
	Mono() (frame.Boot, int64)
	Now() (time.Time, telemetry.Quality)
}

// Config is what a Cabinet is made of.
type Config struct {
	Device  string        // of the lock boards: its cells, and its readings
	Scanner string        // device; empty: none
	Cells   []pickup.Size // cell 1 first

	Disk  Disk // the log
	List  Disk // what is expected
	Clock Clock
	Rand  io.Reader
	Key   func() (pickup.Key, error) // reads the key's file
	Log   *slog.Logger

	// Open opens a cell at most once for an op, and not when more than within has passed; Outcome is what became of an op.
	Open    func(op string, cell int, within time.Duration) telemetry.Result
	Outcome func(op string) (telemetry.Result, bool)
	Accept  devices.Emit // keeps readings
	Show    func(devices.Screen)
}

const (
	tickEvery = time.Second
	keyEvery  = time.Minute
	untold    = 256 // readings that wait for the spool
	backlog   = 64  // steps that wait for the card, before people have to
)

// Cabinet is a locker's keeper.
type Cabinet struct {
	cfg   Config
	boot  int64 // monotonic nanoseconds when it was made
	wake  chan struct{}
	tells chan telemetry.Reading

	mu      sync.Mutex // of all below
	core    *Core
	pending [][]Effect // of steps, in their order
	keyErr  error      // why there is no key
	badList uint64
	lost    uint64

	book *book // New's, then Run's
}

// New reads the log, the list and the key. It fails on no file: with a log that can't be read nothing is opened by code or scan, without a
// key nothing by code.
func New(cfg Config) *Cabinet {
	c := &Cabinet{cfg: cfg, wake: make(chan struct{}, 1), tells: make(chan telemetry.Reading, untold), book: openBook(cfg.Disk)}
	_, c.boot = cfg.Clock.Mono()
	c.core = newCore(c.book, cfg.Cells, cfg.Outcome, cfg.Rand)
	if c.book.lost == nil {
		c.book.broken = c.book.compact()
	}
	if err := errors.Join(c.book.lost, c.book.broken); err != nil {
		cfg.Log.Error("cabinet log broken", "err", err)
	}
	raw, err := cfg.List.Read()
	if err == nil && raw != nil {
		var e *pickup.Expect
		if e, err = pickup.ParseExpect(raw); err == nil {
			c.core.take(e)
		}
	}
	if err != nil {
		cfg.Log.Error("list of parcels broken", "err", err)
	}
	c.readKey()
	return c
}

// readKey takes the key that is there now: a new generation counts within a minute.
func (c *Cabinet) readKey() {
	k, err := c.cfg.Key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.keyErr == nil || c.keyErr.Error() != err.Error() {
			c.cfg.Log.Error("locker key not read", "err", err)
		}
		c.keyErr = err
		return // what was read before still holds
	}
	c.keyErr = nil
	c.core.Key(&k)
}

// now is the time. mu is held.
func (c *Cabinet) now() Now {
	_, mono := c.cfg.Clock.Mono()
	wall, q := c.cfg.Clock.Now()
	return Now{Mono: time.Duration(mono - c.boot), Wall: wall, TQ: q}
}

// then has the effects of a step done. mu is held.
func (c *Cabinet) then(fx []Effect) {
	if len(fx) == 0 {
		return
	}
	c.pending = append(c.pending, fx)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Typed takes what was typed at the keypad. It doesn't wait.
func (c *Cabinet) Typed(e devices.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > backlog { // the card is at its end: what is typed now would be stale
		return
	}
	c.then(c.core.Entry(c.now(), e.Keys))
}

// Expect takes a message on what may be put in.
func (c *Cabinet) Expect(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fx, err := c.core.Expect(payload)
	if err != nil {
		c.badList++
		c.cfg.Log.Warn("list of parcels refused", "err", err)
	}
	c.then(fx)
}

// Observe takes readings on their way to the spool, and returns those that may go there: a door's event with its deposit, a waybill as it
// is, a ticket or badge not at all. It doesn't wait.
func (c *Cabinet) Observe(rs []telemetry.Reading) []telemetry.Reading {
	if !c.concerned(rs) {
		return rs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]telemetry.Reading, 0, len(rs))
	for _, r := range rs {
		switch {
		case r.Device == c.cfg.Device && r.Kind == telemetry.KindLocker:
			out = append(out, c.door(r))
		case r.Device == c.cfg.Scanner && r.Kind == telemetry.KindScan:
			s, err := telemetry.As[telemetry.Scan](r)
			if err == nil && len(c.pending) <= backlog {
				c.then(c.core.Scan(c.now(), s.Text))
			}
			if err != nil || !pickup.Secret(strings.TrimSpace(s.Text)) {
				out = append(out, r)
			}
		default:
			out = append(out, r)
		}
	}
	return out
}

func (c *Cabinet) concerned(rs []telemetry.Reading) bool {
	for i := range rs {
		if rs[i].Kind == telemetry.KindLocker && rs[i].Device == c.cfg.Device || rs[i].Kind == telemetry.KindScan && rs[i].Device == c.cfg.Scanner {
			return true
		}
	}
	return false
}

func (c *Cabinet) door(r telemetry.Reading) telemetry.Reading {
	l, err := telemetry.As[telemetry.Locker](r)
	if err != nil {
		return r // for quarantine
	}
	told, fx := c.core.Door(c.now(), l)
	c.then(fx)
	if told != l {
		r.Body = told.AppendJSON(nil)
	}
	return r
}

// Run does what the steps want done until ctx ends.
func (c *Cabinet) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { c.tell(ctx); return nil })
	g.Go(func() error {
		c.cfg.Show(devices.Screen{Word: "ready"})
		tick, key := time.NewTicker(tickEvery), time.NewTicker(keyEvery)
		defer tick.Stop()
		defer key.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-c.wake:
			case <-tick.C:
				c.mu.Lock()
				c.then(c.core.Tick(c.now()))
				c.mu.Unlock()
			case <-key.C:
				c.readKey()
			}
			for c.step(ctx, g) {
			}
		}
	})
	return g.Wait()
}

// step does the effects of the oldest step; false when there is none.
func (c *Cabinet) step(ctx context.Context, g *errgroup.Group) bool {
	c.mu.Lock()
	if len(c.pending) == 0 {
		c.mu.Unlock()
		return false
	}
	fx := c.pending[0]
	c.pending = c.pending[1:]
	c.mu.Unlock()
	for i := range fx {
		if ctx.Err() != nil {
			return false
		}
		if fx[i].Write != nil {
			if err := c.book.write(fx[i].Write); err != nil {
				c.cfg.Log.Error("cabinet log not written", "err", err)
				c.unwritten(fx[i+1:])
				return true
			}
		}
		c.do(&fx[i], g)
	}
	return true
}

// unwritten gives up what was to follow a write that failed: no door is opened that isn't on the card. What people are shown and the county is told
// of doors that have moved all the same holds.
func (c *Cabinet) unwritten(rest []Effect) {
	opens := false
	for i := range rest {
		if o := rest[i].Open; o != nil {
			opens = true
			c.mu.Lock()
			c.then(c.core.Unwritten(c.now(), o.Op))
			c.mu.Unlock()
		}
	}
	for i := range rest {
		if !opens && rest[i].Show != nil {
			c.cfg.Show(*rest[i].Show)
		}
	}
}

// do does one effect that isn't a Write.
func (c *Cabinet) do(e *Effect, g *errgroup.Group) {
	switch {
	case e.Keep != nil:
		if err := c.cfg.List.Replace(e.Keep); err != nil {
			c.cfg.Log.Error("list of parcels not kept", "err", err)
		}
	case e.Show != nil:
		c.cfg.Show(*e.Show)
	case e.Tell != nil:
		at, q := c.cfg.Clock.Now()
		r := telemetry.New(c.cfg.Device, at, q, e.Tell)
		r.N = e.N
		select {
		case c.tells <- r:
		default:
			c.mu.Lock()
			c.lost++
			c.mu.Unlock()
		}
	case e.Open != nil:
		o := *e.Open
		g.Go(func() error {
			c.mu.Lock()
			within := o.Until - c.now().Mono
			c.mu.Unlock()
			r := c.cfg.Open(o.Op, o.Cell, within)
			r.Command = o.Op
			c.mu.Lock()
			defer c.mu.Unlock()
			c.then(c.core.Outcome(c.now(), r))
			return nil
		})
	}
}

// tell hands readings on beside the doors: a full spool holds none of them shut.
func (c *Cabinet) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-c.tells:
			for wait := time.Second; c.cfg.Accept(ctx, r) != nil && ctx.Err() == nil; wait = min(2*wait, time.Minute) {
				t := time.NewTimer(wait)
				select {
				case <-ctx.Done():
				case <-t.C:
				}
				t.Stop()
			}
		}
	}
}

// Counters returns the counters of the package comment.
func (c *Cabinet) Counters() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.core.counts
	held := uint64(0)
	for _, x := range c.core.cells {
		if x.Deposit != nil {
			held++
		}
	}
	return map[string]uint64{
		"entries": n.entries, "wrong": n.wrong, "waits": n.waits, "scans": n.scans, "refused": n.refused, "opened": n.opened, "unopened": n.unopened,
		"deposits": n.deposits, "pickups": n.pickups, "wrong_doors": n.wrongDoors, "unwritten": n.unwritten, "untold": c.lost,
		"lists_bad": c.badList, "damaged": c.book.damaged, "held": held,
	}
}

// Gauges are for the gateway's own health: locker_held (parcels in cells), locker_wrong (wrong tries of the last day), locker_expect_version
// (of the list that counts) and locker_key_generation, those that are known. So the cloud sees whether a list or a key has arrived.
func (c *Cabinet) Gauges() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.tries.forget(c.core.ran(c.now()))
	g := map[string]float64{"locker_held": 0, "locker_wrong": float64(len(c.core.tries.WrongMS))}
	for _, x := range c.core.cells {
		if x.Deposit != nil {
			g["locker_held"]++
		}
	}
	if c.core.expect != nil {
		g["locker_expect_version"] = float64(c.core.expect.Version)
	}
	if c.core.key != nil {
		g["locker_key_generation"] = float64(c.core.key.Generation)
	}
	return g
}

// Trouble says what keeps people from their parcels: no key, or a log that can't be read; empty when nothing does.
func (c *Cabinet) Trouble() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.core.broken:
		return "the cabinet's log can't be read"
	case c.core.key == nil:
		return "there is no locker key"
	}
	return ""
}
