package mqttlocker

import (
	"strconv"

	"yizhan/devices/telemetry"
)

// state is what the locker told since it logged in. What it said and wasn't acknowledged comes again after the next
// login, so a login forgets all: nothing is passed over that may not have been kept.
type state struct {
	device string
	cells  map[int]known
}

// known is what was told of a cell.
type known struct {
	seen
	held telemetry.Opt[bool] // the item that was told last, whatever was told of the door since
}

func newState(device string) state { return state{device, map[int]known{}} }

// fold makes readings of a message: an event is told as it is, of a snapshot what differs from what was told.
func (s *state) fold(m message) []telemetry.Reading {
	var out []telemetry.Reading
	for _, now := range m.cells {
		event, ok := m.event, true
		if event == "" {
			event, ok = s.change(now)
		} else if event == telemetry.CellClosed {
			event = s.shut(now)
		}
		s.keep(now)
		if !ok {
			continue
		}
		r := telemetry.New(s.device, m.at, telemetry.RTC, telemetry.Locker{Cell: telemetry.Some(now.cell), Event: event, Occupied: s.cells[now.cell].item})
		if r.N = m.n; m.event == "" {
			r.N += "-" + strconv.Itoa(now.cell)
		}
		out = append(out, r)
	}
	if m.gauges != nil {
		out = append(out, telemetry.New(s.device, m.at, telemetry.RTC, m.gauges))
	}
	return out
}

// keep remembers what is known. What a closed cell holds isn't known from before it was open.
func (s *state) keep(now seen) {
	before := s.cells[now.cell]
	k := known{now, now.item}
	if !now.open.Known() {
		k.open = before.open
	}
	if !now.item.Known() {
		k.held = before.held
		if k.open.Or(false) || k.open == before.open {
			k.item = before.item
		}
	}
	s.cells[now.cell] = k
}

// change says what a snapshot tells of a cell, if anything.
func (s *state) change(now seen) (event telemetry.CellEvent, tells bool) {
	open, told := now.open.Get()
	if !told {
		return "", false
	}
	before := s.cells[now.cell]
	was, seen := before.open.Get()
	switch {
	case open:
		return telemetry.CellOpened, !seen || !was
	case !seen:
		return telemetry.CellClosed, true
	}
	event = s.shut(now)
	return event, was || event != telemetry.CellClosed || now.item.Known() && !before.item.Known()
}

// shut says what a cell that is closed now went through.
func (s *state) shut(now seen) telemetry.CellEvent {
	holds, told := now.item.Get()
	held, known := s.cells[now.cell].held.Get()
	switch {
	case !told || !known || holds == held:
		return telemetry.CellClosed
	case holds:
		return telemetry.CellDeposited
	}
	return telemetry.CellEmptied
}

// open reports whether a cell was told open last.
func (s *state) open(cell int) bool { return s.cells[cell].open.Or(false) }
