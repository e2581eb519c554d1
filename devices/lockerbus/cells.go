package lockerbus

import (
	"fmt"
	"time"

	"yizhan/devices/telemetry"
)

// grace is how long after a pulse an opening is explained by it: a bolt may have let go without
// the door moving until somebody pulls.
const grace = 30 * time.Second

// A board is one lock board and what is known of its cells.
type board struct {
	Board
	cells []*cell

	doors, items contact
	sensed       bool // its cells have item sensors
	due          bool // to be read now
}

// A contact is whether a board answers.
type contact struct {
	lost  bool
	tried time.Time
}

// idle reports whether a lost board is left alone for now.
func (c *contact) idle(now time.Time) bool { return c.lost && now.Sub(c.tried) < lostEvery }

// A cell remembers what was told of it.
type cell struct {
	number int
	board  *board
	lock   int // on its board, from 1

	known    bool
	open     bool
	occupied telemetry.Opt[bool] // as told
	changing bool                // the item sensor disagreed once

	closed  time.Time // seen closed last
	opened  time.Time // seen open first
	alarmed bool      // of standing open
	pulsed  time.Time // not yet answered by an opening
}

func newBoard(b Board, occupancy string) *board {
	n := &board{Board: b, sensed: b.ItemBoard != 0 || occupancy == Infrared}
	for i := range b.Cells {
		n.cells = append(n.cells, &cell{number: b.FirstCell + i, board: n, lock: i + 1})
	}
	return n
}

// at is the cell of a lock, nil when it isn't in use.
func (b *board) at(lock int) *cell {
	if lock < 1 || lock > len(b.cells) {
		return nil
	}
	return b.cells[lock-1]
}

// see takes what was read of the cell and returns what there is to tell: "" nothing.
func (c *cell) see(open bool, item telemetry.Opt[bool], now time.Time) telemetry.CellEvent {
	was, known := c.open, c.known
	c.known, c.open = true, open
	switch {
	case !known:
		c.occupied = item
		return c.first(open, now)
	case open && !was:
		return c.opening(now)
	case open:
		return ""
	}
	c.closed = now
	return c.shut(was, item)
}

// first tells the state as it is found.
func (c *cell) first(open bool, now time.Time) telemetry.CellEvent {
	if open {
		c.opened, c.alarmed, c.pulsed = now, false, time.Time{}
		return telemetry.CellOpened
	}
	c.closed = now
	return telemetry.CellClosed
}

func (c *cell) opening(now time.Time) telemetry.CellEvent {
	explained := !c.pulsed.IsZero() && c.pulsed.After(c.closed.Add(-grace))
	c.opened, c.alarmed, c.changing, c.pulsed = now, false, false, time.Time{}
	if explained {
		return telemetry.CellOpened
	}
	return telemetry.CellForced
}

// shut tells what a closed cell holds, when that or its door has changed.
func (c *cell) shut(wasOpen bool, item telemetry.Opt[bool]) telemetry.CellEvent {
	holds, seen := item.Get()
	before, told := c.occupied.Get()
	switch {
	case !seen: // no sensor, or it doesn't answer: what it told before may no longer hold
		c.changing = false
		if wasOpen {
			c.occupied = item
			return telemetry.CellClosed
		}
		return ""
	case !told:
		c.occupied = item
		return telemetry.CellClosed
	case holds == before:
		c.changing = false
		if wasOpen {
			return telemetry.CellClosed
		}
		return ""
	case !wasOpen && !c.changing:
		c.changing = true // a flicker, or an opening that nobody saw: the next read tells
		return ""
	}
	c.changing, c.occupied = false, item
	if holds {
		return telemetry.CellDeposited
	}
	return telemetry.CellEmptied
}

// overdue reports, once an opening, that the door stands open for too long.
func (c *cell) overdue(now time.Time, limit time.Duration) bool {
	if !c.known || !c.open || c.alarmed || now.Sub(c.opened) < limit {
		return false
	}
	c.alarmed = true
	return true
}

// reading is what happened at the cell.
func (c *cell) reading(device string, event telemetry.CellEvent) telemetry.Reading {
	return telemetry.New(device, time.Time{}, telemetry.Unknown,
		telemetry.Locker{Cell: telemetry.Some(c.number), Event: event, Occupied: c.occupied})
}

func alarm(device, code string, severity telemetry.Severity, format string, args ...any) telemetry.Reading {
	return telemetry.New(device, time.Time{}, telemetry.Unknown,
		telemetry.Alarm{Code: code, Severity: severity, Detail: fmt.Sprintf(format, args...)})
}
