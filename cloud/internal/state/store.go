package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
)

// Options of a store; zero values are the defaults.
type Options struct {
	Now            func() time.Time
	Log            *slog.Logger
	ArchiveDays    int                   // how long frames are kept, default 30
	QuarantineDays int                   // how long refused input is kept, default 30
	Timeout        time.Duration         // of a transaction, default 30 s
	Changed        func([]county.Change) // told of what Run changes, may be nil
	Keeping        county.Keeping        // of parcels in lockers, default what is usual
	Pace           float64               // how many times as fast as in life a demonstration's vehicles drive; 0: as in life

	Link func(tag string) string    // the canonical Digital Link of a tag, by which partners' events name it; nil: of none
	Tags func(link string) []string // the tags that a Digital Link may stand for
}

// Store is the state of the county. It is safe for concurrent use.
type Store struct {
	db       db
	opt      Options
	registry atomic.Pointer[places]

	days struct { // of the archive that have their partition
		sync.Mutex
		made map[int64]bool
	}
	decoders sync.Pool // of *frame.Decoder

	facts struct {
		sync.Mutex
		wake chan struct{} // closed by the next commit of facts
	}
}

// Open opens the store at url (postgres://... or sqlite:FILE) and brings its schema up to date.
func Open(ctx context.Context, url string, opt Options) (*Store, error) {
	s := &Store{opt: opt}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	if s.opt.Log == nil {
		s.opt.Log = slog.New(slog.DiscardHandler)
	}
	if s.opt.ArchiveDays == 0 {
		s.opt.ArchiveDays = 30
	}
	if s.opt.QuarantineDays == 0 {
		s.opt.QuarantineDays = 30
	}
	s.opt.Keeping = s.opt.Keeping.Usual()
	if s.opt.Timeout == 0 {
		s.opt.Timeout = 30 * time.Second
	}
	s.days.made = map[int64]bool{}
	s.facts.wake = make(chan struct{})
	var err error
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "postgres", "postgresql":
		s.db, err = openPostgres(ctx, url)
	case "sqlite":
		s.db, err = openSQLite(rest)
	default:
		return nil, fmt.Errorf("state: %.40q is neither postgres://... nor sqlite:FILE", scheme+":")
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", classify(err))
	}
	if err := s.db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("state: %w", classify(err)), s.db.close())
	}
	if err := s.loadRegistry(ctx); err != nil {
		return nil, errors.Join(err, s.db.close())
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.db.close() }

// update runs f in one transaction, which is tried again when two of them stood in each other's way.
func (s *Store) update(ctx context.Context, what string, f func(conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	var err error
	for range 3 {
		err = guarded(func() error { return s.db.update(ctx, f) })
		if !conflict(err) || ctx.Err() != nil {
			break
		}
	}
	var r refusal
	if errors.As(err, &r) {
		return r.error
	}
	if err != nil {
		return fmt.Errorf("state: %s: %w", what, classify(err))
	}
	return nil
}

// each reads outside of a transaction.
func (s *Store) each(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if err := s.db.reader().each(ctx, row, sql, args...); err != nil {
		return fmt.Errorf("state: %w", classify(err))
	}
	return nil
}

func (s *Store) words() *words { return s.db.reader().words() }

// decoder lends a frame decoder; give it back with s.decoders.Put.
func (s *Store) decoder() (*frame.Decoder, error) {
	if d, ok := s.decoders.Get().(*frame.Decoder); ok {
		return d, nil
	}
	return frame.NewDecoder()
}

// Run prunes what is past its age and makes tomorrow's partition, at once and every hour, and completes parcels every minute.
// A failure is logged and tried again next time: nothing waits for it.
func (s *Store) Run(ctx context.Context) error {
	tick, soon := time.NewTicker(time.Hour), time.NewTicker(expireEvery)
	defer tick.Stop()
	defer soon.Stop()
	for {
		if err := s.Prune(ctx); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("prune failed", "err", err)
		}
		for due := false; !due; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
				due = true
			case <-soon.C:
				s.expire(ctx)
			}
		}
	}
}

// expire completes what is due, and tells Options.Changed.
func (s *Store) expire(ctx context.Context) {
	for {
		n, changes, err := s.Expire(ctx, expireAtOnce)
		if err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("parcels not completed", "err", err)
		}
		if s.opt.Changed != nil && len(changes) > 0 {
			s.opt.Changed(changes)
		}
		if n < expireAtOnce || err != nil {
			return
		}
	}
}

// ms and moment turn times into the columns' Unix milliseconds and back; 0 is the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
