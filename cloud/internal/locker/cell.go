package locker

import (
	"slices"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Event is one event of one cell with its place in the total order.
type Event struct {
	county.Sighting
	telemetry.Locker
}

// Fold tells what the events of a cell, in the total order, make of it. Held is the deposit that
// nothing took out again.
func Fold(events []Event) (state county.CellState, since time.Time, held *Event) {
	var door, occupied telemetry.Opt[bool]
	jammed := false
	state = county.CellUnknown
	for i := range events {
		e := &events[i]
		if e.Occupied.Known() {
			occupied = e.Occupied
		}
		jammed = e.Event == telemetry.CellJammed
		switch e.Event {
		case telemetry.CellOpened, telemetry.CellForced:
			door = telemetry.Some(true)
		case telemetry.CellClosed:
			door = telemetry.Some(false)
		case telemetry.CellDeposited:
			door, occupied, held = telemetry.Some(false), telemetry.Some(true), e
		case telemetry.CellEmptied:
			door, occupied, held = telemetry.Some(false), telemetry.Some(false), nil
		}
		if s := word(door, occupied, jammed); s != state {
			state, since = s, e.At
		}
	}
	return state, since, held
}

func word(door, occupied telemetry.Opt[bool], jammed bool) county.CellState {
	full, known := occupied.Get()
	switch {
	case jammed:
		return county.CellFault
	case door.Or(false):
		return county.CellDoorOpen
	case !known:
		return county.CellUnknown
	case full:
		return county.CellOccupied
	}
	return county.CellEmpty
}

// Window is how long after a scan a deposit still belongs to it.
const Window = 60 * time.Second

// Bind tells which scan each deposit of one gateway belongs to, by the ids of both. A scan is
// good for one deposit, the first after it; a deposit takes the last scan before it.
func Bind(scans, deposits []county.Sighting) map[string]string {
	type step struct {
		*county.Sighting
		scan bool
	}
	var all []step
	for i := range scans {
		all = append(all, step{&scans[i], true})
	}
	for i := range deposits {
		all = append(all, step{&deposits[i], false})
	}
	slices.SortFunc(all, func(a, b step) int { return a.Compare(*b.Sighting) })
	bound := map[string]string{}
	var open *county.Sighting
	for _, s := range all {
		switch {
		case s.scan:
			open = s.Sighting
		case open != nil:
			if s.At.Sub(open.At) <= Window {
				bound[s.ID] = open.ID
			}
			open = nil
		}
	}
	return bound
}
