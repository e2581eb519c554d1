package cabinet

import (
	"strconv"

	"yizhan/devices/telemetry"
)

// Door takes what the board tells of a door and returns it with what is known of it here: the deposit, its waybill, and what opened it. The
// same event told again is returned the same.
func (c *Core) Door(now Now, l telemetry.Locker) (telemetry.Locker, []Effect) {
	no, _ := l.Cell.Get()
	x := c.at(no)
	if x == nil || c.broken {
		return l, nil
	}
	var out []Effect
	switch l.Event {
	case telemetry.CellOpened, telemetry.CellForced:
		out = c.opened(now, x, &l)
	case telemetry.CellClosed, telemetry.CellDeposited, telemetry.CellEmptied:
		out = c.shut(now, x, &l)
	case telemetry.CellJammed:
		label(&l, x.Op)
		if x.Deposit != nil {
			name(&l, x.Deposit)
		}
	}
	return l, out
}

// label adds what opens the cell.
func label(l *telemetry.Locker, o *op) {
	if o == nil {
		return
	}
	l.Op, l.By, l.Deposit, l.Waybill = o.ID, o.By, o.Deposit, o.Waybill
}

// name adds what lies, or lay, in the cell.
func name(l *telemetry.Locker, d *deposit) {
	l.Deposit, l.Waybill = d.ID, d.Waybill
	if d.Generation > 0 {
		l.Generation = telemetry.Some(d.Generation)
	}
}

func (c *Core) opened(now Now, x *cell, l *telemetry.Locker) []Effect {
	x.open, x.presumed = telemetry.Some(true), ""
	ajar := x.Op == nil && x.Deposit == nil
	var out []Effect
	if x.Fault || ajar && !x.Ajar {
		x.Fault, x.Ajar = false, ajar
		out = append(out, write(x))
	}
	if x.Op != nil {
		label(l, x.Op)
		if !x.Op.seen {
			x.Op.seen = true
			out = append(out, c.asks(now, x))
		}
		return out
	}
	if x.Deposit != nil {
		name(l, x.Deposit)
	}
	if op := c.awaited(now); op != "" && l.Event == telemetry.CellForced {
		c.counts.wrongDoors++
		wrong := telemetry.Locker{Cell: telemetry.Some(x.No), Event: telemetry.CellWrongDoor, Op: op, Deposit: l.Deposit}
		out = append(out, c.show(now, "wrong_door", x.No, 0), Effect{Tell: wrong, N: "cab-" + op + "-wrong"})
	}
	return out
}

// awaited is the op whose door is waited for, or was in vain just now: a board that is asked for one door tells of the others after that.
func (c *Core) awaited(now Now) string {
	if c.missed != "" && now.Mono < c.missedEnd {
		return c.missed
	}
	return c.busy
}

// shut takes a closed door, and what is behind it.
func (c *Core) shut(now Now, x *cell, l *telemetry.Locker) []Effect {
	x.open = telemetry.Some(false)
	full, known := l.Occupied.Get()
	switch l.Event {
	case telemetry.CellDeposited:
		full, known = true, true
	case telemetry.CellEmptied:
		full, known = false, true
	}
	o := x.Op
	if o != nil && !o.seen && !o.recovered { // about to be opened: a statement of before
		return nil
	}
	if !known {
		if o == nil { // a repetition, or nobody's business
			return c.repeated(x, l)
		}
		if o.recovered && !o.seen {
			return c.inspect(now, x)
		}
		full = o.Kind == putIn && !o.Cancelled
		if o.Kind != again && !o.Cancelled {
			l.Event = map[bool]telemetry.CellEvent{true: telemetry.CellDeposited, false: telemetry.CellEmptied}[full]
			x.presumed = l.Event
		}
	}
	same := !x.Ajar && x.Occupied == map[bool]string{true: "yes", false: "no"}[full]
	x.Occupied, x.Ajar = map[bool]string{true: "yes", false: "no"}[full], false
	if !known {
		x.Occupied = "blind"
	}
	label(l, o)
	switch {
	case full && x.Deposit == nil:
		return c.laid(now, x, l)
	case !full && x.Deposit != nil:
		return c.gone(now, x, l)
	case full:
		name(l, x.Deposit)
	case l.Event == telemetry.CellEmptied && x.Last != nil:
		name(l, x.Last) // told again
	}
	if o == nil && same {
		return nil
	}
	return c.over(now, x, l)
}

// over ends an op that has changed nothing.
func (c *Core) over(now Now, x *cell, l *telemetry.Locker) []Effect {
	o := x.Op
	x.Op = nil
	if o == nil {
		return []Effect{write(x)}
	}
	word := "closed"
	if o.Kind == putIn && x.Deposit == nil { // nothing came of its deposit
		word, x.Next, l.Deposit, l.Waybill = "cancelled", c.newID("d-"), "", ""
	}
	return []Effect{write(x), c.show(now, word, x.No, 0)}
}

// laid takes that something was put into a cell.
func (c *Core) laid(now Now, x *cell, l *telemetry.Locker) []Effect {
	o, d := x.Op, &deposit{ID: x.Next}
	if c.key != nil {
		d.Generation = c.key.Generation
	}
	if now.TQ != telemetry.Unknown {
		d.SinceMS = now.Wall.UnixMilli()
	}
	if o != nil && o.Kind == putIn {
		d.Waybill, d.Courier = o.Waybill, o.Courier
		l.Event = telemetry.CellDeposited
	}
	x.Deposit, x.Op, x.Last, x.ReopenMS = d, nil, nil, 0
	name(l, d)
	c.counts.deposits++
	if o == nil {
		return []Effect{write(x)}
	}
	return []Effect{write(x), c.show(now, "done", x.No, 0)}
}

// gone takes that what was in a cell has been taken out.
func (c *Core) gone(now Now, x *cell, l *telemetry.Locker) []Effect {
	o := x.Op
	x.Last, x.Deposit, x.Op, x.ReopenMS = x.Deposit, nil, nil, 0
	x.Next = c.newID("d-")
	name(l, x.Last)
	if o == nil {
		return []Effect{write(x)}
	}
	l.Event = telemetry.CellEmptied
	if o.Kind == takeOut {
		x.ReopenMS = (c.ran(now) + c.reopenFor()).Milliseconds()
	}
	both := write(x)
	both.Write.Tries = c.writeTries(now).Write.Tries // so that a start knows how much of the time is over
	return []Effect{both, c.show(now, "emptied", x.No, 0)}
}

// repeated takes a shutting that tells nothing of what is inside: the same as before, if it is the same.
func (c *Core) repeated(x *cell, l *telemetry.Locker) []Effect {
	switch {
	case x.presumed == "":
	case x.Deposit != nil:
		l.Event = x.presumed
		name(l, x.Deposit)
	case x.Last != nil:
		l.Event = x.presumed
		name(l, x.Last)
	}
	if x.Occupied == "blind" && !x.Ajar {
		return nil
	}
	x.Occupied, x.Ajar = "blind", false
	return []Effect{write(x)}
}

// inspect gives up a cell of which nobody knows whether it was opened, and what is in it: somebody must look.
func (c *Core) inspect(now Now, x *cell) []Effect {
	o := x.Op
	x.Op, x.Fault = nil, true
	return []Effect{write(x), c.show(now, "try_again", x.No, 0), {
		Tell: telemetry.Alarm{Code: "cell_inspect", Severity: telemetry.Major, Detail: "cell " + strconv.Itoa(x.No) + ": interrupted " + o.Kind}, N: "cab-" + o.ID + "-inspect",
	}}
}
