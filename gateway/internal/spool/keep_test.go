package spool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

func commitAll(s *spool.Spool) {
	for _, st := range append(s.Kept(), s.Lanes()...) {
		s.Commit(st.Epoch, st.Lane, []frame.Range{{From: 1, To: st.Next - 1}})
	}
	s.Step()
}

// kept returns all readings of a lane that are on the card, those of the kept tail too.
func kept(t *testing.T, s *spool.Spool, lane telemetry.Lane) []string {
	return readings(allKept(t, s, lane))
}

func allKept(t *testing.T, s *spool.Spool, lane telemetry.Lane) (out []frame.Record) {
	for _, st := range append(s.Kept(), s.Lanes()...) {
		for from := st.First; st.Lane == lane; {
			rs, _, err := s.Read(st.Epoch, lane, from, 100, 1<<20)
			require.NoError(t, err)
			if len(rs) == 0 {
				break
			}
			out = append(out, rs...)
			from = rs[len(rs)-1].Seq + 1
		}
	}
	return out
}

// Committed records stay for Keep of the time that the spool runs, through restarts and whatever the boot's clock says, and are
// read like others.
func TestCommittedRecordsStayForAWhile(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	opt := spool.Options{Clock: c, SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Keep: 10 * 24 * time.Hour}
	var want []string
	epochs := map[frame.Epoch]bool{}
	for i := range 5 { // each opening is a boot of its own, and runs two days
		c.mono = time.Duration(i) * time.Second
		opt.Rand = seeded(uint64(i))
		s := open(t, fs, opt)
		s.Step()
		epochs[s.Epoch()] = true
		for range 20 {
			want = append(want, fmt.Sprintf("%04d%s", len(want), strings.Repeat("x", 300)))
			put(t, s, telemetry.Custody, want[len(want)-1])
		}
		commitAll(s)
		require.True(t, slices.Equal(want, kept(t, s, telemetry.Custody)))
		waiting := s.Health().Waiting
		require.Zero(t, waiting)
		require.LessOrEqual(t, len(s.Lanes()), 8, "hello lists the live epoch and one of the tail")
		if i > 1 {
			require.Len(t, s.Kept(), (i-1)*4)
		}
		for range 48 {
			c.pass(time.Hour)
			s.Step()
		}
		require.NoError(t, s.Close())
	}
	c.mono = 0
	opt.Rand = seeded(9)
	s := open(t, fs, opt)
	s.Step()
	for range 25 { // ten days and a bit since the first were committed; what was in their last segment stays since that ended
		c.pass(time.Hour)
		s.Step()
	}
	got := kept(t, s, telemetry.Custody)
	require.False(t, slices.Contains(got, want[0]))
	require.True(t, slices.Equal(want[20:], got[len(got)-80:]), "the second stay")
	require.Len(t, epochs, 5)
	require.NoError(t, s.Close())

	fs.Put("spool/cursor", []byte("{")) // without the cursor the tail begins anew to be kept, and nothing is settled
	opt.Rand = seeded(10)
	s = open(t, fs, opt)
	s.Step()
	require.True(t, slices.Equal(got, kept(t, s, telemetry.Custody)))
	require.NotZero(t, s.Health().Waiting)
}

// The kept tail is the first to go when room is needed, the oldest of it first, and nothing is told of it; what waits stays.
func TestTheKeptTailGoesBeforeAnythingElse(t *testing.T) {
	s := open(t, spooltest.New(), spool.Options{SegmentBytes: 4 << 10, MaxBytes: 64 << 10})
	pad := strings.Repeat("p", 500)
	for i := range 60 {
		put(t, s, telemetry.Custody, fmt.Sprintf("old%04d%s", i, pad))
	}
	commitAll(s)
	put(t, s, telemetry.Track, "waits"+pad)
	for i := range 60 {
		put(t, s, telemetry.Custody, fmt.Sprintf("new%04d%s", i, pad))
		require.LessOrEqual(t, s.Counters()["bytes"], uint64(64<<10))
	}
	left := kept(t, s, telemetry.Custody)
	require.Equal(t, 60, len(left)-strings.Count(strings.Join(left, ""), "old"))
	require.Contains(t, readings(all(t, s, telemetry.Track, 10)), "waits"+pad)
	c := s.Counters()
	require.Zero(t, c["dropped"]+c["refused"])
	for _, lane := range telemetry.Lanes {
		require.Empty(t, tombstones(t, all(t, s, lane, 100)))
	}
	h := s.Health()
	require.EqualValues(t, 61, h.Waiting)
	require.Less(t, h.Held+h.Kept, h.MaxBytes+1)
	require.NoError(t, s.Close())
}

func TestHealth(t *testing.T) {
	c := &clock{}
	fs := spooltest.New()
	s := open(t, fs, spool.Options{Clock: c, SegmentBytes: 64 << 10, MaxBytes: 1 << 20})
	s.Step()
	commitAll(s)
	require.Zero(t, s.Health().Oldest)
	c.pass(time.Minute)
	put(t, s, telemetry.Custody, "1")
	c.pass(90 * time.Second)
	put(t, s, telemetry.Track, "2")
	h := s.Health()
	require.Equal(t, 90*time.Second, h.Oldest)
	require.EqualValues(t, 2, h.Waiting)
	require.NotZero(t, h.WrittenPerHour)
	require.NotZero(t, h.Spare)
	require.Less(t, h.Fill(), 0.2)
	require.False(t, h.Mirrored || h.MirrorLost || h.Thinned)
	for range 61 {
		c.pass(time.Minute)
		s.Step()
	}
	s.Step()
	full := s.Health()
	require.GreaterOrEqual(t, full.SyncsPerHour, h.SyncsPerHour)
	for range 61 {
		c.pass(time.Minute)
		s.Step()
	}
	require.Less(t, s.Health().WrittenPerHour, full.WrittenPerHour, "an hour in which little was written")
	require.NoError(t, s.Close())
}
