package state

import (
	"flag"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// dark is a reading without a time, so many seconds into a boot.
func dark(r telemetry.Reading, boot frame.Boot, sec float64) frame.Record {
	r.At, r.TQ = time.Time{}, telemetry.Unknown
	e := entry(r)
	e.Boot, e.MonoNS = boot, int64(sec*float64(time.Second))
	return e
}

// clocked is one of a boot whose gateway knew the time.
func clocked(r telemetry.Reading, boot frame.Boot, sec, now float64) frame.Record {
	e := entry(r)
	e.Boot, e.MonoNS, e.WallMS, e.Quality = boot, int64(sec*float64(time.Second)), at(now).UnixMilli(), telemetry.NTP
	return e
}

// night is a van's night without a clock, in boot 2: it stands at the warehouse, leaves, and its box gets warm. One record of the lane of
// events knew the time; day is what it told in boot 3, by which it was heard of first.
func (w *world) night() (night, day []county.Arrival) {
	b2, b3 := frame.Boot{2}, frame.Boot{3}
	w.greets(b3, 20, 2990)
	send := func(epoch frame.Epoch, lane telemetry.Lane, recs ...frame.Record) county.Arrival {
		return w.arrival(&sender{gateway: "van-01", epoch: epoch, lane: lane, next: 1}, recs...)
	}
	for i, r := range []frame.Record{
		dark(metres(0, 0), b2, 60), dark(metres(0, 10), b2, 120), dark(metres(0, 11000), b2, 200), dark(metres(0, 11000), b2, 260), dark(position("gps", 0, 30.6, 103.3), b2, 900),
	} {
		night = append(night, send(frame.Epoch(201+i), telemetry.Track, r))
	}
	for i, r := range []frame.Record{dark(celsius(0, 4), b2, 60), dark(celsius(0, 12), b2, 400), dark(celsius(0, 13), b2, 1000)} {
		night = append(night, send(frame.Epoch(301+i), telemetry.Track, r))
	}
	night = append(night, send(401, telemetry.Custody, clocked(tag("rfid", 1005, "urn:epc:id:sgtin:0614141.812345.7", telemetry.Arrive), b2, 1000, 1000)))
	day = append(day, send(501, telemetry.Track, clocked(metres(3000, 0), b3, 30, 3000), clocked(celsius(3000, 5), b3, 30, 3000)))
	return night, day
}

// greets is the hello of the van in a boot, so many seconds into it.
func (w *world) greets(b frame.Boot, sec, now float64) {
	_, _, err := w.Hello(w.t.Context(), "van-01", &frame.Hello{Boot: b, MonoNS: int64(sec * float64(time.Second))}, at(now))
	require.NoError(w.t, err)
}

// What is undated when it comes moves nothing; dated by its boot afterwards it counts as if it had come so.
func TestWhatIsDatedLaterCounts(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		night, day := w.night()
		w.commit(day...)
		before := w.kept()
		w.commit(night[:8]...)
		require.Equal(t, before, w.kept(), "nobody knows when that was")
		w.commit(night[8])
		stays := w.stays("v01")
		require.Len(t, stays, 3, "two of the night and one of the day: the warehouse, outside, the outlet")
		require.Equal(t, at(60), stays[0].From)
		require.Equal(t, "out-a", stays[2].Site)
		require.NotEqual(t, before, w.kept())
		var left int
		require.NoError(t, w.each(t.Context(), func(scan func(...any) error) error { return scan(&left) }, "select (select count(*) from undated) + (select count(*) from undated_boots)"))
		require.Zero(t, left)
	})
}

// stays are the closed stays of a vehicle.
func (w *world) stays(id string) []county.Stay {
	all, err := readStays(w.t.Context(), w.db.reader(), []string{id}, at(-1e6), at(1e9))
	require.NoError(w.t, err)
	return all[id]
}

// A hello dates what came before it of its boot.
func TestAHelloDatesWhatCameBefore(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		boot := frame.Boot{2}
		w.greets(frame.Boot{1}, 100, -9000)
		first := w.arrival(&sender{gateway: "van-01", epoch: 201, lane: telemetry.Track, next: 1}, dark(celsius(0, 12), boot, 60))
		w.commit(first)
		box, _, err := w.ColdBox(t.Context(), "cb-v01")
		require.NoError(t, err)
		require.Nil(t, box.Climate)
		w.greets(boot, 600, 600)
		w.commit(w.arrival(&sender{gateway: "van-01", epoch: 202, lane: telemetry.Track, next: 1}, dark(celsius(0, 13), boot, 500)))
		box, _, err = w.ColdBox(t.Context(), "cb-v01")
		require.NoError(t, err)
		require.True(t, box.Out)
		require.Equal(t, at(60), *box.OutFrom)
		require.Equal(t, at(500), box.Climate.At)
	})
}

func TestTheUndatedInAnyOrder(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", "8"))
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") },
		"postgres": func() string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			tables := func(order func(all []county.Arrival) [][]county.Arrival) []string {
				w := newWorld(t, url())
				night, day := w.night()
				for _, group := range order(append(day, night...)) {
					w.commit(group...)
				}
				defer func() { require.NoError(t, w.Close()) }()
				return w.kept()
			}
			want := tables(func(all []county.Arrival) (out [][]county.Arrival) { // the one that knew the time first
				last := len(all) - 1
				for _, a := range slices.Concat(all[last:], all[:last]) {
					out = append(out, []county.Arrival{a})
				}
				return out
			})
			rapid.Check(t, func(rt *rapid.T) {
				require.Equal(rt, want, tables(func(all []county.Arrival) (out [][]county.Arrival) {
					order := rapid.Permutation(indexes(len(all))).Draw(rt, "order")
					for len(order) > 0 {
						n := rapid.IntRange(1, min(4, len(order))).Draw(rt, "group")
						var group []county.Arrival
						for _, i := range order[:n] {
							group = append(group, all[i])
						}
						out, order = append(out, group), order[n:]
					}
					return out
				}))
			})
		})
	}
}
