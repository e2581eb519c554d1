package parcel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
)

// turned is a cabinet's word that it let a parcel not in.
func turned(m int, locker, why string) Event {
	return ev(m, TurnedAway, Event{Locker: locker, Site: "out-a", Reason: why})
}

func TestWhatACabinetTurnsAwayIsAnException(t *testing.T) {
	arrived := ev(5, Scanned, Event{Site: "out-a"})
	for name, c := range map[string]struct {
		events []Event
		class  county.ExceptionClass
		cause  string // empty: none
		ended  bool
	}{
		"no consent":                  {[]Event{arrived, turned(6, "lk-a", "no_consent")}, county.Delay, "no_consent", false},
		"three times the same":        {[]Event{turned(6, "lk-a", "no_consent"), turned(7, "lk-a", "no_consent"), turned(9, "lk-a", "no_consent")}, county.Delay, "no_consent", false},
		"no cell of its size":         {[]Event{arrived, turned(6, "lk-a", "full")}, county.Delay, "locker_full", false},
		"needs cold":                  {[]Event{arrived, turned(6, "lk-a", "needs_cold")}, county.Delay, "needs_cold", false},
		"no list":                     {[]Event{arrived, turned(6, "lk-a", "no_list")}, county.Delay, "locker_unready", false},
		"not expected there":          {[]Event{arrived, turned(6, "lk-a", "unknown_waybill")}, county.DataError, "unknown_waybill", false},
		"whoever must sign on, does":  {[]Event{arrived, turned(6, "lk-a", "sign_on")}, "", "", false},
		"the scan comes behind":       {[]Event{turned(5, "lk-a", "no_consent"), ev(6, Scanned, Event{Site: "out-a"})}, county.Delay, "no_consent", false},
		"then it went in":             {[]Event{arrived, turned(6, "lk-a", "full"), ev(9, Deposited, Event{Locker: "lk-a", Cell: 2, Site: "out-a"})}, county.Delay, "locker_full", true},
		"then it was signed for":      {[]Event{arrived, turned(6, "lk-a", "no_consent"), said(9, "signed_for", Event{})}, county.Delay, "no_consent", true},
		"then it was put at counter":  {[]Event{arrived, turned(6, "lk-a", "no_consent"), said(9, "at_outlet", Event{Site: "out-a"})}, county.Delay, "no_consent", true},
		"then it went to the door":    {[]Event{arrived, turned(6, "lk-a", "no_consent"), said(9, "out_for_delivery", Event{})}, county.Delay, "no_consent", true},
		"turned away, and once more":  {[]Event{arrived, turned(6, "lk-a", "full"), said(9, "at_outlet", Event{Site: "out-a"}), turned(12, "lk-a", "full")}, county.Delay, "locker_full", false},
		"only the last locker counts": {[]Event{arrived, turned(6, "lk-a", "full"), turned(12, "lk-b", "no_consent")}, county.Delay, "no_consent", false},
	} {
		tl := Fold(facts, c.events)
		var open, ended []county.Exception
		for _, x := range tl.Exceptions {
			if x.Ended == nil {
				open = append(open, x)
			} else {
				ended = append(ended, x)
			}
		}
		require.Len(t, open, tl.Wrong, name)
		switch {
		case c.cause == "":
			require.Empty(t, tl.Exceptions, name)
		case c.ended:
			require.Empty(t, open, name)
			require.Len(t, ended, 1, name)
			require.Equal(t, c.cause, ended[0].Cause, name)
			require.Equal(t, t0.Add(9*time.Minute), *ended[0].Ended, name)
		default:
			require.Len(t, open, 1, name)
			require.Equal(t, c.class, open[0].Class, name)
			require.Equal(t, c.cause, open[0].Cause, name)
			require.NotEmpty(t, open[0].Evidence, name)
		}
	}
	yes := facts
	yes.Waybill.Consent = county.ConsentYes
	tl := Fold(yes, []Event{arrived, turned(6, "lk-a", "no_consent")})
	require.Zero(t, tl.Wrong, "its recipient said yes since")
	row := tl.Evidence[len(tl.Evidence)-1]
	require.Equal(t, county.Evidence{
		ID: row.ID, At: row.At, Step: TurnedAway, Place: "locker/lk-a", Reason: "no_consent", Confidence: county.Confirmed, Witnesses: row.Witnesses,
	}, row)
	require.Equal(t, county.AtOutlet, tl.Stage, "it moved nowhere")
}

func said(m int, step string, e Event) Event {
	e.Kind, e.Actor = KindPerson, "c01"
	return ev(m, step, e)
}

func TestTurnedAwayInAnyOrder(t *testing.T) {
	events := []Event{
		ev(5, Scanned, Event{Site: "out-a"}), turned(5, "lk-a", "full"), turned(6, "lk-a", "full"), said(7, "at_outlet", Event{Site: "out-a"}), turned(8, "lk-a", "no_consent"),
		turned(9, "lk-a", "full"), ev(11, Deposited, Event{Locker: "lk-a", Cell: 2, Site: "out-a"}), ev(12, Collected, Event{Locker: "lk-a", Cell: 2, Site: "out-a"}),
	}
	want := Fold(facts, events)
	require.Len(t, want.Exceptions, 2)
	rapid.Check(t, func(rt *rapid.T) {
		told := rapid.Permutation(events).Draw(rt, "order")
		told = append(told, rapid.SliceOf(rapid.SampledFrom(events)).Draw(rt, "again")...)
		require.Equal(rt, want, Fold(facts, told))
	})
}
