package ingest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/ingest"
	"yizhan/cloud/internal/state"
	"yizhan/cloud/internal/state/pgtest"
	"yizhan/devices/telemetry"
)

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// A board fills and signs frames of one lane.
type board struct {
	t    testing.TB
	name string
	enc  *frame.Encoder
	next uint64
	prev [32]byte
}

func newBoard(t testing.TB, name string, k ed25519.PrivateKey) *board {
	enc, err := frame.NewEncoder(k)
	require.NoError(t, err)
	return &board{t: t, name: name, enc: enc, next: 1}
}

func (b *board) frame(readings int) []byte {
	f := &frame.Frame{Gateway: b.name, Epoch: 7, Lane: telemetry.Track, Prev: b.prev}
	for range readings {
		r := telemetry.New("gps", time.Date(2026, 1, 1, 0, 0, int(b.next), 0, time.UTC), telemetry.GNSS, telemetry.Position{Lat: telemetry.Some(30.0), Lon: telemetry.Some(103.0), Valid: true})
		rec := frame.Record{Seq: b.next, Type: frame.TypeReading, Quality: telemetry.Unknown, MonoNS: int64(b.next), Payload: r.AppendJSON(nil)}
		b.prev = rec.Hash(7, telemetry.Track)
		b.next++
		f.Records = append(f.Records, rec)
	}
	raw, err := b.enc.Encode(f)
	require.NoError(b.t, err)
	return raw
}

// A desk is an ingest with what it told outside.
type desk struct {
	*ingest.Ingest
	mu     sync.Mutex
	acks   map[string][]frame.Ack
	handed []county.Archived
}

func newDesk(cfg ingest.Config) *desk {
	d := &desk{acks: map[string][]frame.Ack{}}
	cfg.Keys = func(g string) (ed25519.PublicKey, bool) {
		if g == "nobody" {
			return nil, false
		}
		return key(1).Public().(ed25519.PublicKey), true
	}
	cfg.Send = func(g, what string, payload []byte) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		var a frame.Ack
		if err := json.Unmarshal(payload, &a); err != nil {
			return err
		}
		d.acks[g+" "+what] = append(d.acks[g+" "+what], a)
		return nil
	}
	cfg.Hand = func(frames []county.Archived) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.handed = append(d.handed, frames...)
	}
	d.Ingest = ingest.New(cfg)
	return d
}

func (d *desk) last(gateway string) frame.Ack {
	d.mu.Lock()
	defer d.mu.Unlock()
	if as := d.acks[gateway+" ack"]; len(as) > 0 {
		return as[len(as)-1]
	}
	return frame.Ack{}
}

func (d *desk) told(gateway string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.acks[gateway+" ack"])
}

func (d *desk) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func stores(t *testing.T) map[string]string {
	pg, err := pgtest.Start("fsync=off")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	return map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "s.db"), "postgres": pg.Database(t)}
}

func open(t *testing.T, url string) *state.Store {
	s, err := state.Open(t.Context(), url, state.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestFramesAreAcknowledgedAfterTheirCommit(t *testing.T) {
	for name, url := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := open(t, url)
			d := newDesk(ingest.Config{Ledger: s, Greeter: s})
			d.run(t)
			b := newBoard(t, "van-01", key(1))
			first, second := b.frame(10), b.frame(5)
			for _, raw := range [][]byte{first, second, first} {
				require.NoError(t, d.Frame(t.Context(), "van-01", "track", raw))
			}
			require.Eventually(t, func() bool { return len(d.last("van-01").Ranges) == 1 && d.last("van-01").Ranges[0].To == 15 }, time.Minute, time.Millisecond)
			n, err := s.Counts(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 15, n["readings"])
			require.Positive(t, d.last("van-01").Credit)
			hello, err := json.Marshal(frame.Hello{Boot: frame.Boot{1}, Lanes: []frame.LaneState{{Epoch: 7, Lane: telemetry.Track, First: 1, Next: 20}}})
			require.NoError(t, err)
			require.NoError(t, d.Hello(t.Context(), "van-01", hello))
			require.Equal(t, []frame.Range{{From: 1, To: 15}}, d.last("van-01").Ranges)

			archive, err := s.Frames(t.Context(), 0, 10, 1<<20)
			require.NoError(t, err)
			d.mu.Lock()
			defer d.mu.Unlock()
			require.Len(t, d.handed, 2, "the frame that came twice is archived and handed over once")
			for i := range archive {
				require.Len(t, d.handed[i].Arrival.Sights, len(d.handed[i].Arrival.Frame.Records))
				require.NotNil(t, d.handed[i].Arrival.Sights[0].Position)
				d.handed[i].Arrival, d.handed[i].Received = nil, d.handed[i].Received.UTC()
			}
			require.Equal(t, archive, d.handed, "as it would be read")
		})
	}
}

func TestWhatIsRefusedIsKeptAndNotAcknowledged(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "s.db"))
	d := newDesk(ingest.Config{Ledger: s, Greeter: s})
	d.run(t)
	good := newBoard(t, "van-01", key(1))
	raw := good.frame(3)
	bent := bytes.Clone(raw)
	bent[len(bent)-1] ^= 1
	for _, c := range []struct {
		gateway, lane string
		raw           []byte
	}{
		{"van-02", "track", raw}, {"van-01", "custody", raw}, {"van-01", "track", bent}, {"van-01", "track", raw[:40]}, {"van-01", "track", nil},
		{"van-01", "track", newBoard(t, "van-01", key(2)).frame(1)}, {"nobody", "track", newBoard(t, "nobody", key(1)).frame(1)},
	} {
		require.NoError(t, d.Frame(t.Context(), c.gateway, c.lane, c.raw))
	}
	require.NoError(t, d.Hello(t.Context(), "van-01", []byte(`{"lanes":[{"epoch":"0000000000000000"}]}`)))
	require.Eventually(t, func() bool {
		n, err := s.Counts(t.Context())
		return err == nil && n["quarantine"] == 8
	}, time.Minute, time.Millisecond)
	require.Zero(t, d.told("van-01")+d.told("van-02")+d.told("nobody"))
	require.Equal(t, map[string]uint64{"frames": 7, "bad_gateway": 1, "bad_format": 3, "bad_signature": 3, "hellos": 1, "bad_hello": 1}, without(d.Counters(), "groups"))
	require.NoError(t, d.Frame(t.Context(), "van-01", "track", raw))
	require.Eventually(t, func() bool { return len(d.last("van-01").Ranges) == 1 }, time.Minute, time.Millisecond)
}

func without(m map[string]uint64, k string) map[string]uint64 {
	delete(m, k)
	return m
}

// A fake ledger commits in memory, trips over some frames, and is away when told.
type fake struct {
	mu       sync.Mutex
	trips    func(a *county.Arrival) bool
	away     int
	commits  int
	largest  int
	kept     []string
	poisoned []string
}

func (l *fake) Commit(_ context.Context, group []county.Arrival) (vs []county.Verdict, _ []county.Change, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away > 0 {
		l.away--
		return nil, nil, fmt.Errorf("connect: %w", county.ErrAway)
	}
	for i := range group {
		if l.trips != nil && l.trips(&group[i]) {
			return nil, nil, errors.New("rule tripped")
		}
	}
	l.commits++
	l.largest = max(l.largest, len(group))
	for i := range group {
		f := group[i].Frame
		l.kept = append(l.kept, fmt.Sprint(f.Gateway, f.First()))
		vs = append(vs, county.Verdict{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane, Fresh: len(f.Records), Ranges: []frame.Range{{From: 1, To: f.Last()}}})
	}
	return vs, nil, nil
}

func (l *fake) Poison(_ context.Context, a county.Arrival, _ string) (county.Verdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := a.Frame
	l.poisoned = append(l.poisoned, fmt.Sprint(f.Gateway, f.First()))
	return county.Verdict{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane, Fresh: len(f.Records), Ranges: []frame.Range{{From: 1, To: f.Last()}}}, nil
}

func (l *fake) Quarantine(context.Context, []county.Refusal) error { return nil }

func TestPoisonIsFoundAndTheOthersAreCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fake{trips: func(a *county.Arrival) bool { return a.Frame.Gateway == "van-07" }}
		d := newDesk(ingest.Config{Ledger: l})
		d.run(t)
		for i := range 16 {
			name := fmt.Sprintf("van-%02d", i)
			require.NoError(t, d.Frame(t.Context(), name, "track", newBoard(t, name, key(1)).frame(1)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, l.kept, 15)
		require.Equal(t, []string{"van-071"}, l.poisoned)
		for i := range 16 {
			require.Len(t, d.last(fmt.Sprintf("van-%02d", i)).Ranges, 1, i)
		}
		require.EqualValues(t, 1, d.Counters()["poison"])
	})
}

func TestStoreAwayHoldsAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fake{away: 12}
		d := newDesk(ingest.Config{Ledger: l, Online: func() []string { return []string{"van-01", "van-02"} }})
		d.run(t)
		b := newBoard(t, "van-01", key(1))
		start := time.Now()
		for range 3 {
			require.NoError(t, d.Frame(t.Context(), "van-01", "track", b.frame(2)))
		}
		synctest.Wait()
		time.Sleep(30 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 0, d.last("van-01").Credit)
		require.Empty(t, d.last("van-01").Ranges)
		require.Equal(t, 1, d.told("van-01"), "told once")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []frame.Range{{From: 1, To: 6}}, d.last("van-01").Ranges)
		require.Positive(t, d.last("van-01").Credit)
		require.EqualValues(t, 12, d.Counters()["retries"])
		require.Equal(t, 1, d.told("van-02"), "one that was silent meanwhile resumes too")
		quiet := d.last("van-02")
		require.Positive(t, quiet.Credit)
		require.LessOrEqual(t, quiet.Credit, 10_000, "all connected gateways share")
		require.Zero(t, quiet.Epoch)
		require.Empty(t, quiet.Ranges)
		require.WithinDuration(t, start, time.UnixMilli(quiet.WallMS), 2*time.Minute)
		require.GreaterOrEqual(t, d.last("van-01").WallMS, quiet.WallMS)
		require.Less(t, time.Since(start), 2*time.Minute)
	})
}

func TestFullQueueBlocksTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fake{}
		d := newDesk(ingest.Config{Ledger: l, QueueBytes: 4096})
		b := newBoard(t, "van-01", key(1))
		frames := [][]byte{b.frame(1), b.frame(1), b.frame(1), b.frame(1)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			for _, raw := range frames {
				if err := d.Frame(ctx, "van-01", "track", raw); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		synctest.Wait()
		require.Empty(t, done, "blocked")
		cancel()
		synctest.Wait()
		require.ErrorIs(t, <-done, context.Canceled)
		d.run(t)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, l.kept, 3)
		require.NoError(t, d.Frame(t.Context(), "van-01", "track", frames[3]))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, l.kept, 4)
	})
}

func TestFramesOfManyGatewaysShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fake{}
		d := newDesk(ingest.Config{Ledger: l, MaxFrames: 50})
		for i := range 120 {
			name := fmt.Sprintf("van-%03d", i)
			require.NoError(t, d.Frame(t.Context(), name, "track", newBoard(t, name, key(1)).frame(1)))
		}
		d.run(t)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 50, l.largest)
		require.Equal(t, 3, l.commits)
	})
}

// A crash of Postgres while frames come: what was in flight is committed once it is back, once.
func TestPostgresCrashesUnderWay(t *testing.T) {
	pg, err := pgtest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	s := open(t, pg.Database(t))
	d := newDesk(ingest.Config{Ledger: s, Greeter: s, Linger: time.Millisecond, MaxFrames: 3, Workers: 2})
	d.run(t)
	const boards, frames, records = 8, 30, 4
	sent := make(chan error, boards)
	for i := range boards {
		name := fmt.Sprintf("van-%02d", i)
		b := newBoard(t, name, key(1))
		go func() {
			for range frames {
				if err := d.Frame(context.Background(), name, "track", b.frame(records)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
	}
	for range 3 {
		require.Eventually(t, func() bool { return d.last("van-00").Ranges != nil }, time.Minute, time.Millisecond)
		require.NoError(t, pg.Down(syscall.SIGQUIT))
		require.NoError(t, pg.Up())
	}
	for range boards {
		require.NoError(t, <-sent)
	}
	require.Eventually(t, func() bool {
		for i := range boards {
			if rs := d.last(fmt.Sprintf("van-%02d", i)).Ranges; len(rs) != 1 || rs[0].To != frames*records {
				return false
			}
		}
		return true
	}, time.Minute, 5*time.Millisecond)
	n, err := s.Counts(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, boards*frames*records, n["readings"])
	require.EqualValues(t, 0, n["quarantine"])
	require.Zero(t, d.Counters()["poison"])
}
