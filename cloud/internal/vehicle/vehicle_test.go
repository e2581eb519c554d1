package vehicle

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

var sites = []county.Site{
	{ID: "wh", Lat: 30.5, Lon: 103.2, FenceM: 200},
	{ID: "out-a", Lat: 30.6, Lon: 103.3, FenceM: 150},
	{ID: "near", Lat: 30.502, Lon: 103.2, FenceM: 150}, // its fence overlaps that of wh
}

// south is so many metres south of wh.
func south(m float64) (lat, lon float64) { return 30.5 - m/metresPerDegree, 103.2 }

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		metres float64
		zone   Zone
		site   string
	}{{0, Inside, "wh"}, {199, Inside, "wh"}, {201, Edge, "wh"}, {269, Edge, "wh"}, {271, Outside, ""}, {90000, Outside, ""}, {-90, Inside, "wh"}, {-140, Inside, "near"}, {-390, Edge, "near"}} {
		lat, lon := south(c.metres)
		zone, site := Locate(sites, lat, lon)
		require.Equal(t, c.zone, zone, "%v m", c.metres)
		require.Equal(t, c.site, site, "%v m", c.metres)
	}
	zone, _ := Locate([]county.Site{{ID: "dateline", Lat: 0, Lon: 180, FenceM: 500}}, 0, -179.999)
	require.Equal(t, Inside, zone, "111 m over the date line")
}

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func at(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }

// run is the stays of fixes in the order of time.
func run(fixes ...county.Mark) []county.Stay { return Follow(nil, "v01", fixes...) }

func fix(s int, metres float64) county.Mark {
	lat, lon := south(metres)
	return county.Mark{At: at(s).UnixMilli(), Word: Word(sites, lat, lon)}
}

func TestHysteresisKeepsAVehicleWhereItWas(t *testing.T) {
	in := run(fix(0, 0), fix(10, 210), fix(20, 150), fix(30, 260))
	require.Equal(t, []county.Stay{{Vehicle: "v01", Site: "wh", From: at(0), To: at(30)}}, in)
	out := run(fix(0, 400), fix(10, 250), fix(20, 300))
	require.Equal(t, []county.Stay{{Vehicle: "v01", From: at(0), To: at(20)}}, out)
}

func TestSilenceEndsAStay(t *testing.T) {
	require.Len(t, run(fix(0, 0), fix(600, 0)), 2)
	require.Equal(t, []county.Stay{{Vehicle: "v01", Site: "wh", From: at(0), To: at(0)}}, run(fix(0, 0), fix(600, 250)), "an edge begins nothing")
}

// Fixes in any order, in groups, told again, and with two places at one moment, give the stays that the same fixes give in the order of time;
// whatever stretch of the trace was read.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mark := rapid.Custom(func(t *rapid.T) county.Mark {
			return fix(rapid.SampledFrom([]int{1, 7, 40, 119, 120, 121}).Draw(t, "unit")*rapid.IntRange(0, 12).Draw(t, "s"), rapid.SampledFrom([]float64{0, 199, 201, 269, 271, 5000, -140, -390, -300}).Draw(t, "where"))
		})
		marks := rapid.SliceOfN(mark, 1, 40).Draw(t, "marks")
		marks = append(marks, rapid.SliceOfN(rapid.SampledFrom(marks), 0, 5).Draw(t, "again")...)
		var trace county.Trace
		var stays []county.Stay
		for len(marks) > 0 {
			n := rapid.IntRange(1, min(5, len(marks))).Draw(t, "group")
			from, to := marks[0].At, marks[0].At
			for _, m := range marks[:n] {
				from, to = min(from, m.At), max(to, m.At)
				trace, _ = trace.Add(m)
			}
			stays = refolded(t, stays, trace, from, to)
			require.Equal(t, run(trace...), stays)
			marks = marks[n:]
		}
	})
}

// refolded is Refold over as little of the trace as it takes.
func refolded(t *rapid.T, stays []county.Stay, trace county.Trace, from, to int64) []county.Stay {
	more := rapid.Int64Range(0, 5*gapMS).Draw(t, "more")
	for until := to + rapid.Int64Range(0, 2*gapMS).Draw(t, "reads"); ; until += 3 * gapMS {
		require.Less(t, until, at(7200).UnixMilli(), "ends")
		var near county.Trace
		for _, m := range trace {
			if m.At >= from-gapMS-more && m.At <= until {
				near = append(near, m)
			}
		}
		i, j := 0, len(stays)
		for i < len(stays) && stays[i].To.UnixMilli() < from-gapMS {
			i++
		}
		for j > i && stays[j-1].From.UnixMilli() > until {
			j--
		}
		if again, ok := Refold(stays[i:j], "v01", near, from, to, until); ok {
			return slices.Concat(stays[:i], again, stays[j:])
		}
	}
}

func TestPositionWithoutAPlaceIsNone(t *testing.T) {
	_, ok := Position(telemetry.Position{Fix: telemetry.FixNone})
	require.False(t, ok)
	p, ok := Position(telemetry.Position{Lat: telemetry.Some(1.0), Lon: telemetry.Some(2.0), Valid: true})
	require.True(t, ok)
	require.Nil(t, p.SpeedMPS, "unknown is not zero")
}
