package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

var t0 = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC) // ten in the morning in the county

func smallCounty() *county.Registry {
	return &county.Registry{
		Timezone: "Asia/Shanghai",
		Sites: []county.Site{
			{ID: "out-qingshi", Kind: county.Outlet, Name: county.Text{ZH: "青石服务站", EN: "Qingshi station"}, Village: county.Text{ZH: "青石村", EN: "Qingshi"}},
			{ID: "out-far", Kind: county.Outlet, Name: county.Text{ZH: "远山服务站", EN: "Yuanshan station"}},
		},
		Lockers: []county.Locker{{ID: "lk-qingshi", Site: "out-qingshi", Name: county.Text{ZH: "青石村智能柜", EN: "Qingshi locker"}}},
	}
}

func code(_, deposit string, generation int) string {
	n := 7 * generation
	for _, r := range deposit {
		n = n*31 + int(r)
	}
	return fmt.Sprintf("%06d", n%1_000_000)
}

// crashed is what a crash panics with.
type crashed struct{}

// A world is a county whose cloud crashes: one store, providers that fail, and workers that start again. Everything
// follows from the seed.
type world struct {
	t      testing.TB
	rnd    *rand.Rand
	now    time.Time
	store  *memory
	people *somebody
	dir    string
	set    channels.Notify
	via    map[string]Channel
	crash  float64 // how likely a crash is at each point

	workers []*Notifier
	stalled []county.Notice // claimed by the first worker, which then stopped for a while

	received map[string][]string    // texts that reached somebody, by notice
	handed   map[string][]time.Time // when a provider had them
	late     []county.NoticeReport  // reports on their way
	lateAt   []time.Time            //
	crashes  int
}

func newWorld(t testing.TB, seed uint64, names ...string) *world {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 77)), now: t0, store: newMemory(), dir: t.TempDir(), people: &somebody{is: county.Recipient{Phone: "13800138000"}},
		set: channels.DefaultNotify(), via: map[string]Channel{}, received: map[string][]string{}, handed: map[string][]time.Time{},
	}
	w.set.Marker = filepath.Join(w.dir, "mark")
	for _, name := range names {
		w.set.Channels = append(w.set.Channels, channels.Channel{Name: name, Kind: "http", Reports: true, Timeout: time.Second})
		w.via[name] = &provider{w: w, name: name}
	}
	w.store.at = w.maybeCrash
	w.start(2)
	for _, x := range w.workers {
		require.NoError(t, x.Open(t.Context()))
	}
	return w
}

// start begins n workers anew.
func (w *world) start(n int) {
	w.workers, w.stalled = nil, nil
	for i := range n {
		set := w.set
		set.Marker += strconv.Itoa(i)
		x, err := New(Options{
			Settings: set, Registry: smallCounty(), Store: w.store, People: w.people, Code: code, Via: w.via,
			NewID: func() string { return "store-1" }, Now: func() time.Time { return w.now },
		})
		require.NoError(w.t, err)
		w.workers = append(w.workers, x)
	}
}

func (w *world) maybeCrash(string) {
	if w.crash > 0 && w.rnd.Float64() < w.crash {
		panic(crashed{})
	}
}

// safely does f; when it crashes the workers start again.
func (w *world) safely(f func(ctx context.Context) error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(crashed); !ok {
				panic(p)
			}
			w.crashes++
			w.start(2)
		}
	}()
	require.NoError(w.t, f(context.Background()))
}

// step lets one worker do one thing.
func (w *world) step() {
	w.arrive()
	x := w.workers[w.rnd.IntN(len(w.workers))]
	w.safely(func(ctx context.Context) error {
		if err := x.prepare(ctx); err != nil {
			return err
		}
		if len(w.stalled) > 0 && w.rnd.IntN(4) == 0 {
			n := w.stalled[0]
			w.stalled = w.stalled[1:]
			return w.workers[0].worker.work(ctx, n)
		}
		claimed, err := w.store.ClaimNotices(ctx, w.now, claimLease, 1+w.rnd.IntN(3))
		for _, n := range claimed {
			if w.crash > 0 && w.rnd.IntN(20) == 0 {
				w.stalled = append(w.stalled, n)
				continue
			}
			if err := x.worker.work(ctx, n); err != nil {
				return err
			}
		}
		return err
	})
}

// arrive brings reports that are due.
func (w *world) arrive() {
	for i := 0; i < len(w.late); i++ {
		if !w.lateAt[i].After(w.now) {
			require.NoError(w.t, w.store.PutNoticeReport(context.Background(), w.late[i]))
			w.late, w.lateAt = append(w.late[:i:i], w.late[i+1:]...), append(w.lateAt[:i:i], w.lateAt[i+1:]...)
			i--
		}
	}
}

// next is when something happens next.
func (w *world) next(end time.Time) time.Time {
	at := end
	for _, n := range w.store.notices {
		if !n.Next.IsZero() && n.Next.Before(at) {
			at = n.Next
		}
	}
	for _, r := range w.lateAt {
		if r.Before(at) {
			at = r
		}
	}
	for id := range w.store.reports {
		if u := w.store.until[id]; u.Before(at) {
			at = u
		}
	}
	if !at.After(w.now) {
		at = w.now.Add(50 * time.Millisecond)
	}
	return at
}

// until runs the county to a time.
func (w *world) until(end time.Time) {
	for w.now.Before(end) {
		w.step()
		if w.store.cursor < int64(len(w.store.facts)) {
			w.now = w.now.Add(10 * time.Millisecond)
			continue
		}
		w.now = w.next(end)
	}
}

// deposit tells of a deposit now.
func (w *world) deposit(waybill, id string, cell int) {
	w.store.waybills[waybill] = county.Waybill{Waybill: waybill, Site: "out-qingshi", Consent: county.ConsentYes}
	w.store.tell(county.FactStep, "parcel/"+waybill, county.StepTold{
		Waybill: waybill, Site: "out-qingshi", Deposit: id, Until: w.now.Add(72 * time.Hour),
		Row: county.Evidence{ID: "e-" + id, At: w.now, Step: "deposited", Stage: county.InLocker, Place: "locker/lk-qingshi", Cell: cell, Deposit: id},
	}, w.now)
}

// provider is a channel whose fate the seed throws. out tells whether it is away at a time.
type provider struct {
	w    *world
	name string
	out  func(time.Time) bool
	deaf float64 // how many answers get lost
	calm bool    // takes and delivers all, when it isn't out
}

// Send implements Channel.
func (p *provider) Send(_ context.Context, m Message) Outcome {
	w := p.w
	w.maybeCrash("before send")
	if p.out != nil && p.out(w.now) {
		if w.rnd.IntN(10) == 0 {
			return Outcome{Class: county.TryUnknown, Detail: "no_answer"}
		}
		return Outcome{Class: county.TryTemporary, Detail: "503"}
	}
	fate := w.rnd.Float64()
	switch {
	case p.calm:
		fate = 0
	case w.rnd.Float64() < p.deaf:
		fate = 0.9
	}
	id := noticeOf(m.Ref)
	reach := func(report bool) {
		w.received[id] = append(w.received[id], m.Text)
		w.handed[id] = append(w.handed[id], w.now)
		if report {
			w.late = append(w.late, county.NoticeReport{Ref: m.Ref, Delivered: true, Detail: "1"})
			w.lateAt = append(w.lateAt, w.now.Add(time.Duration(1+w.rnd.IntN(20))*time.Second))
		}
	}
	o := Outcome{Class: county.TryAccepted, Detail: "202", Provider: "p" + m.Ref}
	switch {
	case fate < 0.55:
		reach(true)
	case fate < 0.60: // its report never comes
		reach(false)
	case fate < 0.68: // it never arrives, and the provider says so
		w.late = append(w.late, county.NoticeReport{Ref: p.name + "/p" + m.Ref, Detail: "2"})
		w.lateAt = append(w.lateAt, w.now.Add(time.Duration(1+w.rnd.IntN(900))*time.Second))
	case fate < 0.82:
		o = Outcome{Class: county.TryTemporary, Detail: "503"}
	case fate < 0.86:
		o = Outcome{Class: county.TryPermanent, Detail: "400"}
	case fate < 0.93: // the answer is lost
		reach(w.rnd.IntN(4) == 0)
		o = Outcome{Class: county.TryUnknown, Detail: "no_answer"}
	default: // the request was
		o = Outcome{Class: county.TryUnknown, Detail: "no_answer"}
	}
	w.maybeCrash("after send")
	return o
}

// check tells what of the promises doesn't hold at the end of a story.
func (w *world) check(deposits int) {
	t := w.t
	for key, n := range w.store.made {
		require.Equal(t, 1, n, "one notice of %s", key)
	}
	require.Len(t, w.store.made, deposits)
	for id, n := range w.store.notices {
		got := w.received[id]
		require.LessOrEqual(t, len(got), 2, "%s: at most one repeat: %+v", id, n)
		require.LessOrEqual(t, handed(&n), 2, "%s: nor a third that may have arrived: %+v", id, n)
		for _, text := range got {
			require.Equal(t, got[0], text, "the code stays")
			require.Contains(t, text, code("", n.About.Deposit, 0))
		}
		require.NotEqual(t, county.NoticeUnknown, n.Status, "nothing was restored")
		switch n.Status {
		case county.NoticeDelivered:
			require.NotEmpty(t, got, "%+v", n)
			require.Zero(t, n.Task)
		default:
			require.NotZero(t, n.Task, "what isn't known to have arrived is a person's task: %+v", n)
			require.NotEmpty(t, n.Owner)
		}
		repeats := 0
		for _, try := range n.Tries {
			require.NotEqual(t, county.TryPending, try.Outcome)
			if try.Outcome == county.TryUnknown || try.Outcome == "" {
				repeats++
			}
		}
		if len(got) == 2 {
			require.Positive(t, repeats, "a repeat follows what nobody knew of: %+v", n)
			require.GreaterOrEqual(t, w.handed[id][1].Sub(w.handed[id][0]), w.set.ReportWait-time.Second, "and waits for a report")
		}
	}
}

// Crashes before and after every write and every send, two workers, one of them stopping with a claim in its hand, providers
// that lose requests, answers, messages and reports.
func TestAThousandCrashRuns(t *testing.T) {
	seeds := uint64(1000)
	if s := os.Getenv("YIZHAN_SEEDS"); s != "" {
		var err error
		seeds, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	crashes, repeats, tasks, all := 0, 0, 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed, "sms-a", "sms-b")
			w.crash = 0.002 + w.rnd.Float64()*0.2
			if w.rnd.IntN(3) == 0 {
				w.via["sms-a"].(*provider).deaf, w.via["sms-b"].(*provider).deaf = 0.7, 0.7
			}
			deposits := 2 + w.rnd.IntN(4)
			for i := range deposits {
				w.deposit(fmt.Sprintf("YZ%07d", i), fmt.Sprintf("d-%d-%d", seed, i), 1+i)
				w.until(w.now.Add(time.Duration(w.rnd.IntN(120)) * time.Second))
			}
			w.until(w.now.Add(2 * time.Hour))
			w.crash = 0
			w.until(w.now.Add(40 * time.Hour))
			w.check(deposits)
			crashes += w.crashes
			for id, n := range w.store.notices {
				all++
				repeats += max(0, len(w.received[id])-1)
				if !n.Task.IsZero() {
					tasks++
				}
			}
		})
	}
	t.Logf("%d seeds, %d crashes, %d notices: each once, %d repeated once, %d a person's task in the end", seeds, crashes, all, repeats, tasks)
	require.Greater(t, crashes, int(seeds), "the crashes are real")
}
