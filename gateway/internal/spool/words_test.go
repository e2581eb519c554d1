package spool_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// crowded fills a card whose rest another program takes, with the readings of many probes and with scans between them. What
// must be said of a segment there is several times the room that a live one keeps for it.
type crowded struct {
	acked   map[string]bool // scans
	epoch   frame.Epoch
	refused int
}

const probes = 9

func (c *crowded) fill(fs *spooltest.FS, rounds int) *spool.Spool {
	c.acked = map[string]bool{}
	s, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}, Rand: seeded(1), SegmentBytes: 16 << 10, MaxBytes: 1 << 20})
	if err != nil {
		return nil
	}
	c.epoch = s.Epoch()
	fs.SetLimit(10 * 16 << 10)
	add := func(e frame.Entry, done func(error)) {
		if s.Append([]frame.Entry{e}, done) != nil {
			c.refused++
		}
		s.Flush()
		s.Step()
	}
	for i := range rounds {
		if fs.Crashed() {
			break
		}
		if i == 3 {
			fs.SetLimit(fs.Used()) // another program fills what is left
		}
		for p := range probes {
			add(climate("box", fmt.Sprint("p", p), i, wave(i)), func(error) {})
		}
		scan := fmt.Sprintf("%04d%s", i, strings.Repeat("s", 300))
		add(entry(telemetry.Custody, scan), func(err error) {
			if err == nil && !fs.Crashed() {
				c.acked[scan] = true
			}
		})
		for _, st := range s.Lanes() { // the cloud has the scans, or custody would take all
			if st.Lane == telemetry.Custody {
				s.Commit(st.Epoch, st.Lane, []frame.Range{{From: 1, To: uint64(max(1, i-20))}})
			}
		}
	}
	return s
}

// What must be said of a segment may be more than the live one has room for: it is durable all the same before the
// segment goes, on a card that others fill, wherever the power is cut.
func TestMuchToSayIsDurableBeforeItsSegmentGoes(t *testing.T) {
	const rounds = 60
	var whole crowded
	fs := spooltest.New()
	s := whole.fill(fs, rounds)
	require.NotNil(t, s)
	require.Zero(t, whole.refused)
	require.Len(t, whole.acked, rounds, "scans go on")
	require.Greater(t, s.Counters()["dropped"], uint64(200))
	require.Greater(t, s.Counters()["summaries"], uint64(3*probes))
	ops := fs.Ops()
	last := -100
	for at := 0; at < len(ops); at += stride {
		if o := ops[at]; o.Kind != "write" && o.Kind != "sync" || strings.HasPrefix(o.Name, "spare") {
			last = at
		}
		if at-last > 4 {
			continue
		}
		var c crowded
		cut := spooltest.New()
		cut.CrashAt(at, ops[at].Len/2)
		c.fill(cut, rounds)
		for _, keep := range []spooltest.Keep{{None: true}, {}} {
			c.check(t, cut.Cut(keep), fmt.Sprintf("op %d of %d %+v", at, len(ops), ops[at]))
		}
	}
}

func (c *crowded) check(t *testing.T, left *spooltest.FS, when string) {
	s, err := spool.Open(left, "spool", spool.Options{Clock: &clock{}, Rand: seeded(2), SegmentBytes: 16 << 10, MaxBytes: 1 << 20})
	require.NoError(t, err)
	s.Step()
	require.Zero(t, s.Counters()["damaged"], when)
	var scans []string
	for _, st := range append(s.Kept(), s.Lanes()...) {
		if st.Epoch == c.epoch && st.Lane == telemetry.Condition {
			told(t, s, st, when)
		}
		if st.Epoch == c.epoch && st.Lane == telemetry.Custody {
			rs, _, err := s.Read(st.Epoch, st.Lane, 1, 1000, 1<<20)
			require.NoError(t, err)
			scans = append(scans, readings(rs)...)
		}
	}
	n := 0
	for _, x := range scans {
		if c.acked[x] {
			n++
		}
	}
	require.GreaterOrEqual(t, n, min(20, len(c.acked)), when)
	require.NoError(t, s.Close())
}

// However long a card is full and however often the board starts, there is little to tell of what went: what can be told as
// one is, and the ranges of a tombstone are bounded.
func TestTombstonesBecomeOne(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	opt := spool.Options{Clock: c, SegmentBytes: 8 << 10, MaxBytes: 96 << 10}
	pad := strings.Repeat("p", 200)
	for boot := range uint64(6) {
		opt.Rand = seeded(boot)
		s := open(t, fs, opt)
		for i := range 1200 {
			put(t, s, telemetry.Track, pad)
			if lanes := s.Lanes(); boot == 2 && i%2 == 0 && i < 600 { // no two of those that go meet
				last := lanes[len(lanes)-1].Next - 1
				s.Commit(s.Epoch(), telemetry.Track, []frame.Range{{From: last, To: last}})
			}
		}
		gone, n := map[frame.Epoch]uint64{}, 0
		for _, st := range s.Lanes() {
			for from := st.First; st.Lane == telemetry.Track && from < st.Next; from++ {
				rs, _, err := s.Read(st.Epoch, telemetry.Track, from, 1000, 1<<20)
				require.NoError(t, err)
				for _, ts := range tombstones(t, rs) {
					require.LessOrEqual(t, len(ts.Ranges), 16)
					gone[ts.Epoch] += ts.Count
					n++
				}
				from += uint64(len(rs))
			}
		}
		require.Len(t, gone, int(boot)+1, "of each epoch something is told")
		require.LessOrEqual(t, n, 10*len(gone), "and what was told in a segment that went is told as one: %v", gone)
		require.NoError(t, s.Close())
	}
}

// The place of last words is there after a power cut, when others may have filled the card meanwhile.
func TestSparesOutliveAPowerCut(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, "1")
	for range 20 {
		s.Step()
	}
	spares := func(fs *spooltest.FS) (n int) {
		names, err := fs.ReadDir("spool")
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasPrefix(name, "spare-") {
				n++
			}
		}
		return n
	}
	require.NotZero(t, spares(fs))
	require.Equal(t, spares(fs), spares(fs.Cut(spooltest.Keep{None: true})))
}
