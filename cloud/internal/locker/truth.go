package locker

import (
	"slices"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// closed is the word of a truth for a door that was seen shut, whatever was said of what is inside.
const closed = string(telemetry.CellClosed)

// Truth tells what a door did for an order, of the events that name it, in whatever order they come. What was asked of the door comes first,
// whatever its time says (accepted, pulse_sent), then what was seen, in the total order: opened, forced, jammed, wrong_door, not_opened,
// closed, deposited, emptied. A board that says deposited or emptied at once says closed with it. What is said twice in a row counts once.
func Truth(events []Event) []county.DoorStep {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b Event) int {
		if d := asked(&a) - asked(&b); d != 0 {
			return d
		}
		return a.Compare(b.Sighting)
	})
	var out []county.DoorStep
	last := map[int]string{} // what was said of a cell's door last
	for i := range events {
		e := &events[i]
		cell := e.Cell.Or(0)
		for _, step := range said(e, last[cell]) {
			if step == last[cell] {
				continue
			}
			last[cell] = step
			out = append(out, county.DoorStep{Step: step, Cell: cell, At: e.At, TQ: e.TQ, ErrMS: e.ErrMS, WaitedS: e.WaitedS.Or(0)})
		}
	}
	return out
}

// asked ranks what was asked before what was seen.
func asked(e *Event) int {
	switch e.Event {
	case telemetry.CellAccepted:
		return 0
	case telemetry.CellPulseSent:
		return 1
	}
	return 2
}

// said is what an event says of a door of which last was said before.
func said(e *Event, last string) []string {
	word := string(e.Event)
	switch {
	case word != deposited && word != emptied, last == closed, last == deposited, last == emptied:
		return []string{word}
	}
	return []string{closed, word}
}
