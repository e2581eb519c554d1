package notify

import (
	"container/heap"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

type entry struct {
	at time.Time
	id string
}

type agenda []entry

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// Of deposits through the outages of three providers, two of which lose things besides, nearly all have a delivered notice or a
// named person's task within ten minutes.
func TestDepositsAreToldOrAPersonsTaskWithinTenMinutes(t *testing.T) {
	const deposits, limit = 5_000, 10 * time.Minute
	w := newWorld(t, 42, "sms-a", "sms-b", "voice")
	w.set.Quiet = channels.Quiet{}
	w.start(1)
	for name, every := range map[string]time.Duration{"sms-a": 3 * time.Hour, "sms-b": 5 * time.Hour, "voice": 7 * time.Hour} {
		w.via[name].(*provider).out = func(at time.Time) bool { return at.Sub(t0)%every < 50*time.Minute } // at first all three
	}
	var agenda agenda
	x := w.workers[0]
	work := func(n county.Notice) {
		require.NoError(t, x.worker.work(t.Context(), n))
		if n = w.store.notices[n.ID]; !n.Next.IsZero() {
			heap.Push(&agenda, entry{n.Next, n.ID})
		}
	}
	settled := map[string]time.Duration{} // from the deposit
	var delivered, tasks int
	watch := func(id string) {
		n := w.store.notices[id]
		if _, ok := settled[id]; ok || n.Status != county.NoticeDelivered && n.Task.IsZero() {
			return
		}
		settled[id] = w.now.Sub(n.Created)
		if n.Status == county.NoticeDelivered {
			delivered++
		} else {
			require.NotEmpty(t, n.Owner)
			tasks++
		}
	}
	end := t0.Add(24 * time.Hour)
	next := t0
	for made := 0; made < deposits || w.now.Before(end); {
		w.now = end
		if made < deposits {
			w.now = next
		}
		if len(agenda) > 0 && agenda[0].at.Before(w.now) {
			w.now = agenda[0].at
		}
		for i := range w.lateAt {
			if w.lateAt[i].Before(w.now) {
				w.now = w.lateAt[i]
			}
		}
		if made < deposits && !w.now.Before(next) {
			w.deposit(fmt.Sprintf("YZ%08d", made), fmt.Sprintf("d-%d", made), 1+made%24)
			made++
			next = t0.Add(time.Duration(made) * 18 * time.Hour / deposits)
			require.NoError(t, x.prepare(t.Context()))
			f := w.store.facts[len(w.store.facts)-1]
			id := NoticeID(f.Object[len("parcel/"):], county.NoticeDeposited, fmt.Sprintf("d-%d", made-1), Recipient)
			heap.Push(&agenda, entry{w.store.notices[id].Next, id})
			continue
		}
		w.arrive()
		reported := map[string]bool{}
		for _, r := range w.store.reports {
			ref := r.Ref
			if ours, ok := w.store.refs[ref]; ok {
				ref = ours
			}
			reported[noticeOf(ref)] = true
		}
		require.NoError(t, x.reports(t.Context()))
		for id := range reported {
			watch(id)
			if n := w.store.notices[id]; n.Status == county.NoticeDue {
				heap.Push(&agenda, entry{w.now, id})
			}
		}
		for len(agenda) > 0 && !agenda[0].at.After(w.now) {
			id := heap.Pop(&agenda).(entry).id
			n := clone(w.store.notices[id])
			if n.Next.IsZero() || n.Next.After(w.now) {
				continue
			}
			work(n)
			watch(id)
		}
	}
	inTime := 0
	var worst time.Duration
	for _, took := range settled {
		if took <= limit {
			inTime++
		}
		worst = max(worst, took)
	}
	share := float64(inTime) / deposits
	t.Logf("%d deposits through outages: %.3f%% delivered or a person's task within %v (%d delivered, %d tasks; slowest %v)", deposits, 100*share, limit, delivered, tasks, worst)
	require.GreaterOrEqual(t, share, 0.999)
}
