package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"yizhan/firmware-sim/internal/firmware"
)

// What a device was told is safe is in the database, once, however often and wherever the programs on
// its way are killed.
func TestKilledAtAnyPoint(t *testing.T) {
	bin := failing(t, failpoints)
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		killed(t, options{speed: 1, data: dir, bin: bin}, "sqlite", "file:"+filepath.Join(dir, "state.db")+"?mode=ro")
	})
	t.Run("postgres", func(t *testing.T) {
		url := postgres(t)
		killed(t, options{speed: 1, state: url, bin: bin}, "pgx", url)
	})
}

const victim = "lk-qingshi-1"

func killed(t *testing.T, o options, driver, dsn string) {
	w := openWard(t, o)
	start := time.Now()
	w.killAtRandom(t, rounds(t))
	rate := float64(w.told.count()) / time.Since(start).Seconds()
	t.Logf("at random: %v, %d told safe, %.0f a second", time.Since(start).Round(time.Millisecond), w.told.count(), rate)
	start = time.Now()
	w.killAtFailpoints(t, map[string][]string{victim: gatewayDeaths, "cloud": cloudDeaths})
	w.settle(t)
	t.Logf("at failpoints: %v, %d told safe", time.Since(start).Round(time.Millisecond), w.told.count())

	w.audit(t, driver, dsn)
}

// audit compares what devices were told is safe with what the database holds, once all is told.
func (w *ward) audit(t *testing.T, driver, dsn string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer db.Close()
	var rows map[string]int
	if !within(patience, func() bool {
		rows, err = weighings(t.Context(), db)
		return err == nil && len(rows) >= w.told.count()
	}) {
		t.Errorf("%d told safe, %d committed (%v)", w.told.count(), len(rows), err)
	}
	require.Equal(t, w.sent.count(), w.told.count())
	var lost, doubled []string
	for event := range w.sent.n {
		switch rows[event] {
		case 0:
			lost = append(lost, event)
		case 1:
		default:
			doubled = append(doubled, event)
		}
	}
	require.Empty(t, lost, "told safe and not committed")
	require.Empty(t, doubled, "committed more than once")
	require.Len(t, rows, w.sent.count(), "and nothing else")
	var wrong []string
	if !within(patience, func() bool {
		wrong, err = faults(t.Context(), db)
		return err == nil && len(wrong) == 0
	}) {
		t.Errorf("the books: %v (%v)", wrong, err)
	}
}

// ward is a county in which programs are killed while devices publish.
type ward struct {
	*played
	victim     *board
	devices    []*firmware.Handheld
	sent, told *ledger
	stopFeed   context.CancelFunc
	feeding    sync.WaitGroup

	mu   sync.Mutex
	dial map[string]context.CancelFunc // ends a device's try to connect
}

func openWard(t *testing.T, o options) *ward {
	w := &ward{sent: newLedger(), told: newLedger(), dial: map[string]context.CancelFunc{}}
	w.played = play(t, o, func(s *site) {
		w.victim = s.yard.boards[len(s.yard.boards)-1]
		require.Equal(t, victim, w.victim.id)
		for i := range 3 {
			h := &firmware.Handheld{Addr: w.victim.broker(), Device: fmt.Sprintf("probe-%d", i+1), Password: secret(), Boot: secret()[:8], Window: 64}
			h.Told(func(n string) { w.told.add(h.Device + "/" + n) })
			w.victim.users = append(w.victim.users, login{h.Device, h.Password})
			w.devices = append(w.devices, h)
		}
		require.NoError(t, s.enrol(t.Context(), w.victim))
		// Small segments and few of them, so that many end and go; and no long waits for a cloud that was killed.
		alter(t, w.victim.file("gateway.yaml"), "max_bytes: 256MiB, segment_bytes: 1MiB", "max_bytes: 1MiB, segment_bytes: 64KiB")
		alter(t, w.victim.file("gateway.yaml"), "retry_min: 500ms, retry_max: 5s", "retry_min: 100ms, retry_max: 500ms")
	})
	on, off := context.WithCancel(context.Background())
	feed, stop := context.WithCancel(on)
	w.stopFeed = stop
	var running sync.WaitGroup
	for _, h := range w.devices {
		w.feeding.Go(func() { weighOn(feed, h, w.sent) })
		running.Go(func() { w.keepOn(on, h) })
	}
	running.Go(func() { w.dialAtStarts(on) })
	t.Cleanup(func() {
		off()
		w.feeding.Wait()
		running.Wait()
	})
	return w
}

// keepOn runs a device that dials anew when its gateway comes back: its own pauses would make the test long.
func (w *ward) keepOn(ctx context.Context, h *firmware.Handheld) {
	for ctx.Err() == nil {
		try, again := context.WithCancel(ctx)
		w.mu.Lock()
		w.dial[h.Device] = again
		w.mu.Unlock()
		_ = h.Run(try) // ends with try
		again()
	}
}

func (w *ward) dialAtStarts(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for known := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := w.rack.Starts(victim); n > known {
			known = n
			w.mu.Lock()
			for _, again := range w.dial {
				again()
			}
			w.mu.Unlock()
		}
	}
}

// flowing waits until devices are told of more.
func (w *ward) flowing(t *testing.T) {
	t.Helper()
	grown := w.told.count() + 100
	require.True(t, within(patience, func() bool { return w.told.count() >= grown }), "publishes are acknowledged")
}

// rounds is how often programs are killed at random: KILLS, or a few.
func rounds(t *testing.T) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("KILLS"), "10"))
	require.NoError(t, err, "KILLS")
	return n
}

// killAtRandom kills n times: the gateway, each fifth time the cloud, each tenth both.
func (w *ward) killAtRandom(t *testing.T, n int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(11, seed))
	starts := map[string]int{victim: 1, "cloud": 1}
	back := func() bool { return w.started(victim, starts[victim]) && w.started("cloud", starts["cloud"]) }
	for i := range n {
		require.True(t, within(patience, back))
		w.flowing(t)
		wait := time.NewTimer(time.Duration(rng.Int64N(int64(400 * time.Millisecond))))
		<-wait.C
		units := []string{victim}
		switch i % 10 {
		case 4:
			units = []string{"cloud"}
		case 9:
			units = []string{victim, "cloud"}
		}
		for _, u := range units {
			require.NoError(t, w.rack.Kill(u))
			starts[u]++
		}
	}
	require.True(t, within(patience, back))
	w.flowing(t)
	require.Equal(t, starts[victim], w.rack.Starts(victim))
	require.Equal(t, starts["cloud"], w.rack.Starts("cloud"))
}

// started reports whether a unit runs for the n-th time; one that ended is started without the pause of one that dies again and
// again.
func (w *ward) started(unit string, n int) bool {
	if !w.rack.Running(unit) {
		_ = w.rack.On(unit)
		return false
	}
	return w.rack.Starts(unit) >= n
}

// killAtFailpoints lets programs die as planned, by unit, all at the same time.
func (w *ward) killAtFailpoints(t *testing.T, plans map[string][]string) {
	folder := map[string]string{victim: w.victim.dir, "cloud": w.dir}
	last := map[string]int{}
	for unit, plan := range plans {
		require.NoError(t, os.WriteFile(filepath.Join(folder[unit], "failpoints"), []byte(strings.Join(plan, "\n")+"\n"), 0o600))
		last[unit] = w.rack.Starts(unit) + 1 + len(plan)
		require.NoError(t, w.rack.Kill(unit))
	}
	ended := within(patience, func() bool {
		ended := true
		for unit, n := range last {
			ended = w.started(unit, n) && ended
		}
		return ended
	})
	for unit, plan := range plans {
		require.Equal(t, plan, deaths(t, filepath.Join(w.dir, "log", unit+".log")), "deaths of %s", unit)
	}
	require.True(t, ended, "the last start")
	w.flowing(t)
	for unit, n := range last {
		require.Equal(t, n, w.rack.Starts(unit), "starts of %s", unit)
	}
}

// settle ends the feeding and waits until all that was sent is told safe.
func (w *ward) settle(t *testing.T) {
	w.stopFeed()
	w.feeding.Wait()
	require.True(t, within(patience, func() bool {
		for _, h := range w.devices {
			if h.Waiting() > 0 {
				return false
			}
		}
		return true
	}), "everything is told safe at last")
}

// patience bounds what would hang.
const patience = 3 * time.Minute

// within reports whether cond came true in time.
func within(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if cond() {
			return true
		}
	}
	return false
}

func alter(t *testing.T, file, old, with string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(b), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(b), old, with, 1)), 0o600))
}

// weighOn queues about 150 weights a second, each another one, while the device keeps up.
func weighOn(ctx context.Context, h *firmware.Handheld, sent *ledger) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for k := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range 3 {
			if h.Waiting() > 2000 {
				break
			}
			k++
			if _, err := h.Queue("weight", time.Time{}, map[string]int{"weight_kg": k}); err == nil {
				sent.add(fmt.Sprintf("%s/%s %d", victim, h.Device, k))
			}
		}
	}
}

// weighings counts the rows of each weight of each device.
func weighings(ctx context.Context, db *sql.DB) (map[string]int, error) {
	r, err := db.QueryContext(ctx, "select device, body from evidence where kind = 'weight'")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := map[string]int{}
	for r.Next() {
		var device, body string
		if err := r.Scan(&device, &body); err != nil {
			return nil, err
		}
		var w struct {
			WeightKg int `json:"weight_kg"`
		}
		if err := json.Unmarshal([]byte(body), &w); err != nil {
			return nil, err
		}
		out[fmt.Sprintf("%s %d", device, w.WeightKg)]++
	}
	return out, r.Err()
}

// faults lists what is wrong in the cloud's books: lanes with a hole, or whose records were counted otherwise than once, and what
// was refused.
func faults(ctx context.Context, db *sql.DB) (wrong []string, err error) {
	r, err := db.QueryContext(ctx, "select id, spans, records from ranges union all select id, reason, 0 from quarantine")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for r.Next() {
		var id, spans string
		var records int
		if err := r.Scan(&id, &spans, &records); err != nil {
			return nil, err
		}
		if spans != fmt.Sprintf("1-%d", records) {
			wrong = append(wrong, fmt.Sprintf("%s: %s, %d records", id, spans, records))
		}
	}
	return wrong, r.Err()
}

// ledger is a set of names that several devices add to.
type ledger struct {
	mu sync.Mutex
	n  map[string]bool
}

func newLedger() *ledger { return &ledger{n: map[string]bool{}} }

func (l *ledger) add(n string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n[n] = true
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.n)
}
