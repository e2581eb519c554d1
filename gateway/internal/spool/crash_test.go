package spool_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// history is what a script did to a spool, as those who used it know it.
type history struct {
	appended  map[telemetry.Lane][]string // in order
	acked     map[string]bool
	failed    map[string]bool
	committed map[string]bool // told to be safe in the cloud
	n         int
	crashed   func() bool // nil: never
}

func newHistory() *history {
	return &history{appended: map[telemetry.Lane][]string{}, acked: map[string]bool{}, failed: map[string]bool{}, committed: map[string]bool{}}
}

func (h *history) append(s *spool.Spool, size int, lanes ...telemetry.Lane) {
	var es []frame.Entry
	var names []string
	for _, l := range lanes {
		h.n++
		p := fmt.Sprintf("%06d%s", h.n, strings.Repeat("x", size))
		es = append(es, entry(l, p))
		names = append(names, p)
	}
	err := s.Append(es, func(err error) {
		if h.crashed != nil && h.crashed() {
			return
		}
		for _, n := range names {
			if err == nil {
				h.acked[n] = true
			} else {
				h.failed[n] = true
			}
		}
	})
	if err != nil {
		return
	}
	for i, l := range lanes {
		h.appended[l] = append(h.appended[l], names[i])
	}
}

// commit tells the spool that the cloud has every second half of what it holds.
func (h *history) commit(t require.TestingT, s *spool.Spool, part uint64) {
	for _, st := range s.Lanes() {
		if st.Next-st.First < part+1 {
			continue
		}
		r := frame.Range{From: st.First, To: st.First + (st.Next-st.First)/part}
		for from := r.From; from <= r.To; {
			rs, _, err := s.Read(st.Epoch, st.Lane, from, 1000, 1<<20)
			if errors.Is(err, spooltest.ErrCrashed) {
				return
			}
			require.NoError(t, err)
			if len(rs) == 0 {
				break
			}
			for i := range rs {
				if rs[i].Seq <= r.To {
					h.committed[string(rs[i].Payload)] = true
				}
			}
			from = rs[len(rs)-1].Seq + 1
		}
		s.Commit(st.Epoch, st.Lane, []frame.Range{r})
	}
}

// check compares a spool that was opened again with the history: everything acknowledged is there unless it was
// committed, nothing was invented, order is kept, and what wasn't acknowledged has survived as a
// prefix (hole tells whether failures in between may have left holes).
func (h *history) check(t testing.TB, s *spool.Spool, hole bool) {
	t.Helper()
	for _, lane := range telemetry.Lanes {
		got := readings(all(t, s, lane, 3))
		want := h.appended[lane]
		i := 0
		var missing []string
		for _, g := range got {
			for ; i < len(want) && want[i] != g; i++ {
				missing = append(missing, want[i])
			}
			require.Less(t, i, len(want), "%v: %.8s was invented, or is out of order", lane, g)
			i++
			if hole {
				continue
			}
			for _, m := range missing {
				require.True(t, h.committed[m], "%v: %.8s is lost and %.8s is not", lane, m, g)
			}
		}
		missing = append(missing, want[i:]...)
		for _, m := range missing {
			require.False(t, h.acked[m] && !h.committed[m], "%v: %.8s was acknowledged and is lost", lane, m)
		}
	}
}

var script = []func(t require.TestingT, h *history, s *spool.Spool, c *clock){
	func(_ require.TestingT, h *history, s *spool.Spool, _ *clock) { h.append(s, 10, telemetry.Custody) },
	func(_ require.TestingT, h *history, s *spool.Spool, c *clock) {
		h.append(s, 100, telemetry.Track)
		h.append(s, 100, telemetry.Track, telemetry.Condition)
		c.pass(300 * time.Millisecond)
	},
	func(_ require.TestingT, h *history, s *spool.Spool, _ *clock) {
		for range 5 {
			h.append(s, 400, telemetry.Track)
			h.append(s, 300, telemetry.Custody, telemetry.Command)
		}
	},
	func(_ require.TestingT, h *history, s *spool.Spool, c *clock) {
		h.append(s, 700, telemetry.Condition)
		c.pass(11 * time.Minute)
	},
	func(t require.TestingT, h *history, s *spool.Spool, _ *clock) {
		h.append(s, 1500, telemetry.Custody)
		h.commit(t, s, 2)
	},
	func(_ require.TestingT, h *history, s *spool.Spool, _ *clock) {
		h.append(s, 1500, telemetry.Custody, telemetry.Track, telemetry.Custody)
	},
}

// play runs the script in sessions of the spool, until the power goes.
func play(t require.TestingT, fs *spooltest.FS, sessions, rounds int) *history {
	h, c := newHistory(), &clock{}
	for i := range sessions {
		s, err := spool.Open(fs, "spool", spool.Options{Clock: c, Rand: seeded(uint64(i)), SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Keep: -1})
		if err != nil {
			return h
		}
		for range rounds {
			for _, step := range script {
				step(t, h, s, c)
				s.Step()
			}
		}
		if i%2 == 0 {
			_ = s.Close()
		} else {
			_ = s.Append(nil, func(error) {}) // left as a killed process leaves it
			fs = fs.Cut(spooltest.Keep{})
		}
	}
	return h
}

func reopened(t testing.TB, fs *spooltest.FS) *spool.Spool {
	t.Helper()
	s, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}, Rand: seeded(99), SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
	require.NoError(t, err)
	s.Step()
	return s
}

// A power cut at every operation of the script, with what was unsynced lost, kept, or torn by sectors.
func TestCrashAtEveryOperation(t *testing.T) {
	whole := spooltest.New()
	h := play(t, whole, 2, 2)
	ops := whole.Ops()
	require.Greater(t, len(ops), 60)
	require.NotEmpty(t, h.committed)
	freed, reused := 0, 0
	for _, o := range ops {
		if o.Kind == "rename" && strings.HasPrefix(o.Name, "spare-") {
			reused++
		} else if o.Kind == "rename" && strings.HasSuffix(o.Name, ".seg") {
			freed++
		}
	}
	require.Greater(t, freed, 4, "committed segments become spares")
	require.Greater(t, reused, 10, "and spares segments")
	for at := 0; at < len(ops); at += stride {
		fs := spooltest.New()
		fs.CrashAt(at, ops[at].Len/2)
		h := play(t, fs, 2, 2)
		keeps := []spooltest.Keep{{None: true}, {}}
		for i := range 8 {
			keeps = append(keeps, spooltest.Keep{Rand: rand.New(rand.NewPCG(uint64(at), uint64(i)))})
		}
		for _, k := range keeps {
			left := fs.Cut(k)
			s := reopened(t, left)
			h.check(t, s, false)
			require.Zero(t, s.Counters()["damaged"], "op %d %+v", at, ops[at])
			require.Zero(t, s.Counters()["set_aside"], "op %d %+v", at, ops[at])
			require.NoError(t, s.Close())
		}
	}
}

// A write torn at every byte.
func TestCrashAtEveryByte(t *testing.T) {
	whole := spooltest.New()
	play(t, whole, 1, 1)
	for at, op := range whole.Ops() {
		for b := 0; op.Kind == "write" && b < op.Len; b += stride + op.Len/256 {
			fs := spooltest.New()
			fs.CrashAt(at, b)
			h := play(t, fs, 1, 1)
			s := reopened(t, fs.Cut(spooltest.Keep{}))
			h.check(t, s, false)
			require.Zero(t, s.Counters()["damaged"], "op %d byte %d", at, b)
		}
	}
}

// Power cuts during recovery, again and again.
func TestCrashInRecovery(t *testing.T) {
	whole := spooltest.New()
	play(t, whole, 2, 2)
	last := len(whole.Ops())
	for round := range 40 {
		rng := rand.New(rand.NewPCG(uint64(round), 1))
		fs := spooltest.New()
		fs.CrashAt(last-1-rng.IntN(30), rng.IntN(100))
		h := play(t, fs, 2, 2)
		for i := range 6 {
			fs = fs.Cut(spooltest.Keep{Rand: rng})
			fs.CrashAt(rng.IntN(12), rng.IntN(200))
			s, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}, Rand: seeded(uint64(100 + i)), SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
			if err == nil {
				s.Step()
				_ = s.Close()
			}
		}
		s := reopened(t, fs.Cut(spooltest.Keep{Rand: rng}))
		h.check(t, s, false)
		require.Zero(t, s.Counters()["damaged"], "round %d", round)
	}
}

// Every kind of sync that lies is found out when the power goes soon after: nothing acknowledged may rest on a sync that
// didn't happen. The other way round it shows that the tests above can fail.
func TestEverySyncMatters(t *testing.T) {
	whole := spooltest.New()
	play(t, whole, 1, 1)
	found := map[string]int{}
	for at, op := range whole.Ops() {
		if op.Kind != "sync" && op.Kind != "syncdir" || op.Name == "cursor.new" {
			continue
		}
		for later := 1; later < 10; later++ {
			fs := spooltest.New()
			n := -1
			fs.SetLie(func(spooltest.Op) bool { n++; return n == at })
			fs.CrashAt(at+later, 0)
			h := play(t, fs, 1, 1)
			s := reopened(t, fs.Cut(spooltest.Keep{None: true}))
			for _, lane := range telemetry.Lanes {
				got := readings(all(t, s, lane, 100))
				for _, w := range h.appended[lane] {
					if h.acked[w] && !h.committed[w] && !slices.Contains(got, w) {
						found[op.Kind]++
					}
				}
			}
		}
	}
	require.NotZero(t, found["sync"])
	require.NotZero(t, found["syncdir"])
}

// After a failed fsync the file is never trusted again: what it was to hold is in another, and survives.
func TestFailedSyncIsRewrittenElsewhere(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, "1")
	failed := ""
	fs.SetFault(func(o spooltest.Op) error {
		if o.Kind == "sync" && failed == "" {
			failed = o.Name
			return unix.EIO
		}
		require.False(t, o.Name == failed && (o.Kind == "write" || o.Kind == "sync"), "%s of the file that failed", o.Kind)
		return nil
	})
	put(t, s, telemetry.Custody, "2")
	put(t, s, telemetry.Custody, "3")
	require.EqualValues(t, 1, s.Counters()["io_errors"])
	require.Equal(t, []string{"1", "2", "3"}, readings(all(t, s, telemetry.Custody, 1)))
	s = open(t, fs.Cut(spooltest.Keep{None: true}), spool.Options{Rand: seeded(5)})
	s.Step()
	require.Equal(t, []string{"1", "2", "3"}, readings(all(t, s, telemetry.Custody, 1)))
}

// When the second file fails too, the entries fail, and their seqs go to others: what the failed files still show
// must never come back under the same identity.
func TestFailedEntriesNeverComeBackAsOthers(t *testing.T) {
	for _, kind := range []string{"sync", "write", "create"} {
		fs := spooltest.New()
		s := open(t, fs, spool.Options{})
		put(t, s, telemetry.Custody, "1")
		broken := true
		fs.SetFault(func(o spooltest.Op) error {
			if (o.Kind == kind || kind == "create" && o.Kind == "sync") && broken {
				return unix.EIO
			}
			return nil
		})
		var got error
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Custody, "bad")}, func(err error) { got = err }))
		s.Step()
		require.ErrorIs(t, got, unix.EIO, kind)
		broken = false
		put(t, s, telemetry.Custody, "2")
		put(t, s, telemetry.Track, "t")
		require.Equal(t, []string{"1", "2"}, readings(all(t, s, telemetry.Custody, 9)))
		epoch := s.Epoch()
		before, _, err := s.Read(epoch, telemetry.Custody, 1, 9, 1<<20)
		require.NoError(t, err)
		for _, keep := range []spooltest.Keep{{None: true}, {}} {
			again := open(t, fs.Cut(keep), spool.Options{Rand: seeded(6)})
			again.Step()
			after, _, err := again.Read(epoch, telemetry.Custody, 1, 9, 1<<20)
			require.NoError(t, err)
			require.Equal(t, before, after, kind)
			require.Zero(t, again.Counters()["damaged"])
		}
	}
}

func TestNoSpaceDropsMayThinAndThenRefuses(t *testing.T) {
	fs := spooltest.New()
	c := &clock{}
	s := open(t, fs, spool.Options{Clock: c, SegmentBytes: 4 << 10})
	fs.SetLimit(40 << 10)
	h := newHistory()
	for range 200 {
		h.append(s, 500, telemetry.Track)
		s.Flush()
		s.Step()
	}
	require.Empty(t, h.failed, "the oldest track makes room for the newest")
	require.NotZero(t, s.Counters()["dropped"])
	for len(h.failed) == 0 {
		h.append(s, 500, telemetry.Custody)
		s.Step()
	}
	kept := len(readings(all(t, s, telemetry.Custody, 9)))
	require.Greater(t, kept, 30)
	fs.SetLimit(0)
	h.append(s, 500, telemetry.Custody)
	c.pass(2 * time.Second)
	s.Step()
	require.Len(t, readings(all(t, s, telemetry.Custody, 9)), kept+1)
	require.NotEmpty(t, tombstones(t, all(t, s, telemetry.Track, 100)))
	require.NoError(t, s.Close())
}

// A card that is full, broken or read-only at the start doesn't keep a gateway from starting.
func TestOpensOnABadCard(t *testing.T) {
	fs := spooltest.New()
	play(t, fs, 1, 1)
	for _, kind := range []string{"create", "write", "sync", "rename", "remove", "truncate", "syncdir", ""} {
		bad := fs.Cut(spooltest.Keep{})
		broken := true
		bad.SetFault(func(o spooltest.Op) error {
			if broken && (kind == "" || o.Kind == kind) {
				return unix.EROFS
			}
			return nil
		})
		c := &clock{}
		s := open(t, bad, spool.Options{Clock: c, Rand: seeded(50), SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
		s.Step()
		for _, st := range s.Lanes() {
			_, _, err := s.Read(st.Epoch, st.Lane, st.First, 10, 1<<20)
			require.NoError(t, err)
		}
		broken = false // the card comes back
		c.pass(2 * time.Second)
		s.Step()
		put(t, s, telemetry.Custody, "works")
		rs, _, err := s.Read(s.Epoch(), telemetry.Custody, 1, 10, 1<<20)
		require.NoError(t, err)
		require.Equal(t, frame.TypeOpening, rs[0].Type, kind)
		require.Equal(t, "works", string(rs[len(rs)-1].Payload))
		require.NoError(t, s.Close())
	}
}

// Everything at random, against the history.
func TestRandomly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs, c, h := spooltest.New(), &clock{}, newHistory()
		opt := spool.Options{
			SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Mirror: rapid.SampledFrom([]string{"", "stick"}).Draw(rt, "mirror"),
			Keep: rapid.SampledFrom([]time.Duration{-1, time.Second, 0}).Draw(rt, "keep"),
		}
		epoch := uint64(0)
		boot := func() *spool.Spool {
			epoch++
			opt.Clock, opt.Rand = c, seeded(epoch)
			s, err := spool.Open(fs, "spool", opt)
			require.NoError(rt, err)
			return s
		}
		s := boot()
		faults := 0
		fs.SetFault(func(spooltest.Op) error { return nil })
		lane := rapid.SampledFrom(telemetry.Lanes[:])
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				h.append(s, rapid.IntRange(0, 1200).Draw(rt, "size"), rapid.SliceOfN(lane, 1, 4).Draw(rt, "lanes")...)
			},
			"step":   func(*rapid.T) { s.Step() },
			"flush":  func(*rapid.T) { s.Flush(); s.Step() },
			"pass":   func(rt *rapid.T) { c.pass(time.Duration(rapid.IntRange(1, 7000).Draw(rt, "ms")) * time.Millisecond) },
			"commit": func(rt *rapid.T) { h.commit(rt, s, rapid.Uint64Range(1, 4).Draw(rt, "part")) },
			"fault": func(rt *rapid.T) {
				faults = rapid.IntRange(1, 4).Draw(rt, "n")
				fs.SetFault(func(o spooltest.Op) error {
					if (o.Kind == "sync" || o.Kind == "write") && strings.HasSuffix(o.Name, ".seg") && faults > 0 {
						faults--
						return errors.New("injected")
					}
					return nil
				})
			},
			"restart": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "polite") {
					_ = s.Close()
				}
				seed := rapid.Uint64().Draw(rt, "seed")
				fs = fs.Cut(spooltest.Keep{Rand: rand.New(rand.NewPCG(seed, 3))})
				s = boot()
			},
			"": func(rt *rapid.T) {},
		})
		fs.SetFault(nil)
		_ = s.Close()
		s = boot()
		s.Step()
		h.check(t, s, true)
		require.Zero(t, s.Counters()["damaged"])
	})
}
