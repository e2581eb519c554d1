package state

import (
	"context"
	"encoding/json"

	"yizhan/cloud/internal/coldchain"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/vehicle"
	"yizhan/devices/telemetry"
)

type fix struct {
	county.Dated
	pos county.Position
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
	track    track
	pos      *county.Position // decoded, when it is of this transaction
}

func readVans(ctx context.Context, c conn, ids []string, lock bool) (map[string]*van, error) {
	w := c.words()
	q, args := "select id, version, at_ms, tq, position, stay_site, stay_from, stay_to, since_ms, trace from vehicles", []any(nil)
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
		var trace string
		err := scan(&v.id, &v.version, &v.at, &v.tq, &v.position, &v.open.Site, &from, &to, &v.track.since, &trace)
		if err != nil {
			return err
		}
		v.open.Vehicle, v.open.From, v.open.To = v.id, moment(from), moment(to)
		v.track.thing = "vehicle/" + v.id
		vans[v.id] = v
		v.track.trace, err = county.ParseTrace(trace)
		return err
	}, q, args...)
	return vans, err
}

// doc is the position as the row has it.
func (v *van) doc() string {
	if v.pos != nil {
		b, _ := json.Marshal(v.pos) // numbers and words always marshal
		return string(b)
	}
	return v.position
}

func (v *van) row() []any {
	v.position = v.doc()
	return []any{v.id, v.version, v.at, v.tq, v.position, v.open.Site, ms(v.open.From), ms(v.open.To), v.track.since, v.track.trace.String()}
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

type climate struct {
	county.Dated
	body telemetry.Climate
}

func (c *commit) climate(id string, r *telemetry.Reading, d county.Dated) {
	if m, err := telemetry.As[telemetry.Climate](*r); err == nil && d.TQ != telemetry.Unknown {
		c.climates[id] = append(c.climates[id], climate{d, m})
	}
}

// doc is the climate as its row has it.
func (m *climate) doc() string {
	v := coldchain.Climate(&m.body)
	b, _ := json.Marshal(&v) // numbers and words always marshal
	return string(b)
}

// A box is the row of a cold box.
type box struct {
	id          string
	version, at int64
	tq, climate string
	outMS, out  int64
	inMS        int64
	track       track
}

func (b *box) row() []any {
	return []any{b.id, b.version, b.at, b.tq, b.climate, b.outMS, b.out, b.inMS, b.track.since, b.track.trace.String()}
}

func readBoxes(ctx context.Context, c conn, ids []string, lock bool) (map[string]*box, error) {
	w := c.words()
	q, args := "select id, version, at_ms, tq, climate, out_ms, is_out, in_ms, since_ms, trace from cold_boxes", []any(nil)
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
		var trace string
		if err := scan(&b.id, &b.version, &b.at, &b.tq, &b.climate, &b.outMS, &b.out, &b.inMS, &b.track.since, &trace); err != nil {
			return err
		}
		b.track.thing = "coldbox/" + b.id
		boxes[b.id] = b
		var err error
		b.track.trace, err = county.ParseTrace(trace)
		return err
	}, q, args...)
	return boxes, err
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
