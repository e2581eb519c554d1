package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/live"
)

func vehicle(id string, version int64) county.Change {
	return county.Change{Kind: county.VehicleChanged, ID: id, Version: version, Object: county.Vehicle{ID: id, Version: version}}
}

func parcel(id string, version int64) county.Change {
	return county.Change{Kind: county.ParcelChanged, ID: id, Version: version, Object: county.Parcel{Waybill: county.Waybill{Waybill: id}, Version: version}}
}

// recorder is a ResponseWriter that can be made to block, and that a bubble's clock governs.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	text   strings.Builder
	stuck  chan struct{} // nil: writes pass
	limit  time.Time
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Flush()              {}
func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.limit = t
	return nil
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.stuck != nil {
		late := time.NewTimer(time.Until(r.limit))
		defer late.Stop()
		select {
		case <-late.C:
			return 0, context.DeadlineExceeded
		case <-r.stuck:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *recorder) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *recorder) events() (out []string) {
	for line := range strings.Lines(r.got()) {
		if e, ok := strings.CutPrefix(line, "event: "); ok {
			out = append(out, strings.TrimSpace(e))
		}
	}
	return out
}

func (r *recorder) lastID() (id string) {
	for line := range strings.Lines(r.got()) {
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = strings.TrimSpace(v)
		}
	}
	return id
}

// connect opens a stream in the bubble; stop ends it.
func connect(t *testing.T, h *live.Hub, lastID string, w *recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/stream", nil)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	if w.header == nil {
		w.header = http.Header{}
	}
	go h.ServeHTTP(w, r)
	synctest.Wait()
	return func() { cancel(); synctest.Wait() }
}

func start(t *testing.T, opt live.Options) *live.Hub {
	h := live.New(opt)
	go func() { _ = h.Run(t.Context()) }()
	synctest.Wait()
	return h
}

func TestPositionsAreGatheredAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{})
		var w recorder
		stop := connect(t, h, "", &w)
		defer stop()
		require.Equal(t, []string{"reset"}, w.events(), "who comes new fetches the lists")
		h.Publish([]county.Change{vehicle("v01", 1), parcel("A1", 1)})
		h.Publish([]county.Change{vehicle("v01", 3), vehicle("v02", 1)})
		h.Publish([]county.Change{vehicle("v01", 2)})
		synctest.Wait()
		require.Equal(t, []string{"reset", "parcel"}, w.events(), "a parcel doesn't wait")
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		require.Len(t, w.events(), 4)
		require.Contains(t, w.got(), `"id":"v01"`)
		require.Contains(t, w.got(), `"version":3`)
		require.NotContains(t, w.got(), `"version":2`)
		h.Publish([]county.Change{vehicle("v01", 2)}) // a worker that was slower
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, w.events(), 4, "versions never go back")
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{Ring: 8})
		var w recorder
		stop := connect(t, h, "", &w)
		h.Publish([]county.Change{parcel("A1", 1)})
		synctest.Wait()
		id := w.lastID()
		stop()
		h.Publish([]county.Change{parcel("A2", 1), parcel("A3", 1)})

		var again recorder
		stop = connect(t, h, id, &again)
		require.Equal(t, []string{"parcel", "parcel"}, again.events())
		require.NotContains(t, again.got(), "A1")
		require.Contains(t, again.got(), "A2")
		stop()

		var upToDate recorder
		stop = connect(t, h, again.lastID(), &upToDate)
		require.Empty(t, upToDate.events())
		stop()

		for i := range 8 {
			h.Publish([]county.Change{parcel(fmt.Sprint("B", i), 1)})
		}
		for _, bad := range []string{id, "1-1", "garbage", "-", w.lastID() + "9999", "-5", "99999999999999999999-1"} {
			var w recorder
			stop := connect(t, h, bad, &w)
			require.Equal(t, []string{"reset"}, w.events(), bad)
			h.Publish([]county.Change{parcel("C", 1)})
			synctest.Wait()
			require.Equal(t, []string{"reset", "parcel"}, w.events(), bad)
			stop()
		}
	})
}

func TestASlowClientDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{Ring: 100})
		stuck := recorder{}
		stopStuck := connect(t, h, "", &stuck)
		defer stopStuck()
		stuck.stuck = make(chan struct{})
		var quick recorder
		stop := connect(t, h, "", &quick)
		defer stop()
		began := time.Now()
		for i := range 1000 {
			h.Publish([]county.Change{parcel(fmt.Sprint("P", i), 1)})
			synctest.Wait()
		}
		require.Zero(t, time.Since(began))
		require.Len(t, quick.events(), 1001)
		require.EqualValues(t, 2, h.Counters()["clients"])
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, h.Counters()["clients"], "its write met its deadline")
		require.EqualValues(t, 1, h.Counters()["slow"])
	})
}

func TestFallingOffTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{Ring: 10})
		w := recorder{}
		stop := connect(t, h, "", &w)
		defer stop()
		w.stuck = make(chan struct{})
		for i := range 30 {
			h.Publish([]county.Change{parcel(fmt.Sprint("P", i), 1)})
			synctest.Wait()
		}
		close(w.stuck) // it reads again, but what it needs is gone
		synctest.Wait()
		require.EqualValues(t, 0, h.Counters()["clients"])
		require.EqualValues(t, 1, h.Counters()["slow"])
	})
}

func TestHeartbeatAndMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{})
		var w recorder
		stop := connect(t, h, "", &w)
		defer stop()
		time.Sleep(46 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, strings.Count(w.got(), "\n:\n"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 0, h.Counters()["clients"], "who may see is asked again")
	})
}

func TestTooManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{MaxClients: 1})
		var w recorder
		stop := connect(t, h, "", &w)
		over := httptest.NewRecorder()
		h.ServeHTTP(over, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		require.Equal(t, 503, over.Code)
		stop()
		var next recorder
		stop = connect(t, h, "", &next)
		defer stop()
		require.Equal(t, []string{"reset"}, next.events())
	})
}

func TestTheRingIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, live.Options{RingBytes: 2000})
		var w recorder
		stop := connect(t, h, "", &w)
		h.Publish([]county.Change{parcel("A", 1)})
		synctest.Wait()
		id := w.lastID()
		stop()
		for i := range 50 {
			h.Publish([]county.Change{parcel(fmt.Sprint("B", i), 1)})
		}
		var again recorder
		stop = connect(t, h, id, &again)
		defer stop()
		require.Equal(t, []string{"reset"}, again.events())
	})
}

// The same over a real connection: a server whose WriteTimeout is short must not end the stream.
func TestOverTCP(t *testing.T) {
	h := live.New(live.Options{Tick: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx) })
	srv := httptest.NewUnstartedServer(h)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	defer func() { cancel(); srv.Close(); wg.Wait() }()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	in := bufio.NewReader(resp.Body)
	read := func(want string) {
		for {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			if strings.Contains(line, want) {
				return
			}
		}
	}
	read("event: reset")
	h.Publish([]county.Change{vehicle("v01", 7)})
	read(`"version":7`)
	cancel()
	_, err = io.Copy(io.Discard, in)
	_ = err // the server went away: EOF or a cut chunk
}
