package spool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// syncsFail lets no sync of a file through.
func syncsFail(o spooltest.Op) error {
	if o.Kind == "sync" {
		return unix.EIO
	}
	return nil
}

// laneOf returns what the spool says of a lane of an epoch.
func laneOf(s *spool.Spool, epoch frame.Epoch, lane telemetry.Lane) (st frame.LaneState) {
	for _, l := range append(s.Kept(), s.Lanes()...) {
		if l.Epoch == epoch && l.Lane == lane {
			return l
		}
	}
	return st
}

// A process finds records that the one before it wrote and never had synced, for the kernel still has them. They are not
// told of before they are on the card.
func TestRecordsOfTheKernelAloneAreNotClaimed(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, "1")
	epoch := s.Epoch()
	fs.SetFault(syncsFail)
	var got error
	require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Custody, "2")}, func(err error) { got = err }))
	s.Step()
	require.ErrorIs(t, got, unix.EIO)
	fs.Kill()
	s = open(t, fs, spool.Options{Rand: seeded(2)})
	require.EqualValues(t, 3, laneOf(s, epoch, telemetry.Custody).Next, "the opening record and 1")
	s = open(t, fs.Cut(spooltest.Keep{None: true}), spool.Options{Rand: seeded(3)})
	s.Step()
	require.Equal(t, []string{"1"}, readings(all(t, s, telemetry.Custody, 9)))
	require.Empty(t, tombstones(t, all(t, s, telemetry.Custody, 9)))
}

// A card that refuses to seal what an opening finds: what was synced counts, the last write counts once the card takes it, and until
// then its file stays.
func TestALastWriteCountsWhenTheCardTakesIt(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, "1")
	put(t, s, telemetry.Custody, "2")
	epoch := s.Epoch()
	fs.Kill()
	names, err := fs.ReadDir("spool")
	require.NoError(t, err)
	fs.SetFault(func(o spooltest.Op) error {
		if slices.Contains(names, o.Name) {
			return syncsFail(o)
		}
		return nil
	})
	c := &clock{}
	s = open(t, fs, spool.Options{Clock: c, Rand: seeded(2), Keep: -1})
	require.EqualValues(t, 3, laneOf(s, epoch, telemetry.Custody).Next, "not yet 2")
	s.Commit(epoch, telemetry.Command, []frame.Range{{From: 1, To: 1}})
	s.Commit(epoch, telemetry.Custody, []frame.Range{{From: 1, To: 2}})
	for range 3 {
		c.pass(time.Hour)
		s.Step()
	}
	require.EqualValues(t, 3, laneOf(s, epoch, telemetry.Custody).Next)

	fs.SetFault(nil)
	c.pass(time.Hour)
	s.Step()
	require.EqualValues(t, 4, laneOf(s, epoch, telemetry.Custody).Next)
	rs, _, err := s.Read(epoch, telemetry.Custody, 3, 9, 1<<20)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, readings(rs))
	select {
	case <-s.Wake():
	default:
		require.Fail(t, "nobody is told")
	}

	s = open(t, fs.Cut(spooltest.Keep{None: true}), spool.Options{Rand: seeded(3)})
	rs, _, err = s.Read(epoch, telemetry.Custody, 3, 9, 1<<20)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, readings(rs))
}

// What the kernel alone has is written again before it is synced: a sync that failed once says nothing when it is repeated.
func TestWhatASyncLostIsWrittenAgain(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Track, "1")
	epoch := s.Epoch()
	fs.SetFault(syncsFail)
	require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Track, "2")}, func(error) {}))
	s.Flush()
	s.Step()
	fs.Kill()
	c := &clock{}
	s = open(t, fs, spool.Options{Clock: c, Rand: seeded(2)})
	fs.SetFault(nil)
	c.pass(time.Hour)
	s.Step()
	next := laneOf(s, epoch, telemetry.Track).Next
	require.EqualValues(t, 4, next)
	s = open(t, fs.Cut(spooltest.Keep{None: true}), spool.Options{Rand: seeded(3)})
	rs, _, err := s.Read(epoch, telemetry.Track, 1, 9, 1<<20)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, readings(rs))
	require.Zero(t, s.Counters()["damaged"])
}

// One read of a card fails, once, whichever it is: what was acknowledged is there, now or after the next opening, or told as lost; and where the file's
// end couldn't be read, it is there.
func TestAReadThatFailsOnceLosesNothing(t *testing.T) {
	made := func() *spooltest.FS {
		fs := spooltest.New()
		s := open(t, fs, spool.Options{})
		for i := range 3 {
			put(t, s, telemetry.Custody, fmt.Sprint(i))
			put(t, s, telemetry.Track, fmt.Sprint(i))
		}
		fs.Kill()
		return fs
	}
	for at := 0; ; at++ {
		fs, n := made(), 0
		fs.SetReadFault(func(name string) error {
			if n++; n == at+1 && !strings.HasSuffix(name, "cursor") {
				return unix.EIO
			}
			return nil
		})
		c := &clock{}
		s := open(t, fs, spool.Options{Clock: c, Rand: seeded(2)})
		if n <= at {
			require.Greater(t, at, 10)
			return
		}
		fs.SetReadFault(nil)
		for range 3 {
			c.pass(time.Hour)
			s.Step()
		}
		told := s.Counters()["set_aside"] + s.Counters()["damaged"]
		fs.Kill()
		s = open(t, fs, spool.Options{Rand: seeded(3)})
		s.Step()
		for _, lane := range []telemetry.Lane{telemetry.Custody, telemetry.Track} {
			if told == 0 {
				require.Equal(t, []string{"0", "1", "2"}, readings(all(t, s, lane, 9)), "read %d", at)
			}
		}
		require.LessOrEqual(t, told, uint64(3), "read %d", at)
	}
}
