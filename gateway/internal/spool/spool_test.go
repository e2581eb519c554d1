package spool_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// clock is a clock that a test moves.
type clock struct {
	mu   sync.Mutex
	mono time.Duration
}

func (c *clock) Stamp() (frame.Boot, int64, int64, telemetry.Quality) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return frame.Boot{1}, int64(c.mono), 0, telemetry.Unknown
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mono += d
}

func seeded(seed uint64) *seededRand { return &seededRand{rand.New(rand.NewPCG(seed, 7))} }

type seededRand struct{ r *rand.Rand }

func (s *seededRand) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 8 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], s.r.Uint64())
		copy(b[i:], w[:])
	}
	return len(b), nil
}

func entry(lane telemetry.Lane, payload string) frame.Entry {
	return frame.Entry{Lane: lane, Type: frame.TypeReading, Payload: []byte(payload)}
}

func open(t testing.TB, fs spool.FS, opt spool.Options) *spool.Spool {
	t.Helper()
	if opt.Clock == nil {
		opt.Clock = &clock{}
	}
	if opt.Rand == nil {
		opt.Rand = seeded(1)
	}
	if opt.SegmentBytes == 0 { // the disk is memory
		opt.SegmentBytes = 64 << 10
	}
	s, err := spool.Open(fs, "spool", opt)
	require.NoError(t, err)
	return s
}

// put appends one entry and commits it.
func put(t testing.TB, s *spool.Spool, lane telemetry.Lane, payload string) {
	t.Helper()
	told := false
	require.NoError(t, s.Append([]frame.Entry{entry(lane, payload)}, func(err error) {
		require.NoError(t, err)
		told = true
	}))
	s.Flush()
	s.Step()
	require.True(t, told)
}

// all returns every record of a lane, oldest epoch first, and checks the chain of hashes.
func all(t testing.TB, s *spool.Spool, lane telemetry.Lane, batch int) (recs []frame.Record) {
	t.Helper()
	for _, st := range s.Lanes() {
		if st.Lane != lane {
			continue
		}
		from := st.First
		var last *frame.Record
		for {
			rs, prev, err := s.Read(st.Epoch, lane, from, batch, 1<<20)
			require.NoError(t, err)
			if len(rs) == 0 {
				break
			}
			if last != nil && last.Seq+1 == rs[0].Seq {
				require.Equal(t, last.Hash(st.Epoch, lane), prev, "chain at %d", rs[0].Seq)
			}
			if rs[0].Seq == 1 {
				require.Zero(t, prev)
			}
			for i := range rs {
				require.Equal(t, rs[0].Seq+uint64(i), rs[i].Seq)
			}
			recs = append(recs, rs...)
			last = &recs[len(recs)-1]
			from = last.Seq + 1
		}
		require.GreaterOrEqual(t, st.Next, from)
	}
	return recs
}

// readings returns the payloads of the readings among recs.
func readings(recs []frame.Record) (out []string) {
	for i := range recs {
		if recs[i].Type == frame.TypeReading {
			out = append(out, string(recs[i].Payload))
		}
	}
	return out
}

func tombstones(t testing.TB, recs []frame.Record) (out []frame.Tombstone) {
	t.Helper()
	for i := range recs {
		if recs[i].Type == frame.TypeTombstone {
			var ts frame.Tombstone
			require.NoError(t, json.Unmarshal(recs[i].Payload, &ts))
			out = append(out, ts)
		}
	}
	return out
}

func TestOpeningsNameTheEpochBefore(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, `{"a":1}`)
	put(t, s, telemetry.Custody, `{"a":2}`)
	put(t, s, telemetry.Track, `{"a":3}`)
	first := s.Epoch()
	require.NoError(t, s.Close())

	s = open(t, fs, spool.Options{Rand: seeded(2)})
	s.Step()
	require.NotEqual(t, first, s.Epoch())
	for _, lane := range telemetry.Lanes {
		rs, prev, err := s.Read(s.Epoch(), lane, 1, 10, 1<<20)
		require.NoError(t, err)
		require.Zero(t, prev)
		require.Len(t, rs, 1)
		require.Equal(t, frame.TypeOpening, rs[0].Type)
		var o frame.Opening
		require.NoError(t, json.Unmarshal(rs[0].Payload, &o))
		require.Equal(t, frame.Opening{Prev: first, Ends: []frame.LaneEnd{
			{Lane: telemetry.Command, Last: 1}, {Lane: telemetry.Custody, Last: 3},
			{Lane: telemetry.Condition, Last: 1}, {Lane: telemetry.Track, Last: 2},
		}}, o)
	}
	require.Equal(t, []string{`{"a":1}`, `{"a":2}`}, readings(all(t, s, telemetry.Custody, 1)))
	require.Equal(t, []string{`{"a":3}`}, readings(all(t, s, telemetry.Track, 100)))
	require.NoError(t, s.Close())
}

func TestMustKeepDoesNotLingerAndMayThinDoes(t *testing.T) {
	c := &clock{}
	s := open(t, spooltest.New(), spool.Options{Clock: c})
	defer s.Close()
	s.Step()
	var told []string
	app := func(lane telemetry.Lane, name string) {
		require.NoError(t, s.Append([]frame.Entry{entry(lane, name)}, func(err error) {
			require.NoError(t, err)
			told = append(told, name)
		}))
	}
	app(telemetry.Track, "1")
	require.Equal(t, 250*time.Millisecond, s.Step())
	c.pass(100 * time.Millisecond)
	require.Equal(t, 150*time.Millisecond, s.Step())
	require.Empty(t, told)
	c.pass(150 * time.Millisecond)
	s.Step()
	require.Equal(t, []string{"1"}, told)

	app(telemetry.Track, "2")
	app(telemetry.Custody, "3") // pulls the commit forward; the order of staging holds
	s.Step()
	require.Equal(t, []string{"1", "2", "3"}, told)

	app(telemetry.Condition, "4")
	s.Flush()
	s.Step()
	require.Equal(t, []string{"1", "2", "3", "4"}, told)

	app(telemetry.Track, string(bytes.Repeat([]byte("x"), 33<<10)))
	s.Step()
	require.Len(t, told, 4)
	app(telemetry.Track, string(bytes.Repeat([]byte("y"), 33<<10)))
	s.Step()
	require.Len(t, told, 6)
}

func TestCommittedSegmentsAreUnlinkedAndOthersStay(t *testing.T) {
	fs := spooltest.New()
	c := &clock{}
	s := open(t, fs, spool.Options{Clock: c, SegmentBytes: 4 << 10, Keep: -1})
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf(`{"i":%d,"pad":"%060d"}`, i, i))
		put(t, s, telemetry.Custody, want[i])
	}
	require.Equal(t, want, readings(all(t, s, telemetry.Custody, 7)))
	before := s.Counters()["segments"]
	s.Commit(s.Epoch(), telemetry.Custody, []frame.Range{{From: 1, To: 50}, {From: 100, To: 150}})
	s.Commit(s.Epoch(), telemetry.Command, []frame.Range{{From: 1, To: 1 << 60}}) // more than there is
	s.Step()
	require.Less(t, s.Counters()["segments"], before)
	left := map[string]bool{}
	for _, r := range readings(all(t, s, telemetry.Custody, 1000)) {
		left[r] = true
	}
	for i := range want {
		if seq := i + 2; seq > 50 && seq < 100 || seq > 150 {
			require.True(t, left[want[i]], "record %d must be kept", seq)
		}
	}
	require.NoError(t, s.Close())

	s = open(t, fs, spool.Options{Clock: c, SegmentBytes: 4 << 10, Rand: seeded(3), Keep: -1})
	s.Step()
	again := map[string]bool{}
	for _, r := range readings(all(t, s, telemetry.Custody, 1000)) {
		again[r] = true
	}
	require.Equal(t, left, again)
	for _, st := range s.Lanes() {
		if st.Epoch != s.Epoch() && st.Lane == telemetry.Custody {
			require.EqualValues(t, 150, st.Acked)
			s.Commit(st.Epoch, st.Lane, []frame.Range{{From: 1, To: st.Next - 1}})
		}
	}
	for _, st := range s.Lanes() {
		if st.Epoch != s.Epoch() {
			s.Commit(st.Epoch, st.Lane, []frame.Range{{From: 1, To: st.Next - 1}})
		}
	}
	require.Zero(t, s.Counters()["damaged"])
	s.Step()
	require.EqualValues(t, 2, s.Counters()["segments"], "only the live epoch's segments stay")
	require.Len(t, s.Lanes(), 4)
	require.NoError(t, s.Close())
}

func TestSecondOpenIsRefused(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	_, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}})
	require.Error(t, err)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Append([]frame.Entry{entry(telemetry.Track, "x")}, nil), spool.ErrClosed)
}

func TestFullDropsOldestMayThinAndRefusesMustKeep(t *testing.T) {
	s := open(t, spooltest.New(), spool.Options{SegmentBytes: 4 << 10, MaxBytes: 64 << 10})
	defer s.Close()
	pad := string(bytes.Repeat([]byte("p"), 500))
	n := 0
	for ; n < 400; n++ { // may-thin alone never fills it
		put(t, s, telemetry.Track, fmt.Sprintf("%s%04d", pad, n))
	}
	require.LessOrEqual(t, s.Counters()["bytes"], uint64(64<<10))
	recs := all(t, s, telemetry.Track, 50)
	got := readings(recs)
	require.Equal(t, fmt.Sprintf("%s%04d", pad, n-1), got[len(got)-1])
	require.Less(t, len(got), n)

	var err error
	kept := 0
	for ; err == nil; kept++ { // must-keep pushes may-thin out, then is refused
		if err = s.Append([]frame.Entry{entry(telemetry.Custody, fmt.Sprintf("%s%04d", pad, kept))}, func(err error) { require.NoError(t, err) }); err == nil {
			s.Step()
		}
	}
	require.ErrorIs(t, err, spool.ErrFull)
	require.Greater(t, kept, 50)
	require.Len(t, readings(all(t, s, telemetry.Custody, 50)), kept-1)
	put(t, s, telemetry.Command, "the reserve") // lane command still has room

	// produced = kept + told as dropped: no seq is neither
	for _, lane := range []telemetry.Lane{telemetry.Condition, telemetry.Track} {
		recs := all(t, s, lane, 100)
		known := map[uint64]bool{}
		for i := range recs {
			known[recs[i].Seq] = true
		}
		for _, ts := range tombstones(t, recs) {
			require.Equal(t, s.Epoch(), ts.Epoch)
			require.Equal(t, "lane_full", ts.Reason)
			for _, r := range ts.Ranges {
				for q := r.From; q <= r.To; q++ {
					known[q] = true
				}
			}
		}
		for _, st := range s.Lanes() {
			for q := uint64(1); st.Lane == lane && q < st.Next; q++ {
				require.True(t, known[q], "%v %d of %d", lane, q, st.Next)
			}
		}
	}
	require.NotZero(t, s.Counters()["dropped"])

	// the cloud commits: there is room again
	for _, st := range s.Lanes() {
		s.Commit(st.Epoch, st.Lane, []frame.Range{{From: 1, To: st.Next - 1}})
	}
	s.Step()
	put(t, s, telemetry.Custody, "again")
}
