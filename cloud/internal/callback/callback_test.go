package callback

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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

// A subscriber's server: it answers what the test says, and checks what it gets.
type server struct {
	*httptest.Server
	t      *testing.T
	secret []byte

	mu   sync.Mutex
	say  func(e *Envelope) int
	all  []Envelope // as they came
	took []Envelope // those that were answered with 200
}

func newServer(t *testing.T, say func(e *Envelope) int) *server {
	s := &server{t: t, say: say}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	if r.Header.Get("Webhook-Signature") != Sign(s.secret, id, at, body) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var e Envelope
	if json.Unmarshal(body, &e) != nil || r.Header.Get("Idempotency-Key") != fmt.Sprintf("%q", e.ID) || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/cloudevents+json") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.all = append(s.all, e)
	status := s.say(&e)
	if status == 200 {
		s.took = append(s.took, e)
	}
	w.WriteHeader(status)
}

func (s *server) taken() []Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Envelope(nil), s.took...)
}

// A desk is a store with a clock of the test's own.
type desk struct {
	*state.Store
	t   *testing.T
	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func both(t *testing.T, f func(t *testing.T, d *desk)) {
	for name, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "state.db") },
		"postgres": func(t *testing.T) string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{t: t, now: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
			var err error
			d.Store, err = state.Open(t.Context(), url(t), state.Options{Now: d.clock})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, d.Close()) })
			f(t, d)
		})
	}
}

func (d *desk) caller() *Caller {
	return New(Options{
		Queue: d.Store, Key: []byte("key of the test, 32 bytes long.."), Source: "urn:yizhan:test", Private: true, LateAfter: 15 * time.Minute, Now: d.clock, Workers: 4,
		Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	})
}

func (d *desk) subscribe(s *server, sub channels.Subscription) {
	sub.URL = s.URL + "/hook"
	s.secret = d.caller().secret(sub.ID)
	require.NoError(d.t, d.PutSubscription(d.t.Context(), sub, "api"))
}

// tell tells of steps of a parcel.
func (d *desk) tell(parcel string, stages ...county.Stage) {
	for _, stage := range stages {
		require.NoError(d.t, d.Update(d.t.Context(), func(tx state.Tx) error {
			end, err := d.FactsEnd(d.t.Context())
			if err != nil {
				return err
			}
			told := county.StepTold{Waybill: parcel, Site: "out-a", Row: county.Evidence{Stage: stage}}
			return tx.Tell(d.t.Context(), state.NewFact(county.FactStep, "parcel/"+parcel, fmt.Sprintf("step/%s/%d", parcel, end+1), told))
		}))
	}
}

// round has all callers do one round, at once.
func (d *desk) round(callers ...*Caller) {
	for _, c := range callers {
		g, ctx := errgroup.WithContext(d.t.Context())
		require.NoError(d.t, c.round(ctx, g, make(chan struct{}, 1)))
		require.NoError(d.t, g.Wait())
	}
}

func ids(all []Envelope) (out []string) {
	for _, e := range all {
		out = append(out, e.ID)
	}
	return out
}

func TestAFactIsToldOnceItIsTaken(t *testing.T) {
	both(t, func(t *testing.T, d *desk) {
		answers := []int{500, 404, 200}
		s := newServer(t, func(*Envelope) (status int) { status, answers = answers[0], answers[1:]; return status })
		d.subscribe(s, channels.Subscription{ID: "shop"})
		d.tell("YZ1", county.InLocker)
		c := d.caller()
		for range 3 {
			d.round(c)
			d.round(c)
			d.pass(20 * time.Second)
		}
		require.Equal(t, []string{"step/YZ1/1"}, ids(s.taken()))
		require.Len(t, s.all, 3)
		require.Equal(t, s.all[0], s.all[2], "the same each time")
		e := s.all[0]
		require.Equal(t, "1.0", e.SpecVersion)
		require.Equal(t, "yizhan.step", e.Type)
		require.Equal(t, "parcel/YZ1", e.Subject)
		require.Equal(t, "00000000000000000001", e.Sequence)
		all, err := d.Callbacks(t.Context(), "shop", "", 0, 10)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, county.CallbackDone, all[0].Status)
		require.Equal(t, 3, all[0].Tries)
		require.Empty(t, d.log.String())
	})
}

func TestWhatIsNotTakenHoldsItsParcelOnly(t *testing.T) {
	both(t, func(t *testing.T, d *desk) {
		stubborn := true
		s := newServer(t, func(e *Envelope) int {
			if stubborn && e.Subject == "parcel/YZ1" {
				return 422
			}
			return 200
		})
		d.subscribe(s, channels.Subscription{ID: "shop"})
		d.tell("YZ1", county.AtOutlet, county.InLocker)
		d.tell("YZ2", county.AtOutlet, county.InLocker)
		c := d.caller()
		for range 30 {
			d.round(c)
			d.pass(time.Hour)
		}
		require.Equal(t, []string{"step/YZ2/3", "step/YZ2/4"}, ids(s.taken()))
		waits, err := d.Callbacks(t.Context(), "shop", county.CallbackFailed, 0, 10)
		require.NoError(t, err)
		require.Len(t, waits, 1, "given up after a day, visible")
		require.EqualValues(t, 1, waits[0].Seq)
		late, err := d.AlarmLateCallbacks(t.Context(), d.clock())
		require.NoError(t, err)
		require.Equal(t, 2, late)

		stubborn = false
		found, err := d.DecideCallback(t.Context(), "shop", 1, false)
		require.NoError(t, err)
		require.True(t, found)
		for range 4 {
			d.round(c)
			d.pass(time.Hour)
		}
		require.Equal(t, []string{"step/YZ2/3", "step/YZ2/4", "step/YZ1/1", "step/YZ1/2"}, ids(s.taken()))
	})
}

func TestASkippedOneLetsTheNextGo(t *testing.T) {
	both(t, func(t *testing.T, d *desk) {
		s := newServer(t, func(e *Envelope) int {
			if e.ID == "step/YZ1/1" {
				return 400
			}
			return 200
		})
		d.subscribe(s, channels.Subscription{ID: "shop"})
		d.tell("YZ1", county.AtOutlet, county.InLocker)
		c := d.caller()
		d.round(c)
		found, err := d.DecideCallback(t.Context(), "shop", 1, true)
		require.NoError(t, err)
		require.True(t, found)
		d.pass(time.Minute)
		d.round(c)
		require.Equal(t, []string{"step/YZ1/2"}, ids(s.taken()))
		found, err = d.DecideCallback(t.Context(), "shop", 1, false)
		require.NoError(t, err)
		require.False(t, found, "it is past that")
	})
}

func TestFiltersPausesAndReplays(t *testing.T) {
	both(t, func(t *testing.T, d *desk) {
		ok := func(*Envelope) int { return 200 }
		s, other := newServer(t, ok), newServer(t, ok)
		d.subscribe(s, channels.Subscription{ID: "shop", Events: []string{"step"}, Stages: []string{"picked_up"}, Sites: []string{"out-a"}})
		d.subscribe(other, channels.Subscription{ID: "other", Sites: []string{"out-b"}})
		d.tell("YZ1", county.InLocker, county.PickedUp)
		c := d.caller()
		d.round(c)
		require.Equal(t, []string{"step/YZ1/2"}, ids(s.taken()))
		require.Empty(t, other.taken())

		paused := channels.Subscription{ID: "shop", Paused: true}
		d.subscribe(s, paused)
		d.tell("YZ1", county.Completed)
		d.round(c)
		require.Len(t, s.taken(), 1)
		d.subscribe(s, channels.Subscription{ID: "shop"})
		d.round(c)
		require.Equal(t, []string{"step/YZ1/2", "step/YZ1/3"}, ids(s.taken()))
		made, found, err := d.ReplayCallbacks(t.Context(), "shop", 1)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 3, made)
		for range 5 {
			d.round(c)
			d.pass(time.Second)
		}
		require.Equal(t, []string{"step/YZ1/2", "step/YZ1/3", "step/YZ1/1", "step/YZ1/2", "step/YZ1/3"}, ids(s.taken()), "the same ids")
		_, found, err = d.ReplayCallbacks(t.Context(), "nobody", 1)
		require.NoError(t, err)
		require.False(t, found)
	})
}

// Two callers, a subscriber that fails at random and workers that die: everything is taken, and each parcel's in order.
func TestNothingIsLostAndEachParcelIsInOrder(t *testing.T) {
	both(t, func(t *testing.T, d *desk) {
		for seed := range uint64(8) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			s := newServer(t, func(*Envelope) int { return []int{200, 200, 200, 500, 503, 404}[rnd.IntN(6)] })
			id := fmt.Sprint("shop-", seed)
			d.subscribe(s, channels.Subscription{ID: id})
			first, err := d.FactsEnd(t.Context())
			require.NoError(t, err)
			for i := range 40 {
				d.tell(fmt.Sprintf("YZ%d", i%7), county.AtOutlet)
			}
			one, two := d.caller(), d.caller()
			for i := 0; i < 2000 && len(s.taken()) < 40; i++ {
				if rnd.IntN(5) == 0 { // a worker dies with what it claimed
					_, err := d.ClaimCallbacks(t.Context(), d.clock(), lease, 2)
					require.NoError(t, err)
				}
				d.round(one, two)
				d.pass(time.Duration(rnd.IntN(int(time.Minute))))
			}
			last := map[string]string{}
			seen := map[string]bool{}
			for _, e := range s.taken() {
				if seen[e.ID] {
					continue
				}
				seen[e.ID] = true
				require.Less(t, last[e.Subject], e.Sequence, "seed %d", seed)
				last[e.Subject] = e.Sequence
			}
			require.Len(t, seen, 40, "seed %d", seed)
			_ = first
			_, err = d.DropSubscription(t.Context(), id)
			require.NoError(t, err)
		}
	})
}

func TestNobodyInsideIsCalled(t *testing.T) {
	s := newServer(t, func(*Envelope) int { return 200 })
	c := New(Options{Key: []byte("k"), Now: time.Now})
	status, detail := c.post(context.Background(), s.URL, &county.Callback{Key: "x"}, []byte("{}"))
	require.Zero(t, status)
	require.Equal(t, "private_address", detail)
	require.Empty(t, s.all)
	for a, open := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "127.0.0.1": false, "10.1.2.3": false, "192.168.1.1": false, "172.20.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "::1": false, "fd00::1": false, "fe80::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "224.0.0.1": false,
	} {
		require.Equal(t, open, Open(netip.MustParseAddr(a)), a)
	}
}

func TestSecretsAreAsStandardWebhooksHasThem(t *testing.T) {
	c := New(Options{Key: []byte("k")})
	word, ok := strings.CutPrefix(c.Secret("shop"), "whsec_")
	require.True(t, ok)
	raw, err := base64.StdEncoding.DecodeString(word)
	require.NoError(t, err)
	require.Len(t, raw, 32)
	require.NotEqual(t, c.Secret("shop"), c.Secret("other"))
	// the example of the specification
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}
