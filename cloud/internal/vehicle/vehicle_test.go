package vehicle

import (
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

func run(fixes ...Fix) (stays []county.Stay) {
	for _, f := range fixes {
		stays, _ = Track(stays, sites, "v01", f)
	}
	return stays
}

func fix(s int, metres float64) Fix {
	lat, lon := south(metres)
	return Fix{at(s), lat, lon}
}

func TestHysteresisKeepsAVehicleWhereItWas(t *testing.T) {
	in := run(fix(0, 0), fix(10, 210), fix(20, 150), fix(30, 260))
	require.Equal(t, []county.Stay{{Vehicle: "v01", Site: "wh", From: at(0), To: at(30)}}, in)
	out := run(fix(0, 400), fix(10, 250), fix(20, 300))
	require.Equal(t, []county.Stay{{Vehicle: "v01", From: at(0), To: at(20)}}, out)
}

func TestSilenceEndsAStay(t *testing.T) {
	got := run(fix(0, 0), fix(600, 0))
	require.Len(t, got, 2)
	got = run(fix(0, 0), fix(600, 0), fix(300, 5000))
	require.Equal(t, []string{"wh", "", "wh"}, []string{got[0].Site, got[1].Site, got[2].Site})
}

// Clear fixes give the same stays in any order, told any number of times.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fixes []Fix
		s := 0
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			s += rapid.IntRange(1, 200).Draw(t, "after")
			fixes = append(fixes, fix(s, rapid.SampledFrom([]float64{0, 50, 5000}).Draw(t, "where")))
		}
		want := run(fixes...)
		order := rapid.Permutation(fixes).Draw(t, "order")
		got := run(append(order, rapid.SampledFrom(fixes).Draw(t, "again"))...)
		require.Equal(t, places(want, fixes), places(got, fixes))
	})
}

// places is in which site each fix lies.
func places(stays []county.Stay, fixes []Fix) (out []string) {
	for _, f := range fixes {
		site := "none"
		for _, s := range stays {
			if !f.At.Before(s.From) && !f.At.After(s.To) {
				site = s.Site
			}
		}
		out = append(out, site)
	}
	return out
}

func TestPositionWithoutAPlaceIsNone(t *testing.T) {
	_, ok := Position(telemetry.Position{Fix: telemetry.FixNone})
	require.False(t, ok)
	p, ok := Position(telemetry.Position{Lat: telemetry.Some(1.0), Lon: telemetry.Some(2.0), Valid: true})
	require.True(t, ok)
	require.Nil(t, p.SpeedMPS, "unknown is not zero")
}
