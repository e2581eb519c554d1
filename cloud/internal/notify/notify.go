package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// Outbox is where notices come from and where they are kept.
type Outbox interface {
	Store
	headStore
	// FollowNotices makes notices of the next facts in one transaction with the cursor.
	FollowNotices(ctx context.Context, limit int, plan func([]county.Fact, county.NoticeDesk) (county.NoticePlan, error)) (n, made int, err error)
	ClaimNoticeReports(ctx context.Context, now time.Time, lease time.Duration, limit int) (ids []string, reports []county.NoticeReport, err error)
	DropNoticeReport(ctx context.Context, id string) error
	PutNoticeReport(ctx context.Context, r county.NoticeReport) error
	Wake() <-chan struct{}
}

// Options of a Notifier.
type Options struct {
	Settings channels.Notify
	Registry *county.Registry
	Store    Outbox
	People   People
	Modem    Desk                                                // orders to devices, for channels of kind modem
	Code     func(locker, deposit string, generation int) string // what opens the cell of a deposit; nil, or "": texts go without
	Link     func(waybill string) string                         // URL of the parcel's page; nil, or "": texts go without
	SignIn   func(nonce string) string                           // the code of a sign-in; nil: none
	Report   string                                              // URL that reports of providers come in by, ending in /hook/notice/
	NewID    func() string
	Now      func() time.Time
	Log      *slog.Logger
	Workers  int                                  // notices at once; default 16
	Via      map[string]Channel                   // channels that are there already, by name
	After    func(time.Duration) <-chan time.Time // time.After
}

// The bounds of what is done at once.
const (
	claimLease  = 10 * time.Second // from the claim to its next write
	tryLease    = 2 * time.Minute
	followBatch = 200
	reportBatch = 100
	idle        = time.Second
	maxPause    = 30 * time.Second
)

// Notifier tells recipients.
type Notifier struct {
	opt    Options
	worker worker
	watch  watch
	hooks  map[string]*hook
	busy   atomic.Int64 // notices that are worked on
	count  counters
}

// New makes a Notifier. Its error names the channel that can't be.
func New(opt Options) (*Notifier, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Workers == 0 {
		opt.Workers = 16
	}
	if opt.After == nil {
		opt.After = time.After
	}
	zone, err := time.LoadLocation(opt.Registry.Timezone)
	if err != nil {
		return nil, fmt.Errorf("notify: timezone: %w", err)
	}
	set := &opt.Settings
	n := &Notifier{opt: opt, hooks: map[string]*hook{}}
	n.watch = watch{file: set.Marker, store: opt.Store, newID: opt.NewID, now: opt.Now}
	n.worker = worker{
		store: opt.Store, people: opt.People, texts: set.Templates, quiet: set.Quiet, now: opt.Now, count: &n.count,
		names: names{registry: opt.Registry, zone: zone, sign: set.Sign, codes: opt.Code, link: opt.Link, signIn: opt.SignIn},
		rules: Rules{ReportWait: set.ReportWait, TaskAfter: set.TaskAfter, GiveUp: set.GiveUp, Lease: tryLease},
	}
	for i := range set.Channels {
		c := set.Channels[i]
		if c.Tries == 0 {
			c.Tries = 3
		}
		via, err := n.open(&c)
		if err != nil {
			return nil, fmt.Errorf("notify: channel %s: %w", c.Name, err)
		}
		_, polled := via.(Asked)
		n.worker.lanes = append(n.worker.lanes, &lane{set: c, via: via})
		n.worker.rules.Channels = append(n.worker.rules.Channels, Lane{Name: c.Name, Tries: c.Tries, Reports: c.Reports, Polled: polled})
	}
	return n, nil
}

// Counters returns the counters of doc.go.
func (n *Notifier) Counters() map[string]uint64 { return n.count.all() }

// plan makes notices of facts.
func (n *Notifier) plan(facts []county.Fact, desk county.NoticeDesk) (county.NoticePlan, error) {
	set := &n.opt.Settings
	p := planner{
		desk: desk, now: n.opt.Now(), wait: set.ArrivalWait, old: set.OldAfter,
		off: map[county.NoticeEvent]bool{}, lockers: map[string]bool{}, keeper: n.keeper,
	}
	for _, e := range set.Off {
		p.off[county.NoticeEvent(e)] = true
	}
	for i := range n.opt.Registry.Lockers {
		p.lockers[n.opt.Registry.Lockers[i].Site] = true
	}
	err := p.facts(facts)
	return p.plan, err
}

func (n *Notifier) keeper(site string) string {
	if who := n.opt.Settings.Keepers[site]; who != "" {
		return who
	}
	return "keeper/" + site
}

// Open compares the database with the mark for the first time. It comes before facts are written.
func (n *Notifier) Open(ctx context.Context) error {
	if len(n.worker.lanes) == 0 {
		return nil
	}
	return n.look(ctx)
}

func (n *Notifier) look(ctx context.Context) error {
	restored, held, err := n.watch.look(ctx)
	if err == nil && restored {
		n.count.held.Add(uint64(held))
		n.opt.Log.Error("database is older than the last message: old messages wait for a person", "n", held)
	}
	return err
}

// Run tells recipients until ctx ends. What fails for the store's sake is tried again; nothing is in memory only.
func (n *Notifier) Run(ctx context.Context) error {
	if len(n.worker.lanes) == 0 { // nobody is to be told: facts are followed when somebody is
		<-ctx.Done()
		return ctx.Err()
	}
	g, run := errgroup.WithContext(ctx)
	done := make(chan struct{}, 1)
	pause := idle
	for run.Err() == nil {
		wake := n.opt.Store.Wake()
		more, err := n.round(run, g, done)
		switch {
		case err != nil && run.Err() == nil:
			n.opt.Log.Warn("notices wait", "err", err)
			pause = min(2*pause, maxPause)
			wake = nil
		case more:
			pause = 0
		default:
			pause = idle
		}
		select {
		case <-run.Done():
		case <-wake:
		case <-done:
		case <-n.opt.After(pause):
		}
		pause = max(pause, idle)
	}
	_ = g.Wait()
	return ctx.Err()
}

// round looks whether this is the database it was, makes notices of all new facts, applies reports, and has notices
// that came up worked on. more tells that there may be more to do at once.
func (n *Notifier) round(ctx context.Context, g *errgroup.Group, done chan<- struct{}) (more bool, err error) {
	if err := n.prepare(ctx); err != nil {
		return false, err
	}
	free := n.opt.Workers - int(n.busy.Load())
	if free <= 0 {
		return false, nil
	}
	claimed, err := n.opt.Store.ClaimNotices(ctx, n.opt.Now(), claimLease, free)
	if err != nil {
		return false, err
	}
	n.busy.Add(int64(len(claimed)))
	for _, notice := range claimed {
		g.Go(func() error {
			defer n.busy.Add(-1)
			n.one(ctx, notice)
			select {
			case done <- struct{}{}:
			default:
			}
			return nil
		})
	}
	return len(claimed) == free, nil
}

// one takes a notice a step further. What can't be is tried again when the claim is over.
func (n *Notifier) one(ctx context.Context, notice county.Notice) {
	if err := n.worker.work(ctx, notice); err != nil && ctx.Err() == nil {
		n.opt.Log.Warn("notice waits", "kind", string(notice.Event), "err", err)
	}
}

// prepare does what comes before sending.
func (n *Notifier) prepare(ctx context.Context) error {
	for {
		if err := n.look(ctx); err != nil {
			return err
		}
		seen, made, err := n.opt.Store.FollowNotices(ctx, followBatch, n.plan)
		if err != nil {
			return err
		}
		n.count.planned.Add(uint64(made))
		if seen == 0 {
			break
		}
	}
	return n.reports(ctx)
}

// reports applies what channels said later.
func (n *Notifier) reports(ctx context.Context) error {
	for {
		ids, reports, err := n.opt.Store.ClaimNoticeReports(ctx, n.opt.Now(), claimLease, reportBatch)
		if err != nil {
			return err
		}
		for i := range reports {
			if err := n.report(ctx, ids[i], &reports[i]); err != nil {
				return err
			}
		}
		if len(reports) < reportBatch {
			return nil
		}
	}
}

// report applies one. A report whose try nobody knows stays: the try's name may be on its way.
func (n *Notifier) report(ctx context.Context, id string, r *county.NoticeReport) error {
	for range 5 {
		notice, found, err := n.opt.Store.Notice(ctx, noticeOf(r.Ref))
		if err != nil {
			return err
		}
		if !found || find(&notice, r.Ref) == nil {
			n.count.strangers.Add(1)
			return nil
		}
		if !n.worker.rules.Report(&notice, r.Ref, r.Delivered, r.Detail, n.opt.Now()) {
			return n.opt.Store.DropNoticeReport(ctx, id)
		}
		ok, err := n.opt.Store.SaveNotice(ctx, &notice, nil, id)
		if err != nil {
			return err
		}
		if ok {
			if r.Delivered {
				n.count.delivered.Add(1)
			} else {
				n.count.refused.Add(1)
			}
			return nil
		}
	}
	return nil // its claim ends, and it is tried again
}

// noticeOf is the notice of a try.
func noticeOf(ref string) string {
	for i := len(ref) - 1; i > 0; i-- {
		if ref[i] == '-' {
			return ref[:i]
		}
	}
	return ref
}

// ErrCannot says that a notice is past what was asked for.
var ErrCannot = errors.New("the notice is past that")

// The words of a person's decision.
const (
	DecideSend   = "send"         // what waits for a person is sent after all
	DecideDrop   = "drop"         // it isn't
	DecideTold   = "told"         // the person told the recipient
	DecideMissed = "no_answer"    // tried, in vain: it stays on the list
	DecideWrong  = "wrong_number" // and so does this
)

// Decide writes down what a person decided about a notice. found is false where there is none; ErrCannot says that it is past
// such a decision.
func (n *Notifier) Decide(ctx context.Context, id, word, by string) (notice county.Notice, found bool, err error) {
	for range 5 {
		notice, found, err = n.opt.Store.Notice(ctx, id)
		if err != nil || !found {
			return notice, found, err
		}
		if err := decide(&notice, word, by, n.opt.Now()); err != nil {
			return notice, true, err
		}
		ok, err := n.opt.Store.SaveNotice(ctx, &notice, nil)
		if ok || err != nil {
			return notice, true, err
		}
	}
	return notice, true, errors.New("notify: the notice changes all the time")
}

func decide(n *county.Notice, word, by string, now time.Time) error {
	waits := n.Status == county.NoticeUnknown || n.Status == county.NoticeFailed
	ended := n.Status == county.NoticeDelivered || n.Status == county.NoticeDropped || n.Status == county.NoticeTold
	switch word {
	case DecideSend:
		if !waits {
			return ErrCannot
		}
		n.Status, n.Reason, n.Due, n.Next, n.Task = county.NoticeDue, "", now, now, time.Time{}
	case DecideDrop:
		if ended || n.Status == county.NoticeSending {
			return ErrCannot
		}
		drop(n, "by_person")
	case DecideTold:
		if ended {
			return ErrCannot
		}
		n.Status, n.Next, n.Task, n.Result = county.NoticeTold, time.Time{}, time.Time{}, word
	case DecideMissed, DecideWrong:
		if ended {
			return ErrCannot
		}
		n.Result = word
	default:
		return fmt.Errorf("notify: %.20q is no decision", word)
	}
	n.By = by
	return nil
}

// Text is a notice as its recipient reads it; with hidden, its code is not shown.
func (n *Notifier) Text(notice *county.Notice, who *county.Recipient, hidden bool) string {
	if len(n.worker.lanes) == 0 {
		return ""
	}
	s := n.worker.names
	if hidden {
		s.codes, s.link = func(string, string, int) string { return "******" }, nil // the page shows the code
		s.signIn = func(string) string { return "******" }
	}
	return s.message(notice, who, n.worker.lanes[0], n.worker.texts).Text
}
