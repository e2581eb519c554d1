package state

import (
	"context"
	"maps"
	"slices"
)

// Of each parcel and vehicle it is kept from when until when it matters to the parcel where the vehicle was (parcel.Ride), as its last fold
// had it. A change of a vehicle's stays, however late, folds again those whose rides it touches, and reads no more than these.

// putRides keeps the rides of what was folded, where they changed.
func (c *commit) putRides(ctx context.Context) error {
	type key struct{ waybill, vehicle string }
	now := map[key][2]int64{}
	aboard := map[string]bool{}
	for waybill, rides := range c.rides {
		for _, r := range rides {
			until := r.Until
			if until.IsZero() {
				until = r.First.Add(fenceAfter)
			}
			now[key{waybill, r.Vehicle}] = [2]int64{ms(r.First), ms(until)}
			aboard[waybill] = true
		}
	}
	clear(c.rides)
	if len(now) == 0 {
		return nil
	}
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var k key
		var was [2]int64
		err := scan(&k.waybill, &k.vehicle, &was[0], &was[1])
		if now[k] == was {
			delete(now, k)
		}
		return err
	}, "select waybill, vehicle, first_ms, until_ms from rides where "+w.in("waybill", "$1"), w.list(slices.Sorted(maps.Keys(aboard))))
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(now))
	for k, r := range now {
		rows = append(rows, []any{k.waybill, k.vehicle, r[0], r[1]})
	}
	return c.c.put(ctx, ridesTable, rows)
}

// fenced marks the parcels that a change of a vehicle's stays from..to concerns, in Unix milliseconds.
func (c *commit) fenced(ctx context.Context, id string, from, to int64) error {
	return c.markRides(ctx, "vehicle = $1 and until_ms >= $2 and first_ms <= $3", id, from, to+fenceBefore.Milliseconds())
}

// sighted marks the parcels for which a stay that ended at from, and ends at to now, has come within sight.
func (c *commit) sighted(ctx context.Context, id string, from, to int64) error {
	before := fenceBefore.Milliseconds()
	return c.markRides(ctx, "vehicle = $1 and until_ms >= $2 and first_ms >= $2 and first_ms <= $3", id, from+before, to+before)
}

func (c *commit) markRides(ctx context.Context, where string, args ...any) error {
	return c.c.each(ctx, func(scan func(...any) error) error {
		var waybill string
		err := scan(&waybill)
		c.parcels[waybill] = true
		return err
	}, "select waybill from rides where "+where, args...)
}

// nextStay is when the stay begins that follows a moment; the moment where none does.
func (c *commit) nextStay(ctx context.Context, v *van, at int64) (int64, error) {
	next := at
	err := c.c.each(ctx, func(scan func(...any) error) error { return scan(&next) },
		"select from_ms from stays where vehicle = $1 and from_ms > $2 order by from_ms limit 1", v.id, at)
	if open := ms(v.open.From); next == at && !v.open.From.IsZero() && open > at {
		next = open
	}
	return next, err
}
