package state

import (
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// A late fix belongs to a stay that the same transaction ended.
func TestALateFixNearAStayThatJustEnded(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		stays := func() (out []int64) {
			require.NoError(t, w.each(t.Context(), func(scan func(...any) error) error {
				var from, to int64
				err := scan(&from, &to)
				out = append(out, from-ms(t0), to-ms(t0))
				return err
			}, "select from_ms, to_ms from stays where vehicle = 'v01' order by from_ms"))
			return out
		}
		w.tell("van-01", position("gps", 100, 31.1, 103.2))
		w.tell("van-01", position("gps", 90, 31.1, 103.2), position("gps", 110, 31.1, 103.2), position("gps", 1000, 31.1, 103.2))
		require.Equal(t, []int64{90_000, 110_000}, stays())
	})
}

// Of two readings of one moment the same one stays, whichever came first, together or apart.
func TestReadingsOfOneMoment(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		fixes := []telemetry.Reading{position("gps", 100, 31.1, 103.2), position("gps", 100, 31.2, 103.2)}
		cold := []telemetry.Reading{celsius(100, 4), celsius(100, 5)}
		now := func() (lat, c float64) {
			v, _, err := w.Vehicle(t.Context(), "v01")
			require.NoError(t, err)
			b, _, err := w.ColdBox(t.Context(), "cb-v01")
			require.NoError(t, err)
			return v.Position.Value.Lat, *b.Climate.Value.TemperatureC
		}
		w.tell("van-01", fixes[1], cold[1])
		w.tell("van-01", fixes[0], cold[0])
		lat, c := now()
		require.Equal(t, 31.2, lat)
		require.Equal(t, 5., c)
		for i := range fixes {
			fixes[i].At, cold[i].At = at(200), at(200)
		}
		w.tell("van-01", fixes[0], cold[0])
		w.tell("van-01", fixes[1], cold[1])
		lat, c = now()
		require.Equal(t, 31.2, lat)
		require.Equal(t, 5., c)
	})
}
