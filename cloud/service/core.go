package service

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"yizhan/broker/topic"
	"yizhan/cloud/internal/command"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/ingest"
	"yizhan/cloud/internal/state"
)

// Nouns of a Core's faces.
type (
	Registry = county.Registry
	Waybill  = county.Waybill
	Order    = county.Command
	Ledger   = county.Ledger
	Archived = county.Archived
	Audit    = state.Audit
)

// ErrAway is what a Fault returns when the store is to seem away for one try.
var ErrAway = county.ErrAway

// The points at which a Core's Fault is asked.
const (
	BeforeCommit = "commit"
	AfterCommit  = "committed"
)

// CoreConfig is what a Core is made of. All but Fault, Lease and Log is required.
type CoreConfig struct {
	State    string // sqlite:FILE or postgres://...
	Registry *Registry
	Keys     func(gateway string) (ed25519.PublicKey, bool)
	Send     func(gateway, what string, payload []byte) error // on down/{gateway}/{what}
	Online   func() []string
	Now      func() time.Time
	Lease    time.Duration // of orders; 0: the default

	// Fault is asked around each transaction of frames. ErrAway makes the store seem away for that try; any other
	// error ends the step there and then, as a kill -9 does: the Core must not be used again.
	Fault func(point string) error
	Log   *slog.Logger
}

// Core is a cloud as step functions: ingest, state and commands, wired as in a Service, without a goroutine, a listener or
// a timer. Whoever holds it calls its steps, one at a time; a simulation does, and so replays. What it keeps is in its
// store, so that it may be forgotten between steps.
type Core struct {
	store  *state.Store
	ingest *ingest.Ingest
	desk   *command.Desk
	orders *command.Stepper
	die    context.CancelCauseFunc
}

// OpenCore opens a cloud over its store.
func OpenCore(ctx context.Context, cfg CoreConfig) (*Core, error) {
	store, err := state.Open(ctx, cfg.State, state.Options{Now: cfg.Now, Log: cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("cloud: %w", err)
	}
	if err := store.Seed(ctx, cfg.Registry, cfg.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("cloud: %w", err), store.Close())
	}
	c := &Core{store: store}
	tries := 0
	c.ingest = ingest.New(ingest.Config{
		Ledger: faulty{c, cfg.Fault}, Greeter: store, Keys: cfg.Keys, Send: cfg.Send, Online: cfg.Online, Now: cfg.Now, Log: cfg.Log,
		Pause: func(ctx context.Context, _ time.Duration) error {
			if tries++; tries%maxTries == 0 {
				return errors.New("store is away for good")
			}
			return ctx.Err()
		},
	})
	c.desk = command.New(store, cfg.Send, command.Options{Now: cfg.Now, Lease: cfg.Lease, Log: cfg.Log, NewID: func() string { return "" }})
	c.orders = c.desk.Stepper()
	return c, nil
}

// maxTries is how often a step tries a store that is away.
const maxTries = 1000

// faulty is a ledger around which faults happen.
type faulty struct {
	core *Core
	ask  func(point string) error
}

func (f faulty) fault(point string) error {
	if f.ask == nil {
		return nil
	}
	err := f.ask(point)
	if err != nil && !errors.Is(err, ErrAway) {
		f.core.die(err)
	}
	return err
}

// Commit is Ledger's.
func (f faulty) Commit(ctx context.Context, group []county.Arrival) ([]county.Verdict, []county.Change, error) {
	if err := f.fault(BeforeCommit); err != nil {
		return nil, nil, err
	}
	vs, changes, err := f.core.store.Commit(ctx, group)
	if err == nil {
		err = f.fault(AfterCommit)
	}
	return vs, changes, err
}

// Poison is Ledger's.
func (f faulty) Poison(ctx context.Context, a county.Arrival, reason string) (county.Verdict, error) {
	return f.core.store.Poison(ctx, a, reason)
}

// Quarantine is Ledger's.
func (f faulty) Quarantine(ctx context.Context, refused []county.Refusal) error {
	return f.core.store.Quarantine(ctx, refused)
}

// Take takes what gateway sent on up/{gateway}/{what}: a hello is answered at once, a frame waits for Step.
func (c *Core) Take(ctx context.Context, gateway, what string, payload []byte) error {
	switch what {
	case topic.State:
		return nil
	case topic.Hello:
		err := c.ingest.Hello(ctx, gateway, payload)
		if err == nil {
			c.desk.Heard(gateway)
		}
		return err
	}
	return c.ingest.Frame(ctx, gateway, what, payload)
}

// Step commits the frames that wait and answers them, and sends the orders that wait.
func (c *Core) Step(ctx context.Context) error {
	ctx, die := context.WithCancelCause(ctx)
	defer die(nil)
	c.die = die
	if _, err := c.ingest.Step(ctx); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return c.orders.Step(ctx)
}

// Order gives a command; Step sends it.
func (c *Core) Order(ctx context.Context, o Order) error {
	_, err := c.desk.Issue(ctx, o)
	return err
}

// Ordered returns an order as it stands.
func (c *Core) Ordered(ctx context.Context, id string) (Order, bool, error) {
	return c.store.Command(ctx, id)
}

// Announce takes waybills.
func (c *Core) Announce(ctx context.Context, all []Waybill, now time.Time) error {
	_, refused, err := c.store.PutWaybills(ctx, all, now)
	for _, r := range refused {
		err = errors.Join(err, r)
	}
	return err
}

// Ledger accounts for every record of a gateway.
func (c *Core) Ledger(ctx context.Context, gateway string) (Ledger, bool, error) {
	return c.store.Ledger(ctx, gateway)
}

// Verify verifies the archive of a gateway.
func (c *Core) Verify(ctx context.Context, gateway string) (Audit, error) {
	return c.store.Verify(ctx, gateway)
}

// NoteKey keeps the key of a gateway that connected.
func (c *Core) NoteKey(ctx context.Context, gateway string, key ed25519.PublicKey) error {
	return c.store.NoteKey(ctx, gateway, key)
}

// Archive reads the frames after a number.
func (c *Core) Archive(ctx context.Context, after int64, most int) ([]Archived, error) {
	return c.store.Frames(ctx, after, most, 64<<20)
}

// Counters returns what ingest counted.
func (c *Core) Counters() map[string]uint64 { return c.ingest.Counters() }

// Close closes the store.
func (c *Core) Close() error { return c.store.Close() }

// ReadRegistry reads the registry of a county's folder.
func ReadRegistry(folder string) (*Registry, error) {
	reg, _, err := readCounty(folder)
	return reg, err
}

// pace is how many times as fast as in life vehicles drive: a demonstration's do.
func (s *Service) pace() float64 {
	if s.cfg.Demo {
		return s.cfg.Speed
	}
	return 1
}
