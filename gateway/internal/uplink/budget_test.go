package uplink

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// counted counts writes.
type counted struct {
	numbers
	writes int
}

func (c *counted) Replace(b []byte) error {
	c.writes++
	return c.numbers.Replace(b)
}

func budget(limit int64, f File) *Budget { return NewBudget(limit, f, slog.New(slog.DiscardHandler)) }

var november = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestABudgetIsToldOfOnce(t *testing.T) {
	f := &counted{}
	b := budget(100<<20, f)
	require.Empty(t, b.Add(november, 1, 79<<20))
	require.Equal(t, []int{80}, b.Add(november, 2, 1<<20))
	require.Empty(t, b.Add(november, 3, 17<<20))
	require.False(t, b.Over())
	b = budget(100<<20, f) // killed and started again
	require.Empty(t, b.Add(november, 4, 0))
	require.Equal(t, []int{100}, b.Add(november, 5, 3<<20))
	require.True(t, b.Over())
	b.Close()
	b = budget(100<<20, f)
	require.Empty(t, b.Add(november, 6, 1<<20), "told, and not again")
	require.True(t, b.Over())
	require.Equal(t, "100 % of 100 MiB used in 2026-11", b.Traffic().detail(100))
	require.Equal(t, []int{80, 100}, budget(1<<20, &counted{}).Add(november, 1, 5<<20), "both at once")

	none := budget(0, &counted{})
	require.Empty(t, none.Add(november, 1, 1<<50))
	require.False(t, none.Over())
}

// Whenever the power goes, what is counted is never less than what was used and at most a MiB more for each time.
func TestTheCountSurvivesPowerCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := &counted{}
	used, cuts := int64(0), int64(0)
	b := budget(0, f)
	for i := range 10_000 {
		n := rng.Int64N(20_000)
		b.Add(november, int64(i), n)
		if used += n; rng.IntN(1000) == 0 {
			b = budget(0, f)
			cuts++
		}
		require.GreaterOrEqual(t, b.Traffic().Bytes, used)
		require.LessOrEqual(t, b.Traffic().Bytes, used+cuts*block)
	}
	require.Less(t, f.writes, int(used/block+3*cuts+3), "a write a MiB")
	b.Close()
	require.Equal(t, b.Traffic(), budget(0, f).Traffic(), "asked to stop, it is exact")
}

func TestMonths(t *testing.T) {
	mono, at := int64(0), time.Time{}
	b := budget(0, &counted{})
	pass := func(d time.Duration, n int64) Traffic {
		for end := mono + int64(d); mono < end; mono += int64(time.Minute) {
			if !at.IsZero() {
				at = at.Add(time.Minute)
			}
			b.Add(at, mono, n)
		}
		return b.Traffic()
	}
	require.Equal(t, Traffic{Bytes: 60}, pass(time.Hour, 1), "no time is known")
	at = november
	require.Equal(t, Traffic{Month: "2026-11", Bytes: 120}, pass(time.Hour, 1), "what was before is of the first month that is known")

	at = november.AddDate(20, 0, 0)
	require.Equal(t, "2026-11", pass(5*time.Minute, 1).Month, "a step that lasts for minutes")
	at = november
	require.Equal(t, Traffic{Month: "2026-11", Bytes: 185}, pass(time.Hour, 1))
	at = november.AddDate(-30, 0, 0)
	require.Equal(t, "1996-11", pass(time.Hour, 1).Month, "one that lasts is believed")
	at = november
	got := pass(time.Hour, 1)
	require.Equal(t, "2026-11", got.Month, "the right month goes on")
	require.InDelta(t, 245, got.Bytes, 20)

	at = time.Date(2026, 11, 30, 23, 30, 0, 0, time.UTC)
	require.Equal(t, "2026-11", pass(35*time.Minute, 1).Month)
	require.Equal(t, "2026-12", pass(time.Hour, 1).Month)
	require.Less(t, b.Traffic().Bytes, int64(61), "December begins with nothing")
	for m := range 12 {
		at = time.Date(2027, time.Month(1+m), 1, 1, 0, 0, 0, time.UTC)
		pass(time.Hour, 1)
	}
	require.Len(t, b.months, monthsKept)
}

func TestACountThatCantBeKept(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "garbage": "{", "no list": "{}", "negative": `[{"month":"2026-11","bytes":-5}]`, "null": "null"} {
		b := budget(1<<20, &counted{numbers: numbers{b: []byte(text)}})
		b.Add(november, 1, 7)
		require.Equal(t, Traffic{Month: "2026-11", Bytes: 7, Limit: 1 << 20}, b.Traffic(), name)
	}
	b := budget(1<<20, &counted{numbers: numbers{bad: errors.New("input/output error")}})
	require.Equal(t, []int{80, 100}, b.Add(november, 1, 2<<20), "a card that fails stops nothing")
}

// Over its budget a gateway ships what the lanes that may be thinned make once a minute, and nothing of their backlog;
// the others go on.
func TestDataAreSaved(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	for _, l := range telemetry.Lanes {
		src.append(l, 50)
	}
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	c.Save(true)
	frames := map[string]int{}
	turn := func() {
		for _, m := range drain(c, now) {
			frames[m.What]++
			for _, a := range cl.take(m) {
				c.Ack(now, a)
			}
		}
		now = now.Add(time.Second)
	}
	for range 600 { // ten minutes
		for _, l := range telemetry.Lanes {
			src.append(l, 1)
		}
		turn()
	}
	require.LessOrEqual(t, frames["track"], 11)
	require.GreaterOrEqual(t, frames["track"], 10)
	require.LessOrEqual(t, frames["condition"], 11)
	require.GreaterOrEqual(t, frames["custody"], 599)
	require.GreaterOrEqual(t, frames["command"], 599)
	require.LessOrEqual(t, frames["hello"], 3)
	has := func(l telemetry.Lane, seq uint64) bool {
		_, ok := cl.have[laneKey{1, l}].end(seq)
		return ok
	}
	require.True(t, has(telemetry.Custody, 5), "its backlog goes on")
	require.False(t, has(telemetry.Track, 5), "this one waits")
	c.Save(false)
	for range 10 {
		turn()
	}
	require.True(t, has(telemetry.Track, 5), "for the next month")
	require.Equal(t, frame.Epoch(1), src.lanes[0].epoch)
}
