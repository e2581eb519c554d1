package deposit

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/broker/pickup"
	"yizhan/broker/topic"
	"yizhan/cloud/internal/county"
)

// OfflineAfter is how long a locker is silent before that is an exception.
const OfflineAfter = 15 * time.Minute

const (
	every     = 2 * time.Second  // between looks, without facts
	watch     = 30 * time.Second // between looks for silent lockers, and for lists that were lost
	batch     = 200
	someCodes = 2 // of a deposit that are good: the recipient's and one of the family
)

// Store is where facts and deposits are.
type Store interface {
	FollowDeposits(ctx context.Context, limit int) (n int, err error)
	TellDues(ctx context.Context, limit int) (n int, err error)
	Deposits(ctx context.Context, locker string) ([]county.Deposit, error)
	Expected(ctx context.Context, site, locker string, limit int) ([]county.Waybill, error)
	Locker(ctx context.Context, id string) (county.Locker, bool, error)
	Exceptions(ctx context.Context, f county.ExceptionFilter, after string, limit int) ([]county.Exception, string, error)
	Report(ctx context.Context, x county.Exception) (county.Exception, error)
	EndException(ctx context.Context, id string) (county.Exception, error)
	// KeyGeneration is that of the key that a gateway said it has; 0 where it didn't.
	KeyGeneration(ctx context.Context, gateway string) (generation int, err error)
	// Recode gives what lies in a locker the codes of a newer key, and tells of it.
	Recode(ctx context.Context, locker string, generation int) (n int, err error)
	Wake() <-chan struct{}
}

// Options of a Keeper.
type Options struct {
	Store    Store
	Registry *county.Registry
	Send     func(gateway, what string, payload []byte) error
	Series   string
	Now      func() time.Time
	Log      *slog.Logger
}

// Keeper looks after deposits.
type Keeper struct {
	opt     Options
	began   time.Time
	watched time.Time

	mu    sync.Mutex
	fresh map[string]bool   // gateways that said hello since their list was sent
	sent  map[string]string // the list that a gateway has
	count int64             // versions given

	dues, lists, cut, offline, recoded, errors atomic.Uint64
}

// New makes a Keeper.
func New(opt Options) *Keeper {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{opt: opt, began: opt.Now(), fresh: map[string]bool{}, sent: map[string]string{}}
}

// Counters returns the counters of doc.go.
func (k *Keeper) Counters() map[string]uint64 {
	return map[string]uint64{"dues": k.dues.Load(), "lists": k.lists.Load(), "cut": k.cut.Load(), "offline": k.offline.Load(), "recoded": k.recoded.Load(), "errors": k.errors.Load()}
}

// Heard says that a gateway said hello: it gets its list anew.
func (k *Keeper) Heard(gateway string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fresh[gateway] = true
}

// Run looks when facts come, and every few seconds, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		wake := k.opt.Store.Wake()
		if err := k.Step(ctx); err != nil && ctx.Err() == nil {
			k.errors.Add(1)
			k.opt.Log.Warn("deposits not looked after", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-tick.C:
		}
	}
}

// Step does what there is to do now.
func (k *Keeper) Step(ctx context.Context) error {
	changed := false
	for {
		n, err := k.opt.Store.FollowDeposits(ctx, batch)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		changed = true
	}
	for {
		n, err := k.opt.Store.TellDues(ctx, batch)
		if err != nil {
			return err
		}
		k.dues.Add(uint64(n))
		if n == 0 {
			break
		}
		changed = true
	}
	now := k.opt.Now()
	look := now.Sub(k.watched) >= watch || now.Before(k.watched)
	for i := range k.opt.Registry.Lockers {
		l := &k.opt.Registry.Lockers[i]
		if changed || look || k.isFresh(l.Gateway) {
			if err := k.list(ctx, l); err != nil {
				return err
			}
		}
		if look {
			if err := k.watch(ctx, l.ID, now); err != nil {
				return err
			}
			if err := k.recode(ctx, l); err != nil {
				return err
			}
		}
	}
	if look {
		k.watched = now
	}
	return nil
}

func (k *Keeper) isFresh(gateway string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fresh[gateway]
}

// list sends a locker's list where it would say something else than the last, or where the gateway is new.
func (k *Keeper) list(ctx context.Context, l *county.Locker) error {
	if l.Gateway == "" {
		return nil
	}
	fresh := k.isFresh(l.Gateway)
	e, err := k.expect(ctx, l)
	if err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	k.mu.Lock()
	same := !fresh && k.sent[l.Gateway] == string(body)
	if !same {
		k.count++
		e.Version = k.count
	}
	k.mu.Unlock()
	if same {
		return nil
	}
	numbered, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := k.opt.Send(l.Gateway, topic.Expect, numbered); err != nil {
		return nil // it isn't there; its hello asks again
	}
	k.lists.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.fresh, l.Gateway)
	k.sent[l.Gateway] = string(body)
	return nil
}

// recode sees whether a locker has a newer key than what lies in it was put in under.
func (k *Keeper) recode(ctx context.Context, l *county.Locker) error {
	if l.Gateway == "" {
		return nil
	}
	generation, err := k.opt.Store.KeyGeneration(ctx, l.Gateway)
	if err != nil || generation == 0 {
		return err
	}
	n, err := k.opt.Store.Recode(ctx, l.ID, generation)
	k.recoded.Add(uint64(n))
	return err
}

// expect is a locker's list, without its version.
func (k *Keeper) expect(ctx context.Context, l *county.Locker) (*pickup.Expect, error) {
	coming, err := k.opt.Store.Expected(ctx, l.Site, l.ID, pickup.MaxParcels+1)
	if err != nil {
		return nil, err
	}
	if len(coming) > pickup.MaxParcels {
		k.cut.Add(uint64(len(coming) - pickup.MaxParcels))
		coming = coming[:pickup.MaxParcels]
	}
	e := &pickup.Expect{Series: k.opt.Series, Parcels: []pickup.Expected{}, Settings: pickup.Settings{Codes: someCodes}}
	for _, w := range coming {
		e.Parcels = append(e.Parcels, pickup.Expected{Waybill: w.Waybill, Size: pickup.Size(w.Size), Consent: string(w.Consent), Handling: w.Handling})
	}
	inside, err := k.opt.Store.Deposits(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range inside {
		if d.Overdue && pickup.ValidDeposit(d.ID) && len(e.Blocked) < pickup.MaxBlocked {
			e.Blocked = append(e.Blocked, d.ID)
		}
	}
	slices.Sort(e.Blocked)
	return e, nil
}

// watch opens an exception of a locker that is silent with something inside, and ends it when it is heard of again.
func (k *Keeper) watch(ctx context.Context, id string, now time.Time) error {
	l, ok, err := k.opt.Store.Locker(ctx, id)
	if err != nil || !ok {
		return err
	}
	object := "locker/" + id
	open, _, err := k.opt.Store.Exceptions(ctx, county.ExceptionFilter{Object: object, Cause: "offline", Open: true}, "", 1)
	if err != nil {
		return err
	}
	// A cloud that has just started has heard of nobody: it listens first.
	silent := now.Sub(l.Last) > OfflineAfter && now.Sub(k.began) > OfflineAfter
	full := slices.ContainsFunc(l.Cells, func(c county.Cell) bool { return c.State == county.CellOccupied })
	switch {
	case silent && full && len(open) == 0:
		k.offline.Add(1)
		_, err = k.opt.Store.Report(ctx, county.Exception{Class: county.Delay, Cause: "offline", Object: object, Source: "device", Detail: "nothing was heard of it since " + l.Last.UTC().Format(time.RFC3339)})
	case !silent && len(open) > 0 && strings.HasPrefix(open[0].Object, "locker/"):
		_, err = k.opt.Store.EndException(ctx, open[0].ID)
	}
	return err
}
