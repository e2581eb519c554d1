package state

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

func said(id, waybill, step string, s float64, e county.Said) county.Said {
	e.ID, e.Waybill, e.Step, e.At, e.Actor = id, waybill, step, at(s), "c01"
	return e
}

func (w *world) say(all ...county.Said) []county.Parcel {
	w.t.Helper()
	parcels, _, refused, err := w.Say(w.t.Context(), all)
	require.NoError(w.t, err)
	require.Empty(w.t, refused)
	return parcels
}

// wrong are the causes of a parcel's open exceptions.
func (w *world) wrong(object string) (causes []string) {
	all, _, err := w.Exceptions(w.t.Context(), county.ExceptionFilter{Object: object, Open: true}, "", 100)
	require.NoError(w.t, err)
	for _, x := range all {
		causes = append(causes, x.Cause)
	}
	return causes
}

func TestPeopleMoveParcels(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		signed := said("e-1", "YZ-000001", "signed_for", 500, county.Said{Reason: "at the door", Channel: "page"})
		w.say(said("e-0", "YZ-000001", "at_outlet", 100, county.Said{Site: "out-a"}), said("e-2", "YZ-000001", "out_for_delivery", 300, county.Said{Vehicle: "v01"}), signed)
		n := len(w.facts())
		p := w.say(signed)[0]
		require.Equal(t, county.SignedFor, p.Stage)
		require.Len(t, w.facts(), n, "the same event again is no news")
		signed.Reason = "at the neighbour's"
		_, _, refused, err := w.Say(t.Context(), []county.Said{signed, said("e-9", "YZ-999999", "sorted", 1, county.Said{}), said("e-3", "YZ-000001", "beamed", 1, county.Said{})})
		require.NoError(t, err)
		require.ErrorIs(t, refused[0], county.ErrTaken)
		require.ErrorIs(t, refused[1], county.ErrAbsent)
		require.ErrorContains(t, refused[2], "step: ")
		tl := w.timeline("YZ-000001")
		last := tl.Evidence[len(tl.Evidence)-1]
		require.Equal(t, "c01", last.Actor)
		require.Equal(t, "at the door", last.Reason)
		require.Equal(t, "person", last.Witnesses[0].Kind)
	})
}

func TestABadSequenceIsTakenAndFlagged(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		w.say(said("e-1", "YZ-000001", "sorted", 200, county.Said{Site: "wh"}))
		require.Equal(t, county.Sorted, w.timeline("YZ-000001").Stage, "accepted as data")
		require.Equal(t, []string{parcel.BadSequence}, w.wrong("parcel/YZ-000001"))
		tl := w.timeline("YZ-000001")
		require.Equal(t, "exception", tl.Views.Tracking)
		require.Equal(t, parcel.BadSequence, tl.Evidence[1].Flag)
		w.tell("wh-1", tag("dock-a", 100, tagA, telemetry.In)) // what was missing comes late
		require.Empty(t, w.wrong("parcel/YZ-000001"))
		tl = w.timeline("YZ-000001")
		require.Equal(t, county.Sorted, tl.Stage)
		require.Zero(t, tl.Wrong)
		require.Len(t, tl.Exceptions, 1)
		require.NotNil(t, tl.Exceptions[0].Ended)
		w.say(said("e-2", "YZ-000001", "picked_up", 150, county.Said{}))
		require.NotEmpty(t, w.wrong("parcel/YZ-000001"))
	})
}

func TestADeviceIsBelievedBeforeAPerson(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		for _, g := range []string{"wh-1", "van-01", "lk-a-1"} {
			rs := life()[g]
			if g == "lk-a-1" {
				rs = rs[:3]
			}
			w.tell(g, rs...)
		}
		require.Equal(t, county.InLocker, w.timeline("YZ-000001").Stage)
		w.say(said("e-1", "YZ-000001", "picked_up", 700, county.Said{Channel: "sms"}))
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.InLocker, tl.Stage, "its door told nothing")
		require.Equal(t, []string{parcel.Contradiction}, w.wrong("parcel/YZ-000001"))
		last := tl.Evidence[len(tl.Evidence)-1]
		require.Equal(t, county.Contradicted, last.Confidence)
		require.Equal(t, "sms", last.Witnesses[0].Kind)
		require.True(t, last.Witnesses[1].Disagree)
		w.tell("lk-a-1", cellEvent(720, 3, telemetry.CellOpened), cellEvent(730, 3, telemetry.CellEmptied)) // the board was away
		tl = w.timeline("YZ-000001")
		require.Equal(t, county.PickedUp, tl.Stage)
		require.Empty(t, w.wrong("parcel/YZ-000001"))
	})
}

func TestOneParcelInTwoVansIsAContradiction(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		for _, van := range []string{"van-01", "van-02"} {
			w.tell(van, position("gps", 10, 30.5, 103.2), position("gps", 100, 30.52, 103.2), position("gps", 2000, 30.55, 103.25))
		}
		w.tell("van-01", tag("rfid", 900, tagA, telemetry.Arrive))
		require.Empty(t, w.wrong("parcel/YZ-000001"))
		w.tell("van-02", tag("rfid", 950, tagA, telemetry.Arrive))
		require.Equal(t, []string{parcel.Contradiction}, w.wrong("parcel/YZ-000001"))
		opened := len(w.facts())
		w.tell("van-02", tag("rfid", 960, tagA, telemetry.Depart))
		all, _, err := w.Exceptions(t.Context(), county.ExceptionFilter{Cause: parcel.Contradiction}, "", 10)
		require.NoError(t, err)
		require.Len(t, all, 1, "opened once")
		require.Len(t, all[0].Evidence, 2)
		require.GreaterOrEqual(t, len(w.facts()), opened)
	})
}

func TestHeldAndAmended(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		hold, release, site, nowhere := true, false, "out-b", "nowhere"
		in := []county.Intake{{Waybill: county.Waybill{Waybill: "YZ-000001", EPC: tagA, Site: "out-a", Hold: true}, Recipient: []byte{1}, PhoneHash: "h1"}}
		_, refused, err := w.Announce(t.Context(), in, t0)
		require.NoError(t, err)
		require.Empty(t, refused)
		w.tell("wh-1", tag("dock-a", 10, tagA, telemetry.In))
		require.Empty(t, w.wrong("parcel/YZ-000001"))
		w.tell("wh-1", tag("dock-b", 100, tagA, telemetry.Out))
		require.Equal(t, []string{parcel.Held}, w.wrong("parcel/YZ-000001"), "flagged at the portal")
		p, changes, err := w.Amend(t.Context(), "YZ-000001", county.Amendment{Hold: &release, Actor: "office"})
		require.NoError(t, err)
		require.NotEmpty(t, changes)
		require.Zero(t, p.Wrong)
		p, _, err = w.Amend(t.Context(), "YZ-000001", county.Amendment{Site: &site, Recipient: []byte{2}, PhoneHash: "h2", Actor: "office"})
		require.NoError(t, err)
		require.Equal(t, "out-b", p.Site)
		_, _, err = w.Amend(t.Context(), "YZ-000001", county.Amendment{Site: &nowhere})
		require.ErrorContains(t, err, "site: ")
		_, _, err = w.Amend(t.Context(), "YZ-999999", county.Amendment{Hold: &hold})
		require.ErrorIs(t, err, county.ErrAbsent)
		was, err := w.Amended(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.Len(t, was, 2)
		require.True(t, was[0].Before.Hold)
		require.Equal(t, "out-a", was[1].Before.Site)
		mine, err := w.ParcelsOf(t.Context(), "h2", 10)
		require.NoError(t, err)
		require.Len(t, mine, 1)
		sealed, ok, err := w.Recipient(t.Context(), "YZ-000001")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, []byte{2}, sealed)
	})
}

func TestAnUnmatchedAddressIsAnExceptionUntilItIsCorrected(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, refused, err := w.Announce(t.Context(), []county.Intake{{Waybill: county.Waybill{Waybill: "YZ-000001"}, Recipient: []byte{1}, PhoneHash: "h"}}, t0)
		require.NoError(t, err)
		require.Empty(t, refused)
		require.Equal(t, []string{parcel.UnmatchedAddress}, w.wrong("parcel/YZ-000001"))
		site := "out-a"
		p, _, err := w.Amend(t.Context(), "YZ-000001", county.Amendment{Site: &site, Actor: "office"})
		require.NoError(t, err)
		require.Zero(t, p.Wrong)
		require.Empty(t, w.wrong("parcel/YZ-000001"))
		var events []county.FactEvent
		for _, f := range w.facts() {
			events = append(events, f.Event)
		}
		require.Equal(t, []county.FactEvent{county.FactWaybill, county.FactException, county.FactWaybill, county.FactException}, events)
	})
}

func TestCancelled(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", tagA)
		p, _, err := w.Cancel(t.Context(), "YZ-000001", "office", "ordered twice")
		require.NoError(t, err)
		require.Equal(t, county.Returned, p.Stage)
		p, _, err = w.Cancel(t.Context(), "YZ-000001", "office", "ordered twice")
		require.NoError(t, err, "again is no error")
		require.Equal(t, county.Returned, p.Stage)
		w.tell("wh-1", tag("dock-b", 100, tagA, telemetry.Out))
		p, _, err = w.Cancel(t.Context(), "YZ-000002", "office", "")
		require.NoError(t, err)
		require.Equal(t, county.Loaded, p.Stage, "it is on its way")
		require.Equal(t, []string{parcel.Held}, w.wrong("parcel/YZ-000002"), "and must come back")
		w.say(said("e", "YZ-000002", "returned", 3000, county.Said{}))
		_, _, err = w.Cancel(t.Context(), "YZ-000003", "office", "")
		require.ErrorIs(t, err, county.ErrAbsent)
	})
}

func TestCompletedByTime(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		for _, g := range []string{"wh-1", "van-01", "lk-a-1"} {
			w.tell(g, life()[g]...)
		}
		n, _, err := w.Expire(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n)
		w.now = at(910).Add(parcel.CompleteAfter + time.Second)
		n, changes, err := w.Expire(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Len(t, changes, 1)
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.Completed, tl.Stage)
		require.Equal(t, at(910).Add(parcel.CompleteAfter), tl.Since)
		require.Equal(t, "completed", tl.Views.Order)
		n, _, err = w.Expire(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestFromAVillage(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, refused, err := w.PutWaybills(t.Context(), []county.Waybill{{Waybill: "YZ-000001", EPC: tagA, Site: "out-a", Direction: county.FromVillage}}, t0)
		require.NoError(t, err)
		require.Empty(t, refused)
		w.tell("van-01", position("gps", 50, 30.6, 103.3), position("gps", 150, 30.6, 103.3), position("gps", 200, 30.58, 103.28), position("gps", 1000, 30.5, 103.2), position("gps", 1200, 30.5, 103.2))
		w.tell("lk-a-1", scan(60, "YZ-000001"))
		w.tell("van-01", tag("rfid", 100, tagA, telemetry.Arrive), tag("rfid", 1100, tagA, telemetry.Depart))
		w.tell("wh-1", tag("dock-a", 1150, tagA, telemetry.In), tag("dock-b", 2000, tagA, telemetry.Out))
		tl := w.timeline("YZ-000001")
		var stages []county.Stage
		for _, e := range tl.Evidence {
			require.Empty(t, e.Flag, e.Step)
			if e.Stage != "" {
				stages = append(stages, e.Stage)
			}
		}
		require.Equal(t, []county.Stage{county.Created, county.AtOutlet, county.Loaded, county.InTransit, county.AtWarehouse, county.Completed}, stages)
		require.Equal(t, "dispatched", tl.Views.Logistics)
		require.Empty(t, tl.Exceptions)
	})
}

func TestContainers(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const grai = "urn:epc:id:grai:0614141.12345.400"
		for i := range 3 {
			w.waybill(fmt.Sprintf("YZ-%06d", i+1), "")
		}
		require.NoError(t, w.PutContainer(t.Context(), county.Container{ID: "bag-1", Kind: "bag", EPC: grai, Code: "bag-0001"}))
		require.NoError(t, w.PutContainer(t.Context(), county.Container{ID: "cage-1", Kind: "cage", Code: "CAGE-1"}))
		_, err := w.Pack(t.Context(), "cage-1", []string{"bag-1"}, at(5), "c01")
		require.NoError(t, err)
		_, err = w.Pack(t.Context(), "bag-1", []string{"YZ-000001", "YZ-000002"}, at(10), "c01")
		require.NoError(t, err)
		_, err = w.Count(t.Context(), "bag-1", 3, at(20), "wh", "c01")
		require.NoError(t, err)
		require.Equal(t, []string{"count_differs"}, w.wrong("container/bag-1"))
		_, err = w.Pack(t.Context(), "bag-1", []string{"YZ-000003"}, at(15), "c01") // said late
		require.NoError(t, err)
		require.Empty(t, w.wrong("container/bag-1"), "the count was right after all")
		w.tell("wh-1", tag("dock-b", 100, grai, telemetry.Out))
		for i := range 3 {
			tl := w.timeline(fmt.Sprintf("YZ-%06d", i+1))
			require.Equal(t, county.Loaded, tl.Stage)
			require.True(t, tl.Inferred)
			require.Equal(t, county.Inferred, tl.Evidence[1].Confidence)
		}
		w.tell("lk-a-1", scan(500, "cage-1")) // the code of what holds the bag
		require.Equal(t, county.AtOutlet, w.timeline("YZ-000001").Stage)
		_, err = w.Break(t.Context(), "bag-1", at(50), "c01", "torn") // before it left
		require.NoError(t, err)
		require.Equal(t, county.Created, w.timeline("YZ-000001").Stage, "what lay loose went through no door")
		held, ok, err := w.Container(t.Context(), "bag-1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, held.Contents, 3)
		for _, item := range held.Contents {
			require.Equal(t, at(50), *item.Until)
		}
		_, err = w.Pack(t.Context(), "bag-9", []string{"YZ-000001"}, at(5), "c01")
		require.ErrorIs(t, err, county.ErrAbsent)
		_, err = w.Pack(t.Context(), "bag-1", []string{"bag-1"}, at(5), "c01")
		require.Error(t, err)
		require.Error(t, w.PutContainer(t.Context(), county.Container{ID: "bag-2", Kind: "bag", Code: "CAGE-1"}), "a code is one container's")
	})
}

func TestScannedIntoABag(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		reg := smallCounty()
		reg.Bindings["wh-1/bench"] = "bench/pack-1"
		require.NoError(t, w.Seed(t.Context(), reg, t0))
		require.NoError(t, w.Seed(t.Context(), reg, t0))
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		at1 := func(s float64, text string) telemetry.Reading {
			return telemetry.New("bench", at(s), telemetry.NTP, telemetry.Scan{Text: text})
		}
		w.tell("wh-1", at1(130, "YZ-000002"), at1(110, "yz-000001")) // before anybody knows the bag
		w.tell("wh-1", at1(120, "BAG-0002"), at1(100, "BAG-0001"))
		require.NoError(t, w.PutContainer(t.Context(), county.Container{ID: "bag-1", Kind: "bag", Code: "BAG-0001"}))
		require.NoError(t, w.PutContainer(t.Context(), county.Container{ID: "bag-2", Kind: "bag", Code: "BAG-0002"}))
		for bag, item := range map[string]string{"bag-1": "YZ-000001", "bag-2": "YZ-000002"} {
			held, _, err := w.Container(t.Context(), bag)
			require.NoError(t, err)
			require.Len(t, held.Contents, 1, bag)
			require.Equal(t, item, held.Contents[0].Item)
		}
		w.tell("lk-a-1", scan(900, "BAG-0001"))
		require.Equal(t, "bag-1", w.timeline("YZ-000001").Evidence[2].Via)
		require.Equal(t, county.AtOutlet, w.timeline("YZ-000001").Stage)
	})
}

func TestADepositThatNamesItsParcelNeedsNoScan(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		put := func(s float64, e telemetry.CellEvent) telemetry.Reading {
			return telemetry.New("board", at(s), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(4), Event: e, Deposit: "d-00112233", Waybill: "YZ-000001"})
		}
		w.tell("lk-a-1", scan(100, "YZ-000002"), put(110, telemetry.CellDeposited))
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.InLocker, tl.Stage)
		require.Equal(t, 4, tl.Cell)
		require.Equal(t, "d-00112233", tl.Evidence[1].Deposit)
		require.Equal(t, county.AtOutlet, w.timeline("YZ-000002").Stage, "a scan beside it claims nothing")
		l, _, err := w.Locker(t.Context(), "lk-a")
		require.NoError(t, err)
		require.Equal(t, "YZ-000001", l.Cells[3].Waybill)
		w.tell("lk-a-1", put(500, telemetry.CellEmptied))
		require.Equal(t, county.PickedUp, w.timeline("YZ-000001").Stage)
	})
}

func TestReportedExceptions(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		x := county.Exception{Class: county.Misdelivery, Cause: "not_mine", Object: "parcel/YZ-000001", Source: "customer", Detail: "by the page"}
		x, err := w.Report(t.Context(), x)
		require.NoError(t, err)
		again, err := w.Report(t.Context(), county.Exception{Class: county.Misdelivery, Cause: "not_mine", Object: "parcel/YZ-000001", Source: "customer"})
		require.NoError(t, err)
		require.Equal(t, x.ID, again.ID, "one report")
		w.tell("wh-1", tag("dock-a", 10, tagA, telemetry.In))
		tl := w.timeline("YZ-000001")
		require.Equal(t, 1, tl.Wrong, "a fold leaves it open")
		x, err = w.EndException(t.Context(), x.ID)
		require.NoError(t, err)
		require.NotNil(t, x.Ended)
		require.Zero(t, w.timeline("YZ-000001").Wrong)
		_, err = w.EndException(t.Context(), "x-1")
		require.ErrorIs(t, err, county.ErrAbsent)
		var told []county.Exception
		for _, f := range w.facts() {
			if f.Event == county.FactException {
				var x county.Exception
				require.NoError(t, json.Unmarshal(f.Doc, &x))
				told = append(told, x)
			}
		}
		require.Len(t, told, 2)
	})
}

func TestNothingPersonalIsInTheStoreUnsealed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		sealed := []byte("SEALED")
		_, _, err := w.Announce(t.Context(), []county.Intake{{Waybill: county.Waybill{Waybill: "YZ-000001", Site: "out-a"}, Recipient: sealed, PhoneHash: "0f"}}, t0)
		require.NoError(t, err)
		for _, f := range w.facts() {
			require.NotContains(t, string(f.Doc), "SEALED")
			require.NotContains(t, string(f.Doc), "0f\"")
		}
		items, _, err := w.Parcels(context.Background(), "YZ-", "", 10)
		require.NoError(t, err)
		b, err := json.Marshal(items)
		require.NoError(t, err)
		require.NotContains(t, string(b), "SEALED")
	})
}
