package parcel

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
)

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

var facts = Facts{
	Waybill: county.Waybill{Waybill: "YZ-000001", Site: "out-a"}, Created: t0,
	Kind: func(site string) string {
		switch {
		case site == "wh":
			return county.Warehouse
		case strings.HasPrefix(site, "out-"):
			return county.Outlet
		}
		return ""
	},
}

// ev is an event so many minutes into the story.
func ev(m int, step string, e Event) Event {
	e.At, e.Step, e.ID = t0.Add(time.Duration(m)*time.Minute), step, step+time.Duration(m).String()
	return e
}

func van(site string) Event  { return Event{Vehicle: "v01", Site: site} }
func dock(door string) Event { return Event{Site: "wh", Door: door} }

func TestStages(t *testing.T) {
	loaded := []Event{ev(0, Created, Event{}), ev(1, ReachedSite, van("wh")), ev(2, Aboard, van(""))}
	onRoad := append(loaded[:3:3], ev(3, LeftSite, van("wh")))
	arrived := append(onRoad[:4:4], ev(9, ReachedSite, van("out-a")))
	atOutlet := append(arrived[:5:5], ev(10, Off, van("")))
	inLocker := append(atOutlet[:6:6], ev(12, Deposited, Event{Locker: "lk-a", Cell: 3}))
	for name, c := range map[string]struct {
		events []Event
		stage  county.Stage
		place  string
	}{
		"nothing seen":                        {nil, county.Created, ""},
		"in through the inbound door":         {[]Event{ev(1, PassedIn, dock(county.Inbound))}, county.AtWarehouse, "site/wh"},
		"arrived at the inbound door":         {[]Event{ev(1, Arrived, dock(county.Inbound))}, county.AtWarehouse, "site/wh"},
		"out through the inbound door":        {[]Event{ev(1, PassedOut, dock(county.Inbound))}, county.Created, ""},
		"out through the outbound door":       {[]Event{ev(1, PassedOut, dock(county.Outbound))}, county.Loaded, "site/wh"},
		"back in through the outbound door":   {[]Event{ev(1, PassedOut, dock(county.Outbound)), ev(2, PassedIn, dock(county.Outbound))}, county.AtWarehouse, "site/wh"},
		"leaving a reader's field is no news": {[]Event{ev(1, Departed, dock(county.Inbound))}, county.Created, ""},
		"aboard":                              {loaded, county.Loaded, "vehicle/v01"},
		"aboard on the road":                  {[]Event{ev(1, LeftSite, van("")), ev(2, Aboard, van(""))}, county.InTransit, "vehicle/v01"},
		"on the road":                         {onRoad, county.InTransit, "vehicle/v01"},
		"shadowed on the road":                {append(onRoad[:4:4], ev(4, Off, van(""))), county.InTransit, "vehicle/v01"},
		"unloaded at the warehouse":           {append(loaded[:3:3], ev(3, Off, van(""))), county.AtWarehouse, "site/wh"},
		"the van came to its outlet":          {arrived, county.InTransit, "vehicle/v01"},
		"unloaded at its outlet":              {atOutlet, county.AtOutlet, "site/out-a"},
		"unloaded elsewhere":                  {append(onRoad[:4:4], ev(9, ReachedSite, van("out-b")), ev(10, Off, van(""))), county.InTransit, "site/out-b"},
		"loaded again":                        {append(atOutlet[:6:6], ev(11, Aboard, van(""))), county.InTransit, "vehicle/v01"},
		"scanned at its outlet":               {[]Event{ev(1, Scanned, Event{Site: "out-a"})}, county.AtOutlet, "site/out-a"},
		"scanned elsewhere":                   {[]Event{ev(1, Scanned, Event{Site: "out-b"})}, county.Created, ""},
		"in the locker":                       {inLocker, county.InLocker, "locker/lk-a"},
		"seen through the locker's wall":      {append(inLocker[:7:7], ev(13, Aboard, van(""))), county.InLocker, "locker/lk-a"},
		"collected":                           {append(inLocker[:7:7], ev(14, Collected, Event{Locker: "lk-a", Cell: 3})), county.PickedUp, ""},
		"the van goes on without it":          {append(inLocker[:7:7], ev(14, LeftSite, van("out-a"))), county.InLocker, "locker/lk-a"},
	} {
		got := Fold(facts, c.events)
		require.Equal(t, c.stage, got.Stage, name)
		require.Equal(t, c.place, got.Place, name)
	}
}

func TestFenceEventsOfOtherTripsAreNoEvidence(t *testing.T) {
	got := Fold(facts, []Event{ev(1, ReachedSite, van("wh")), ev(2, LeftSite, van("wh")), ev(3, Aboard, Event{Vehicle: "v02"}), ev(4, LeftSite, van("out-b"))})
	require.Len(t, got.Evidence, 1)
}

func TestOrderAndRepetitionMakeNoDifference(t *testing.T) {
	steps := []string{Created, Arrived, Departed, PassedIn, PassedOut, Aboard, Off, LeftSite, ReachedSite, Scanned, Deposited, Collected}
	rapid.Check(t, func(t *rapid.T) {
		var events []Event
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			e := Event{Site: rapid.SampledFrom([]string{"wh", "out-a", "out-b", ""}).Draw(t, "site"), Via: rapid.SampledFrom([]string{"", "bag-1"}).Draw(t, "via")}
			switch step := rapid.SampledFrom(steps).Draw(t, "step"); step {
			case Aboard, Off, LeftSite, ReachedSite:
				e.Vehicle = rapid.SampledFrom([]string{"v01", "v02"}).Draw(t, "vehicle")
				events = append(events, ev(i, step, e))
			default:
				e.Door = rapid.SampledFrom([]string{county.Inbound, county.Outbound}).Draw(t, "door")
				events = append(events, ev(i/2, step, e))
			}
		}
		for i := range events {
			events[i].ID = strconv.Itoa(i)
		}
		want := Fold(facts, events)
		order := append(rapid.Permutation(events).Draw(t, "order"), rapid.SampledFrom(events).Draw(t, "again"))
		require.Equal(t, want, Fold(facts, order))
	})
}

// A parcel that is to be brought home goes out for delivery where it leaves its outlet aboard.
func TestToTheDoor(t *testing.T) {
	home := facts
	home.Waybill.Wish, home.Waybill.Consent = county.WishHome, county.ConsentNo
	there := []Event{ev(1, ReachedSite, van("wh")), ev(2, Aboard, van("")), ev(3, LeftSite, van("wh")), ev(9, ReachedSite, van("out-a"))}
	passed := append(there[:4:4], ev(10, LeftSite, van("out-a")))
	putOff := append(there[:4:4], ev(10, Off, van("")), ev(12, Aboard, van("")))
	for name, c := range map[string]struct {
		facts  Facts
		events []Event
		stage  county.Stage
	}{
		"on its way":                 {home, there, county.InTransit},
		"past its outlet":            {home, passed, county.OutForDelivery},
		"put aboard at its outlet":   {home, putOff, county.OutForDelivery},
		"brought back":               {home, append(passed[:5:5], ev(20, ReachedSite, van("out-a")), ev(21, Off, van(""))), county.AtOutlet},
		"handed over":                {home, append(passed[:5:5], said(20, "signed_for", Event{})), county.SignedFor},
		"said by the courier":        {home, append(there[:4:4], ev(10, Off, van("")), said(30, "out_for_delivery", Event{Site: "out-a"})), county.OutForDelivery},
		"past another outlet":        {home, append(there[:3:3], ev(5, ReachedSite, van("out-b")), ev(6, LeftSite, van("out-b"))), county.InTransit},
		"not asked for, and past it": {facts, passed, county.InTransit},
	} {
		tl := Fold(c.facts, c.events)
		require.Equal(t, c.stage, tl.Stage, name)
		require.Zero(t, tl.Wrong, name)
	}
}

// A step whose time is an interval says between when and when.
func TestTheIntervalOfAStep(t *testing.T) {
	e := ev(60, Scanned, Event{Site: "wh"})
	e.ErrMS, e.TQ = 90_000, "retro"
	tl := Fold(facts, []Event{e, ev(70, Scanned, Event{Site: "wh"})})
	require.Equal(t, []any{e.At, int64(90_000), e.At.Add(-90 * time.Second), e.At.Add(90 * time.Second)}, []any{tl.Evidence[0].At, tl.Evidence[0].ErrMS, tl.Evidence[0].From, tl.Evidence[0].To})
	require.True(t, tl.Evidence[1].From.IsZero())
	b, err := json.Marshal(tl.Evidence)
	require.NoError(t, err)
	require.Contains(t, string(b), `"te_ms":90000,"earliest":"2026-11-21T08:58:30Z","latest":"2026-11-21T09:01:30Z"`)
	require.Equal(t, 1, strings.Count(string(b), "earliest"))
}
