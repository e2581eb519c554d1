package locker

import (
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Event is one event of one cell with its place in the total order.
type Event struct {
	county.Sighting
	telemetry.Locker
}

// The steps of evidence that say what is in a cell, besides deposited and emptied: a board's statement of a shut door.
const (
	ClosedFull  = "closed_full"
	ClosedEmpty = "closed_empty"
)

const (
	deposited = string(telemetry.CellDeposited)
	emptied   = string(telemetry.CellEmptied)
)

// Step is the word that evidence keeps of a cell's event.
func Step(l telemetry.Locker) string {
	full, known := l.Occupied.Get()
	switch {
	case l.Event != telemetry.CellClosed || !known:
		return string(l.Event)
	case full:
		return ClosedFull
	}
	return ClosedEmpty
}

// Puts tells that with step something was put into a cell; before is the step before it that says what is in the
// cell (deposited, emptied, closed_full or closed_empty; none is empty). A statement that contradicts it is a change that nobody saw.
func Puts(step, before string) bool {
	return step == deposited || step == ClosedFull && (before == emptied || before == ClosedEmpty)
}

// Takes tells that with step what was in a cell was taken out; before as with Puts.
func Takes(step, before string) bool {
	return step == emptied || step == ClosedEmpty && (before == deposited || before == ClosedFull)
}

// Late tells that a step that puts or takes is a statement: what it tells happened before, nobody knows when.
func Late(step string) bool { return step == ClosedFull || step == ClosedEmpty }

// Reserved is how long a cell may be reserved: a pulse comes within seconds, or never.
const Reserved = time.Minute

// Fold tells what the events of a cell, in the total order, make of it, and since when.
func Fold(events []Event) (state county.CellState, since time.Time) {
	var door, occupied telemetry.Opt[bool]
	jammed := false
	state = county.CellUnknown
	for i := range events {
		e := &events[i]
		switch e.Event {
		case telemetry.CellAccepted: // for a parcel that isn't there yet: its cell is nobody else's
			if e.By == "courier" && state == county.CellEmpty {
				state, since = county.CellReserved, e.At
			}
			continue
		case telemetry.CellPulseSent, telemetry.CellWrongDoor, telemetry.CellNotOpened: // what was asked of a door, not what it did
			continue
		}
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
			door, occupied = telemetry.Some(false), telemetry.Some(true)
		case telemetry.CellEmptied:
			door, occupied = telemetry.Some(false), telemetry.Some(false)
		}
		if s := word(door, occupied, jammed); s != state {
			state, since = s, e.At
		}
	}
	return state, since
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
