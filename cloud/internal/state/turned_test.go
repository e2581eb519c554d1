package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// refused is a cabinet's alarm that it let a parcel not in.
func refused(sec float64, why, waybill string) telemetry.Reading {
	r := telemetry.New("board", at(sec), telemetry.NTP, telemetry.Alarm{Code: "deposit_refused", Severity: telemetry.Minor, Detail: why + " " + waybill})
	r.N = "cab-" + why + waybill + at(sec).String()
	return r
}

// every is all that was ever wrong with a parcel, open or not: cause, and whether it is open.
func (w *world) every(waybill string) map[string]bool {
	all, _, err := w.Exceptions(w.t.Context(), county.ExceptionFilter{Object: "parcel/" + waybill}, "", 100)
	require.NoError(w.t, err)
	out := map[string]bool{}
	for _, x := range all {
		require.NotContains(w.t, out, x.Cause, "once")
		out[x.Cause] = x.Ended == nil
	}
	return out
}

func TestWhatALockerLetNotInIsAnException(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		no := refused(430, "no_consent", "YZ-000001")
		w.tell("lk-a-1", scan(429, "YZ-000001"), no)
		w.tell("lk-a-1", no, refused(440, "no_consent", "YZ-000001"))
		w.tell("lk-a-1", no)
		require.Equal(t, map[string]bool{"no_consent": true}, w.every("YZ-000001"))
		tl := w.timeline("YZ-000001")
		require.Equal(t, 1, tl.Wrong)
		require.Equal(t, county.AtOutlet, tl.Stage)
		require.Len(t, tl.Evidence, 4)
		row := tl.Evidence[2]
		require.Equal(t, []string{parcel.TurnedAway, "locker/lk-a", "no_consent", "lk-a-1/board"}, []string{row.Step, row.Place, row.Reason, row.Device})
		require.Equal(t, []string{row.ID, tl.Evidence[3].ID}, tl.Exceptions[0].Evidence)
		require.Equal(t, county.Delay, tl.Exceptions[0].Class)

		yes := county.WishLocker
		_, _, err := w.Amend(t.Context(), "YZ-000001", county.Amendment{Wish: &yes, Actor: "recipient"})
		require.NoError(t, err)
		require.Equal(t, map[string]bool{"no_consent": false}, w.every("YZ-000001"), "they agreed")
		w.tell("lk-a-1", refused(450, "full", "YZ-000001"), refused(451, "sign_on", "YZ-000001"), refused(452, "no_consent", "soap"))
		require.Equal(t, map[string]bool{"no_consent": false, "locker_full": true}, w.every("YZ-000001"))
		w.tell("lk-a-1", keyed(500, 3, "YZ-000001", "d-0000000000000001", 1))
		require.Equal(t, map[string]bool{"no_consent": false, "locker_full": false}, w.every("YZ-000001"))
		require.Zero(t, w.timeline("YZ-000001").Wrong)
	})
}

// What is told of it late, when it lies in a cell already, is put down with its end, and opens nothing.
func TestALateWordOfALockerIsPutDown(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.tell("lk-a-1", keyed(500, 3, "YZ-000001", "d-0000000000000001", 1))
		for range 2 {
			w.tell("lk-a-1", refused(450, "full", "YZ-000001"))
			require.Equal(t, map[string]bool{"locker_full": false}, w.every("YZ-000001"))
			tl := w.timeline("YZ-000001")
			require.Zero(t, tl.Wrong)
			require.Equal(t, at(500), *tl.Exceptions[0].Ended)
			require.Equal(t, county.InLocker, tl.Stage)
		}
		require.Equal(t, 1, int(w.timeline("YZ-000001").Exceptions[0].Version), "told once")
	})
}

// A parcel that nobody announced is an exception under its own waybill, and stays the same one when it is announced.
func TestAStrangerAtALocker(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.now = t0.Add(2 * time.Hour)
		w.tell("lk-a-1", refused(430, "unknown_waybill", "YZ-000009"), refused(431, "unknown_waybill", "YZ-000009"))
		w.tell("lk-a-1", refused(460, "unknown_waybill", "YZ-000009"))
		require.Equal(t, map[string]bool{"unknown_waybill": true}, w.every("YZ-000009"))
		w.waybill("YZ-000009", "")
		require.Equal(t, map[string]bool{"unknown_waybill": true}, w.every("YZ-000009"))
		tl := w.timeline("YZ-000009")
		require.Equal(t, 1, tl.Wrong)
		require.Len(t, tl.Exceptions[0].Evidence, 3)
		require.Equal(t, county.DataError, tl.Exceptions[0].Class)
		w.say(said("a", "YZ-000009", "at_outlet", 3700, county.Said{Site: "out-a"}))
		require.Equal(t, map[string]bool{"unknown_waybill": false}, w.every("YZ-000009"))
		w.tell("lk-a-1", refused(470, "unknown_waybill", "YZ-000009"))
		require.Equal(t, map[string]bool{"unknown_waybill": false}, w.every("YZ-000009"))
	})
}
