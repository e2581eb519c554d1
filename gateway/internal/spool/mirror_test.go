package spool_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

func mirrored(c *clock, seed uint64) spool.Options {
	return spool.Options{Clock: c, Rand: seeded(seed), SegmentBytes: 8 << 10, MaxBytes: 1 << 20, Mirror: "stick", Owner: "van-03"}
}

// wrote fills a mirrored spool and returns what it acknowledged; it is left as a killed process leaves it.
func wrote(t *testing.T, fs *spooltest.FS, c *clock) (custody []string) {
	s := open(t, fs, mirrored(c, 1))
	for i := range 60 {
		custody = append(custody, fmt.Sprintf("%03d%s", i, strings.Repeat("c", 300)))
		put(t, s, telemetry.Custody, custody[i])
		put(t, s, telemetry.Track, fmt.Sprint("t", i))
	}
	require.False(t, s.Health().MirrorLost)
	return custody
}

func segments(t *testing.T, fs *spooltest.FS, dir, start string) (out []string) {
	names, err := fs.ReadDir(dir)
	require.NoError(t, err)
	for _, n := range names {
		if strings.HasPrefix(n, start) && strings.HasSuffix(n, ".seg") {
			out = append(out, n)
		}
	}
	return out
}

// Whatever happens to the card, the must-keep records come back from the mirror: when one segment or all are overwritten or gone,
// the whole folder is gone, or single bytes rot anywhere.
func TestTheMirrorHasWhatTheCardLost(t *testing.T) {
	c := &clock{}
	whole := spooltest.New()
	want := wrote(t, whole, c)
	keep := segments(t, whole, "spool", "keep-")
	require.Greater(t, len(keep), 2)
	require.Equal(t, keep, segments(t, whole, "stick", "keep-"), "the same files")
	garbage := func(fs *spooltest.FS, names ...string) {
		for _, n := range names {
			b := fs.Bytes("spool/" + n)
			for i := range b {
				b[i] = 0xa5
			}
		}
	}
	all := func(fs *spooltest.FS) []string {
		names, err := fs.ReadDir("spool")
		require.NoError(t, err)
		return names
	}
	for _, damage := range []struct {
		name string
		do   func(fs *spooltest.FS)
	}{
		{"nothing", func(*spooltest.FS) {}},
		{"the first segment", func(fs *spooltest.FS) { garbage(fs, keep[0]) }},
		{"the live segment", func(fs *spooltest.FS) { garbage(fs, keep[len(keep)-1]) }},
		{"all segments", func(fs *spooltest.FS) { garbage(fs, keep...) }},
		{"a segment is gone", func(fs *spooltest.FS) { require.NoError(t, fs.Remove("spool/"+keep[1])) }},
		{"another card", func(fs *spooltest.FS) {
			for _, n := range all(fs) {
				require.NoError(t, fs.Remove("spool/"+n))
			}
		}},
		{"rot in the middle of each", func(fs *spooltest.FS) {
			for _, n := range keep {
				fs.Bytes("spool/" + n)[1000] ^= 0x10
				fs.Bytes("spool/" + n)[2000] ^= 0x10
			}
		}},
	} {
		fs := whole.Cut(spooltest.Keep{})
		damage.do(fs)
		s := open(t, fs, mirrored(c, 2))
		s.Step()
		got := readings(allKept(t, s, telemetry.Custody))
		require.True(t, slices.Equal(want, got), "%s: %d of %d", damage.name, len(got), len(want))
		require.Zero(t, s.Counters()["damaged"], damage.name)
		if damage.name != "nothing" {
			require.NotZero(t, s.Counters()["restored"]+s.Counters()["mended"], damage.name)
		}
		put(t, s, telemetry.Custody, "works")
		require.NoError(t, s.Close())
		s = open(t, fs, mirrored(c, 3)) // and what came back stays
		s.Step()
		require.True(t, slices.Equal(append(slices.Clone(want), "works"), readings(allKept(t, s, telemetry.Custody))), damage.name)
		require.NoError(t, s.Close())
	}
}

func TestAnyByteOfTheCardMayRotBesideAMirror(t *testing.T) {
	c := &clock{}
	whole := spooltest.New()
	want := wrote(t, whole, c)
	for _, name := range segments(t, whole, "spool", "keep-") {
		size := len(whole.Bytes("spool/" + name))
		for at := 0; at < size; at += stride + size/60 {
			fs := whole.Cut(spooltest.Keep{})
			fs.Bytes("spool/" + name)[at] ^= 0x40
			s := open(t, fs, mirrored(c, 2))
			s.Step()
			require.True(t, slices.Equal(want, readings(allKept(t, s, telemetry.Custody))), "%s byte %d", name, at)
			require.Zero(t, s.Counters()["damaged"])
		}
	}
}

// The stick fails at every one of its operations, for ever: the gateway goes on, says so, and takes it up again when it is
// back, with all that is needed for a recovery.
func TestAFailingMirrorStopsNothing(t *testing.T) {
	c := &clock{}
	whole := spooltest.New()
	wrote(t, whole, c)
	tried := 0
	for at, o := range whole.Ops() {
		if o.Dir != "stick" && o.Name != "stick" || tried > 400 {
			continue
		}
		tried++
		fs, c := spooltest.New(), &clock{}
		n, gone := -1, true
		fs.SetFault(func(o spooltest.Op) error {
			if n++; n >= at && gone && (o.Dir == "stick" || o.Name == "stick") {
				return unix.EIO
			}
			return nil
		})
		s := open(t, fs, mirrored(c, 1))
		var want []string
		for i := range 40 {
			want = append(want, fmt.Sprintf("%03d%s", i, strings.Repeat("c", 300)))
			put(t, s, telemetry.Custody, want[i])
		}
		require.Equal(t, s.Counters()["mirror_errors"] > 0, s.Health().MirrorLost)
		gone = false // it is put in again
		c.pass(2 * time.Minute)
		for range 60 {
			s.Step()
			c.pass(time.Second)
		}
		put(t, s, telemetry.Custody, "back")
		want = append(want, "back")
		require.False(t, s.Health().MirrorLost)
		require.NoError(t, s.Close())
		for _, name := range segments(t, fs, "spool", "") {
			require.NoError(t, fs.Remove("spool/"+name))
		}
		s = open(t, fs, mirrored(c, 2))
		s.Step()
		got := readings(allKept(t, s, telemetry.Custody))
		require.True(t, slices.Equal(want, got), "op %d %+v: %d of %d", at, o, len(got), len(want))
		require.NoError(t, s.Close())
	}
	require.Greater(t, tried, 30)
}

// Another gateway's stick is left as it is.
func TestAnothersMirrorIsNotTouched(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	wrote(t, fs, c)
	before := fs.Cut(spooltest.Keep{})
	opt := mirrored(c, 2)
	opt.Owner = "van-04"
	for _, n := range segments(t, fs, "spool", "") {
		require.NoError(t, fs.Remove("spool/"+n))
	}
	fs = fs.Cut(spooltest.Keep{})
	s := open(t, fs, opt)
	put(t, s, telemetry.Custody, "mine")
	require.True(t, s.Health().MirrorLost)
	require.Equal(t, []string{"mine"}, readings(allKept(t, s, telemetry.Custody)))
	require.NoError(t, s.Close())
	names, err := before.ReadDir("stick")
	require.NoError(t, err)
	for _, n := range names {
		require.Equal(t, before.Bytes("stick/"+n), fs.Bytes("stick/"+n), n)
	}
}

// What is committed and let go, goes from the mirror too, and isn't brought back by the next opening.
func TestTheMirrorForgetsWhatIsCommitted(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	opt := mirrored(c, 1)
	opt.Keep = -1
	s := open(t, fs, opt)
	for i := range 200 {
		put(t, s, telemetry.Custody, fmt.Sprintf("%03d%s", i, strings.Repeat("c", 300)))
		if i%10 == 9 {
			commitAll(s)
		}
	}
	require.LessOrEqual(t, len(segments(t, fs, "stick", "keep-")), 3)
	require.NotEmpty(t, segments(t, fs, "stick", "spare-"))
	require.NoError(t, s.Close())
	opt.Rand = seeded(2)
	s = open(t, fs, opt)
	require.Zero(t, s.Counters()["restored"])
	require.NoError(t, s.Close())
}

// The power goes at every operation of a mirrored spool. With both folders nothing acknowledged is lost; with the mirror
// alone nothing of the must-keep lanes that it wasn't known to have missed.
func TestCrashAtEveryOperationOfAMirroredSpool(t *testing.T) {
	whole := spooltest.New()
	playOn(t, whole, "stick")
	for at := 0; at < len(whole.Ops()); at += stride {
		o := whole.Ops()[at]
		fs := spooltest.New()
		fs.CrashAt(at, o.Len/2)
		_, h, _ := playOn(t, fs, "stick")
		for _, k := range []spooltest.Keep{{None: true}, {}} {
			for _, dead := range []bool{false, true} {
				left, h := fs.Cut(k), *h
				h.appended = maps.Clone(h.appended)
				if dead {
					for _, n := range append(segments(t, left, "spool", ""), "cursor") {
						_ = left.Remove("spool/" + n)
					}
					for _, l := range []telemetry.Lane{telemetry.Condition, telemetry.Track} {
						h.appended[l] = nil
					}
				}
				opt := mirrored(&clock{}, 9)
				opt.Owner = ""
				s := open(t, left, opt)
				s.Step()
				h.check(t, s, true)
				require.Zero(t, s.Counters()["damaged"]+s.Counters()["set_aside"], "op %d %+v", at, o)
				require.NoError(t, s.Close())
			}
		}
	}
}
