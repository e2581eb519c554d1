package spool_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// reusing says which operations of a script belong to taking a file that was a segment for a new one: from its header
// to the first commit in it, the first times that it happens.
func reusing(ops []spooltest.Op) map[int]bool {
	times := 4
	was := map[string]bool{} // spares that were segments
	in := map[int]bool{}
	for i, o := range ops {
		if o.Kind == "rename" && strings.HasSuffix(o.Name, ".seg") && !strings.HasPrefix(o.Name, "spare-") {
			_, num, _ := strings.Cut(o.Name, "-")
			was["spare-"+num] = true
		}
		if o.Kind == "write" && was[o.Name] && times > 0 {
			times--
			delete(was, o.Name)
			for j := i; j < min(i+8, len(ops)); j++ {
				in[j] = true
			}
		}
	}
	return in
}

// The power goes at every byte of every write that makes a new segment of an old one's file, with what was unsynced lost,
// kept or torn by sectors: what the file held before is never read, neither as new nor as damage.
func TestCrashAtEveryByteOfARecycle(t *testing.T) {
	whole := spooltest.New()
	play(t, whole, 1, 3)
	ops := whole.Ops()
	cuts := 0
	for at := range reusing(ops) {
		step := stride
		if ops[at].Len > 200 { // records: headers and footers are shorter
			step = 37 * stride
		}
		for b := 0; b <= ops[at].Len; b += step {
			fs := spooltest.New()
			fs.CrashAt(at, b)
			h := play(t, fs, 1, 3)
			for _, k := range []spooltest.Keep{{None: true}, {}, {Rand: rand.New(rand.NewPCG(uint64(at), uint64(b)))}} {
				s := reopened(t, fs.Cut(k))
				h.check(t, s, false)
				c := s.Counters()
				require.Zero(t, c["damaged"]+c["set_aside"], "op %d %+v byte %d", at, ops[at], b)
				cuts++
			}
		}
	}
	require.Greater(t, cuts, 1000/stride)
}

// The power goes at every operation while the kept tail makes room: its files are taken for new segments in the same breath.
func TestCrashWhileTheTailMakesRoom(t *testing.T) {
	const most = 64 << 10
	fill := func(fs *spooltest.FS) *history {
		h := newHistory()
		h.crashed = fs.Crashed
		s, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}, Rand: seeded(1), SegmentBytes: 4 << 10, MaxBytes: most})
		if err != nil {
			return h
		}
		for range 22 {
			h.append(s, 1200, telemetry.Custody, telemetry.Custody)
			s.Step()
			h.commit(t, s, 1)
			s.Step()
		}
		return h
	}
	whole := spooltest.New()
	h := fill(whole)
	require.Empty(t, h.failed)
	for at := 0; at < len(whole.Ops()); at += stride {
		fs := spooltest.New()
		fs.CrashAt(at, whole.Ops()[at].Len/2)
		h := fill(fs)
		for _, k := range []spooltest.Keep{{None: true}, {}, {Rand: rand.New(rand.NewPCG(uint64(at), 1))}} {
			s := reopened(t, fs.Cut(k))
			h.check(t, s, true)
			c := s.Counters()
			require.Zero(t, c["damaged"]+c["set_aside"], "op %d %+v", at, whole.Ops()[at])
		}
	}
}

// few draws of four numbers only.
type few struct{ r *rand.Rand }

func (f few) Read(b []byte) (int, error) {
	clear(b)
	b[len(b)-1] = byte(1 + f.r.IntN(4))
	return len(b), nil
}

// A random source may draw what it drew before: the segment that begins in a file has another incarnation than the one
// before it there, whose records of another epoch would else count as its own.
func TestAReusedFileHasAnotherIncarnation(t *testing.T) {
	fs := spooltest.New()
	opt := spool.Options{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Keep: -1, Rand: few{rand.New(rand.NewPCG(1, 1))}}
	for session := range 8 {
		s := open(t, fs, opt)
		for i := range 40 - 4*session {
			name := fmt.Sprintf("%d.%02d%s", session, i, strings.Repeat("x", 600))
			put(t, s, telemetry.Custody, name)
			again := open(t, fs.Cut(spooltest.Keep{}), spool.Options{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Rand: seeded(99)})
			again.Step()
			got := readings(all(t, again, telemetry.Custody, 100))
			require.True(t, slices.IsSorted(got) && got[len(got)-1] == name, "%.4s", got)
			require.Zero(t, again.Counters()["damaged"])
			commitAll(s)
			s.Step()
		}
		require.NoError(t, s.Close())
	}
}

// Steady state: a commit is one write of its records and one sync. A segment begins in a file that was one, and what that
// costs is bounded.
func TestACommitIsOneWriteAndOneSync(t *testing.T) {
	const segment, payload = 1 << 20, 200
	for _, group := range []int{1, 10, 100} {
		fs := spooltest.New()
		s := open(t, fs, spool.Options{SegmentBytes: segment, MaxBytes: 8 << 20})
		n := uint64(0)
		es := make([]frame.Entry, group)
		for i := range es {
			es[i] = entry(telemetry.Custody, strings.Repeat("r", payload))
		}
		commit := func(group int) {
			es := es[:1]
			for len(es) < group {
				es = append(es, es[0])
			}
			require.NoError(t, s.Append(es, func(err error) { require.NoError(t, err) }))
			s.Step()
			n += uint64(group)
			s.Commit(s.Epoch(), telemetry.Custody, []frame.Range{{From: 1, To: n}})
		}
		for s.Counters()["written"] < 20<<20 { // until it lives on what it let go
			commit(100)
		}
		quiet, rotations, ops := 0, 0, len(fs.Ops())
		before := s.Counters()
		const commits = 400
		for range commits {
			commit(group)
			did := fs.Ops()[ops:]
			ops += len(did)
			if len(did) == 2 {
				require.Equal(t, []string{"write", "sync"}, []string{did[0].Kind, did[1].Kind})
				require.Equal(t, group*(payload+56), did[0].Len)
				quiet++
				continue
			}
			rotations++
			syncs := 0
			for _, o := range did {
				require.NotContains(t, []string{"truncate"}, o.Kind, "no file changes its size")
				if strings.HasPrefix(o.Kind, "sync") {
					syncs++
				}
			}
			require.LessOrEqual(t, syncs, 7, "%v", did)
		}
		after := s.Counters()
		require.LessOrEqual(t, rotations, commits*group*(payload+56)/(segment-1000-group*(payload+56))+2)
		require.GreaterOrEqual(t, quiet, commits-rotations)
		wrote := float64(after["written"]-before["written"]) / float64(commits*group*payload)
		require.Less(t, wrote, 1.6, "bytes written a payload byte")
		require.NoError(t, s.Close())
	}
}

// Opening reads two small pieces of each sealed segment and keeps about a hundred bytes of it, whatever it holds.
func TestOpeningCostsNothingForTheRecords(t *testing.T) {
	type cost struct{ reads, bytes, heap int }
	measure := func(segments, records int) cost {
		fs := spooltest.New()
		opt := spool.Options{SegmentBytes: 256 << 10, MaxBytes: 1 << 30}
		s := open(t, fs, opt)
		for range segments {
			es := make([]frame.Entry, records)
			for i := range es {
				es[i] = entry(telemetry.Custody, strings.Repeat("r", 180<<10/records))
			}
			require.NoError(t, s.Append(es, func(err error) { require.NoError(t, err) }))
			s.Step()
		}
		require.NoError(t, s.Close())
		r0, b0 := fs.Reads()
		var m0, m1 runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m0)
		opt.Rand = seeded(2)
		s = open(t, fs, opt)
		runtime.ReadMemStats(&m1)
		r1, b1 := fs.Reads()
		require.GreaterOrEqual(t, int(s.Counters()["segments"]), segments)
		require.NoError(t, s.Close())
		return cost{r1 - r0, b1 - b0, int(m1.TotalAlloc - m0.TotalAlloc)}
	}
	few, many, crowded := measure(20, 10), measure(120, 10), measure(120, 1000)
	require.InDelta(t, many.reads, crowded.reads, 4)
	require.InDelta(t, many.bytes, crowded.bytes, 1024)
	require.LessOrEqual(t, many.reads-few.reads, 2*100)
	require.LessOrEqual(t, many.bytes-few.bytes, 2*160*100)
	require.Less(t, (many.heap-few.heap)/100, 4<<10, "of a segment, garbage included")
	require.Less(t, crowded.heap-many.heap, 16<<10)
}

// Every operation fails once, or three times in a row, with EIO or for want of room, the folder's and the mirror's: the
// spool works on, and nothing acknowledged is lost.
func TestAnyOperationMayFail(t *testing.T) {
	for _, mirror := range []string{"", "stick"} {
		whole := spooltest.New()
		playOn(t, whole, mirror)
		for _, fault := range []error{unix.EIO, unix.ENOSPC} {
			for _, times := range []int{1, 3} {
				for at := 0; at < len(whole.Ops()); at += stride {
					fs := spooltest.New()
					n := -1
					fs.SetFault(func(spooltest.Op) error {
						if n++; n >= at && n < at+times {
							return fault
						}
						return nil
					})
					s, h, c := playOn(t, fs, mirror)
					fs.SetFault(nil)
					c.pass(2 * healTime)
					if s == nil {
						s = open(t, fs, spool.Options{Clock: c, Rand: seeded(4), SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Mirror: mirror})
					}
					s.Step()
					put(t, s, telemetry.Custody, "works")
					h.append(s, 10, telemetry.Custody)
					s.Step()
					again := open(t, fs.Cut(spooltest.Keep{None: true}), spool.Options{Clock: c, Rand: seeded(5), SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Mirror: mirror})
					again.Step()
					h.appended[telemetry.Custody] = append(h.appended[telemetry.Custody], "works")
					h.sort(telemetry.Custody)
					if s.Counters()["dropped"] > 0 { // for want of room
						for _, l := range []telemetry.Lane{telemetry.Condition, telemetry.Track} {
							for _, name := range h.appended[l] {
								delete(h.acked, name)
							}
						}
					}
					h.check(t, again, true)
					require.Zero(t, again.Counters()["damaged"], "%v at %d: %+v", fault, at, whole.Ops()[at])
				}
			}
		}
	}
}

const healTime = 61e9

// playOn plays the script once and leaves the spool open; nil when it didn't open.
func playOn(t *testing.T, fs *spooltest.FS, mirror string) (*spool.Spool, *history, *clock) {
	h, c := newHistory(), &clock{}
	h.crashed = fs.Crashed
	s, err := spool.Open(fs, "spool", spool.Options{Clock: c, Rand: seeded(1), SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Keep: -1, Mirror: mirror})
	if err != nil {
		return nil, h, c
	}
	for range 2 {
		for _, step := range script {
			step(t, h, s, c)
			s.Step()
		}
	}
	return s, h, c
}

// sort puts the record "works" where it was appended: before the last.
func (h *history) sort(l telemetry.Lane) {
	a := h.appended[l]
	if n := len(a); n >= 2 && a[n-1] == "works" {
		a[n-2], a[n-1] = a[n-1], a[n-2]
	}
}

// A reader that is slower than the recycling of its file gets what was there, or nothing, and no loss is told.
func TestASegmentGoesWhileItIsRead(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Keep: -1})
	for i := range 30 {
		put(t, s, telemetry.Custody, fmt.Sprintf("%0500d", i))
	}
	var during func()
	fs.SetRead(func(name string) {
		if during != nil && strings.HasSuffix(name, ".seg") {
			f := during
			during = nil
			f()
		}
	})
	during = func() {
		s.Commit(s.Epoch(), telemetry.Custody, []frame.Range{{From: 1, To: 25}})
		s.Commit(s.Epoch(), telemetry.Command, []frame.Range{{From: 1, To: 1}})
		s.Step()
		for i := range 30 {
			put(t, s, telemetry.Custody, fmt.Sprintf("b%0500d", i))
		}
	}
	rs, _, err := s.Read(s.Epoch(), telemetry.Custody, 1, 1000, 1<<20)
	require.NoError(t, err)
	for i := range rs {
		require.False(t, rs[i].Seq < 30 && bytes.HasPrefix(rs[i].Payload, []byte("b")))
	}
	s.Step()
	require.Zero(t, s.Counters()["damaged"])
	require.Empty(t, tombstones(t, all(t, s, telemetry.Custody, 100)))
}
