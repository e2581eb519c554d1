//go:build !race

package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The cloud's database is put back to a copy of yesterday's: what it has forgotten comes again from the vans' cards,
// from boots that were long done with too, each fix once, and nothing is alarmed as lost.
func TestADatabaseThatIsPutBackIsFilledFromTheCards(t *testing.T) {
	dir := t.TempDir()
	county, err := filepath.Abs(filepath.Join("..", "..", "..", "configs", "county"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)))
		began := time.Now()
		b, err := New(dir, county, kinds)
		require.NoError(t, err)
		defer b.Close()
		cloud := func() running {
			s, err := b.Cloud(t.Context())
			require.NoError(t, err)
			return start(t.Context(), s.Run)
		}
		r := &receiver{fixes: make(chan int, 1)}
		r.fixes <- 0
		van := func() running {
			e, err := b.Gateway("van-01", `[{id: gps, kind: gnss, port: "serial:/dev/gps?baud=9600"}]`, r.open)
			require.NoError(t, err)
			return start(t.Context(), e.Run)
		}
		drive := func(d time.Duration) {
			v := van()
			time.Sleep(d + half)
			v.stop(t)
			time.Sleep(10 * time.Second)
		}
		c := cloud()
		drive(2 * time.Minute)
		c.stop(t)
		backup := t.TempDir()
		copyState(t, dir, backup)

		c = cloud()
		for range 3 {
			drive(2 * time.Minute)
		}
		sent := <-r.fixes
		require.Equal(t, sent, trackLength(t, b, began))
		r.fixes <- sent
		c.stop(t)
		copyState(t, backup, dir)

		c = cloud()
		require.Less(t, trackLength(t, b, began), sent/2, "the copy knows the first drive")
		v := van()
		time.Sleep(5*time.Minute + half)
		v.stop(t)
		sent = <-r.fixes
		time.Sleep(30 * time.Second)
		require.Equal(t, sent, trackLength(t, b, began), "each fix once")
		var ledger struct {
			Lanes []struct{ Produced, Committed, Unexplained uint64 } `json:"lanes"`
		}
		require.NoError(t, b.Get(t.Context(), "/api/v1/gateways/van-01/ledger", &ledger))
		require.GreaterOrEqual(t, len(ledger.Lanes), 5*4, "all five boots")
		for _, l := range ledger.Lanes {
			require.Zero(t, l.Unexplained)
		}
		c.stop(t)
	})
}

// copyState puts the files of the cloud's database from one folder into another, and nothing else of it stays there.
func copyState(t *testing.T, from, to string) {
	names, err := os.ReadDir(to)
	require.NoError(t, err)
	for _, n := range names {
		if strings.HasPrefix(n.Name(), "state.db") {
			require.NoError(t, os.Remove(filepath.Join(to, n.Name())))
		}
	}
	names, err = os.ReadDir(from)
	require.NoError(t, err)
	for _, n := range names {
		if strings.HasPrefix(n.Name(), "state.db") {
			b, err := os.ReadFile(filepath.Join(from, n.Name()))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(to, n.Name()), b, 0o600))
		}
	}
}
