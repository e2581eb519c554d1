package state

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/coldchain"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/vehicle"
	"yizhan/devices/telemetry"
)

type fix struct {
	county.Dated
	pos county.Position
}

// compare orders fixes by time; those of one moment in an order that doesn't depend on which came first.
func (f fix) compare(o fix) int {
	if c := f.At.Compare(o.At); c != 0 {
		return c
	}
	return strings.Compare(f.doc(), o.doc())
}

// doc is the position as its row has it.
func (f fix) doc() string {
	b, _ := json.Marshal(&f.pos) // numbers and words always marshal
	return string(b)
}

func (c *commit) fix(id string, s *county.Sight, d county.Dated) {
	if p, err := s.AsPosition(); err == nil && d.TQ != telemetry.Unknown {
		if pos, ok := vehicle.Position(*p); ok {
			c.fixes[id] = append(c.fixes[id], fix{d, pos})
		}
	}
}

// A van is the row of a vehicle. The open stay is in the row, closed ones are in stays.
type van struct {
	id       string
	version  int64
	at       int64
	tq       string
	position string // county.Position
	open     county.Stay
	pos      *county.Position // decoded, of the last fix of this transaction
}

func readVans(ctx context.Context, c conn, ids []string, lock bool) (map[string]*van, error) {
	w := c.words()
	q, args := "select id, version, at_ms, tq, position, stay_site, stay_from, stay_to from vehicles", []any(nil)
	if ids != nil {
		q, args = q+" where "+w.in("id", "$1"), []any{w.list(ids)}
	}
	q += " order by id"
	if lock {
		q += w.lock
	}
	vans := map[string]*van{}
	err := c.each(ctx, func(scan func(...any) error) error {
		v := &van{}
		var from, to int64
		err := scan(&v.id, &v.version, &v.at, &v.tq, &v.position, &v.open.Site, &from, &to)
		v.open.Vehicle, v.open.From, v.open.To = v.id, moment(from), moment(to)
		vans[v.id] = v
		return err
	}, q, args...)
	return vans, err
}

func (v *van) row() []any {
	if v.pos != nil {
		b, _ := json.Marshal(v.pos) // numbers and words always marshal
		v.position = string(b)
	}
	return []any{v.id, v.version, v.at, v.tq, v.position, v.open.Site, ms(v.open.From), ms(v.open.To)}
}

// lockVans locks the rows of vehicles in order, and makes those that are new.
func (c *commit) lockVans(ctx context.Context, ids []string) (map[string]*van, error) {
	vans, err := readVans(ctx, c.c, ids, true)
	if err != nil || len(vans) == len(ids) {
		return vans, err
	}
	var rows [][]any
	for _, id := range ids {
		if vans[id] == nil {
			rows = append(rows, (&van{id: id}).row())
		}
	}
	if err := c.c.put(ctx, newVehiclesTable, rows); err != nil {
		return nil, err
	}
	return readVans(ctx, c.c, ids, true)
}

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
	var rows [][]any
	for _, id := range ids {
		v, fixes := vans[id], c.fixes[id]
		slices.SortFunc(fixes, fix.compare)
		late := fixes
		for i := range fixes {
			if v.open.From.IsZero() || !fixes[i].At.Before(v.open.From) {
				late = fixes[:i]
				break
			}
		}
		crossed, more := c.drive(v, fixes[len(late):])
		if err := c.putStays(ctx, id, more); err != nil { // now: a late fix may be near them
			return err
		}
		if newest := &fixes[len(fixes)-1]; ms(newest.At) > v.at || ms(newest.At) == v.at && newest.doc() > v.position {
			v.at, v.tq, v.pos = ms(newest.At), string(newest.TQ), &newest.pos
		}
		if len(late) > 0 {
			changed, err := c.lateFixes(ctx, v, late)
			if err != nil {
				return err
			}
			crossed = crossed || changed
		}
		if crossed {
			if err := c.fenced(ctx, id, fixes[0].At); err != nil {
				return err
			}
		}
		v.version++
		rows = append(rows, v.row())
		c.vans[id] = v
	}
	return c.c.put(ctx, vehiclesTable, rows)
}

// putStays puts stays that are over.
func (c *commit) putStays(ctx context.Context, id string, stays []county.Stay) error {
	var rows [][]any
	for _, s := range stays {
		rows = append(rows, []any{id, ms(s.From), ms(s.To), s.Site})
	}
	return c.c.put(ctx, staysTable, rows)
}

// drive takes fixes that are not before the open stay through the fences. It tells whether the
// vehicle crossed one, and the stays that ended.
func (c *commit) drive(v *van, fixes []fix) (crossed bool, closed []county.Stay) {
	for len(fixes) > 0 && !v.open.From.IsZero() && vehicle.Extend(&v.open, c.reg.sites, fixes[0].track()) {
		fixes = fixes[1:]
	}
	if len(fixes) == 0 {
		return false, nil
	}
	var stays []county.Stay
	if !v.open.From.IsZero() {
		stays = append(stays, v.open)
	}
	for i := range fixes {
		if n := len(stays); n > 0 && vehicle.Extend(&stays[n-1], c.reg.sites, fixes[i].track()) {
			continue
		}
		stays, _ = vehicle.Track(stays, c.reg.sites, v.id, fixes[i].track())
	}
	n := len(stays)
	if n == 0 {
		return false, nil
	}
	crossed = n > 1 || v.open.From.IsZero() || stays[0].Site != v.open.Site
	v.open = stays[n-1]
	return crossed, stays[:n-1]
}

func (f *fix) track() vehicle.Fix { return vehicle.Fix{At: f.At, Lat: f.pos.Lat, Lon: f.pos.Lon} }

// lateFixes takes fixes from before the open stay into the stays they fall between.
func (c *commit) lateFixes(ctx context.Context, v *van, late []fix) (changed bool, err error) {
	from, to := late[0].At.Add(-vehicle.Gap), late[len(late)-1].At.Add(vehicle.Gap)
	near, err := readStays(ctx, c.c, []string{v.id}, from, to)
	if err != nil {
		return false, err
	}
	old := near[v.id]
	stays := slices.Clone(old)
	withOpen := !v.open.From.After(to)
	if withOpen {
		stays = append(stays, v.open)
	}
	before := slices.Clone(stays)
	for i := range late {
		stays, _ = vehicle.Track(stays, c.reg.sites, v.id, late[i].track())
	}
	if slices.Equal(before, stays) {
		return false, nil
	}
	if withOpen {
		v.open, stays = stays[len(stays)-1], stays[:len(stays)-1]
	}
	for _, s := range old {
		if _, err := c.c.exec(ctx, "delete from stays where vehicle = $1 and from_ms = $2", v.id, ms(s.From)); err != nil {
			return false, err
		}
	}
	return true, c.putStays(ctx, v.id, stays)
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

// fenced marks the parcels that a change of a vehicle's stays since a time may concern: those
// aboard, and those whose tags its reader saw from a day before on.
func (c *commit) fenced(ctx context.Context, id string, since time.Time) error {
	mark := func(scan func(...any) error) error {
		var waybill string
		err := scan(&waybill)
		c.parcels[waybill] = true
		return err
	}
	if err := c.c.each(ctx, mark, "select waybill from parcels where place <> '' and place = $1", "vehicle/"+id); err != nil {
		return err
	}
	var epcs []string
	seen := map[string]bool{}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		if waybill, ok := strings.CutPrefix(s, "parcel/"); ok { // a person said so
			c.parcels[waybill] = true
		} else if strings.HasPrefix(s, "epc/") && !seen[s] {
			seen[s] = true
			epcs = append(epcs, s)
		}
		return err
	}, "select subject from evidence where thing = $1 and at_ms >= $2 and thing >= 'vehicle/' and thing < 'vehicle0'", "vehicle/"+id, ms(since.Add(-24*time.Hour)))
	if err != nil {
		return err
	}
	return c.markTags(ctx, epcs)
}

type climate struct {
	county.Dated
	body telemetry.Climate
}

func (c *commit) climate(id string, r *telemetry.Reading, d county.Dated) {
	if m, err := telemetry.As[telemetry.Climate](*r); err == nil && d.TQ != telemetry.Unknown {
		c.climates[id] = append(c.climates[id], climate{d, m})
	}
}

// compare is as that of fixes.
func (m climate) compare(o climate) int {
	if c := m.At.Compare(o.At); c != 0 {
		return c
	}
	return bytes.Compare(m.body.AppendJSON(nil), o.body.AppendJSON(nil))
}

// measured is the climate of a box as its row has it.
func measured(box *county.ColdBox) string {
	if box.Climate == nil {
		return ""
	}
	b, _ := json.Marshal(box.Climate.Value) // numbers and words always marshal
	return string(b)
}

// A box is the row of a cold box.
type box struct {
	id          string
	version, at int64
	tq, climate string
	outMS, out  int64
}

func readBoxes(ctx context.Context, c conn, ids []string, lock bool) (map[string]*box, error) {
	w := c.words()
	q, args := "select id, version, at_ms, tq, climate, out_ms, is_out from cold_boxes", []any(nil)
	if ids != nil {
		q, args = q+" where "+w.in("id", "$1"), []any{w.list(ids)}
	}
	q += " order by id"
	if lock {
		q += w.lock
	}
	boxes := map[string]*box{}
	err := c.each(ctx, func(scan func(...any) error) error {
		b := &box{}
		err := scan(&b.id, &b.version, &b.at, &b.tq, &b.climate, &b.outMS, &b.out)
		boxes[b.id] = b
		return err
	}, q, args...)
	return boxes, err
}

// measureBoxes takes every climate reading that is newer than the box's through its limits.
func (c *commit) measureBoxes(ctx context.Context) error {
	if len(c.climates) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(c.climates))
	boxes, err := readBoxes(ctx, c.c, ids, true)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, id := range ids {
		b := boxes[id]
		if b == nil {
			b = &box{id: id}
		}
		noun, err := c.reg.boxOf(id, b)
		if err != nil {
			return err
		}
		list, newer := c.climates[id], false
		slices.SortFunc(list, climate.compare)
		for _, m := range list {
			next := coldchain.Measure(noun, m.body, m.At, m.TQ)
			if at := ms(m.At); at > b.at || at == b.at && measured(&next) > measured(&noun) {
				noun = next
				b.at, b.tq, newer = at, string(m.TQ), true
			}
		}
		if !newer {
			continue
		}
		b.climate, b.out, b.outMS = measured(&noun), oneIf(noun.Out), 0
		if noun.OutFrom != nil {
			b.outMS = ms(*noun.OutFrom)
		}
		b.version++
		noun.Version = b.version
		rows = append(rows, []any{id, b.version, b.at, b.tq, b.climate, b.outMS, b.out})
		c.changes = append(c.changes, county.Change{Kind: county.ColdBoxChanged, ID: id, Version: b.version, Object: noun})
	}
	return c.c.put(ctx, coldBoxesTable, rows)
}

// boxOf is a cold box as the API shows it; b may be nil.
func (p *places) boxOf(id string, b *box) (county.ColdBox, error) {
	noun := county.ColdBox{ID: id}
	if known := p.box[id]; known != nil {
		noun = *known
	}
	if b == nil {
		return noun, nil
	}
	noun.Version, noun.Out = b.version, b.out != 0
	if b.outMS != 0 {
		t := moment(b.outMS)
		noun.OutFrom = &t
	}
	if b.climate != "" {
		noun.Climate = &county.Live[county.Climate]{At: moment(b.at), TQ: telemetry.Quality(b.tq)}
		return noun, json.Unmarshal([]byte(b.climate), &noun.Climate.Value)
	}
	return noun, nil
}

// vehicleOf is a vehicle as the API shows it, but for its load; v may be nil.
func (p *places) vehicleOf(id string, v *van) (county.Vehicle, error) {
	noun := county.Vehicle{ID: id, Motion: county.Offline}
	if known := p.vehicle[id]; known != nil {
		noun = *known
	}
	if v == nil {
		return noun, nil
	}
	noun.Version, noun.Site = v.version, v.open.Site
	switch {
	case v.pos != nil:
		noun.Position = &county.Live[county.Position]{Value: *v.pos, At: moment(v.at), TQ: telemetry.Quality(v.tq)}
	case v.position != "":
		noun.Position = &county.Live[county.Position]{At: moment(v.at), TQ: telemetry.Quality(v.tq)}
		return noun, json.Unmarshal([]byte(v.position), &noun.Position.Value)
	}
	return noun, nil
}
