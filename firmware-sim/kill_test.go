package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"yizhan/firmware-sim/internal/firmware"
)

// What a device was told is safe is in the database, once, however often its gateway is killed.
func TestKilledTenTimes(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		killTenTimes(t, options{speed: 1, data: dir}, "sqlite", "file:"+filepath.Join(dir, "state.db")+"?mode=ro")
	})
	t.Run("postgres", func(t *testing.T) {
		url := postgres(t)
		killTenTimes(t, options{speed: 1, state: url}, "pgx", url)
	})
}

const victim = "lk-qingshi-1"

func killTenTimes(t *testing.T, o options, driver, dsn string) {
	var devices []*firmware.Handheld
	told := &ledger{n: map[string]bool{}}
	p := play(t, o, func(s *site) {
		b := s.yard.boards[len(s.yard.boards)-1]
		require.Equal(t, victim, b.id)
		for i := range 3 {
			h := b.handheld(fmt.Sprintf("probe-%d", i+1))
			h.Window = 64
			h.Told(func(n string) { told.add(h.Device + "/" + n) })
			devices = append(devices, h)
		}
		require.NoError(t, s.enrol(t.Context(), b))
	})
	feed, stopFeeding := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	sent := &ledger{n: map[string]bool{}}
	for _, h := range devices {
		feeding.Go(func() { weighOn(feed, h, sent) })
	}
	defer feeding.Wait()
	defer stopFeeding()

	start, rng := time.Now(), rand.New(rand.NewPCG(11, uint64(time.Now().UnixNano())))
	const kills = 10
	for i := 0; ; i++ {
		grown := told.count() + 100
		require.Eventually(t, func() bool { return told.count() >= grown }, 30*time.Second, 5*time.Millisecond, "after %d kills publishes are acknowledged", i)
		if i == kills {
			break
		}
		wait := time.NewTimer(time.Duration(rng.Int64N(int64(400 * time.Millisecond))))
		<-wait.C
		require.NoError(t, p.rack.Kill(victim))
	}
	rate := float64(told.count()) / time.Since(start).Seconds()
	stopFeeding()
	feeding.Wait()
	require.Greater(t, rate, 200.0, "told safe a second, with the outages")
	require.Eventually(t, func() bool {
		for _, h := range devices {
			if h.Waiting() > 0 {
				return false
			}
		}
		return true
	}, 60*time.Second, 20*time.Millisecond, "everything is told safe at last")
	require.Equal(t, 1+kills, p.rack.Starts(victim))

	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer db.Close()
	var rows map[string]int
	require.Eventually(t, func() bool {
		rows, err = weighings(t.Context(), db)
		return err == nil && len(rows) >= told.count()
	}, 60*time.Second, 250*time.Millisecond, "all of it is committed")
	require.NoError(t, err)
	require.Equal(t, sent.count(), told.count())
	for event := range sent.n {
		require.Equal(t, 1, rows[event], "%s is committed once", event)
	}
	require.Len(t, rows, sent.count(), "and nothing else")
	t.Logf("%d readings told safe, %.0f a second, %d starts", told.count(), rate, p.rack.Starts(victim))
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

// ledger is a set of names that several devices add to.
type ledger struct {
	mu sync.Mutex
	n  map[string]bool
}

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

// postgres runs a server of the test's own and returns its URL.
func postgres(t *testing.T) string {
	t.Helper()
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	require.NotEmpty(t, bins, "Postgres is missing: apt-get install postgresql")
	bin := bins[len(bins)-1]
	dir, err := os.MkdirTemp("", "yizhan-pg")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // the server refuses root
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		require.NoError(t, os.Chown(dir, uid, gid))
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	cmd := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr = dir, attr
		return c
	}
	data := filepath.Join(dir, "data")
	out, err := cmd("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale").CombinedOutput()
	require.NoError(t, err, "%s", out)
	port := freePort(t)
	server := cmd("postgres", "-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", dir)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
}
