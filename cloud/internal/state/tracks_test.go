package state

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/coldchain"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/vehicle"
	"yizhan/devices/telemetry"
)

// metres is a fix so many metres north of the warehouse, whose fence is 200 m wide with an outer edge at 270 m.
func metres(s, m float64) telemetry.Reading { return position("gps", s, 30.5+m/111195, 103.2) }

// A trip is fixes around the edges of fences and temperatures around limits, some at one moment.
func trip(t *rapid.T) (out []telemetry.Reading) {
	s := 0.0
	for range rapid.IntRange(1, 40).Draw(t, "fixes") {
		s += rapid.SampledFrom([]float64{0, .25, 1, 5, 30, 119, 120, 121, 700}).Draw(t, "after")
		out = append(out, metres(s, rapid.SampledFrom([]float64{0, 199, 201, 269, 271, 271, 201, 11000}).Draw(t, "where")))
	}
	s = 0
	for range rapid.IntRange(0, 25).Draw(t, "climates") {
		s += rapid.SampledFrom([]float64{0, .25, 10, 60, 400, 3000}).Draw(t, "after")
		c := telemetry.Climate{Probe: "a", TemperatureC: telemetry.Some(rapid.SampledFrom([]float64{1.9, 2, 5, 8, 8.1, 8.1, 9}).Draw(t, "celsius"))}
		c.Quality = rapid.SampledFrom([]telemetry.ClimateQuality{"", "", "", telemetry.ClimateOK, telemetry.ClimateSuspect}).Draw(t, "quality")
		out = append(out, telemetry.New("cold", at(s), rapid.SampledFrom([]telemetry.Quality{telemetry.NTP, telemetry.RTC}).Draw(t, "tq"), c))
	}
	return out
}

// kept is what the tables say of vehicles and cold boxes; versions count how often that changed and are no part of it.
func (w *world) kept() (out []string) {
	for _, q := range []string{
		"select 'vehicle ' || id || ' ' || at_ms || ' ' || tq || ' ' || position || ' ' || stay_site || ' ' || stay_from || ' ' || stay_to || ' ' || since_ms || ' ' || trace from vehicles order by id",
		"select 'stay ' || vehicle || ' ' || from_ms || ' ' || to_ms || ' ' || site from stays order by vehicle, from_ms",
		"select 'box ' || id || ' ' || at_ms || ' ' || tq || ' ' || climate || ' ' || out_ms || ' ' || is_out || ' ' || in_ms || ' ' || trace from cold_boxes order by id",
		"select 'track ' || thing || ' ' || span || ' ' || trace from tracks order by thing, span",
		"select 'latest ' || device || ' ' || kind || ' ' || at_ms || ' ' || tq || ' ' || body from latest order by device, kind",
	} {
		require.NoError(w.t, w.each(w.t.Context(), func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			out = append(out, line)
			return err
		}, q))
	}
	return out
}

// expected is what the rules say of a trip in the order of time: the stays and the spell out of limits.
func expected(trip []telemetry.Reading) (out []string) {
	var track, climate county.Trace
	for _, r := range trip {
		switch r.Kind {
		case telemetry.KindPosition:
			p, _ := telemetry.As[telemetry.Position](r)
			track, _ = track.Add(county.Mark{At: ms(r.At), Word: vehicle.Word(smallCounty().Sites, p.Lat.Or(0), p.Lon.Or(0))})
		case telemetry.KindClimate:
			c, _ := telemetry.As[telemetry.Climate](r)
			if word, ok := coldchain.Word(&smallCounty().ColdBoxes[0], &c); ok {
				climate, _ = climate.Add(county.Mark{At: ms(r.At), Word: word})
			}
		}
	}
	for _, s := range vehicle.Follow(nil, "v01", track...) {
		out = append(out, fmt.Sprintf("%s %d %d", s.Site, ms(s.From), ms(s.To)))
	}
	var spell coldchain.Spell
	for _, m := range climate {
		spell = spell.Next(m)
	}
	return append(out, fmt.Sprint(spell))
}

// found is what the tables have of that.
func (w *world) found() (out []string) {
	row := func(scan func(...any) error) error {
		var site string
		var from, to int64
		err := scan(&site, &from, &to)
		out = append(out, fmt.Sprintf("%s %d %d", site, from, to))
		return err
	}
	require.NoError(w.t, w.each(w.t.Context(), row, "select site, from_ms, to_ms from stays order by from_ms"))
	require.NoError(w.t, w.each(w.t.Context(), row, "select stay_site, stay_from, stay_to from vehicles where stay_from > 0"))
	var spell coldchain.Spell
	require.NoError(w.t, w.each(w.t.Context(), func(scan func(...any) error) error { return scan(&spell.In, &spell.Out) }, "select in_ms, out_ms from cold_boxes"))
	return append(out, fmt.Sprint(spell))
}

// Fixes and temperatures that come late, twice, in any order and any groups leave the same tables, byte by byte; and these say what the rules say.
func TestTracksInAnyOrder(t *testing.T) {
	for name, c := range map[string]struct {
		url    func() string
		checks string
	}{
		"sqlite":   {func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") }, "25"},
		"postgres": {func() string { return postgres.Database(t) }, "6"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, flag.Set("rapid.checks", c.checks))
			straight, bent := newWorld(t, c.url()), newWorld(t, c.url())
			for _, w := range []*world{straight, bent} {
				w.now = t0.AddDate(0, 0, 2)
			}
			var epoch frame.Epoch
			one := func(w *world, r telemetry.Reading) county.Arrival {
				epoch++
				lane, _ := telemetry.LaneOf(r.Kind)
				return w.arrival(&sender{gateway: "van-01", epoch: epoch, lane: lane, next: 1}, entry(r))
			}
			rapid.Check(t, func(rt *rapid.T) {
				straight.clear()
				bent.clear()
				all := trip(rt)
				for _, r := range all {
					straight.commit(one(straight, r))
				}
				order := rapid.Permutation(indexes(len(all))).Draw(rt, "order")
				order = append(order, rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 6).Draw(rt, "again")...)
				for len(order) > 0 {
					n := min(len(order), rapid.IntRange(1, 12).Draw(rt, "group"))
					var group []county.Arrival
					for _, i := range order[:n] {
						group = append(group, one(bent, all[i]))
					}
					bent.commit(group...)
					order = order[n:]
				}
				require.Equal(rt, straight.kept(), bent.kept())
				require.Equal(rt, expected(all), bent.found())
			})
		})
	}
}

// clear forgets vehicles and boxes.
func (w *world) clear() {
	require.NoError(w.t, w.update(w.t.Context(), "clear", func(c conn) error {
		for _, table := range []string{"vehicles", "stays", "cold_boxes", "tracks", "latest"} {
			if _, err := c.exec(w.t.Context(), "delete from "+table); err != nil {
				return err
			}
		}
		return nil
	}))
}
