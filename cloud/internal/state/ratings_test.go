package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestAParcelIsRatedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		rate := func(waybill string, score int) bool {
			ok, err := w.Rate(t.Context(), county.Rating{Waybill: waybill, Site: "out-a", Score: score, At: t0})
			require.NoError(t, err)
			return ok
		}
		require.True(t, rate("YZ-000001", 5))
		require.False(t, rate("YZ-000001", 1), "the first stays")
		require.False(t, rate("YZ-000001", 5))
		require.True(t, rate("YZ-000002", 2))
		score, err := w.Rated(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.Equal(t, 5, score)
		all, err := w.Ratings(t.Context(), t0)
		require.NoError(t, err)
		mean := 3.5
		require.Equal(t, []county.RatingMean{{Site: "out-a", N: 2, Mean: &mean}}, all)
		none, err := w.Ratings(t.Context(), t0.Add(time.Second))
		require.NoError(t, err)
		require.Empty(t, none)
	})
}
