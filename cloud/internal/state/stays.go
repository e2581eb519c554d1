package state

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/vehicle"
)

// moveVehicles takes every fix through the fences, and the newest to be the position.
func (c *commit) moveVehicles(ctx context.Context) error {
	if len(c.fixes) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(c.fixes))
	vans, err := c.lockVans(ctx, ids)
	if err != nil {
		return err
	}
	late := map[string]county.Trace{}
	var over [][]any
	for _, id := range ids {
		v := vans[id]
		for i := range c.fixes[id] {
			v.locate(&c.fixes[id][i])
		}
		seen, closed, err := c.drive(ctx, v, c.fixes[id])
		if err != nil {
			return err
		}
		late[id] = seen
		over = append(over, stayRows(closed)...)
		v.version++
		c.vans[id] = v
	}
	if err := c.c.put(ctx, staysTable, over); err != nil { // now: a late fix may be near them
		return err
	}
	rows := make([][]any, len(ids))
	for i, id := range ids {
		for _, flock := range c.flocks(&vans[id].track, late[id]) {
			if err := c.lateMarks(ctx, vans[id], flock); err != nil {
				return err
			}
		}
		rows[i] = vans[id].row()
	}
	if err := c.putTracks(ctx); err != nil {
		return err
	}
	return c.c.put(ctx, vehiclesTable, rows)
}

// locate makes a fix the position when it is the newest; of several of one moment one and the same.
func (v *van) locate(f *fix) {
	at := ms(f.At)
	if at < v.at {
		return
	}
	if tq := string(f.TQ); at == v.at {
		if doc, old := f.doc(), v.doc(); doc < old || doc == old && tq <= v.tq {
			return
		}
	}
	v.at, v.tq, v.pos = at, string(f.TQ), &f.pos
}

func stayRows(stays []county.Stay) (rows [][]any) {
	for i := range stays {
		s := &stays[i]
		rows = append(rows, []any{s.Vehicle, ms(s.From), ms(s.To), s.Site})
	}
	return rows
}

// drive takes fixes that are after all others through the fences. It returns the marks of those that are not, in order, and the stays
// that ended.
func (c *commit) drive(ctx context.Context, v *van, fixes []fix) (late county.Trace, closed []county.Stay, err error) {
	var marks county.Trace
	for i := range fixes {
		f := &fixes[i]
		marks, _ = marks.Add(county.Mark{At: ms(f.At), Word: vehicle.Word(c.reg.sites, f.pos.Lat, f.pos.Lon)})
	}
	n := 0
	for n < len(marks) && v.track.late(marks[n].At) {
		n++
	}
	late, marks = marks[:n:n], marks[n:]
	if len(marks) == 0 {
		return late, nil, nil
	}
	was := v.open
	stays := make([]county.Stay, 0, 2)
	if !was.From.IsZero() {
		stays = append(stays, was)
	}
	for _, m := range marks {
		c.follow(&v.track, m)
	}
	stays = vehicle.Follow(stays, v.id, marks...)
	if n = len(stays); n == 0 {
		return late, nil, nil
	}
	v.open = stays[n-1]
	switch {
	case n > 1 || was.From.IsZero():
		err = c.fenced(ctx, v.id, marks[0].At, ms(v.open.To))
	case c.now.Sub(was.To) > fenceBefore-county.Ahead: // a stay that goes on comes within sight of what was seen a day later
		err = c.sighted(ctx, v.id, ms(was.To), ms(v.open.To))
	}
	return late, stays[:n-1], err
}

// farAway is later than anything, in Unix milliseconds.
const farAway = math.MaxInt64 / 2

// lateMarks takes marks that lie near each other, and not after all others, to the stays that they fall between.
func (c *commit) lateMarks(ctx context.Context, v *van, late county.Trace) error {
	gap := vehicle.Gap.Milliseconds()
	from, to := late[0].At, late[len(late)-1].At
	first, last := spanOf(from-gap), spanOf(to+gap+1)
	trace, fresh, err := c.merge(ctx, &v.track, late, first, last)
	if err != nil || len(fresh) == 0 {
		return err
	}
	from, to = fresh[0].At, fresh[len(fresh)-1].At
	for wider := int64(1); ; wider *= 8 {
		until := (last+1)*spanMS - 1
		if last >= v.track.span() {
			until = int64(farAway)
		}
		old, err := readStays(ctx, c.c, []string{v.id}, moment(from-gap), moment(until))
		if err != nil {
			return err
		}
		near := old[v.id]
		if !v.open.From.IsZero() && ms(v.open.From) <= until {
			near = append(near, v.open)
		}
		if now, ok := vehicle.Refold(near, v.id, trace, from, to, until); ok {
			return c.replaceStays(ctx, v, near, now, from, to)
		}
		more, _, err := c.merge(ctx, &v.track, nil, last+1, last+wider)
		if err != nil {
			return err
		}
		trace, last = append(trace, more...), last+wider
	}
}

// replaceStays puts stays in the place of others, and marks the parcels that this concerns. The last one, if it was the open one, is
// again.
func (c *commit) replaceStays(ctx context.Context, v *van, old, now []county.Stay, from, to int64) error {
	if slices.Equal(old, now) {
		return nil
	}
	closed := old
	if n := len(old); n > 0 && old[n-1] == v.open || v.open.From.IsZero() {
		if n > 0 && !v.open.From.IsZero() {
			closed = old[:n-1]
		}
		if err := c.reopen(ctx, v, &now); err != nil {
			return err
		}
	}
	kept := map[county.Stay]bool{}
	for _, s := range closed {
		kept[s] = true
	}
	var fresh []county.Stay
	begins := map[int64]bool{}
	for _, s := range now {
		begins[ms(s.From)] = true
		if to = max(to, ms(s.From)); !kept[s] {
			fresh = append(fresh, s)
		}
	}
	for _, s := range closed {
		if !begins[ms(s.From)] {
			if _, err := c.c.exec(ctx, "delete from stays where vehicle = $1 and from_ms = $2", v.id, ms(s.From)); err != nil {
				return err
			}
		}
	}
	if err := c.c.put(ctx, staysTable, stayRows(fresh)); err != nil {
		return err
	}
	next, err := c.nextStay(ctx, v, to) // which is left and reached from elsewhere now
	if err != nil {
		return err
	}
	return c.fenced(ctx, v.id, from-vehicle.Gap.Milliseconds(), next)
}

// reopen makes the last of stays the open one of the vehicle; where none is left, the last of those that are over.
func (c *commit) reopen(ctx context.Context, v *van, stays *[]county.Stay) error {
	if n := len(*stays); n > 0 {
		v.open, *stays = (*stays)[n-1], (*stays)[:n-1]
		return nil
	}
	v.open = county.Stay{}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var from, to int64
		err := scan(&from, &to, &v.open.Site)
		v.open.Vehicle, v.open.From, v.open.To = v.id, moment(from), moment(to)
		return err
	}, "select from_ms, to_ms, site from stays where vehicle = $1 order by from_ms desc limit 1", v.id)
	if err != nil || v.open.From.IsZero() {
		return err
	}
	_, err = c.c.exec(ctx, "delete from stays where vehicle = $1 and from_ms = $2", v.id, ms(v.open.From))
	return err
}

// readStays reads the closed stays of vehicles that reach into from..to, by vehicle, ascending.
func readStays(ctx context.Context, c conn, ids []string, from, to time.Time) (map[string][]county.Stay, error) {
	w := c.words()
	out := map[string][]county.Stay{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var s county.Stay
		var a, b int64
		err := scan(&s.Vehicle, &a, &b, &s.Site)
		s.From, s.To = moment(a), moment(b)
		out[s.Vehicle] = append(out[s.Vehicle], s)
		return err
	}, "select vehicle, from_ms, to_ms, site from stays where "+w.in("vehicle", "$1")+" and to_ms >= $2 and from_ms <= $3 order by vehicle, from_ms", w.list(ids), ms(from), ms(to))
	return out, err
}
