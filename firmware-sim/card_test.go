package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A board whose card has 1 MB, of which another program takes a part, then all that is left, and gives it back. The gateway stays up;
// climate goes with tombstones; weights, which must be kept, go on in the room that is left and are refused when there is none,
// never acknowledged and lost; afterwards all is in the cloud and accounted for.
func TestASmallCardThatOthersFill(t *testing.T) {
	t.Parallel()
	if !inside(t, syscall.CLONE_NEWNS) {
		return
	}
	const unit = "lk-qingshi-1"
	var b *board
	var dir string
	var scale, air *probe
	p := play(t, options{speed: 1}, func(s *site) {
		b = s.yard.boards[len(s.yard.boards)-1]
		require.Equal(t, unit, b.id)
		scale, air = addProbe(s, b, "scale-1"), addProbe(s, b, "air-1")
		require.NoError(t, s.enrol(t.Context(), b))
		alter(t, b.file("gateway.yaml"), "max_bytes: 256MiB, segment_bytes: 1MiB", "max_bytes: 4MiB, segment_bytes: 64KiB")
		dir = mountCard(t, b, "1m")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "others"), make([]byte, 300<<10), 0o600))
	})
	runProbe(t, scale, b.broker())
	runProbe(t, air, b.broker())
	scale.weigh(unit, 200)
	require.True(t, within(patience, func() bool { return scale.told.count() == 200 && committed(p.site, unit) > 200 }), "it works while there is room")
	p.links[unit].Cut()

	p.breathe(t, b, air) // until the card is full and the first of it had to go
	before := counters(b)
	others := filepath.Join(dir, "others")
	size := fillRest(t, others)
	t.Logf("others have %d KB, the spool %.0f KB; %.0f records dropped", size>>10, before["spool bytes"]/1024, before["spool dropped"])

	scale.weigh(unit, 300)
	require.True(t, within(patience, func() bool { return scale.told.count() == 500 }), "weights go on: %d", scale.told.count())
	fillRest(t, others)
	require.Greater(t, counters(b)["spool dropped"], before["spool dropped"], "climate goes for them")

	scale.weigh(unit, 6000)
	require.True(t, within(patience, func() bool {
		return counters(b)["spool refused"]+counters(b)["spool failed"] > before["spool refused"]+before["spool failed"]
	}))
	fillRest(t, others)
	told := scale.told.count()
	require.Less(t, told, scale.sent.count(), "no room, no word")
	require.Equal(t, 1, p.rack.Starts(unit), "it stays up")
	t.Logf("%d of %d weights told safe when nothing was left", told, scale.sent.count())
	resp, err := http.Get("http://" + b.status() + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	require.NoError(t, p.rack.Kill(unit)) // and starts again on a card without room
	require.True(t, within(patience, func() bool { return p.rack.Starts(unit) == 2 && counters(b) != nil }), "it starts")

	require.NoError(t, os.Remove(others))
	require.True(t, within(patience, func() bool { return scale.told.count() > told }), "and takes more when there is room again")
	p.links[unit].Mend()
	require.True(t, within(patience, func() bool { return scale.Waiting()+air.Waiting() == 0 }), "all is told safe: %d waiting", scale.Waiting())
	require.Equal(t, scale.sent.count(), scale.told.count())
	p.auditOf(t, []*probe{scale})
	var books account
	require.True(t, within(patience, func() bool {
		books = p.books(unit)
		return books.Produced > 0 && books.Spooled == 0 && books.Unexplained == 0 && books.Dropped > 0
	}), "%+v", books)
	t.Logf("the ledger: %+v", books)
	require.Equal(t, 2, p.rack.Starts(unit))
}

// breathe publishes climate until the spool drops some.
func (p *played) breathe(t *testing.T, b *board, air *probe) {
	t.Helper()
	require.True(t, within(patience, func() bool {
		for k := 0; k < 200 && air.Waiting() < 400; k++ {
			k := air.sent.count()
			_, err := air.Queue("climate", time.Time{}, map[string]any{"probe": "a", "temperature_c": math.Round(100*math.Sin(float64(k))) / 10})
			if err != nil {
				return false
			}
			air.sent.add(fmt.Sprint(k))
		}
		return counters(b)["spool dropped"] > 0
	}), "the card fills: %v", counters(b))
	require.True(t, within(patience, func() bool { return air.Waiting() == 0 }), "and climate is taken all the same")
}

// account is what the cloud's ledger says of a gateway.
type account struct{ Produced, Committed, Spooled, Dropped, Unexplained uint64 }

func (p *played) books(gateway string) (a account) {
	_ = p.front.get(context.Background(), "/api/v1/gateways/"+gateway+"/ledger", &a) // zeros until it answers
	return a
}

// committed is how many records of a gateway the cloud has.
func committed(s *site, gateway string) uint64 {
	p := played{site: s}
	return p.books(gateway).Committed
}

// auditOf compares what devices were told is safe with what the cloud's database holds.
func (p *played) auditOf(t *testing.T, probes []*probe) {
	t.Helper()
	var rows map[string]int
	var err, wrong error
	want := 0
	for _, x := range probes {
		want += x.sent.count()
	}
	if !within(patience, func() bool {
		rows, err = p.weights(t)
		return err == nil && len(rows) >= want
	}) {
		t.Errorf("%d told safe, %d committed (%v)", want, len(rows), err)
	}
	for _, x := range probes {
		for event := range x.sent.n {
			if n := rows[event]; n != 1 {
				wrong = errors.Join(wrong, fmt.Errorf("%s: %d times", event, n))
			}
		}
	}
	require.NoError(t, wrong)
	require.Len(t, rows, want, "and nothing else")
}

// weights counts the rows of each weight in the cloud's database.
func (s *site) weights(t *testing.T) (map[string]int, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "state.db")+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	return weighings(t.Context(), db)
}
