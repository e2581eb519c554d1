package state

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestRunsChangeDuringTheDay(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		run := county.Run{ID: "A1", Day: "2026-06-03", Vehicle: "v01", Stops: []county.RunStop{{Site: "wh", Depart: "08:30"}, {Site: "out-a", Arrive: "09:10"}}}
		require.NoError(t, w.PutRuns(t.Context(), []county.Run{run, {ID: "B1", Day: "2026-06-04", Stops: []county.RunStop{}}}))
		all, err := w.Runs(t.Context(), "2026-06-03")
		require.NoError(t, err)
		run.Version = 1
		require.Equal(t, []county.Run{run}, all)
		got, err := w.ChangeRun(t.Context(), "2026-06-03", "A1", func(r *county.Run) error { r.Cancelled = true; return nil })
		require.NoError(t, err)
		require.True(t, got.Cancelled)
		require.EqualValues(t, 2, got.Version)
		_, err = w.ChangeRun(t.Context(), "2026-06-03", "A1", func(r *county.Run) error { r.Vehicle = ""; return errors.New("no") })
		require.ErrorContains(t, err, "no")
		_, err = w.ChangeRun(t.Context(), "2026-06-03", "A9", func(*county.Run) error { return nil })
		require.ErrorIs(t, err, ErrNoRun)
		r, ok, err := w.RunOf(t.Context(), "2026-06-03", "A1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "v01", r.Vehicle)

		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		w.tell("lk-a-1", scan(430, "YZ-000002"), cellEvent(440, 3, "deposited"))
		list, err := w.Manifest(t.Context(), &r, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "YZ-000001", list[0].Waybill.Waybill)
	})
}

func TestAnActIsKeptOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := county.Act{ID: "7f1c", Kind: county.ActRefuse, Actor: "c01", Site: "out-a", At: t0, Of: "YZ-000001", Photo: true}
		for i := range 3 {
			fresh, err := w.PutAct(t.Context(), a, "image/jpeg", []byte{1, 2, 3})
			require.NoError(t, err)
			require.Equal(t, i == 0, fresh)
		}
		other := a
		other.Actor = "c02"
		_, err := w.PutAct(t.Context(), other, "", nil)
		require.ErrorIs(t, err, ErrAct)
		all, err := w.Acts(t.Context(), "out-a", 10)
		require.NoError(t, err)
		require.Equal(t, []county.Act{a}, all)
		mime, body, ok, err := w.Photo(t.Context(), "7f1c")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "image/jpeg", mime)
		require.Equal(t, []byte{1, 2, 3}, body)
	})
}
