package state

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// maxNesting is how deep containers may stand in containers.
const maxNesting = 4

// The fences that a vehicle crossed concern a parcel from so long before its reader first saw the
// parcel until so long after.
const (
	fenceBefore = 24 * time.Hour
	fenceAfter  = 30 * 24 * time.Hour
)

// A parcelRow is a row of parcels.
type parcelRow struct {
	county.Parcel
	created time.Time
	changed time.Time
	told    string // what others were told of it, a tale
	wrong   string // ids of its open exceptions, each followed by ','

	sealed []byte // the recipient, where it was read or is to be put
	phone  string
}

const parcelColumns = "waybill, epc, site, locker, handling, created_ms, stage, since_ms, place, cell, inferred, version, changed_ms, direction, size, consent, hold, order_no, told, wrong"

func readParcels(ctx context.Context, c conn, rest string, args ...any) (out []parcelRow, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var p parcelRow
		var created, since, cell, inferred, changed, hold int64
		var stage, direction, consent string
		err := scan(&p.Waybill.Waybill, &p.EPC, &p.Site, &p.Locker, &p.Handling, &created, &stage, &since, &p.Place, &cell, &inferred, &p.Version, &changed,
			&direction, &p.Size, &consent, &hold, &p.Order, &p.told, &p.wrong)
		p.created, p.changed, p.Since = moment(created), moment(changed), moment(since)
		p.Stage, p.Cell, p.Inferred = county.Stage(stage), int(cell), inferred != 0
		p.Direction, p.Consent, p.Hold = county.Direction(direction), county.Consent(consent), hold != 0
		p.overlay()
		out = append(out, p)
		return err
	}, "select "+parcelColumns+" from parcels "+rest, args...)
	return out, err
}

func (p *parcelRow) row() []any {
	return []any{
		p.Waybill.Waybill, p.EPC, p.Site, p.Locker, p.Handling, ms(p.created), string(p.Stage), ms(p.Since), p.Place, int64(p.Cell), oneIf(p.Inferred),
		p.Version, ms(p.changed), reversed(p.Waybill.Waybill), reversed(p.EPC),
		string(p.Direction), p.Size, string(p.Consent), oneIf(p.Hold), p.Order, bytesOf(p.sealed), p.phone, p.told, p.wrong,
	}
}

// folded is what a fold changes of a row.
func (p *parcelRow) folded() []any {
	return []any{p.Waybill.Waybill, string(p.Stage), ms(p.Since), p.Place, int64(p.Cell), oneIf(p.Inferred), p.Version, ms(p.changed), p.told, p.wrong}
}

// overlay fills in what follows from the rest.
func (p *parcelRow) overlay() {
	p.Wrong = strings.Count(p.wrong, ",")
	p.Views = county.ViewsOf(p.Stage, p.Direction, p.Wrong > 0)
}

// bytesOf is b, for a column that is never null.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return clean(string(b))
}

// foldParcels folds the parcels again that something marked, under their locks.
func (c *commit) foldParcels(ctx context.Context) error {
	if len(c.parcels) == 0 {
		return nil
	}
	w := c.c.words()
	old, err := readParcels(ctx, c.c, "where "+w.in("waybill", "$1")+" order by waybill"+w.lock, w.list(slices.Sorted(maps.Keys(c.parcels))))
	if err != nil {
		return err
	}
	timelines, err := c.tell(ctx, old)
	if err != nil {
		return err
	}
	var rows [][]any
	for i := range old {
		p, now := &old[i], &timelines[i]
		changed, err := c.refold(ctx, p, now)
		if err != nil {
			return err
		}
		if changed {
			rows = append(rows, p.folded())
		}
	}
	return c.c.put(ctx, foldsTable, rows)
}

// refold brings a parcel to what its evidence says now, tells of it, and reports whether its row changed.
func (c *commit) refold(ctx context.Context, p *parcelRow, now *county.Timeline) (changed bool, err error) {
	was, told := p.Parcel, p.told
	if err := c.retell(ctx, p, now); err != nil {
		return false, err
	}
	p.Parcel = now.Parcel
	p.overlay()
	p.Version = was.Version
	if p.Parcel == was {
		return p.told != told, nil
	}
	if p.Place != was.Place {
		for _, place := range []string{p.Place, was.Place} {
			if kind, id := cutThing(place); kind == "vehicle" {
				c.loads[id] = true
			}
		}
	}
	p.Version++
	p.changed = c.now
	c.changes = append(c.changes, county.Change{Kind: county.ParcelChanged, ID: p.Waybill.Waybill, Version: p.Version, Object: p.Parcel})
	return true, nil
}

// tell folds the evidence of parcels into their timelines.
func (c *commit) tell(ctx context.Context, rows []parcelRow) ([]county.Timeline, error) {
	g := gathering{commit: c, events: make([][]parcel.Event, len(rows)), subjects: map[string][]told{}, readers: map[string]bool{}}
	for i := range rows {
		p := &rows[i]
		g.events[i] = []parcel.Event{{Sighting: county.Sighting{ID: "created/" + p.Waybill.Waybill, At: p.created, TQ: telemetry.Cloud}, Step: parcel.Created}}
		if p.EPC != "" {
			g.subjects["epc/"+p.EPC] = append(g.subjects["epc/"+p.EPC], told{parcel: i})
		}
		g.subjects["scan/"+p.Waybill.Waybill] = append(g.subjects["scan/"+p.Waybill.Waybill], told{parcel: i})
	}
	for _, step := range []func(context.Context, []parcelRow) error{g.containers, g.seen, g.stays} {
		if err := step(ctx, rows); err != nil {
			return nil, err
		}
	}
	out := make([]county.Timeline, len(rows))
	for i := range rows {
		p := &rows[i]
		facts := parcel.Facts{Waybill: p.Waybill, Created: p.created, Kind: func(site string) string { return c.reg.siteKind[site] }}
		out[i] = parcel.Fold(facts, g.events[i])
		out[i].Version = p.Version
		out[i].Wrong = p.Wrong
		out[i].Views = county.ViewsOf(out[i].Stage, out[i].Direction, p.Wrong > 0)
	}
	return out, nil
}

// gathering collects the events of several parcels at once.
type gathering struct {
	*commit
	events   [][]parcel.Event
	subjects map[string][]told
	readers  map[string]bool // vehicles whose readers saw a tag of theirs
	first    time.Time       // when the first did
	last     time.Time       // when the last did
}

// told says whose evidence a subject is: a parcel's own, or that of a container it was in.
type told struct {
	parcel       int
	via          string
	since, until time.Time
}

// containers adds the tags of the containers that the parcels were in, for as long as they were.
func (g *gathering) containers(ctx context.Context, rows []parcelRow) error {
	inside := map[string][]told{} // item -> for whom
	for i := range rows {
		inside[rows[i].Waybill.Waybill] = []told{{parcel: i}}
	}
	w := g.c.words()
	for range maxNesting {
		outer := map[string][]told{}
		err := g.c.each(ctx, func(scan func(...any) error) error {
			var container, epc, item string
			var since, until int64
			if err := scan(&container, &epc, &item, &since, &until); err != nil {
				return err
			}
			for _, t := range inside[item] {
				t, ok := t.within(moment(since), moment(until))
				if t.via = container; !ok {
					continue
				}
				outer[container] = append(outer[container], t)
				g.subjects["epc/"+epc] = append(g.subjects["epc/"+epc], t)
			}
			return nil
		}, "select x.container, c.epc, x.item, x.since_ms, x.until_ms from contents x join containers c on c.id = x.container where "+w.in("x.item", "$1")+" order by 1, 3, 4",
			w.list(slices.Sorted(maps.Keys(inside))))
		if err != nil || len(outer) == 0 {
			return err
		}
		inside = outer
	}
	return nil
}

// within narrows t to a stretch of time; until zero is still.
func (t told) within(since, until time.Time) (told, bool) {
	if t.since.Before(since) {
		t.since = since
	}
	if !until.IsZero() && (t.until.IsZero() || until.Before(t.until)) {
		t.until = until
	}
	return t, t.until.IsZero() || t.since.Before(t.until)
}

// seen adds tags and scans, and the deposits and collections that follow from scans.
func (g *gathering) seen(ctx context.Context, _ []parcelRow) error {
	w := g.c.words()
	all, err := readEvidence(ctx, g.c, w.in("subject", "$1")+inOrder, w.list(slices.Sorted(maps.Keys(g.subjects))))
	if err != nil {
		return err
	}
	scanned := map[string][]time.Time{}
	for i := range all {
		if s := &all[i]; s.Kind == telemetry.KindScan {
			scanned[s.Gateway] = append(scanned[s.Gateway], s.At)
		}
	}
	if err := g.prepare(ctx, scanned); err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		for _, t := range g.subjects[s.Subject] {
			if s.At.Before(t.since) || !t.until.IsZero() && !s.At.Before(t.until) {
				continue
			}
			if s.Kind == telemetry.KindScan {
				if err := g.scan(ctx, t, s); err != nil {
					return err
				}
				continue
			}
			if err := g.tag(t, s); err != nil {
				return err
			}
		}
	}
	return nil
}

var passages = map[telemetry.Passage][2]string{ // at a door or site, at a vehicle
	telemetry.Arrive: {parcel.Arrived, parcel.Aboard},
	telemetry.In:     {parcel.PassedIn, parcel.Aboard},
	telemetry.Depart: {parcel.Departed, parcel.Off},
	telemetry.Out:    {parcel.PassedOut, parcel.Off},
}

func (g *gathering) tag(t told, s *county.Sighting) error {
	body, err := telemetry.As[telemetry.Tag](telemetry.Reading{Body: s.Body})
	if err != nil {
		return fmt.Errorf("evidence %s: %w", s.ID, err)
	}
	e := parcel.Event{Sighting: *s, Via: t.via, Antenna: body.Antenna.Or(0), Reads: body.Reads.Or(0)}
	if v, ok := body.RSSIDBm.Get(); ok {
		e.RSSIDBm = &v
	}
	words := passages[body.Passage]
	e.Step = words[0]
	switch kind, id := cutThing(s.Thing); kind {
	case "vehicle":
		e.Step, e.Vehicle = words[1], id
		g.readers[id] = true
		if g.first.IsZero() || s.At.Before(g.first) {
			g.first = s.At
		}
		if s.At.After(g.last) {
			g.last = s.At
		}
	case "boundary":
		if b := g.reg.boundary[id]; b != nil {
			e.Site, e.Door = b.Site, b.Kind
		}
	case "site":
		e.Site = id
	}
	g.events[t.parcel] = append(g.events[t.parcel], e)
	return nil
}

// scan adds a scan, the deposit that it belongs to, and the emptying of that cell.
func (g *gathering) scan(ctx context.Context, t told, s *county.Sighting) error {
	e := parcel.Event{Sighting: *s, Step: parcel.Scanned, Site: g.reg.siteOf[s.Gateway]}
	g.events[t.parcel] = append(g.events[t.parcel], e)
	for _, p := range g.pairs.at(s.Gateway, s.At) {
		if p.scan != s.ID {
			continue
		}
		d := p.deposit
		id, n, ok := cutCell(d.Subject)
		if !ok {
			continue
		}
		e.Step, e.Locker, e.Cell = parcel.Deposited, id, int(n)
		e.Sighting = sinceWhen(d)
		g.events[t.parcel] = append(g.events[t.parcel], e)
		end, err := g.next(ctx, &d, "'deposited', 'emptied', 'closed_empty'")
		if err != nil {
			return err
		}
		if end != nil && end.Step != string(telemetry.CellDeposited) {
			e.Step, e.Sighting = parcel.Collected, sinceWhen(*end)
			g.events[t.parcel] = append(g.events[t.parcel], e)
		}
	}
	return nil
}

// sinceWhen says of a change that nobody saw that its time isn't known: it was that late or earlier.
func sinceWhen(s county.Sighting) county.Sighting {
	if locker.Late(s.Step) {
		s.TQ = telemetry.Unknown
	}
	return s
}

// stays adds the fence events of the vehicles whose readers saw the parcels.
func (g *gathering) stays(ctx context.Context, _ []parcelRow) error {
	if len(g.readers) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(g.readers))
	vans, err := readVans(ctx, g.c, ids, false)
	if err != nil {
		return err
	}
	stays, err := readStays(ctx, g.c, ids, g.first.Add(-fenceBefore), g.last.Add(fenceAfter))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if v := vans[id]; v != nil && !v.open.From.IsZero() {
			stays[id] = append(stays[id], v.open)
		}
	}
	for i, events := range g.events {
		first := map[string]time.Time{} // when the parcel was first seen by the vehicle's reader
		for _, e := range events {
			if t, ok := first[e.Vehicle]; e.Vehicle != "" && (!ok || e.At.Before(t)) {
				first[e.Vehicle] = e.At
			}
		}
		for _, id := range slices.Sorted(maps.Keys(first)) {
			near := slices.DeleteFunc(slices.Clone(stays[id]), func(s county.Stay) bool {
				return s.To.Before(first[id].Add(-fenceBefore)) || s.From.After(first[id].Add(fenceAfter))
			})
			g.events[i] = append(g.events[i], fenceEvents(near)...)
		}
	}
	return nil
}

// fenceEvents are the crossings between ascending stays.
func fenceEvents(stays []county.Stay) (out []parcel.Event) {
	slices.SortFunc(stays, func(a, b county.Stay) int { return cmp.Or(a.From.Compare(b.From), strings.Compare(a.Site, b.Site)) })
	add := func(step, site string, s *county.Stay) {
		out = append(out, parcel.Event{
			Sighting: county.Sighting{ID: fmt.Sprintf("%s/%s/%d", step, s.Vehicle, ms(s.From)), At: s.From, TQ: telemetry.GNSS},
			Step:     step, Vehicle: s.Vehicle, Site: site,
		})
	}
	for i := range stays {
		s := &stays[i]
		switch {
		case i > 0 && stays[i-1].Site == s.Site:
			continue
		case i > 0 && stays[i-1].Site != "":
			add(parcel.LeftSite, stays[i-1].Site, s)
		case s.Site == "":
			add(parcel.LeftSite, "", s)
		}
		if s.Site != "" {
			add(parcel.ReachedSite, s.Site, s)
		}
	}
	return out
}
