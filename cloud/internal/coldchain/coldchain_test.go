package coldchain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestOutOfLimits(t *testing.T) {
	box := county.ColdBox{MinC: 2, MaxC: 8}
	t0 := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	var s Spell
	for i, c := range []struct {
		celsius telemetry.Opt[float64]
		quality telemetry.ClimateQuality
		out     bool
		since   int
	}{
		{telemetry.Some(2.0), "", false, 0},
		{telemetry.Some(8.0), telemetry.ClimateOK, false, 0},
		{telemetry.Some(8.1), telemetry.ClimateOK, true, 2},
		{telemetry.Some(5.0), telemetry.ClimateSuspect, true, 2}, // not trusted to end it
		{telemetry.Opt[float64]{}, telemetry.ClimateFault, true, 2},
		{telemetry.Some(9.0), telemetry.ClimateOK, true, 2},
		{telemetry.Some(7.9), telemetry.ClimateOK, false, 0},
		{telemetry.Some(-40.0), telemetry.ClimateSuspect, false, 0}, // nor to begin it
		{telemetry.Some(1.9), "", true, 8},
	} {
		at := t0.Add(time.Duration(i) * time.Minute)
		body := telemetry.Climate{TemperatureC: c.celsius, Quality: c.quality}
		if word, trusted := Word(&box, &body); trusted {
			s = s.Next(county.Mark{At: at.UnixMilli(), Word: word})
		}
		require.Equal(t, c.celsius.Known(), Climate(&body).TemperatureC != nil, "unknown is not zero")
		if c.out {
			require.Equal(t, t0.Add(time.Duration(c.since)*time.Minute).UnixMilli(), s.Out, i)
		} else {
			require.Zero(t, s.Out, i)
		}
	}
}

// Marks in any order, told again, and in and out at one moment, give the spell of the same marks in the order of time.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mark := rapid.Custom(func(t *rapid.T) county.Mark {
			return county.Mark{At: rapid.Int64Range(1, 30).Draw(t, "at"), Word: rapid.SampledFrom([]string{In, Out, Out}).Draw(t, "word")}
		})
		var trace county.Trace
		var s Spell
		for _, m := range rapid.SliceOfN(mark, 1, 40).Draw(t, "marks") {
			last := len(trace) == 0 || trace[len(trace)-1].At < m.At
			var changed bool
			if trace, changed = trace.Add(m); last {
				s = s.Next(m)
			} else if next, ok := s.Late(m); changed && ok {
				s = next
			} else if changed {
				s = back(t, trace)
			}
			var want Spell
			for _, m := range trace {
				want = want.Next(m)
			}
			require.Equal(t, want, s)
		}
	})
}

func back(t *rapid.T, trace county.Trace) (s Spell) {
	for done := false; !done && len(trace) > 0; {
		i := rapid.IntRange(0, len(trace)-1).Draw(t, "stretch")
		s, done = s.Back(trace[i:])
		trace = trace[:i]
	}
	return s
}
