package parcel

import (
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// by is an event of a device, dated by NTP.
func by(device string, e Event) Event {
	e.Device, e.TQ = device, telemetry.NTP
	return e
}

func TestConfidence(t *testing.T) {
	v01 := []Event{ev(0, ReachedSite, van("wh")), ev(30, LeftSite, van("wh")), ev(60, ReachedSite, van("out-a"))}
	v02 := []Event{ev(0, LeftSite, Event{Vehicle: "v02"}), ev(200, ReachedSite, Event{Vehicle: "v02", Site: "out-b"})}
	portal := by("wh-1/dock-b", ev(20, PassedOut, dock(county.Outbound)))
	reader := by("van-01/rfid", ev(22, Aboard, van("")))
	other := by("van-02/rfid", ev(23, Aboard, Event{Vehicle: "v02"}))
	bag := by("wh-1/dock-b", ev(20, PassedOut, dock(county.Outbound)))
	bag.Via = "bag-1"
	scanned := by("lk/scan", ev(65, Scanned, Event{Site: "out-a"}))
	undated := scanned
	undated.TQ = telemetry.Unknown
	told := ev(40, "at_outlet", Event{Site: "out-b", Actor: "c01"})
	told.Kind = KindPerson
	onRoad := by("van-01/rfid", ev(40, Aboard, van("")))
	for name, c := range map[string]struct {
		events []Event
		step   string
		want   county.Confidence
		kinds  []string // of its witnesses
		wrong  []string // causes
	}{
		"a portal alone":                     {[]Event{portal}, PassedOut, county.Inferred, []string{"portal"}, nil},
		"a portal and a van's reader":        {append([]Event{portal, reader}, v01...), PassedOut, county.Confirmed, []string{"portal", "reader", "fence"}, nil},
		"a reader of whose van nobody knows": {[]Event{portal, reader}, Aboard, county.Inferred, []string{"reader"}, nil},
		"by its bag":                         {[]Event{bag}, PassedOut, county.Inferred, []string{"portal"}, nil},
		"by its bag, and seen itself":        {append([]Event{bag, reader}, v01...), PassedOut, county.Confirmed, []string{"portal", "reader", "fence"}, nil},
		"a scan":                             {[]Event{scanned}, Scanned, county.Confirmed, []string{"scan"}, nil},
		"a scan without a time":              {[]Event{undated}, Scanned, county.Inferred, []string{"scan"}, nil},
		"two vans far from each other":       {append(append([]Event{by("van-01/rfid", ev(40, Aboard, van(""))), by("van-02/rfid", ev(41, Aboard, Event{Vehicle: "v02"}))}, v01...), v02...), Aboard, county.Contradicted, []string{"reader", "reader"}, []string{Contradiction}},
		"two vans at one place":              {append(append([]Event{reader, other}, v01...), ev(1, ReachedSite, Event{Vehicle: "v02", Site: "wh"})), Aboard, county.Inferred, nil, nil},
		"a person against a reader":          {append([]Event{onRoad, told}, v01...), "at_outlet", county.Contradicted, []string{"person", "reader"}, []string{Contradiction}},
		"a reader against a person":          {append([]Event{onRoad, told}, v01...), Aboard, county.Inferred, []string{"reader"}, []string{Contradiction}},
	} {
		got := Fold(facts, c.events)
		found := false
		for _, e := range got.Evidence {
			if e.Step != c.step || found {
				continue
			}
			found = true
			require.Equal(t, c.want, e.Confidence, name)
			if c.kinds != nil {
				var kinds []string
				for _, w := range e.Witnesses {
					kinds = append(kinds, w.Kind)
				}
				require.ElementsMatch(t, c.kinds, kinds, name)
			}
		}
		require.True(t, found, name)
		var causes []string
		for _, x := range got.Exceptions {
			causes = append(causes, x.Cause)
		}
		require.Equal(t, c.wrong, causes, name)
	}
}

func TestPeoplesWordsLeadToTheirStages(t *testing.T) {
	for word, stage := range Words {
		e := ev(5, word, Event{Site: "out-a", Vehicle: "v01", Locker: "lk-a", Cell: 3, Actor: "c01"})
		e.Kind = KindPerson
		got := Fold(facts, []Event{e})
		switch {
		case word == Cancelled:
			stage = county.Returned
		case stage == "":
			stage = county.Created
		}
		require.Equal(t, stage, got.Stage, word)
		require.Equal(t, "c01", got.Evidence[0].Actor)
	}
}

func TestWhatFollowsWhat(t *testing.T) {
	said := func(m int, word string) Event {
		e := ev(m, word, Event{Site: "wh", Vehicle: "v01", Actor: "c01"})
		e.Kind = KindPerson
		return e
	}
	for _, c := range []struct {
		words []string
		flags int
	}{
		{[]string{"at_warehouse", "sorted", "loaded", "in_transit", "at_outlet", "out_for_delivery", "signed_for", "completed"}, 0},
		{[]string{"at_outlet", "picked_up"}, 0}, // stages are passed over: few parcels bear tags
		{[]string{"sorted"}, 1},
		{[]string{"at_outlet", "at_warehouse"}, 1},
		{[]string{"picked_up"}, 1},
		{[]string{"at_outlet", "signed_for", "at_outlet"}, 1},
		{[]string{"at_outlet", "returned", "lost_closed"}, 1},
		{[]string{"at_outlet", "out_for_delivery", "at_outlet", "returned"}, 0},
	} {
		var events []Event
		for i, w := range c.words {
			events = append(events, said(i*30, w))
		}
		flags := 0
		for _, e := range Fold(facts, events).Evidence {
			if e.Flag == BadSequence {
				flags++
			}
		}
		require.Equal(t, c.flags, flags, c.words)
	}
}

// A demonstration's vans truly drive that fast.
func TestNothingIsFasterThanItsPace(t *testing.T) {
	portal, scanned := by("wh-1/dock-b", ev(20, PassedOut, dock(county.Outbound))), by("lk/scan", ev(20, Scanned, Event{Site: "out-a"}))
	scanned.At = portal.At.Add(Apart / 2)
	pace := facts
	for speed, want := range map[float64]int{0: 1, 1: 1, 1.9: 1, 3: 0, 10: 0} {
		pace.Pace = speed
		require.Len(t, Fold(pace, []Event{portal, scanned}).Exceptions, want, "%v", speed)
	}
}
