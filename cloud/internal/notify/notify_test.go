package notify

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// calm is a world in which nothing fails.
func calm(t *testing.T) *world {
	w := newWorld(t, 1, "sms-a", "sms-b")
	for _, c := range w.via {
		c.(*provider).calm = true
	}
	return w
}

func (w *world) only(t *testing.T, e county.NoticeEvent) county.Notice {
	var found []county.Notice
	for _, n := range w.store.notices {
		if n.Event == e {
			found = append(found, n)
		}
	}
	require.Len(t, found, 1, e)
	return found[0]
}

func (w *world) stepOf(stage, before county.Stage, place, dep string) county.StepTold {
	return county.StepTold{Waybill: "YZ0000001", Site: "out-qingshi", Before: before, Deposit: dep, Row: county.Evidence{ID: "e-" + string(stage), At: w.now, Stage: stage, Place: place, Deposit: dep}}
}

func TestArrivalWaitsForTheLocker(t *testing.T) {
	w := calm(t)
	w.store.waybills["YZ0000001"] = county.Waybill{Waybill: "YZ0000001", Site: "out-qingshi", Consent: county.ConsentYes}
	w.store.tell(county.FactStep, "parcel/YZ0000001", w.stepOf(county.AtOutlet, county.InTransit, "site/out-qingshi", ""), w.now)
	w.until(w.now.Add(time.Hour))
	require.Equal(t, county.NoticeDue, w.only(t, county.NoticeArrived).Status)
	w.deposit("YZ0000001", "d-1", 3)
	w.until(w.now.Add(5 * time.Hour))
	require.Equal(t, county.NoticeDelivered, w.only(t, county.NoticeDeposited).Status)
	require.Equal(t, county.NoticeDropped, w.only(t, county.NoticeArrived).Status)
	require.Len(t, w.received, 1)
}

// Its tag falls silent in the van at the outlet, and it is scanned there: one arrival, also where the first is told last.
func TestAnArrivalOffAVanIsTheOutlets(t *testing.T) {
	w := calm(t)
	w.store.waybills["YZ0000001"] = county.Waybill{Waybill: "YZ0000001", Site: "out-qingshi", Consent: county.ConsentYes}
	w.store.tell(county.FactStep, "parcel/YZ0000001", w.stepOf(county.AtOutlet, county.InTransit, "site/out-qingshi", ""), w.now)
	w.deposit("YZ0000001", "d-1", 3)
	w.store.tell(county.FactStep, "parcel/YZ0000001", w.stepOf(county.AtOutlet, county.InTransit, "vehicle/v01", ""), w.now)
	w.until(w.now.Add(5 * time.Hour))
	require.Equal(t, county.NoticeDropped, w.only(t, county.NoticeArrived).Status)
	require.Len(t, w.received, 1, "where it lies")
}

// What is brought home asks nobody to come, unless it was brought back.
func TestWhatIsBroughtHomeIsNotToBeFetched(t *testing.T) {
	w := calm(t)
	w.store.waybills["YZ0000001"] = county.Waybill{Waybill: "YZ0000001", Site: "out-qingshi", Wish: county.WishHome, Consent: county.ConsentNo}
	w.store.tell(county.FactStep, "parcel/YZ0000001", w.stepOf(county.AtOutlet, county.InTransit, "site/out-qingshi", ""), w.now)
	w.until(w.now.Add(5 * time.Hour))
	require.Empty(t, w.received)
	w.store.tell(county.FactStep, "parcel/YZ0000001", w.stepOf(county.AtOutlet, county.OutForDelivery, "site/out-qingshi", ""), w.now)
	w.until(w.now.Add(5 * time.Hour))
	require.Len(t, w.received, 1, "nobody was there")
}

func TestArrivalWhereThereIsNoLockerIsToldAtOnce(t *testing.T) {
	w := calm(t)
	w.store.waybills["YZ0000001"] = county.Waybill{Waybill: "YZ0000001", Site: "out-far", Consent: county.ConsentYes}
	told := w.stepOf(county.AtOutlet, county.InTransit, "site/out-far", "")
	told.Site = "out-far"
	for range 3 {
		w.store.tell(county.FactStep, "parcel/YZ0000001", told, w.now)
	}
	w.until(w.now.Add(time.Minute))
	n := w.only(t, county.NoticeArrived)
	require.Equal(t, county.NoticeDelivered, n.Status)
	require.Equal(t, []string{"【云岭驿站】快件已到远山服务站，请来取。单号尾号0001"}, w.received[n.ID])
}

func TestWhatIsOvertakenOrTakenBackIsNotSent(t *testing.T) {
	w := calm(t)
	w.set.Quiet = channels.Quiet{From: "00:00", To: "23:59"}
	w.start(2)
	w.deposit("YZ0000001", "d-1", 3)
	w.until(w.now.Add(time.Minute))
	deposited := w.store.facts[0]
	w.store.tell(county.FactRetracted, deposited.Object, deposited.Doc, w.now)
	w.until(w.now.Add(time.Minute))
	require.Equal(t, "retracted", w.only(t, county.NoticeDeposited).Reason)
	w.store.tell(county.FactStep, deposited.Object, deposited.Doc, w.now)
	w.until(w.now.Add(time.Minute))
	require.Equal(t, county.NoticeDue, w.only(t, county.NoticeDeposited).Status)
	w.store.tell(county.FactStep, deposited.Object, w.stepOf(county.PickedUp, county.InLocker, "locker/lk-qingshi", "d-1"), w.now)
	w.until(w.now.Add(time.Minute))
	require.Equal(t, county.VoidOvertaken, w.only(t, county.NoticeDeposited).Reason)
	require.Equal(t, county.NoticeDue, w.only(t, county.NoticeCollected).Status)
	require.Empty(t, w.received)
}

func TestASecondDepositIsAnotherNotice(t *testing.T) {
	w := calm(t)
	w.deposit("YZ0000001", "d-1", 3)
	w.until(w.now.Add(time.Minute))
	w.deposit("YZ0000001", "d-2", 4)
	w.until(w.now.Add(time.Minute))
	require.Len(t, w.received, 2)
}

func TestDeadlinesExceptionsAndOfflineLockers(t *testing.T) {
	w := calm(t)
	w.deposit("YZ0000001", "d-1", 3)
	w.store.inside["locker/lk-qingshi"] = []county.Waybill{w.store.waybills["YZ0000001"]}
	until := w.now.Add(72 * time.Hour)
	for _, what := range []string{"reminder", "reminder", "last_day"} {
		w.store.tell(county.FactDue, "parcel/YZ0000001", county.Due{Waybill: "YZ0000001", Deposit: "d-1", Locker: "lk-qingshi", Cell: 3, What: what, Until: until}, w.now)
	}
	ended := w.now
	for _, e := range []county.Exception{
		{ID: "x-1", Class: county.Delay, Cause: "late", Object: "parcel/YZ0000001", Discovered: w.now},
		{ID: "x-2", Class: county.Damage, Cause: "refused", Object: "parcel/YZ0000001", Discovered: w.now},
		{ID: "x-3", Class: county.DataError, Cause: "bad_sequence", Object: "parcel/YZ0000001", Discovered: w.now},
		{ID: "x-4", Class: county.Delay, Cause: "offline", Object: "locker/lk-qingshi", Discovered: w.now},
		{ID: "x-2", Class: county.Damage, Cause: "refused", Object: "parcel/YZ0000001", Discovered: w.now, Ended: &ended},
	} {
		w.store.tell(county.FactException, e.Object, e, w.now)
	}
	w.until(w.now.Add(time.Minute))
	for e, status := range map[county.NoticeEvent]county.NoticeStatus{
		county.NoticeDeposited: county.NoticeDelivered, county.NoticeReminder: county.NoticeDropped, county.NoticeLastDay: county.NoticeDelivered,
		county.NoticeLate: county.NoticeDelivered, county.NoticeException: county.NoticeDropped, county.NoticeResolved: county.NoticeDelivered, county.NoticeOffline: county.NoticeDelivered,
	} {
		require.Equal(t, status, w.only(t, e).Status, e)
	}
	require.Len(t, w.store.notices, 7)
}

func TestOptOutAndQuietHours(t *testing.T) {
	w := calm(t)
	w.people.prefs.Off = []county.NoticeEvent{county.NoticeDeposited}
	w.deposit("YZ0000001", "d-1", 3)
	w.until(w.now.Add(time.Minute))
	require.Equal(t, "opted_out", w.only(t, county.NoticeDeposited).Reason)
	w.people.prefs = county.NoticePrefs{QuietFrom: "09:00", QuietTo: "11:30"} // it is ten
	w.deposit("YZ0000002", "d-2", 3)
	w.until(w.now.Add(time.Hour))
	require.Empty(t, w.received)
	w.until(w.now.Add(time.Hour))
	require.Len(t, w.received, 1)
	for _, n := range w.store.notices {
		require.Zero(t, n.Task, "quiet hours are no delay")
	}
}

func TestCapsTakeTheNextChannel(t *testing.T) {
	w := calm(t)
	w.set.Channels[0].DailyCap, w.set.Channels[1].PerMinute = 2, 1
	w.start(2)
	for i := range 5 {
		w.deposit(fmt.Sprintf("YZ000000%d", i), fmt.Sprintf("d-%d", i), i)
	}
	w.until(w.now.Add(10 * time.Minute))
	used := map[string]int{}
	for _, n := range w.store.notices {
		require.Equal(t, county.NoticeDelivered, n.Status)
		used[lastTry(&n).Channel]++
	}
	require.Equal(t, map[string]int{"sms-a": 2, "sms-b": 3}, used)
	var at []time.Time
	for _, n := range w.store.notices {
		if lastTry(&n).Channel == "sms-b" {
			at = append(at, lastTry(&n).At.Truncate(time.Minute))
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	require.Len(t, slices.CompactFunc(at, time.Time.Equal), 3, "one a minute")
}

func TestWhoHasNoNumberIsAKeepersTask(t *testing.T) {
	w := calm(t)
	w.people.is = county.Recipient{Name: "x"}
	w.set.Keepers = map[string]string{"out-qingshi": "aunt-wang"}
	w.start(2)
	w.deposit("YZ0000001", "d-1", 3)
	w.until(w.now.Add(time.Minute))
	n := w.only(t, county.NoticeDeposited)
	require.Equal(t, county.NoticeFailed, n.Status)
	require.Equal(t, "no_address", n.Reason)
	require.Equal(t, "aunt-wang", n.Owner)
	got, found, err := w.workers[0].Decide(t.Context(), n.ID, DecideMissed, "aunt-wang")
	require.NoError(t, err)
	require.True(t, found)
	require.NotZero(t, got.Task)
	got, _, err = w.workers[0].Decide(t.Context(), n.ID, DecideTold, "aunt-wang")
	require.NoError(t, err)
	require.Equal(t, county.NoticeTold, got.Status)
	require.Zero(t, got.Task)
	_, _, err = w.workers[0].Decide(t.Context(), n.ID, DecideSend, "aunt-wang")
	require.ErrorIs(t, err, ErrCannot)
	_, found, err = w.workers[0].Decide(t.Context(), "n-nobody", DecideSend, "x")
	require.NoError(t, err)
	require.False(t, found)
}

// What a database out of a backup doesn't know was sent, it doesn't send again by itself.
func TestNothingOldAfterARestore(t *testing.T) {
	w := calm(t)
	w.deposit("YZ0000001", "d-1", 1)
	w.until(w.now.Add(time.Minute))
	backup := w.store.copy()
	w.set.Quiet = channels.Quiet{}
	w.deposit("YZ0000002", "d-2", 2) // sent after the backup
	w.until(w.now.Add(time.Minute))
	require.Len(t, w.received, 2)
	lost := w.store.facts[1]

	w.store = backup
	w.store.at = w.maybeCrash
	w.now = w.now.Add(30 * time.Minute)
	w.start(2)
	w.store.waybills["YZ0000002"] = county.Waybill{Waybill: "YZ0000002", Site: "out-qingshi"}
	w.store.tell(lost.Event, lost.Object, lost.Doc, w.now) // the gateway sends it again
	w.deposit("YZ0000003", "d-3", 3)                       // and something new
	w.until(w.now.Add(5 * time.Hour))
	require.Len(t, w.received, 3)
	by := map[string]county.Notice{}
	for _, n := range w.store.notices {
		by[n.Waybill] = n
	}
	require.Equal(t, county.NoticeDelivered, by["YZ0000003"].Status)
	require.Equal(t, county.NoticeUnknown, by["YZ0000002"].Status)
	require.Equal(t, "restored", by["YZ0000002"].Reason)
	require.Len(t, w.received[by["YZ0000002"].ID], 1)

	_, _, err := w.workers[0].Decide(t.Context(), by["YZ0000002"].ID, DecideSend, "person")
	require.NoError(t, err)
	w.until(w.now.Add(time.Minute))
	got := w.received[by["YZ0000002"].ID]
	require.Len(t, got, 2)
	require.Equal(t, got[0], got[1], "the code is the same")
}

func TestALostMarkBesideALiveDatabaseHoldsNothing(t *testing.T) {
	w := calm(t)
	w.deposit("YZ0000001", "d-1", 1)
	w.until(w.now.Add(time.Minute))
	w.set.Marker += "-new" // one more worker, on another machine
	w.start(1)
	w.deposit("YZ0000002", "d-2", 2)
	w.until(w.now.Add(time.Minute))
	require.Len(t, w.received, 2)

	w.set.Marker += "-lost" // nobody was at it for an hour, and the file is gone
	w.now = w.now.Add(time.Hour)
	w.start(1)
	w.deposit("YZ0000003", "d-3", 3)
	w.now = w.now.Add(time.Second)
	w.until(w.now.Add(time.Minute))
	require.Len(t, w.received, 2)
}
