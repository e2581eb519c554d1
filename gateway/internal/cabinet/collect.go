package cabinet

import (
	"slices"

	"yizhan/broker/pickup"
)

// code takes a cell and a code.
func (c *Core) code(now Now, no int, code string) []Effect {
	if c.key == nil || c.broken {
		return []Effect{c.show(now, "out_of_order", 0, 0)}
	}
	if c.busy != "" {
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	x := c.at(no)
	if x != nil && c.reopens(now, x) {
		if _, _, ok := pickup.Match(c.key.Secret, code, x.Last.ID); ok { // of an empty cell: nothing is given away
			return c.begin(now, x, op{Kind: again, By: "code", Deposit: x.Last.ID, Waybill: x.Last.Waybill}, "opening")
		}
	}
	ran := c.ran(now)
	if wait := c.tries.wait(ran); wait > 0 {
		c.counts.waits++
		return []Effect{c.show(now, "wait", 0, wait)}
	}
	if x == nil || x.Deposit == nil { // there is nothing to be had
		return []Effect{c.show(now, "wrong", 0, 0)}
	}
	if _, _, ok := pickup.Match(c.key.Secret, code, x.Deposit.ID); ok {
		return c.hand(now, x, "code")
	}
	if c.known(no, code) {
		return []Effect{c.show(now, "wrong", 0, 0)}
	}
	c.counts.wrong++
	c.tries.wrong(ran)
	return []Effect{c.writeTries(now), c.show(now, "wrong", 0, c.tries.wait(ran))}
}

// reopens reports whether a cell was emptied so lately that its code opens it again.
func (c *Core) reopens(now Now, x *cell) bool {
	return x.Deposit == nil && x.Op == nil && x.Last != nil && c.ran(now).Milliseconds() < x.ReopenMS
}

// hand opens a cell to who has its code or ticket.
func (c *Core) hand(now Now, x *cell, by string) []Effect {
	switch {
	case c.barred[x.Deposit.ID]:
		return []Effect{c.show(now, "overdue", x.No, 0)}
	case x.open.Or(false):
		return []Effect{c.show(now, "stands_open", x.No, 0)}
	case x.Op != nil:
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	c.counts.pickups++
	return c.begin(now, x, op{Kind: takeOut, By: by, Deposit: x.Deposit.ID, Waybill: x.Deposit.Waybill}, "opening")
}

// ticket takes a QR code that somebody holds to the scanner. It can't be guessed: it needs no patience.
func (c *Core) ticket(now Now, text string) []Effect {
	if c.key == nil || c.broken {
		return []Effect{c.show(now, "out_of_order", 0, 0)}
	}
	id, _, ok := pickup.CheckTicket(c.key.Secret, text)
	if !ok {
		return []Effect{c.show(now, "wrong", 0, 0)}
	}
	if c.busy != "" {
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	if i := slices.IndexFunc(c.cells, func(x *cell) bool { return x.Deposit != nil && x.Deposit.ID == id }); i >= 0 {
		return c.hand(now, c.cells[i], "ticket")
	}
	i := slices.IndexFunc(c.cells, func(x *cell) bool { return c.reopens(now, x) && x.Last.ID == id })
	if i < 0 {
		return []Effect{c.show(now, "nothing_here", 0, 0)}
	}
	x := c.cells[i]
	return c.begin(now, x, op{Kind: again, By: "ticket", Deposit: id, Waybill: x.Last.Waybill}, "opening")
}
