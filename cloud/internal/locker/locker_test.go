package locker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func seen(id string, s float64) county.Sighting { return county.Sighting{ID: id, At: at(s)} }

func TestFold(t *testing.T) {
	const opened, closed, deposited, emptied, jammed, forced = telemetry.CellOpened, telemetry.CellClosed, telemetry.CellDeposited, telemetry.CellEmptied, telemetry.CellJammed, telemetry.CellForced
	for name, c := range map[string]struct {
		events []telemetry.CellEvent
		state  county.CellState
		since  float64
	}{
		"nothing":                 {nil, county.CellUnknown, 0},
		"opened":                  {[]telemetry.CellEvent{opened}, county.CellDoorOpen, 0},
		"closed says not if full": {[]telemetry.CellEvent{opened, closed}, county.CellUnknown, 1},
		"deposited":               {[]telemetry.CellEvent{opened, deposited}, county.CellOccupied, 1},
		"looked at":               {[]telemetry.CellEvent{deposited, opened, closed}, county.CellOccupied, 2},
		"emptied":                 {[]telemetry.CellEvent{deposited, opened, emptied}, county.CellEmpty, 2},
		"jammed":                  {[]telemetry.CellEvent{deposited, jammed}, county.CellFault, 1},
		"repaired":                {[]telemetry.CellEvent{deposited, jammed, opened, closed}, county.CellOccupied, 3},
		"only asked for":          {[]telemetry.CellEvent{deposited, jammed, telemetry.CellAccepted, telemetry.CellPulseSent, telemetry.CellWrongDoor}, county.CellFault, 1},
		"forced":                  {[]telemetry.CellEvent{emptied, forced}, county.CellDoorOpen, 1},
	} {
		var events []Event
		for i, e := range c.events {
			events = append(events, Event{seen(string(e), float64(i)), telemetry.Locker{Event: e}})
		}
		state, since := Fold(events)
		require.Equal(t, c.state, state, name)
		if len(events) > 0 {
			require.Equal(t, at(c.since), since, name)
		}
	}
}

// A cell that a courier's parcel was accepted for is that one's, until its door speaks; who takes something out reserves nothing.
func TestReserved(t *testing.T) {
	by := func(who string) telemetry.Locker { return telemetry.Locker{Event: telemetry.CellAccepted, By: who} }
	emptied, opened := telemetry.Locker{Event: telemetry.CellEmptied}, telemetry.Locker{Event: telemetry.CellOpened}
	for name, c := range map[string]struct {
		events []telemetry.Locker
		want   county.CellState
		since  float64
	}{
		"accepted":         {[]telemetry.Locker{emptied, by("courier")}, county.CellReserved, 1},
		"opened":           {[]telemetry.Locker{emptied, by("courier"), opened}, county.CellDoorOpen, 2},
		"nothing came":     {[]telemetry.Locker{emptied, by("courier"), {Event: telemetry.CellClosed}}, county.CellEmpty, 2},
		"jammed":           {[]telemetry.Locker{emptied, by("courier"), {Event: telemetry.CellJammed}}, county.CellFault, 2},
		"opened again":     {[]telemetry.Locker{emptied, by("code")}, county.CellEmpty, 0},
		"taken back":       {[]telemetry.Locker{{Event: telemetry.CellDeposited}, by("courier")}, county.CellOccupied, 0},
		"of nothing known": {[]telemetry.Locker{by("courier")}, county.CellUnknown, -1},
	} {
		var events []Event
		for i, l := range c.events {
			events = append(events, Event{seen(name, float64(i)), l})
		}
		state, since := Fold(events)
		require.Equal(t, c.want, state, name)
		if c.since >= 0 {
			require.Equal(t, at(c.since), since, name)
		}
	}
}

func TestSensorTellsWhatTheEventDoesNot(t *testing.T) {
	state, _ := Fold([]Event{{seen("a", 1), telemetry.Locker{Event: telemetry.CellClosed, Occupied: telemetry.Some(true)}}})
	require.Equal(t, county.CellOccupied, state)
}

func TestAStatementThatContradictsIsAChangeSeenLate(t *testing.T) {
	full := Step(telemetry.Locker{Event: telemetry.CellClosed, Occupied: telemetry.Some(true)})
	empty := Step(telemetry.Locker{Event: telemetry.CellClosed, Occupied: telemetry.Some(false)})
	require.Equal(t, "closed", Step(telemetry.Locker{Event: telemetry.CellClosed}))
	require.Equal(t, "opened", Step(telemetry.Locker{Event: telemetry.CellOpened, Occupied: telemetry.Some(true)}))
	for before, want := range map[string][2]bool{ // full puts, empty takes
		"": {false, false}, "deposited": {false, true}, full: {false, true}, "emptied": {true, false}, empty: {true, false},
	} {
		require.Equal(t, want, [2]bool{Puts(full, before), Takes(empty, before)}, before)
		require.True(t, Puts("deposited", before) && Takes("emptied", before))
		require.False(t, Puts(empty, before) || Takes(full, before) || Puts("emptied", before) || Takes("opened", before))
	}
	require.True(t, Late(full) && Late(empty) && !Late("deposited"))
}

// visit reads a story of events a word, with their seconds: sA@1 is a scan, o1@5 and d1@9 are cell 1's.
func visit(story string) (scans []county.Sighting, deposits []Deposit) {
	opened := map[string]time.Time{}
	for _, w := range strings.Fields(story) {
		id, s, _ := strings.Cut(w, "@")
		d, err := time.ParseDuration(s + "s")
		if err != nil {
			panic(err)
		}
		e := seen(id, d.Seconds())
		switch id[0] {
		case 's':
			scans = append(scans, e)
		case 'o':
			opened[id[1:]] = e.At
		case 'd':
			deposits = append(deposits, Deposit{e, opened[id[1:]]})
			delete(opened, id[1:])
		}
	}
	return scans, deposits
}

var visits = map[string]struct{ story, want string }{
	"within a minute":                    {"s@0 d@60", "d=s"},
	"too late":                           {"s@0 d@60.001", ""},
	"the last one scanned":               {"s1@0 s2@5 d@9", "d=s2"},
	"a scan is good for one":             {"s@0 d1@9 d2@19", "d1=s"},
	"one after another":                  {"s1@0 d1@9 s2@20 d2@29", "d1=s1 d2=s2"},
	"a deposit before no scan":           {"d@9 s@10", ""},
	"opened after the scan":              {"sA@0 o1@3 d1@9 sB@12 o2@15 d2@20", "d1=sA d2=sB"},
	"the next scan overtakes a deposit":  {"sA@0 o1@3 sB@8.6 d1@9 o2@11 d2@20", "d1=sA d2=sB"},
	"and again and again":                {"sA@0 o1@3 sB@8.6 d1@9 o2@11 sC@19.8 d2@20 o3@22 d3@30", "d1=sA d2=sB d3=sC"},
	"overtakes, no door told":            {"sA@0 sB@8.6 d1@9 d2@20", "d1=sA d2=sB"},
	"overtakes one that wasn't scanned":  {"o1@3 sB@8.6 d1@9 o2@11 d2@20", "d2=sB"},
	"overtakes, and its own isn't there": {"sA@0 o1@3 sB@8.6 d1@9", "d1=sA"},
	"two doors open":                     {"sA@0 o1@3 sB@5 o2@8 d2@12 d1@20", "d1=sA d2=sB"},
	"scanned before the last was shut":   {"sA@0 o1@3 sB@6 d1@9 o2@11 d2@20", "d1=sA d2=sB"},
	"opened first, scanned then":         {"o1@0 sA@3 d1@6 o2@8 sB@11 d2@15 o3@17 sC@20 d3@24", "d1=sA d2=sB d3=sC"},
	"scanned, opened, no parcel in":      {"sA@0 o1@3 o2@20 d2@25", "d2=sA"},
	"wrong parcel scanned first":         {"sA@0 sB@4 o1@6 d1@9 o2@11 d2@15", "d1=sB"},
	"a moment before, and nothing else":  {"s@0 d@0.4", "d=s"},
	"opened long before":                 {"o1@0 s@70 d1@75", "d1=s"},
	"one scan, two doors":                {"sA@0 o1@3 o2@4 d2@8 d1@9", "d1=sA"},
}

func TestBind(t *testing.T) {
	for name, c := range visits {
		want := map[string]string{}
		for _, w := range strings.Fields(c.want) {
			d, s, _ := strings.Cut(w, "=")
			want[d] = s
		}
		require.Equal(t, want, Bind(visit(c.story)), name)
	}
}

// What lies further away than Reach never matters, nor does the order.
func TestBindingIsLocal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var scans []county.Sighting
		var deposits []Deposit
		for i := range rapid.IntRange(1, 60).Draw(t, "n") {
			e := seen(string(rune('a'+i)), float64(rapid.IntRange(0, 1200).Draw(t, "s")))
			if rapid.Bool().Draw(t, "scan") {
				scans = append(scans, e)
				continue
			}
			d := Deposit{Sighting: e}
			if rapid.Bool().Draw(t, "told") {
				d.Opened = e.At.Add(-time.Duration(rapid.IntRange(0, 70).Draw(t, "open")) * time.Second)
			}
			deposits = append(deposits, d)
		}
		all := Bind(scans, deposits)
		require.Equal(t, all, Bind(rapid.Permutation(scans).Draw(t, "scans"), rapid.Permutation(deposits).Draw(t, "deposits")))
		used := map[string]bool{}
		for _, d := range deposits {
			near := Bind(scans, slices.DeleteFunc(slices.Clone(deposits), func(o Deposit) bool { return o.At.Sub(d.At).Abs() > Reach-Window }))
			require.Equal(t, all[d.ID], near[d.ID])
			if s := all[d.ID]; s != "" {
				require.False(t, used[s], "good for one")
				used[s] = true
			}
			var asked []county.Sighting // the last scans before the moments that count are enough
			for _, o := range deposits {
				opened, shut := o.Door()
				for _, m := range []time.Time{opened, shut, o.At} {
					var last *county.Sighting
					for i := range scans {
						if s := &scans[i]; !s.At.After(m) && (last == nil || last.Before(*s)) {
							last = s
						}
					}
					if last != nil && !slices.ContainsFunc(asked, func(s county.Sighting) bool { return s.ID == last.ID }) {
						asked = append(asked, *last)
					}
				}
			}
			require.Equal(t, all, Bind(asked, deposits))
		}
	})
}
