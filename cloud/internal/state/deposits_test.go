package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// lying follows the facts and returns what lies in the locker.
func (w *world) lying() []county.Deposit {
	w.t.Helper()
	for {
		n, err := w.FollowDeposits(w.t.Context(), 2)
		require.NoError(w.t, err)
		if n == 0 {
			break
		}
	}
	all, err := w.Deposits(w.t.Context(), "lk-a")
	require.NoError(w.t, err)
	return all
}

// dues are the deadlines told so far.
func (w *world) dues() (out []string) {
	w.t.Helper()
	for {
		n, err := w.TellDues(w.t.Context(), 1)
		require.NoError(w.t, err)
		if n == 0 {
			break
		}
	}
	facts, err := w.Facts(w.t.Context(), 0, 1000)
	require.NoError(w.t, err)
	for _, f := range facts {
		if f.Event == county.FactDue {
			out = append(out, f.Key)
		}
	}
	return out
}

func TestDepositsAndTheirDeadlines(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.tell("lk-a-1", scan(430, "YZ-000001"), cellEvent(440, 3, "deposited"))
		all := w.lying()
		require.Len(t, all, 1)
		d := all[0]
		require.Equal(t, county.Deposit{ID: d.ID, Waybill: "YZ-000001", Locker: "lk-a", Cell: 3, Since: at(440), Until: at(440).Add(72 * time.Hour)}, d)
		_, ok, err := w.Deposit(t.Context(), d.ID)
		require.NoError(t, err)
		require.True(t, ok)

		w.now = d.Since.Add(23 * time.Hour)
		require.Empty(t, w.dues())
		w.now = d.Since.Add(24 * time.Hour)
		require.Len(t, w.dues(), 1)
		require.Len(t, w.dues(), 1, "once")
		w.now = d.Since.Add(49 * time.Hour)
		require.Len(t, w.dues(), 2)
		until, err := w.Extend(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.Equal(t, d.Until.Add(24*time.Hour), until)
		_, err = w.Extend(t.Context(), "YZ-000001")
		require.ErrorIs(t, err, ErrNotExtended)
		require.Len(t, w.dues(), 3, "extended")
		w.now = until.Add(time.Hour)
		told := w.dues()
		require.Len(t, told, 4, "away since before the new last day: only that it is over")
		require.Contains(t, told[3], "/expired/")
		require.True(t, w.lying()[0].Overdue)
		l, _, err := w.Locker(t.Context(), "lk-a")
		require.NoError(t, err)
		require.Equal(t, county.CellOverdue, l.Cells[2].State)

		w.tell("lk-a-1", cellEvent(5000, 3, "emptied"))
		require.Empty(t, w.lying())
		_, err = w.Extend(t.Context(), "YZ-000001")
		require.ErrorIs(t, err, ErrNotExtended)
	})
}

// A deposit that turns out to be another parcel's is that one's, and the first one lies nowhere.
func TestADepositFollowsTheEvidence(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		w.tell("lk-a-1", scan(430, "YZ-000001"), cellEvent(440, 3, "deposited"))
		require.Equal(t, "YZ-000001", w.lying()[0].Waybill)
		w.tell("lk-a-1", scan(435, "YZ-000002")) // late: between the scan and the door
		all := w.lying()
		require.Len(t, all, 1)
		require.Equal(t, "YZ-000002", all[0].Waybill)
		w.tell("lk-a-1", cellEvent(700, 3, "emptied"))
		require.Empty(t, w.lying())
	})
}

// keyed is a deposit as a cabinet with a key of that generation tells it.
func keyed(sec float64, cellNo int, waybill, deposit string, generation int) telemetry.Reading {
	return telemetry.New("board", at(sec), telemetry.NTP, telemetry.Locker{
		Cell: telemetry.Some(cellNo), Event: telemetry.CellDeposited, Occupied: telemetry.Some(true), Deposit: deposit, Waybill: waybill, Generation: telemetry.Some(generation),
	})
}

// A deposit keeps the key it was put in under until its locker has another; then each is told once.
func TestDepositsOfAnotherKey(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		w.tell("lk-a-1", keyed(440, 3, "YZ-000001", "d-0000000000000001", 1), keyed(450, 4, "YZ-000002", "d-0000000000000002", 2))
		all := w.lying()
		require.Len(t, all, 2)
		require.Equal(t, []int{1, 2}, []int{all[0].Generation, all[1].Generation})
		tl, _, err := w.Timeline(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.Equal(t, 1, tl.Evidence[len(tl.Evidence)-1].Generation)
		g, err := w.KeyGeneration(t.Context(), "lk-a-1")
		require.NoError(t, err)
		require.Zero(t, g)
		w.tell("lk-a-1", telemetry.New("gateway", at(460), telemetry.NTP, telemetry.Health{{Name: "locker_key_generation", Value: 2}}))
		g, err = w.KeyGeneration(t.Context(), "lk-a-1")
		require.NoError(t, err)
		require.Equal(t, 2, g)
		for _, want := range []int{1, 0} {
			n, err := w.Recode(t.Context(), "lk-a", g)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
		require.Equal(t, []string{"due/d-0000000000000001/recoded/2"}, w.dues())
		d, ok, err := w.Deposit(t.Context(), "d-0000000000000001")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 2, d.Generation)
		require.Equal(t, all[0].Until, d.Until)
	})
}

// A recipient's wish is a consent, and is kept with who said it.
func TestAWishIsAConsent(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		for _, c := range []struct {
			wish county.Wish
			want county.Consent
		}{{county.WishLocker, county.ConsentYes}, {county.WishHome, county.ConsentNo}} {
			p, _, err := w.Amend(t.Context(), "YZ-000001", county.Amendment{Wish: &c.wish, Actor: "recipient"})
			require.NoError(t, err)
			require.Equal(t, c.wish, p.Wish)
			require.Equal(t, c.want, p.Consent)
		}
		was, err := w.Amended(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.Equal(t, county.WishLocker, was[1].Before.Wish)
		require.Equal(t, "recipient", was[1].Actor)
		moon := county.Wish("moon")
		_, _, err = w.Amend(t.Context(), "YZ-000001", county.Amendment{Wish: &moon})
		require.ErrorContains(t, err, "wish")
	})
}

func TestACellIsReservedForAMinute(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		accepted := telemetry.New("board", at(450), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(3), Event: telemetry.CellAccepted, By: "courier", Op: "k-1"})
		w.tell("lk-a-1", cellEvent(440, 3, "emptied"), accepted)
		for _, c := range []struct {
			at   float64
			want county.CellState
		}{{455, county.CellReserved}, {450 + 61, county.CellEmpty}} {
			w.now = at(c.at)
			l, _, err := w.Locker(t.Context(), "lk-a")
			require.NoError(t, err)
			require.Equal(t, c.want, l.Cells[2].State)
		}
	})
}

func TestWhatALockerExpects(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		ids := func() (out []string) {
			all, err := w.Expected(t.Context(), "out-a", "lk-a", 10)
			require.NoError(t, err)
			for _, x := range all {
				out = append(out, x.Waybill)
			}
			return out
		}
		require.Equal(t, []string{"YZ-000001", "YZ-000002"}, ids())
		w.tell("lk-a-1", scan(430, "YZ-000001"), cellEvent(440, 3, "deposited"))
		require.Equal(t, []string{"YZ-000002"}, ids())
	})
}

// A cabinet names its deposits itself, whatever number the evidence has; what was promised of one stays when its step is told
// anew, otherwise.
func TestADepositHasTheCabinetsName(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		put := func(s float64) telemetry.Reading {
			return telemetry.New("board", at(s), telemetry.NTP, telemetry.Locker{
				Cell: telemetry.Some(3), Event: telemetry.CellDeposited, Occupied: telemetry.Some(true), Deposit: "d-0011223344556677", Waybill: "YZ-000001",
			})
		}
		w.tell("lk-a-1", put(440))
		all := w.lying()
		require.Len(t, all, 1)
		require.Equal(t, "d-0011223344556677", all[0].ID)
		w.now = at(440).Add(time.Hour)
		until, err := w.Extend(t.Context(), "YZ-000001")
		require.NoError(t, err)
		w.tell("lk-a-1", put(441)) // the same deposit told again, a second later
		all = w.lying()
		require.Len(t, all, 1)
		require.Equal(t, "d-0011223344556677", all[0].ID)
		require.Equal(t, until, all[0].Until)

		again := &county.StepTold{Waybill: "YZ-000001", Deposit: all[0].ID, Row: county.Evidence{ID: "late", Place: "locker/lk-a", Cell: 3, At: at(439)}}
		require.NoError(t, w.Update(t.Context(), func(tx Tx) error { return tx.putDeposit(t.Context(), again, false) }))
		kept, ok, err := w.Deposit(t.Context(), all[0].ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, at(439), kept.Since, "its evidence says when it was put in")
		require.Equal(t, until, kept.Until, "and what was promised stays")
	})
}

// A parcel that goes to a door is in no locker's list; what somebody said otherwise since ends the wish.
func TestWhatGoesHomeIsExpectedByNoLocker(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		expected := func() (ids []string) {
			all, err := w.Expected(t.Context(), "out-a", "lk-a", 10)
			require.NoError(t, err)
			for _, x := range all {
				ids = append(ids, x.Waybill+" "+string(x.Consent))
			}
			return ids
		}
		_, refused, err := w.PutWaybills(t.Context(), []county.Waybill{
			{Waybill: "YZ-000001", Site: "out-a", Wish: county.WishHome}, {Waybill: "YZ-000002", Site: "out-a", Consent: county.ConsentNo},
			{Waybill: "YZ-000003", Site: "out-a", Wish: county.WishHome, Consent: county.ConsentYes}, {Waybill: "YZ-000004", Site: "out-a", Wish: county.WishLocker},
		}, t0)
		require.NoError(t, err)
		require.Len(t, refused, 1)
		require.ErrorContains(t, refused[2], "wish: home goes not with consent yes")
		require.Equal(t, []string{"YZ-000002 no", "YZ-000004 yes"}, expected())
		yes := county.ConsentYes
		p, _, err := w.Amend(t.Context(), "YZ-000001", county.Amendment{Consent: &yes, Actor: "token"})
		require.NoError(t, err)
		require.Empty(t, p.Wish)
		require.Equal(t, []string{"YZ-000001 yes", "YZ-000002 no", "YZ-000004 yes"}, expected())

		_, _, err = w.Announce(t.Context(), []county.Intake{{Waybill: county.Waybill{Waybill: "YZ-000005", Site: "out-a"}, Recipient: []byte("SEALED"), PhoneHash: "0f"}}, t0)
		require.NoError(t, err)
		sealed, err := w.Recipients(t.Context(), []string{"YZ-000001", "YZ-000005", "YZ-000009"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"YZ-000005": []byte("SEALED")}, sealed)
	})
}
