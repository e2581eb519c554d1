package locker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func seen(id string, s float64) county.Sighting {
	return county.Sighting{ID: id, At: t0.Add(time.Duration(s * float64(time.Second)))}
}

func TestFold(t *testing.T) {
	const opened, closed, deposited, emptied, jammed, forced = telemetry.CellOpened, telemetry.CellClosed, telemetry.CellDeposited, telemetry.CellEmptied, telemetry.CellJammed, telemetry.CellForced
	for name, c := range map[string]struct {
		events []telemetry.CellEvent
		state  county.CellState
		since  float64
		held   bool
	}{
		"nothing":                 {nil, county.CellUnknown, 0, false},
		"opened":                  {[]telemetry.CellEvent{opened}, county.CellDoorOpen, 0, false},
		"closed says not if full": {[]telemetry.CellEvent{opened, closed}, county.CellUnknown, 1, false},
		"deposited":               {[]telemetry.CellEvent{opened, deposited}, county.CellOccupied, 1, true},
		"looked at":               {[]telemetry.CellEvent{deposited, opened, closed}, county.CellOccupied, 2, true},
		"emptied":                 {[]telemetry.CellEvent{deposited, opened, emptied}, county.CellEmpty, 2, false},
		"jammed":                  {[]telemetry.CellEvent{deposited, jammed}, county.CellFault, 1, true},
		"repaired":                {[]telemetry.CellEvent{deposited, jammed, opened, closed}, county.CellOccupied, 3, true},
		"forced":                  {[]telemetry.CellEvent{emptied, forced}, county.CellDoorOpen, 1, false},
	} {
		var events []Event
		for i, e := range c.events {
			events = append(events, Event{seen(string(e), float64(i)), telemetry.Locker{Event: e}})
		}
		state, since, held := Fold(events)
		require.Equal(t, c.state, state, name)
		require.Equal(t, c.held, held != nil, name)
		if state != county.CellUnknown || len(events) > 0 {
			require.Equal(t, t0.Add(time.Duration(c.since*float64(time.Second))), since, name)
		}
	}
}

func TestSensorTellsWhatTheEventDoesNot(t *testing.T) {
	state, _, _ := Fold([]Event{{seen("a", 1), telemetry.Locker{Event: telemetry.CellClosed, Occupied: telemetry.Some(true)}}})
	require.Equal(t, county.CellOccupied, state)
}

func TestBind(t *testing.T) {
	for name, c := range map[string]struct {
		scans, deposits []county.Sighting
		want            map[string]string
	}{
		"within a minute":          {[]county.Sighting{seen("s", 0)}, []county.Sighting{seen("d", 60)}, map[string]string{"d": "s"}},
		"too late":                 {[]county.Sighting{seen("s", 0)}, []county.Sighting{seen("d", 60.001)}, map[string]string{}},
		"the last one scanned":     {[]county.Sighting{seen("s1", 0), seen("s2", 5)}, []county.Sighting{seen("d", 9)}, map[string]string{"d": "s2"}},
		"a scan is good for one":   {[]county.Sighting{seen("s", 0)}, []county.Sighting{seen("d1", 9), seen("d2", 19)}, map[string]string{"d1": "s"}},
		"one after another":        {[]county.Sighting{seen("s1", 0), seen("s2", 20)}, []county.Sighting{seen("d1", 9), seen("d2", 29)}, map[string]string{"d1": "s1", "d2": "s2"}},
		"a deposit before no scan": {[]county.Sighting{seen("s", 10)}, []county.Sighting{seen("d", 9)}, map[string]string{}},
	} {
		require.Equal(t, c.want, Bind(c.scans, c.deposits), name)
	}
}
