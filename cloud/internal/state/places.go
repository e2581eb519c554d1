package state

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// places is the registry in memory, as of the last Seed or Open: what stands where, and which
// device belongs to which thing since when.
type places struct {
	sites      []county.Site
	vehicles   []county.Vehicle
	lockers    []county.Locker
	boxes      []county.ColdBox
	boundaries []county.Boundary
	gateways   []county.Gateway

	siteKind map[string]string
	siteOf   map[string]string // gateway -> site
	vehicle  map[string]*county.Vehicle
	locker   map[string]*county.Locker
	box      map[string]*county.ColdBox
	boundary map[string]*county.Boundary
	gateway  map[string]*county.Gateway
	bindings map[string][]binding // by device, ascending
}

type binding struct {
	since int64
	thing string
}

// thing tells what a device was bound to at a time; empty when to nothing.
func (p *places) thing(device string, at int64) string {
	bs := p.bindings[device]
	for i := len(bs) - 1; i >= 0; i-- {
		if bs[i].since <= at {
			return bs[i].thing
		}
	}
	return ""
}

// Seed makes the registry equal to reg. A binding that is new in a store without it holds since
// ever; one that changes holds from now on, and what it says of the past stays. Seeding the same
// again changes nothing.
func (s *Store) Seed(ctx context.Context, reg *county.Registry, now time.Time) error {
	docs := map[[2]string]string{}
	add := func(kind, id string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("BUG: %T doesn't marshal: %v", v, err))
		}
		docs[[2]string{kind, id}] = string(b)
	}
	for _, v := range reg.Sites {
		add("site", v.ID, v)
	}
	for _, v := range reg.Vehicles {
		add("vehicle", v.ID, v)
	}
	for _, v := range reg.Lockers {
		add("locker", v.ID, v)
	}
	for _, v := range reg.ColdBoxes {
		add("coldbox", v.ID, v)
	}
	for _, v := range reg.Boundaries {
		add("boundary", v.ID, v)
	}
	for _, v := range reg.Gateways {
		add("gateway", v.ID, v)
	}
	err := s.update(ctx, "seed", func(c conn) error {
		if err := seedDocs(ctx, c, docs); err != nil {
			return err
		}
		return seedBindings(ctx, c, reg.Bindings, now)
	})
	if err != nil {
		return err
	}
	return s.loadRegistry(ctx)
}

func seedDocs(ctx context.Context, c conn, docs map[[2]string]string) error {
	var gone [][2]string
	var rows [][]any
	err := c.each(ctx, func(scan func(...any) error) error {
		var kind, id string
		err := scan(&kind, &id)
		if _, ok := docs[[2]string{kind, id}]; !ok {
			gone = append(gone, [2]string{kind, id})
		}
		return err
	}, "select kind, id from registry")
	if err != nil {
		return err
	}
	for _, k := range gone {
		if _, err := c.exec(ctx, "delete from registry where kind = $1 and id = $2", k[0], k[1]); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(docs), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }) {
		rows = append(rows, []any{k[0], k[1], docs[k]})
	}
	return c.put(ctx, registryTable, rows)
}

func seedBindings(ctx context.Context, c conn, want map[string]string, now time.Time) error {
	have := map[string]binding{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var device string
		var b binding
		err := scan(&device, &b.since, &b.thing)
		have[device] = b // ascending: the last one stays
		return err
	}, "select device, since_ms, thing from bindings order by device, since_ms")
	if err != nil {
		return err
	}
	var rows [][]any
	for _, device := range slices.Sorted(maps.Keys(want)) {
		old, ok := have[device]
		switch {
		case !ok:
			rows = append(rows, []any{device, int64(0), want[device]})
		case old.thing != want[device]:
			rows = append(rows, []any{device, ms(now), want[device]})
		}
	}
	for _, device := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[device]; !ok && have[device].thing != "" {
			rows = append(rows, []any{device, ms(now), ""})
		}
	}
	return c.put(ctx, bindingsTable, rows)
}

// loadRegistry reads the registry into memory.
func (s *Store) loadRegistry(ctx context.Context) error {
	p := &places{
		siteKind: map[string]string{}, siteOf: map[string]string{}, vehicle: map[string]*county.Vehicle{}, locker: map[string]*county.Locker{},
		box: map[string]*county.ColdBox{}, boundary: map[string]*county.Boundary{}, gateway: map[string]*county.Gateway{}, bindings: map[string][]binding{},
	}
	err := s.each(ctx, func(scan func(...any) error) error {
		var kind, doc string
		if err := scan(&kind, &doc); err != nil {
			return err
		}
		return p.take(kind, []byte(doc))
	}, "select kind, doc from registry order by kind, id")
	if err != nil {
		return err
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		var device string
		var b binding
		err := scan(&device, &b.since, &b.thing)
		p.bindings[device] = append(p.bindings[device], b)
		return err
	}, "select device, since_ms, thing from bindings order by device, since_ms")
	if err != nil {
		return err
	}
	p.index()
	s.registry.Store(p)
	return nil
}

func (p *places) take(kind string, doc []byte) error {
	switch kind {
	case "site":
		return appendTo(&p.sites, doc)
	case "vehicle":
		return appendTo(&p.vehicles, doc)
	case "locker":
		return appendTo(&p.lockers, doc)
	case "coldbox":
		return appendTo(&p.boxes, doc)
	case "boundary":
		return appendTo(&p.boundaries, doc)
	case "gateway":
		return appendTo(&p.gateways, doc)
	}
	return nil // of a later release
}

func appendTo[T any](to *[]T, doc []byte) error {
	var v T
	if err := json.Unmarshal(doc, &v); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	*to = append(*to, v)
	return nil
}

func (p *places) index() {
	for _, v := range p.sites {
		p.siteKind[v.ID] = v.Kind
	}
	byID(p.vehicle, p.vehicles, func(v *county.Vehicle) string { return v.ID })
	byID(p.locker, p.lockers, func(v *county.Locker) string { return v.ID })
	byID(p.box, p.boxes, func(v *county.ColdBox) string { return v.ID })
	byID(p.boundary, p.boundaries, func(v *county.Boundary) string { return v.ID })
	byID(p.gateway, p.gateways, func(v *county.Gateway) string { return v.ID })
	for _, g := range p.gateways {
		p.siteOf[g.ID] = g.Site
	}
}

func byID[T any](m map[string]*T, list []T, id func(*T) string) {
	for i := range list {
		m[id(&list[i])] = &list[i]
	}
}

// Thing tells what a device (gateway/device) was bound to at a time, as kind/id; empty when to
// nothing.
func (s *Store) Thing(device string, at time.Time) string {
	return s.registry.Load().thing(device, at.UnixMilli())
}

// cutThing splits kind/id.
func cutThing(thing string) (kind, id string) {
	kind, id, _ = strings.Cut(thing, "/")
	return kind, id
}
