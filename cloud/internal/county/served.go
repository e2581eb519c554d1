package county

import "time"

// Quiet is how long a gateway may be silent before it is shown as offline; gateways send
// health at least every 30 s.
const Quiet = 90 * time.Second

// Served is v as it is answered at now: ages and states that only time decides are filled in.
func (v Vehicle) Served(now time.Time) Vehicle {
	v.Position = v.Position.Aged(now)
	v.Motion = MotionAt(v.Position, now)
	return v
}

// Served is l as it is answered at now.
func (l Locker) Served(now time.Time) Locker {
	l.Online = !l.Last.IsZero() && now.Sub(l.Last) <= Quiet
	if l.Cells == nil {
		l.Cells = []Cell{}
	}
	return l
}

// Served is c as it is answered at now.
func (c ColdBox) Served(now time.Time) ColdBox {
	c.Climate = c.Climate.Aged(now)
	return c
}

// Served is g as it is answered at now.
func (g Gateway) Served(now time.Time) Gateway {
	g.Online = g.LastFrame != nil && now.Sub(*g.LastFrame) <= Quiet
	return g
}

// Served is d as it is answered at now.
func (d Device) Served(now time.Time) Device {
	if d.Last == nil {
		return d
	}
	last := make(map[string]*Live[LastBody], len(d.Last))
	for kind, l := range d.Last {
		last[kind] = l.Aged(now)
	}
	d.Last = last
	return d
}

// Served is the object of c as it is answered at now, the same as a GET of it.
func (c Change) Served(now time.Time) any {
	switch o := c.Object.(type) {
	case Vehicle:
		return o.Served(now)
	case Locker:
		return o.Served(now)
	case ColdBox:
		return o.Served(now)
	case Gateway:
		return o.Served(now)
	}
	return c.Object
}
