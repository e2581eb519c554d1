package passage

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/devices/telemetry"
)

var epoch = time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)

// A gate plays reads into a fold and writes down what comes out.
type gate struct {
	t    testing.TB
	fold *Fold
	now  time.Duration
	log  []string
	all  []Event
}

func newGate(t testing.TB, cfg Config, antennas ...Antenna) *gate {
	require.NoError(t, cfg.Validate())
	require.NoError(t, ValidateAntennas(antennas))
	return &gate{t: t, fold: New(cfg, antennas)}
}

var portal = []Antenna{{Port: 1, Role: Outer}, {Port: 2, Role: Inner}}

func (g *gate) time() time.Time { return epoch.Add(g.now) }

func (g *gate) note(events []Event) {
	for _, e := range events {
		require.NoError(g.t, telemetry.New("gate", e.At, telemetry.RTC, e.Tag).Validate())
		require.False(g.t, e.At.After(g.time()))
		require.Equal(g.t, g.time().Add(-e.Age), e.At, "age and time of %s", e.Tag.Passage)
		g.log = append(g.log, fmt.Sprintf("%s %s %v@%v", e.Tag.EPCHex, e.Tag.Passage, e.Tag.Antenna.Or(0), e.At.Sub(epoch)))
		g.all = append(g.all, e)
	}
}

// to lets time pass in steps of 200 ms.
func (g *gate) to(at time.Duration) {
	for g.now < at {
		g.now = min(g.now+200*time.Millisecond, at)
		g.note(g.fold.Tick(nil, g.time()))
	}
}

// see reads tag on antenna at a time, with a signal of rssi dBm.
func (g *gate) see(at time.Duration, tag string, antenna int, rssi float64) {
	g.to(at)
	g.note(g.fold.Add(nil, g.time(), []Read{g.read(tag, antenna, rssi)}))
}

func (g *gate) read(tag string, antenna int, rssi float64) Read {
	return Read{EPC: tag, Hex: tag, Antenna: antenna, RSSI: telemetry.Some(rssi), Count: 1, First: g.time(), Last: g.time(), Exact: true}
}

// walk sees tag on antenna every 100 ms.
func (g *gate) walk(from, to time.Duration, tag string, antenna int) {
	for at := from; at <= to; at += 100 * time.Millisecond {
		g.see(at, tag, antenna, -50)
	}
}

func TestOneAntennaArrivesAndDepartsOnce(t *testing.T) {
	g := newGate(t, Config{})
	g.walk(1*time.Second, 5*time.Second, "A1", 1)
	g.to(time.Hour)
	require.Equal(t, []string{"A1 arrive 1@1s", "A1 depart 1@5s"}, g.log)
	last := g.all[1].Tag
	require.Equal(t, telemetry.Some(41), last.Reads)
	require.Equal(t, epoch.Add(time.Second), last.FirstSeen)
	require.Equal(t, epoch.Add(5*time.Second), last.LastSeen)
	require.Equal(t, telemetry.Some(-50.0), last.RSSIDBm)
	require.Equal(t, Counts{Arrived: 1, Departed: 1}, g.fold.Counts())
}

func TestTooFewOrTooWeakReadsAreNoArrival(t *testing.T) {
	g := newGate(t, Config{MinReads: 3, Window: time.Second, MinRSSI: -70})
	g.see(0, "A1", 1, -60)
	g.see(900*time.Millisecond, "A1", 1, -60)
	g.see(1800*time.Millisecond, "A1", 1, -60) // three reads, but not within a second
	g.to(10 * time.Second)
	for at := 10 * time.Second; at < 20*time.Second; at += 50 * time.Millisecond {
		g.see(at, "B2", 1, -71)
	}
	g.to(time.Minute)
	require.Empty(t, g.log)
	require.Equal(t, Counts{Fleeting: 1, Weak: 200}, g.fold.Counts())
}

func TestReadsSummedUpByTheReaderCount(t *testing.T) {
	g := newGate(t, Config{MinReads: 3})
	r := g.read("A1", 1, -60)
	r.Count = 3
	g.note(g.fold.Add(nil, g.time(), []Read{r}))
	require.Equal(t, []string{"A1 arrive 1@0s"}, g.log)
}

func TestAntennasAreFieldsOfTheirOwnUnlessTheyShareAZone(t *testing.T) {
	for name, c := range map[string]struct {
		antennas []Antenna
		want     []string
	}{
		"apart": {nil, []string{"A1 arrive 1@0s", "A1 arrive 2@2s", "A1 depart 1@2s", "A1 depart 2@4s"}},
		"one hold": {[]Antenna{{Port: 1, Zone: "hold"}, {Port: 2, Zone: "hold"}},
			[]string{"A1 arrive 1@0s", "A1 depart 2@4s"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, Config{}, c.antennas...)
			g.walk(0, 2*time.Second, "A1", 1)
			g.walk(2*time.Second, 4*time.Second, "A1", 2)
			g.to(time.Minute)
			require.Equal(t, c.want, g.log)
		})
	}
}

func TestDirection(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		play func(*gate)
		want []string
	}{
		"in": {func(g *gate) { g.walk(0, 1*s, "A", 1); g.walk(1*s, 2*s, "A", 2) },
			[]string{"arrive 1@0s", "in 2@1s", "depart 2@2s"}},
		"out": {func(g *gate) { g.walk(0, 1*s, "A", 2); g.walk(1*s, 2*s, "A", 1) },
			[]string{"arrive 2@0s", "out 1@1s", "depart 1@2s"}},
		"in, seen by both in the middle": {func(g *gate) {
			for at := time.Duration(0); at <= 3*s; at += 100 * time.Millisecond {
				if at <= 2*s {
					g.see(at, "A", 1, -50)
				}
				if at >= 1*s {
					g.see(at, "A", 2, -50)
				}
			}
		}, []string{"arrive 1@0s", "in 2@2s", "depart 2@3s"}},
		"turns back": {func(g *gate) { g.walk(0, 1*s, "A", 1); g.walk(1*s, 2*s, "A", 2); g.walk(2*s, 3*s, "A", 1) },
			[]string{"arrive 1@0s", "depart 1@3s"}},
		"stands between": {func(g *gate) {
			for at := time.Duration(0); at <= 30*s; at += 100 * time.Millisecond {
				g.see(at, "A", 1, -55)
				g.see(at, "A", 2, -55)
			}
		}, []string{"arrive 1@0s", "depart 1@30s"}},
		"only one side": {func(g *gate) { g.walk(0, 1*s, "A", 1) }, []string{"arrive 1@0s", "depart 1@1s"}},
		"is put down inside and fetched again": {func(g *gate) {
			g.walk(0, 1*s, "A", 1)
			g.walk(1*s, 60*s, "A", 2)
			g.walk(60*s, 61*s, "A", 1)
		}, []string{"arrive 1@0s", "in 2@1s", "out 1@1m0s", "depart 1@1m1s"}},
		"strange read from behind": {func(g *gate) {
			g.walk(0, 20*s, "A", 2)
			g.see(20100*time.Millisecond, "A", 1, -80)
			g.walk(20200*time.Millisecond, 40*s, "A", 2)
		}, []string{"arrive 2@0s", "depart 2@40s"}},
		"in, then out": {func(g *gate) {
			g.walk(0, 1*s, "A", 1)
			g.walk(1*s, 2*s, "A", 2)
			g.walk(10*s, 11*s, "A", 2)
			g.walk(11*s, 12*s, "A", 1)
		}, []string{"arrive 1@0s", "in 2@1s", "depart 2@2s", "arrive 2@10s", "out 1@11s", "depart 1@12s"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, Config{}, portal...)
			c.play(g)
			g.to(2 * time.Minute)
			for i := range g.log {
				g.log[i] = strings.TrimPrefix(g.log[i], "A ")
			}
			require.Equal(t, c.want, g.log)
		})
	}
}

func TestStrongestReadDecidesADraw(t *testing.T) {
	g := newGate(t, Config{}, portal...)
	for i := range 20 { // both see it from the first moment, the outer antenna falls silent first
		at := time.Duration(i) * 100 * time.Millisecond
		if i < 12 {
			g.see(at, "A", 1, -40-3*float64(i))
		}
		g.see(at, "A", 2, -80+2*float64(i))
	}
	g.to(time.Minute)
	require.Equal(t, []string{"A arrive 1@0s", "A in 2@1.1s", "A depart 2@1.9s"}, g.log)
}

func TestShakingAtTheEdgeIsNoStorm(t *testing.T) {
	for name, gap := range map[string]time.Duration{"every 4 s": 4 * time.Second, "every 20 s": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, Config{})
			for at := time.Duration(0); at < 8*time.Hour; at += gap {
				g.see(at, "A1", 1, -78)
				g.see(at+100*time.Millisecond, "A1", 1, -78)
			}
			require.LessOrEqual(t, len(g.log), 9)
			n := len(g.log)
			g.to(9 * time.Hour)
			require.Len(t, g.log, n+1)
			require.Equal(t, telemetry.Depart, g.all[n].Tag.Passage)
		})
	}
}

func TestShakingOnTheThresholdIsNoStorm(t *testing.T) {
	g := newGate(t, Config{}, portal...)
	for at := time.Duration(0); at < time.Hour; at += 700 * time.Millisecond {
		g.see(at, "A", 1+int(at/(700*time.Millisecond))%2, -60)
	}
	g.to(2 * time.Hour)
	require.Len(t, g.log, 2, "%v", g.log)
}

func TestSameCrossingIsNotToldTwice(t *testing.T) {
	g := newGate(t, Config{}, portal...)
	for i := range 5 {
		from := time.Duration(i) * 10 * time.Second
		g.walk(from, from+time.Second, "A", 1)
		g.walk(from+time.Second, from+2*time.Second, "A", 2)
	}
	g.to(5 * time.Minute)
	n := 0
	for _, e := range g.all {
		if e.Tag.Passage == telemetry.In {
			n++
		}
	}
	require.Equal(t, 1, n)
	require.NotZero(t, g.fold.Counts().Repeated)
}

func TestALostConnectionMakesNobodyDepart(t *testing.T) {
	g := newGate(t, Config{})
	g.walk(0, 2*time.Second, "A1", 1)
	g.fold.Suspend(g.time())
	g.now += 10 * time.Minute
	g.fold.Resume(g.time())
	r := g.read("A1", 1, -50)
	require.Empty(t, g.fold.Add(nil, g.time(), []Read{r}))
	g.to(g.now + 2*time.Second)
	require.Equal(t, []string{"A1 arrive 1@0s"}, g.log)
	g.to(g.now + 2*time.Second)
	require.Equal(t, "A1 depart 1@10m2s", g.log[1])

	fresh := newGate(t, Config{}) // suspended before anything was seen
	fresh.fold.Suspend(fresh.time())
	fresh.now += time.Hour
	fresh.walk(fresh.now, fresh.now+time.Second, "A1", 1)
	fresh.to(fresh.now + 10*time.Second)
	require.Len(t, fresh.log, 2)
}

func TestMemoryIsBounded(t *testing.T) {
	g := newGate(t, Config{MinReads: 1, MaxTags: 100})
	for i := range 10_000 {
		g.see(time.Duration(i)*time.Millisecond, fmt.Sprintf("%05d", i), 1, -50)
	}
	c := g.fold.Counts()
	require.Equal(t, uint64(100), c.Tracked)
	require.Equal(t, uint64(9900), c.Evicted)
	require.Equal(t, "00000 arrive 1@0s", g.log[0])
	require.Equal(t, "00000 depart 1@0s", g.log[100], "the oldest goes first")
	g.to(time.Hour)
	require.Zero(t, g.fold.Counts().Tracked)
	require.Equal(t, g.fold.Counts().Arrived, g.fold.Counts().Departed)
}

// Any reads: what a report holds counts, not its order; arrive and depart take turns for each
// tag and zone, and in and out happen between them.
func TestEventsOfAnyReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{MinReads: rapid.IntRange(1, 3).Draw(t, "min"), MaxTags: rapid.IntRange(1, 4).Draw(t, "max")}
		antennas := rapid.SampledFrom([][]Antenna{nil, portal}).Draw(t, "antennas")
		a, b := New(cfg, antennas), New(cfg, antennas)
		now := epoch
		var got []Event
		for range rapid.IntRange(1, 60).Draw(t, "reports") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			var reads []Read
			for range rapid.IntRange(0, 6).Draw(t, "reads") {
				tag := rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}).Draw(t, "tag")
				seen := now.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "ago")) * time.Millisecond)
				reads = append(reads, Read{EPC: tag, Hex: tag, Antenna: rapid.IntRange(0, 2).Draw(t, "antenna"), Count: 1,
					RSSI: telemetry.Some(float64(rapid.IntRange(-80, -40).Draw(t, "rssi"))), First: seen, Last: seen})
			}
			shuffled := slices.Clone(reads)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			one := a.Tick(a.Add(nil, now, reads), now)
			two := b.Tick(b.Add(nil, now, shuffled), now)
			require.Equal(t, one, two)
			got = append(got, one...)
			require.LessOrEqual(t, len(a.tags), cfg.MaxTags)
		}
		got = append(got, a.Tick(nil, now.Add(48*time.Hour))...)
		got = append(got, a.Tick(nil, now.Add(96*time.Hour))...)
		require.Zero(t, a.Counts().Tracked)
		inside := map[string]int{}
		for _, e := range got {
			switch e.Tag.Passage {
			case telemetry.Arrive:
				inside[e.Tag.EPCHex]++
			case telemetry.Depart:
				inside[e.Tag.EPCHex]--
			default:
				require.Positive(t, inside[e.Tag.EPCHex], "%s while absent", e.Tag.Passage)
			}
			require.GreaterOrEqual(t, inside[e.Tag.EPCHex], 0)
			require.False(t, e.Tag.LastSeen.Before(e.Tag.FirstSeen))
		}
		for tag, n := range inside {
			require.Zero(t, n, tag)
		}
	})
}

func TestValidateNamesEveryWrongField(t *testing.T) {
	err := Config{MinReads: 9, Window: -1, MinRSSI: 3, Silence: time.Millisecond, Margin: time.Minute, MaxTags: -1}.Validate()
	for _, field := range []string{"min_reads", "window", "min_rssi", "silence", "margin", "max_tags"} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, Config{}.Validate())
	require.NoError(t, ValidateAntennas(append(slices.Clone(portal), Antenna{Port: 3})))
	require.ErrorContains(t, ValidateAntennas([]Antenna{{Port: 1}, {Port: 1}}), "listed twice")
	require.ErrorContains(t, ValidateAntennas([]Antenna{{Port: 1, Role: "left"}}), "role")
	require.ErrorContains(t, ValidateAntennas([]Antenna{{Port: 0}}), "port")
	require.ErrorContains(t, ValidateAntennas([]Antenna{{Port: 1, Role: Outer}, {Port: 2, Role: Inner, Zone: "b"}}), "other side")
}

// A portal of 1,000 reads a second: ns/op is the cost of one read, ticks included; 50,000 ns would be 5% of a core.
func BenchmarkRead(b *testing.B) {
	f := New(Config{}, portal)
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprintf("3074257BF7194E40%08X", i)
	}
	now, out, report := epoch, []Event(nil), make([]Read, 1)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		tag := names[(i/40+i*7%30)%len(names)] // thirty tags in the field at a time, moving on
		report[0] = Read{EPC: tag, Hex: tag, Antenna: 1 + i%2, RSSI: telemetry.Some(-50 - float64(i%20)), Count: 1, First: now, Last: now}
		out = f.Add(out[:0], now, report)
		if i%200 == 0 {
			out = f.Tick(out[:0], now)
		}
		i++
	}
}
