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

func climate(device, probe string, n int, temperature float64) frame.Entry {
	r := telemetry.New(device, time.UnixMilli(1_800_000_000_000+int64(n)*1000), telemetry.NTP, telemetry.Climate{Probe: probe, TemperatureC: telemetry.Some(temperature)})
	r.N = fmt.Sprint(device, probe, n)
	return frame.Entry{Lane: telemetry.Condition, Type: frame.TypeReading, Payload: r.AppendJSON(nil)}
}

// climates returns the climate readings on the card.
func climates(t *testing.T, s *spool.Spool) (out []telemetry.Climate) {
	for _, p := range readings(all(t, s, telemetry.Condition, 100)) {
		good, bad := telemetry.Parse([]byte(p), "", "")
		require.Empty(t, bad)
		c, err := telemetry.As[telemetry.Climate](good[0])
		require.NoError(t, err)
		out = append(out, c)
	}
	return out
}

// wave is a temperature that has its extremes early.
func wave(n int) float64 {
	switch n {
	case 3:
		return -31.5
	case 5:
		return 58.25
	}
	return float64(n%10) / 10
}

// A card that is full for long keeps of each probe the lowest, the highest and the last reading of every stretch that it
// drops, under their own times, and accounts for all others.
func TestWhatIsLeftOfClimate(t *testing.T) {
	clk := &clock{}
	s := open(t, spooltest.New(), spool.Options{Clock: clk, SegmentBytes: 8 << 10, MaxBytes: 128 << 10})
	for i := range 2000 {
		clk.pass(6 * time.Minute) // seldom enough to be kept while there is room
		done := func(err error) { require.NoError(t, err) }
		require.NoError(t, s.Append([]frame.Entry{climate("box", "a", i, wave(i)), climate("box", "b", i, 5)}, done))
		s.Flush()
		s.Step()
	}
	c := s.Counters()
	require.NotZero(t, c["summaries"])
	require.NotZero(t, c["dropped"])
	var low, high, stood, plain int
	for _, m := range climates(t, s) {
		of := m.Of.Or(0)
		switch v := m.TemperatureC.Or(0); {
		case m.Summary == "":
			plain++
		case v == -31.5:
			require.Equal(t, "min", m.Summary)
			low++
		case v == 58.25:
			require.Equal(t, "max", m.Summary)
			high++
		}
		require.Equal(t, m.Summary == "last", of > 0)
		stood += of
	}
	require.Equal(t, 1, low, "dropped again and again it is still there")
	require.Equal(t, 1, high)
	require.NotZero(t, plain)
	require.Greater(t, stood, 1000)
	require.Equal(t, 4000, plain+stood+int(c["thinned"]), "a summary of summaries stands for all of them")
	accounted(t, s, telemetry.Condition)
	require.NoError(t, s.Close())
}

// accounted checks that each seq of a lane of the live epoch is on the card or named by a tombstone.
func accounted(t *testing.T, s *spool.Spool, lane telemetry.Lane) {
	known := map[uint64]bool{}
	for _, st := range s.Lanes() {
		if st.Lane != lane {
			continue
		}
		recs := all(t, s, lane, 100)
		for i := range recs {
			known[recs[i].Seq] = true
		}
		for _, ts := range tombstones(t, recs) {
			for _, r := range ts.Ranges {
				for q := r.From; q <= r.To; q++ {
					known[q] = true
				}
			}
		}
		for q := uint64(1); q < st.Next; q++ {
			require.True(t, known[q], "%v %d of %d is neither there nor told of", lane, q, st.Next)
		}
	}
}

// The power goes at every operation while the card is full, by its bound or by others' files: the extremes are there, as the
// readings themselves or as what is left of them, and every record is there or told of.
func TestSummariesAreDurableBeforeTheirSegmentGoes(t *testing.T) {
	for _, others := range []bool{false, true} {
		n := 160
		if others {
			n = 500
		}
		fill := func(fs *spooltest.FS) (acked []bool, epoch frame.Epoch) {
			acked = make([]bool, n)
			opt := spool.Options{Clock: &clock{}, Rand: seeded(1), SegmentBytes: 4 << 10, MaxBytes: 32 << 10}
			if others {
				opt.SegmentBytes, opt.MaxBytes = 16<<10, 1<<20
				fs.SetLimit(72 << 10)
			}
			s, err := spool.Open(fs, "spool", opt)
			if err != nil {
				return acked, 0
			}
			for i := range acked {
				if i == 4 && others { // another program fills what is left of the card
					fs.SetLimit(fs.Used())
				}
				_ = s.Append([]frame.Entry{climate("box", "", i, wave(i))}, func(err error) { acked[i] = err == nil })
				s.Flush()
				s.Step()
			}
			return acked, s.Epoch()
		}
		whole := spooltest.New()
		acked, _ := fill(whole)
		require.NotContains(t, acked, false, "the newest is always kept")
		last := -100 // operation that was more than a record and its sync
		for at := 0; at < len(whole.Ops()); at += stride {
			if o := whole.Ops()[at]; o.Kind != "write" && o.Kind != "sync" {
				last = at
			}
			if at-last > 6 {
				continue
			}
			fs := spooltest.New()
			fs.CrashAt(at, whole.Ops()[at].Len/2)
			acked, epoch := fill(fs)
			for _, keep := range []spooltest.Keep{{None: true}, {}} {
				left := fs.Cut(keep)
				s, err := spool.Open(left, "spool", spool.Options{Clock: &clock{}, Rand: seeded(2), SegmentBytes: 16 << 10, MaxBytes: 1 << 20})
				require.NoError(t, err)
				low, high := 99.0, -99.0
				for _, m := range climates(t, s) {
					low, high = min(low, m.TemperatureC.Or(0)), max(high, m.TemperatureC.Or(0))
				}
				require.False(t, acked[3] && low != -31.5, "op %d %+v: the lowest is lost", at, whole.Ops()[at])
				require.False(t, acked[5] && high != 58.25, "op %d: the highest is lost", at)
				for _, st := range s.Lanes() {
					if st.Epoch == epoch && st.Lane == telemetry.Condition {
						told(t, s, st, fmt.Sprint("op ", at))
					}
				}
			}
		}
	}
}

// told checks that each seq of a lane is on the card or named by a tombstone there.
func told(t *testing.T, s *spool.Spool, st frame.LaneState, when string) {
	known := map[uint64]bool{}
	for from := uint64(1); ; {
		rs, _, err := s.Read(st.Epoch, st.Lane, from, 1000, 1<<20)
		require.NoError(t, err)
		if len(rs) == 0 {
			break
		}
		for i := range rs {
			known[rs[i].Seq] = true
		}
		for _, ts := range tombstones(t, rs) {
			for _, r := range ts.Ranges {
				for q := r.From; q <= r.To; q++ {
					known[q] = true
				}
			}
		}
		from = rs[len(rs)-1].Seq + 1
	}
	var lost []uint64
	for q := uint64(1); q < st.Next; q++ {
		if !known[q] {
			lost = append(lost, q)
		}
	}
	require.Empty(t, lost, "%s: of %d neither there nor told of", when, st.Next)
}

// The card is full of others' files: commands and custody go on in the room that was taken beforehand, and the tail and the oldest
// may-thin segments go for the rest.
func TestTheReserveGoesOnWhenOthersFillTheCard(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	s := open(t, fs, spool.Options{Clock: c, SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
	for range 12 { // it takes its room
		s.Step()
	}
	put(t, s, telemetry.Track, "t")
	fs.SetLimit(fs.Used())
	fs.SetFault(func(o spooltest.Op) error {
		if o.Kind == "create" || o.Kind == "allocate" {
			return unix.ENOSPC
		}
		return nil
	})
	pad := strings.Repeat("p", 400)
	for i := range 40 {
		put(t, s, telemetry.Custody, fmt.Sprintf("%03d%s", i, pad))
		put(t, s, telemetry.Command, fmt.Sprintf("%03d", i))
	}
	require.Len(t, readings(all(t, s, telemetry.Custody, 100)), 40)
	require.NoError(t, s.Close())
}

func position(device string, lat float64) frame.Entry {
	r := telemetry.New(device, time.Time{}, telemetry.Unknown, telemetry.Position{Lat: telemetry.Some(lat), Lon: telemetry.Some(104.0), Fix: telemetry.Fix3D, Valid: true})
	return frame.Entry{Lane: telemetry.Track, Type: frame.TypeReading, Payload: r.AppendJSON(nil)}
}

// With little room left readings are thinned at the door: positions by time and distance, climate to what exceeds the
// last minutes, health to one in ten minutes. All are acknowledged, and told in tombstones without seqs.
func TestReadingsAreThinnedWhenThereIsLittleRoom(t *testing.T) {
	c := &clock{}
	s := open(t, spooltest.New(), spool.Options{Clock: c, SegmentBytes: 8 << 10, MaxBytes: 256 << 10})
	acked := 0
	add := func(e frame.Entry) {
		require.NoError(t, s.Append([]frame.Entry{e}, func(err error) { require.NoError(t, err); acked++ }))
		s.Flush()
		s.Step()
	}
	for i := range 100 {
		add(position("gps", 30+float64(i)/1e6))
	}
	require.Zero(t, s.Counters()["thinned"], "while there is room all are kept")
	for !s.Health().Thinned {
		put(t, s, telemetry.Custody, strings.Repeat("c", 1000))
	}
	before := s.Counters()
	acked = 0
	for i := range 600 { // ten minutes of standing still at one fix a second
		c.pass(time.Second)
		add(position("gps", 31))
		if i%10 == 0 {
			add(climate("box", "a", i, 4+float64(i%20)/1000))
		}
	}
	admitted := s.Counters()["appended"] - before["appended"]
	require.Equal(t, 660, acked, "what is thinned is acknowledged")
	require.InDelta(t, 600/30+600/300, float64(admitted), 20, "one in 30 s, and of climate one in 5 min; and tombstones")
	for i := range 10 { // driving
		c.pass(time.Second)
		add(position("gps", 31+float64(i)*0.002))
	}
	driven := s.Counters()["appended"] - before["appended"] - admitted
	require.GreaterOrEqual(t, driven, uint64(9), "each is 220 m on")
	add(climate("box", "a", 9000, 30))
	c.pass(time.Minute)
	s.Step()
	hot := climates(t, s)
	require.InDelta(t, 30, hot[len(hot)-1].TemperatureC.Or(0), 0.01, "an extreme is always kept")
	var told uint64
	for _, lane := range []telemetry.Lane{telemetry.Condition, telemetry.Track} {
		for _, ts := range tombstones(t, all(t, s, lane, 100)) {
			require.Equal(t, "thinned", ts.Reason)
			require.Empty(t, ts.Ranges)
			told += ts.Count
		}
	}
	require.Equal(t, s.Counters()["thinned"], told)
	commitAll(s)
	require.False(t, s.Health().Thinned, "there is room again")
	require.NoError(t, s.Close())
}

// What was turned away in the minute before a power cut is not lost without a word: the next opening says that there was
// something. A polite end leaves nothing to say.
func TestWhatWasThinnedBeforeAPowerCutIsReported(t *testing.T) {
	for _, cut := range []bool{true, false} {
		fs, c := spooltest.New(), &clock{}
		opt := spool.Options{Clock: c, SegmentBytes: 8 << 10, MaxBytes: 256 << 10}
		s := open(t, fs, opt)
		for !s.Health().Thinned {
			put(t, s, telemetry.Custody, strings.Repeat("c", 1000))
		}
		for range 10 {
			c.pass(time.Second)
			require.NoError(t, s.Append([]frame.Entry{position("gps", 31)}, func(err error) { require.NoError(t, err) }))
			s.Flush()
			s.Step()
		}
		require.NotZero(t, s.Counters()["thinned"])
		if cut {
			fs = fs.Cut(spooltest.Keep{None: true})
		} else {
			require.NoError(t, s.Close())
		}
		opt.Rand = seeded(9)
		s = open(t, fs, opt)
		s.Step()
		var untold int
		var told uint64
		for _, st := range s.Lanes() {
			if st.Lane != telemetry.Track {
				continue
			}
			rs, _, err := s.Read(st.Epoch, st.Lane, 1, 1000, 1<<20)
			require.NoError(t, err)
			for _, ts := range tombstones(t, rs) {
				if told += ts.Count; ts.Reason == "thinned_untold" {
					untold++
				}
			}
		}
		if cut {
			require.Equal(t, 1, untold)
		} else {
			require.Zero(t, untold)
			require.NotZero(t, told)
		}
		require.NoError(t, s.Close())
	}
}

// Input that is refused without end can't fill the card: a sample is kept, the rest is counted.
func TestAFloodOfQuarantineIsSampled(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	s := open(t, fs, spool.Options{Clock: c, SegmentBytes: 64 << 10, MaxBytes: 4 << 20})
	acked := 0
	q := frame.Entry{Lane: telemetry.Command, Type: frame.TypeQuarantine, Payload: []byte(`{"source":"x","reason":"y","raw":""}`)}
	for range 3600 {
		for range 5 {
			require.NoError(t, s.Append([]frame.Entry{q, entry(telemetry.Custody, "good")}, func(err error) { require.NoError(t, err); acked++ }))
		}
		c.pass(time.Second)
		s.Step()
		commitAll(s)
	}
	require.Equal(t, 18000, acked, "each is acknowledged")
	s.Step()
	flooded := s.Counters()["flooded"]
	require.InDelta(t, 18000-64-360, float64(flooded), 120, "and one each time before the cursor says that it begins")
	require.NoError(t, s.Close())
	s = open(t, fs, spool.Options{Clock: c, Rand: seeded(2), SegmentBytes: 64 << 10, MaxBytes: 4 << 20})
	var told uint64
	samples := 0
	for _, st := range append(s.Kept(), s.Lanes()...) {
		for from := uint64(1); st.Lane == telemetry.Command; {
			rs, _, err := s.Read(st.Epoch, st.Lane, from, 1000, 1<<20)
			require.NoError(t, err)
			if len(rs) == 0 {
				break
			}
			for _, ts := range tombstones(t, rs) {
				if ts.Reason == "quarantine_flood" {
					told += ts.Count
				}
			}
			samples += len(slices.DeleteFunc(rs, func(r frame.Record) bool { return r.Type != frame.TypeQuarantine }))
			from += uint64(len(rs)) + 1000
		}
	}
	require.NotZero(t, samples)
	require.NotZero(t, told)
	require.LessOrEqual(t, told, flooded)
}
