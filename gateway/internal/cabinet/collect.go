package cabinet

import (
	"slices"
	"time"

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
		if c.right(code, x.Last.ID) { // of an empty cell: nothing is given away
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
	if c.right(code, x.Deposit.ID) {
		return c.hand(now, x, "code")
	}
	if c.known(no, code) {
		return []Effect{c.show(now, "wrong", 0, 0)}
	}
	c.counts.wrong++
	c.tries.wrong(ran)
	return []Effect{c.writeTries(now), c.show(now, "wrong", 0, c.tries.wait(ran))}
}

// right reports whether a code is one of a deposit's that are good in this county.
func (c *Core) right(code, deposit string) bool {
	_, n, ok := pickup.Match(c.key.Secret, code, deposit)
	return ok && n < c.good()
}

// good is how many codes of a deposit are good.
func (c *Core) good() int {
	if c.expect == nil || c.expect.Settings.Codes == 0 {
		return pickup.Codes
	}
	return c.expect.Settings.Codes
}

// reopenFor is how long an emptied cell's code opens it again.
func (c *Core) reopenFor() time.Duration {
	if c.expect == nil || c.expect.Settings.ReopenS == 0 {
		return reopenFor
	}
	return time.Duration(max(0, c.expect.Settings.ReopenS)) * time.Second
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
	id, n, ok := pickup.CheckTicket(c.key.Secret, text)
	if !ok || n >= c.good() {
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
