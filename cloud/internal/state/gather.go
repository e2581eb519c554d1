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
	"yizhan/cloud/internal/locker"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// tell folds the evidence of parcels into their timelines.
func (c *commit) tell(ctx context.Context, rows []parcelRow) ([]county.Timeline, error) {
	g := gathering{commit: c, events: make([][]parcel.Event, len(rows)), subjects: map[string][]told{}, readers: map[string]bool{}}
	for i := range rows {
		p := &rows[i]
		for _, subject := range c.s.tagSubjects(p.EPC) {
			g.tellOf(subject, told{parcel: i})
		}
		g.tellOf("scan/"+p.Waybill.Waybill, told{parcel: i})
		g.tellOf("parcel/"+p.Waybill.Waybill, told{parcel: i})
	}
	for _, step := range []func(context.Context, []parcelRow) error{g.containers, g.seen, g.stays} {
		if err := step(ctx, rows); err != nil {
			return nil, err
		}
	}
	out := make([]county.Timeline, len(rows))
	for i := range rows {
		p := &rows[i]
		facts := parcel.Facts{Waybill: p.Waybill, Created: p.created, Kind: func(site string) string { return c.reg.siteKind[site] }, Pace: c.s.opt.Pace}
		out[i], c.rides[p.Waybill.Waybill] = parcel.FoldRides(facts, g.events[i])
		out[i].Version = p.Version
	}
	return out, nil
}

// gathering collects the events of several parcels at once.
type gathering struct {
	*commit
	events   [][]parcel.Event
	subjects map[string][]told
	asked    []string        // the subjects, as they came
	readers  map[string]bool // vehicles whose readers saw a tag of theirs
	put      []putIn
	first    time.Time // when the first did
	last     time.Time // when the last did
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
			var container, epc, code, item string
			var since, until int64
			if err := scan(&container, &epc, &code, &item, &since, &until); err != nil {
				return err
			}
			for _, t := range inside[item] {
				t, ok := t.within(moment(since), moment(until))
				if t.via = container; !ok {
					continue
				}
				outer[container] = append(outer[container], t)
				for _, subject := range append(g.s.tagSubjects(epc), "scan/"+code) {
					g.tellOf(subject, t)
				}
			}
			return nil
		}, "select x.container, c.epc, c.code, x.item, x.since_ms, x.until_ms from contents x join containers c on c.id = x.container where "+w.in("x.item", "$1")+" order by 1, 4, 5",
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

// seen adds what devices saw and people said, and the deposits and collections that follow.
func (g *gathering) seen(ctx context.Context, rows []parcelRow) error {
	w := g.c.words()
	all, err := readEvidenceTo(ctx, make([]county.Sighting, 0, 4*len(rows)), g.c, w.in("subject", "$1"), w.list(g.asked))
	if err != nil {
		return err
	}
	g.room(rows, all)
	scanned := map[string][]time.Time{}
	for i := range all {
		if s := &all[i]; s.Kind == telemetry.KindScan {
			scanned[s.Gateway] = append(scanned[s.Gateway], s.At)
		}
	}
	if err := g.prepare(ctx, scanned); err != nil {
		return err
	}
	wrong, err := withdrawn(all)
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		if wrong[s.ID] {
			continue
		}
		for _, t := range g.subjects[s.Subject] {
			if s.At.Before(t.since) || !t.until.IsZero() && !s.At.Before(t.until) {
				continue
			}
			if err := g.take(t, s); err != nil {
				return fmt.Errorf("evidence %s: %w", s.ID, err)
			}
		}
	}
	return g.deposits(ctx)
}

// tellOf notes whose evidence a subject is.
func (g *gathering) tellOf(subject string, t told) {
	of, known := g.subjects[subject]
	if !known {
		g.asked = append(g.asked, subject)
	}
	g.subjects[subject] = append(of, t)
}

// room begins the events of each parcel, with room for what was seen of it.
func (g *gathering) room(rows []parcelRow, all []county.Sighting) {
	n := make([]int, len(rows))
	for i := range all {
		for _, t := range g.subjects[all[i].Subject] {
			n[t.parcel]++
		}
	}
	free := make([]parcel.Event, len(rows)+len(all)) // more where containers are
	for i := range rows {
		p := &rows[i]
		if need := n[i] + 1; need > len(free) {
			g.events[i] = make([]parcel.Event, 0, need)
		} else {
			g.events[i], free = free[:0:need], free[need:]
		}
		g.events[i] = append(g.events[i], parcel.Event{Sighting: county.Sighting{ID: "created/" + p.Waybill.Waybill, At: p.created, TQ: telemetry.Cloud}, Step: parcel.Created})
	}
}

func (g *gathering) take(t told, s *county.Sighting) error {
	switch s.Kind {
	case telemetry.KindScan:
		g.scan(t, s)
	case telemetry.KindTag:
		return g.tag(t, s)
	case parcel.KindPerson, parcel.KindPartner:
		return g.said(t, s)
	case parcel.KindTimer:
		g.events[t.parcel] = append(g.events[t.parcel], parcel.Event{Sighting: *s, Step: s.Step, After: string(s.Body)})
	case telemetry.KindAlarm:
		g.turnedAway(t, s)
	case kindCabinet:
		original := *s
		original.ID, original.Subject = strings.TrimSuffix(s.ID, cabinetSuffix), s.Thing
		g.put = append(g.put, putIn{t.parcel, original})
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
		g.rides(id, s.At)
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

// scan adds a scan, and notes the deposits that it belongs to.
func (g *gathering) scan(t told, s *county.Sighting) {
	e := parcel.Event{Sighting: *s, Step: parcel.Scanned, Site: g.reg.siteOf[s.Gateway], Via: t.via}
	if kind, id := cutThing(s.Thing); kind == "boundary" && g.reg.boundary[id] != nil {
		e.Site, e.Door = g.reg.boundary[id].Site, g.reg.boundary[id].Kind
	}
	g.events[t.parcel] = append(g.events[t.parcel], e)
	if t.via != "" {
		return
	}
	for _, p := range g.pairs.at(s.Gateway, s.At) {
		if p.scan == s.ID {
			g.put = append(g.put, putIn{t.parcel, p.deposit})
		}
	}
}

// A putIn is a deposit of a parcel.
type putIn struct {
	parcel  int
	deposit county.Sighting
}

// deposits adds the deposits, and the emptying of their cells.
func (g *gathering) deposits(ctx context.Context) error {
	slices.SortStableFunc(g.put, func(a, b putIn) int { return a.deposit.Compare(b.deposit) })
	ids := make([]string, len(g.put))
	for i := range g.put {
		ids[i] = g.put[i].deposit.ID
	}
	ends, err := g.ends(ctx, ids)
	if err != nil {
		return err
	}
	for i := range g.put {
		d := &g.put[i].deposit
		id, n, ok := cutCell(d.Subject)
		if !ok {
			continue
		}
		e := parcel.Event{Sighting: sinceWhen(*d), Step: parcel.Deposited, Locker: id, Cell: int(n), Deposit: d.ID, Late: locker.Late(d.Step)}
		if l := g.reg.locker[id]; l != nil {
			e.Site = l.Site
		}
		if body, err := telemetry.As[telemetry.Locker](telemetry.Reading{Body: d.Body}); err == nil && body.Deposit != "" {
			e.Deposit, e.KeyNo = body.Deposit, body.Generation.Or(0)
		}
		events := &g.events[g.put[i].parcel]
		*events = append(*events, e)
		if end, ok := ends[d.ID]; ok && end.Step != string(telemetry.CellDeposited) {
			e.Step, e.Sighting, e.Late = parcel.Collected, sinceWhen(end), locker.Late(end.Step)
			*events = append(*events, e)
		}
	}
	return nil
}

// ends finds the next event of each deposit's cell that says that something else, or nothing, is in it.
func (c *commit) ends(ctx context.Context, deposits []string) (map[string]county.Sighting, error) {
	out := map[string]county.Sighting{}
	if len(deposits) == 0 {
		return out, nil
	}
	w := c.c.words()
	of := map[string][]string{}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var deposit, end string
		err := scan(&deposit, &end)
		if end != "" {
			of[end] = append(of[end], deposit)
		}
		return err
	}, `select e.id, coalesce((select p.id from evidence p where p.subject = e.subject and p.at_ms >= e.at_ms and p.step in ('deposited', 'emptied', 'closed_empty')
		and (p.at_ms, p.gateway, p.epoch, p.lane, p.seq, p.id) > (e.at_ms, e.gateway, e.epoch, e.lane, e.seq, e.id)
		order by p.at_ms, p.gateway, p.epoch, p.lane, p.seq, p.id limit 1), '') from evidence e where `+w.in("e.id", "$1"), w.list(deposits))
	if err != nil || len(of) == 0 {
		return out, err
	}
	all, err := readEvidence(ctx, c.c, w.in("id", "$1"), w.list(slices.Sorted(maps.Keys(of))))
	for _, s := range all {
		for _, d := range of[s.ID] {
			out[d] = s
		}
	}
	return out, err
}

// said adds what a person said.
func (g *gathering) said(t told, s *county.Sighting) error {
	var b saying
	if err := json.Unmarshal(s.Body, &b); err != nil {
		return err
	}
	e := parcel.Event{
		Sighting: *s, Step: s.Step, Site: b.Site, Vehicle: b.Vehicle, Locker: b.Locker, Cell: b.Cell,
		Actor: b.Actor, Reason: b.Reason, Channel: b.Channel, Via: t.via,
	}
	if l := g.reg.locker[b.Locker]; l != nil {
		e.Site = l.Site
	}
	if b.Vehicle != "" {
		g.rides(b.Vehicle, s.At)
	}
	g.events[t.parcel] = append(g.events[t.parcel], e)
	return nil
}

// rides notes that the whereabouts of a vehicle then matter.
func (g *gathering) rides(vehicle string, at time.Time) {
	g.readers[vehicle] = true
	if g.first.IsZero() || at.Before(g.first) {
		g.first = at
	}
	if at.After(g.last) {
		g.last = at
	}
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
