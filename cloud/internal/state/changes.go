package state

import (
	"context"
	"maps"
	"slices"

	"yizhan/cloud/internal/county"
)

// gatherChanges adds the vehicles and lockers as this transaction leaves them.
func (c *commit) gatherChanges(ctx context.Context) error {
	if err := c.countLoads(ctx); err != nil {
		return err
	}
	if len(c.vans) > 0 {
		ids := slices.Sorted(maps.Keys(c.vans))
		loads, err := countAboard(ctx, c.c, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			noun, err := c.reg.vehicleOf(id, c.vans[id])
			if err != nil {
				return err
			}
			noun.Aboard = loads[id]
			c.changes = append(c.changes, county.Change{Kind: county.VehicleChanged, ID: id, Version: noun.Version, Object: noun})
		}
	}
	if len(c.lockers) == 0 {
		return nil
	}
	versions, err := readLockers(ctx, c.c, c.lockers, false)
	if err != nil {
		return err
	}
	for _, id := range c.lockers {
		cells, err := readCells(ctx, c.c, id)
		if err != nil {
			return err
		}
		last := int64(0)
		if known := c.reg.locker[id]; known != nil {
			if b := c.boards[known.Gateway]; b != nil {
				last = b.received
			}
		}
		noun := c.reg.lockerOf(id, versions[id], cells[id], moment(last))
		c.changes = append(c.changes, county.Change{Kind: county.LockerChanged, ID: id, Version: noun.Version, Object: noun})
	}
	return nil
}

// countLoads gives vehicles whose load changed a new version.
func (c *commit) countLoads(ctx context.Context) error {
	if len(c.loads) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(c.loads))
	vans, err := c.lockVans(ctx, ids)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, id := range ids {
		c.vans[id] = vans[id]
		vans[id].version++
		rows = append(rows, vans[id].row())
	}
	return c.c.put(ctx, vehiclesTable, rows)
}

// countAboard counts the parcels aboard of vehicles.
func countAboard(ctx context.Context, c conn, ids []string) (map[string]int, error) {
	w := c.words()
	places := make([]string, len(ids))
	for i, id := range ids {
		places[i] = "vehicle/" + id
	}
	aboard := map[string]int{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var place string
		var n int
		err := scan(&place, &n)
		_, id := cutThing(place)
		aboard[id] = n
		return err
	}, "select place, count(*) from parcels where place <> '' and "+w.in("place", "$1")+" group by place", w.list(places))
	return aboard, err
}

// readLoads reads the waybills aboard of vehicles; of all where ids is nil.
func readLoads(ctx context.Context, c conn, ids []string) (map[string][]string, error) {
	w := c.words()
	q, args := "select place, waybill from parcels where place <> '' and place >= 'vehicle/' and place < 'vehicle0' order by place, waybill", []any(nil)
	if ids != nil {
		places := make([]string, len(ids))
		for i, id := range ids {
			places[i] = "vehicle/" + id
		}
		q, args = "select place, waybill from parcels where place <> '' and "+w.in("place", "$1")+" order by place, waybill", []any{w.list(places)}
	}
	loads := map[string][]string{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var place, waybill string
		err := scan(&place, &waybill)
		_, id := cutThing(place)
		loads[id] = append(loads[id], waybill)
		return err
	}, q, args...)
	return loads, err
}
