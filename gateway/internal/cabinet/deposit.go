package cabinet

import (
	"slices"
	"time"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// alarmsAnHour bounds what is told of refused parcels: a child at the scanner fills no log.
const alarmsAnHour = 30

// badge signs a courier on.
func (c *Core) badge(now Now, text string) []Effect {
	hash := pickup.BadgeHash(text)
	if c.expect != nil && hash != "" {
		for _, who := range c.expect.Couriers {
			if who.Badge == hash {
				c.courier, c.courierEnd = who.ID, c.ran(now)+signedOn
				return []Effect{c.show(now, "welcome", 0, 0)}
			}
		}
	}
	return []Effect{c.show(now, "wrong", 0, 0)}
}

// waybill takes a parcel's barcode: it goes into a cell, or comes out of one.
func (c *Core) waybill(now Now, w string) []Effect {
	switch {
	case !pickup.ValidWaybill(w):
		return []Effect{c.show(now, "unknown_waybill", 0, 0)}
	case c.broken:
		return []Effect{c.show(now, "out_of_order", 0, 0)}
	case c.busy != "":
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	ran := c.ran(now)
	courier := c.courier
	if courier != "" {
		if ran >= c.courierEnd {
			courier = ""
		}
		c.courierEnd = ran + signedOn
	}
	for _, x := range c.cells {
		switch {
		case x.Deposit != nil && x.Deposit.Waybill == w:
			return c.lies(now, x, courier)
		case x.Op != nil && x.Op.Kind == putIn && x.Op.Waybill == w && !x.Op.Cancelled:
			c.focus = x.No
			return []Effect{c.show(now, "put", x.No, 0)}
		}
	}
	p, why := c.may(w, courier)
	if why != "" {
		return c.refuse(now, w, why)
	}
	x := c.free(now, p.Size, 0)
	switch {
	case x == nil && !slices.ContainsFunc(c.cells, func(x *cell) bool { return x.open.Known() }): // the board hasn't spoken yet
		return []Effect{c.show(now, "try_again", 0, 0)}
	case x == nil:
		return c.refuse(now, w, "full")
	}
	c.tried, c.focus = 1, x.No
	return c.begin(now, x, op{Kind: putIn, By: "courier", Deposit: x.Next, Waybill: w, Courier: courier}, "opening")
}

// may tells why a parcel must not be put in; empty when it may.
func (c *Core) may(w, courier string) (p pickup.Expected, why string) {
	if c.expect == nil {
		return p, "no_list"
	}
	if len(c.expect.Couriers) > 0 && courier == "" {
		return p, "sign_on"
	}
	p, known := c.parcel[w]
	switch {
	case !known:
		return p, "unknown_waybill"
	case p.Consent != "yes":
		return p, "no_consent"
	case p.Handling == "chilled" || p.Handling == "frozen":
		return p, "needs_cold"
	}
	return p, ""
}

// lies is for a parcel that is here: a courier who has signed on takes it back, nobody else.
func (c *Core) lies(now Now, x *cell, courier string) []Effect {
	switch {
	case courier == "":
		return []Effect{c.show(now, "already_here", x.No, 0)}
	case x.open.Or(false):
		return []Effect{c.show(now, "stands_open", x.No, 0)}
	case x.Op != nil:
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	c.focus = x.No
	return c.begin(now, x, op{Kind: retrieve, By: "courier", Deposit: x.Deposit.ID, Waybill: x.Deposit.Waybill, Courier: courier}, "opening")
}

// refuse tells the courier and the county why a parcel doesn't go in.
func (c *Core) refuse(now Now, w, why string) []Effect {
	c.counts.refused++
	out := []Effect{c.show(now, why, 0, 0)}
	ran := c.ran(now)
	for len(c.alarms) > 0 && ran-c.alarms[0] >= time.Hour {
		c.alarms = c.alarms[1:]
	}
	if len(c.alarms) >= alarmsAnHour {
		return out
	}
	c.alarms = append(c.alarms, ran)
	return append(out, Effect{
		Tell: telemetry.Alarm{Code: "deposit_refused", Severity: telemetry.Minor, Detail: why + " " + w}, N: c.newID("cab-"),
	})
}

// free finds the cell for a parcel: the smallest that fits, of these one that nobody may open again just now, of these the first. not is
// a cell that isn't wanted.
func (c *Core) free(now Now, size pickup.Size, not int) *cell {
	var best *cell
	rank := func(x *cell) int {
		r := 2 * x.size.Rank()
		if c.reopens(now, x) {
			r++
		}
		return r
	}
	for _, x := range c.cells {
		shut := x.open.Known() && !x.open.Or(true)
		switch {
		case x.No == not, x.size.Rank() < size.Rank(), x.Deposit != nil, x.Op != nil, x.Fault, x.Occupied == "yes", !shut:
		case best == nil || rank(x) < rank(best):
			best = x
		}
	}
	return best
}

// cancel takes that a courier has changed their mind.
func (c *Core) cancel(now Now) []Effect {
	x := c.at(c.focus)
	if x == nil || x.Op == nil || x.Op.Kind != putIn {
		return []Effect{c.show(now, "ready", 0, 0)}
	}
	x.Op.Cancelled = true
	return []Effect{write(x), c.show(now, "close_empty", x.No, 0)}
}

// another takes that a courier's cell is too small, dirty or stuck: they get another one.
func (c *Core) another(now Now) []Effect {
	x := c.at(c.focus)
	if x == nil || x.Op == nil || x.Op.Kind != putIn || x.Op.Cancelled {
		return []Effect{c.show(now, "scan_first", 0, 0)}
	}
	if c.busy != "" {
		return []Effect{c.show(now, "busy", 0, 0)}
	}
	y := c.larger(now, x)
	if y == nil {
		return []Effect{c.show(now, "full", 0, 0)}
	}
	x.Op.Cancelled = true
	c.tried, c.focus = 1, y.No
	out := c.begin(now, y, op{Kind: putIn, By: "courier", Deposit: y.Next, Waybill: x.Op.Waybill, Courier: x.Op.Courier}, "next_cell")
	out[0] = write(x, y)
	return out
}

// larger finds a cell in place of x: of the next size that there is, else of the same.
func (c *Core) larger(now Now, x *cell) *cell {
	for _, s := range []pickup.Size{pickup.Small, pickup.Medium, pickup.Large, pickup.Huge} {
		if s.Rank() > x.size.Rank() {
			if y := c.free(now, s, x.No); y != nil {
				return y
			}
		}
	}
	return c.free(now, x.size, x.No)
}

// Expect takes a list of what may be put in, as it came. It returns why it isn't taken.
func (c *Core) Expect(raw []byte) ([]Effect, error) {
	e, err := pickup.ParseExpect(raw)
	if err != nil {
		return nil, err
	}
	if old := c.expect; old != nil && old.Series == e.Series && e.Version <= old.Version {
		return nil, nil // late, or told again
	}
	c.take(e)
	return []Effect{{Keep: raw}}, nil
}

func (c *Core) take(e *pickup.Expect) {
	c.expect = e
	clear(c.parcel)
	clear(c.barred)
	for _, p := range e.Parcels {
		c.parcel[p.Waybill] = p
	}
	for _, id := range e.Blocked {
		c.barred[id] = true
	}
}
