package notify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
	"yizhan/cloud/internal/state"
	"yizhan/cloud/internal/state/pgtest"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if postgres, err = pgtest.Start("fsync=off"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := postgres.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// counter is a channel that counts, and is away for its first so many tries.
type counter struct {
	mu    sync.Mutex
	away  int
	texts map[string][]string
	first chan struct{}
}

// Send implements Channel.
func (c *counter) Send(_ context.Context, m Message) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away--; c.away >= 0 {
		return Outcome{Class: county.TryTemporary, Detail: "503"}
	}
	id := noticeOf(m.Ref)
	c.texts[id] = append(c.texts[id], m.Text)
	if len(c.texts) == 50 {
		close(c.first)
	}
	return Outcome{Class: county.TryAccepted, Provider: "p-" + m.Ref}
}

// Two workers on one real store, one of which stops half way and starts again; facts come in while they work, some
// twice, and the provider is away at first.
func TestTwoWorkersOnRealStores(t *testing.T) {
	const deposits = 200
	for name, url := range map[string]string{"postgres": postgres.Database(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "state.db")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			via := &counter{away: 3, texts: map[string][]string{}, first: make(chan struct{})}
			set := channels.DefaultNotify()
			set.Quiet = channels.Quiet{}
			set.Channels = []channels.Channel{{Name: "sms", Kind: "http"}}
			worker := func(i int) (stop func()) {
				s, err := state.Open(t.Context(), url, state.Options{})
				require.NoError(t, err)
				set := set
				set.Marker = filepath.Join(t.TempDir(), fmt.Sprint("mark-", i))
				n, err := New(Options{
					Settings: set, Registry: smallCounty(), Store: s, People: &somebody{is: county.Recipient{Phone: "13800138000"}}, Code: code, Via: map[string]Channel{"sms": via},
					NewID: func() string { return "store" }, Now: time.Now, Workers: 4,
				})
				require.NoError(t, err)
				require.NoError(t, n.Open(t.Context()))
				ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
				done := make(chan error, 1)
				go func() { done <- n.Run(ctx) }()
				var once sync.Once
				stop = func() {
					once.Do(func() { cancel(); require.ErrorIs(t, <-done, context.Canceled); require.NoError(t, s.Close()) })
				}
				t.Cleanup(stop)
				return stop
			}
			store, err := state.Open(t.Context(), url, state.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			one := worker(1)
			worker(2)
			for i := range deposits {
				dep := fmt.Sprint("d-", i)
				told := county.StepTold{Waybill: fmt.Sprintf("YZ%07d", i), Site: "out-qingshi", Deposit: dep, Row: county.Evidence{
					ID: "e-" + dep, At: time.Now(), Stage: county.InLocker, Place: "locker/lk-qingshi", Cell: 1 + i%24,
				}}
				for again := range 1 + i%2 { // told twice by two pieces of evidence
					require.NoError(t, store.Update(t.Context(), func(tx state.Tx) error {
						return tx.Tell(t.Context(), state.NewFact(county.FactStep, "parcel/"+told.Waybill, fmt.Sprint("step/", i, "/", again), told))
					}))
				}
				if i == deposits/2 {
					one()
					worker(3)
				}
			}
			// What the worker that stopped had in its hands is open: it waits for a report.
			require.Eventually(t, func() bool {
				counts, err := store.NoticeCounts(t.Context())
				require.NoError(t, err)
				by := map[county.NoticeStatus]int{}
				for _, c := range counts {
					by[c.Status] = c.Count
				}
				return by[county.NoticeDelivered] >= deposits-4 && by[county.NoticeDelivered]+by[county.NoticeSending]+by[county.NoticeOpen] == deposits
			}, 5*time.Minute, 100*time.Millisecond)
			via.mu.Lock()
			defer via.mu.Unlock()
			require.GreaterOrEqual(t, len(via.texts), deposits-4)
			for id, texts := range via.texts {
				require.LessOrEqual(t, len(texts), 2, id)
				require.Equal(t, texts[0], texts[len(texts)-1])
			}
		})
	}
}
