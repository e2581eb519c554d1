package state

import (
	"context"
	"maps"
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/devices/telemetry"
)

// Vehicles returns all vehicles, those of the registry first.
func (s *Store) Vehicles(ctx context.Context) ([]county.Vehicle, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c, reg := s.db.reader(), s.registry.Load()
	vans, err := readVans(ctx, c, nil, false)
	if err != nil {
		return nil, classify(err)
	}
	loads, err := readLoads(ctx, c, nil)
	if err != nil {
		return nil, classify(err)
	}
	out := []county.Vehicle{}
	for _, id := range ids(reg.vehicles, func(v *county.Vehicle) string { return v.ID }, vans) {
		v, err := reg.vehicleOf(id, vans[id])
		if err != nil {
			return nil, err
		}
		v.Aboard = len(loads[id])
		out = append(out, v)
	}
	return out, nil
}

// ids lists the ids of the registry in its order, then those that only the rows know.
func ids[N, R any](known []N, id func(*N) string, rows map[string]R) []string {
	out := make([]string, 0, len(known))
	seen := map[string]bool{}
	for i := range known {
		out = append(out, id(&known[i]))
		seen[out[i]] = true
	}
	for _, r := range slices.Sorted(maps.Keys(rows)) {
		if !seen[r] {
			out = append(out, r)
		}
	}
	return out
}

// Vehicle returns a vehicle with the waybills aboard.
func (s *Store) Vehicle(ctx context.Context, id string) (county.Vehicle, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c, reg := s.db.reader(), s.registry.Load()
	vans, err := readVans(ctx, c, []string{id}, false)
	if err != nil || reg.vehicle[id] == nil && vans[id] == nil {
		return county.Vehicle{}, false, classify(err)
	}
	loads, err := readLoads(ctx, c, []string{id})
	if err != nil {
		return county.Vehicle{}, false, classify(err)
	}
	v, err := reg.vehicleOf(id, vans[id])
	v.Waybills, v.Aboard = loads[id], len(loads[id])
	return v, err == nil, err
}

// Lockers returns all lockers with their cells.
func (s *Store) Lockers(ctx context.Context) ([]county.Locker, error) {
	return s.lockers(ctx, "")
}

// Locker returns a locker with its cells.
func (s *Store) Locker(ctx context.Context, id string) (county.Locker, bool, error) {
	all, err := s.lockers(ctx, id)
	if err != nil || len(all) == 0 {
		return county.Locker{}, false, err
	}
	return all[0], true, nil
}

func (s *Store) lockers(ctx context.Context, only string) ([]county.Locker, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c, reg := s.db.reader(), s.registry.Load()
	versions, err := readLockers(ctx, c, nil, false)
	if err != nil {
		return nil, classify(err)
	}
	cells, err := readCells(ctx, c, only)
	if err != nil {
		return nil, classify(err)
	}
	boards, err := readBoards(ctx, c, nil, false)
	if err != nil {
		return nil, classify(err)
	}
	overdue, err := readDeposits(ctx, c, "where over_ms = 0 and until_ms <= $1", ms(s.opt.Now()))
	if err != nil {
		return nil, classify(err)
	}
	out := []county.Locker{}
	for _, id := range ids(reg.lockers, func(v *county.Locker) string { return v.ID }, versions) {
		if only != "" && id != only {
			continue
		}
		l := reg.lockerOf(id, versions[id], cells[id], moment(0))
		if b := boards[l.Gateway]; b != nil {
			l.Last = moment(b.received)
		}
		for i := range overdue {
			if d := &overdue[i]; d.Locker == id && d.Cell >= 1 && d.Cell <= len(l.Cells) && l.Cells[d.Cell-1].State == county.CellOccupied {
				l.Cells[d.Cell-1].State = county.CellOverdue
			}
		}
		for i := range l.Cells {
			if c := &l.Cells[i]; c.State == county.CellReserved && c.Since != nil && s.opt.Now().Sub(*c.Since) > locker.Reserved {
				c.State = county.CellEmpty
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// ColdBoxes returns all cold boxes.
func (s *Store) ColdBoxes(ctx context.Context) ([]county.ColdBox, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	reg := s.registry.Load()
	boxes, err := readBoxes(ctx, s.db.reader(), nil, false)
	if err != nil {
		return nil, classify(err)
	}
	out := []county.ColdBox{}
	for _, id := range ids(reg.boxes, func(v *county.ColdBox) string { return v.ID }, boxes) {
		b, err := reg.boxOf(id, boxes[id])
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// ColdBox returns a cold box.
func (s *Store) ColdBox(ctx context.Context, id string) (county.ColdBox, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	reg := s.registry.Load()
	boxes, err := readBoxes(ctx, s.db.reader(), []string{id}, false)
	if err != nil || reg.box[id] == nil && boxes[id] == nil {
		return county.ColdBox{}, false, classify(err)
	}
	b, err := reg.boxOf(id, boxes[id])
	return b, err == nil, err
}

// Gateways returns all gateways.
func (s *Store) Gateways(ctx context.Context) ([]county.Gateway, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	reg := s.registry.Load()
	boards, err := readBoards(ctx, s.db.reader(), nil, false)
	if err != nil {
		return nil, classify(err)
	}
	out := []county.Gateway{}
	for _, id := range ids(reg.gateways, func(v *county.Gateway) string { return v.ID }, boards) {
		g := county.Gateway{ID: id}
		if b := boards[id]; b != nil {
			g = reg.gatewayOf(b)
		} else {
			g = *reg.gateway[id]
		}
		out = append(out, g)
	}
	return out, nil
}

// Gateway returns a gateway.
func (s *Store) Gateway(ctx context.Context, id string) (county.Gateway, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	reg := s.registry.Load()
	boards, err := readBoards(ctx, s.db.reader(), []string{id}, false)
	switch {
	case err != nil:
		return county.Gateway{}, false, classify(err)
	case boards[id] != nil:
		return reg.gatewayOf(boards[id]), true, nil
	case reg.gateway[id] != nil:
		return *reg.gateway[id], true, nil
	}
	return county.Gateway{}, false, nil
}

// Devices returns all devices that the registry binds or that were heard of, with their latest
// readings.
func (s *Store) Devices(ctx context.Context) ([]county.Device, error) {
	return s.devices(ctx, "")
}

// Device returns one device, as Devices does.
func (s *Store) Device(ctx context.Context, id string) (county.Device, bool, error) {
	all, err := s.devices(ctx, id)
	if err != nil || len(all) == 0 {
		return county.Device{}, false, err
	}
	return all[0], true, nil
}

func (s *Store) devices(ctx context.Context, only string) ([]county.Device, error) {
	reg := s.registry.Load()
	last := map[string]map[string]*county.Live[county.LastBody]{}
	err := s.each(ctx, func(scan func(...any) error) error {
		var device, kind, tq, body string
		var at, received int64
		if err := scan(&device, &kind, &at, &tq, &received, &body); err != nil {
			return err
		}
		if last[device] == nil {
			last[device] = map[string]*county.Live[county.LastBody]{}
		}
		if at == 0 { // undated: not later than its receipt is all that is known
			at = received
		}
		last[device][kind] = &county.Live[county.LastBody]{Value: county.RawJSON(body), At: moment(at), TQ: telemetry.Quality(tq)}
		return nil
	}, "select device, kind, at_ms, tq, received_ms, body from latest where device = $1 or $1 = ''", only)
	if err != nil {
		return nil, err
	}
	known := slices.Sorted(maps.Keys(reg.bindings))
	out := []county.Device{}
	for _, id := range ids(known, func(s *string) string { return *s }, last) {
		if only != "" && id != only {
			continue
		}
		d := county.Device{ID: id, Last: last[id]}
		if bs := reg.bindings[id]; len(bs) > 0 {
			now := bs[len(bs)-1]
			d.Thing, d.Registered = now.thing, now.thing != ""
			if now.since != 0 {
				t := moment(now.since)
				d.Since = &t
			}
		} else if gateway, own := strings.CutSuffix(id, "/gateway"); own && reg.gateway[gateway] != nil {
			d.Thing, d.Registered = "gateway/"+gateway, true // the board's report on itself
		}
		out = append(out, d)
	}
	return out, nil
}

// Counts returns how much the store holds, for the metrics.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.each(ctx, func(scan func(...any) error) error {
		var name string
		var n int64
		err := scan(&name, &n)
		out[name] = n
		return err
	}, `select 'records', coalesce(sum(records), 0) from ranges union all select 'readings', coalesce(sum(readings), 0) from ranges
		union all select 'frames', value from counters where name = 'frames' union all select 'quarantine', count(*) from quarantine
		union all select 'parcels', count(*) from parcels union all select 'gateways', count(*) from gateways
		union all select 'alarms', count(*) from alarms`)
	return out, err
}
