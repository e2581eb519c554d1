package state

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// subject tells what a piece of evidence is about, and its step.
func subject(r *telemetry.Reading, device, thing string) (subject, step string) {
	switch r.Kind {
	case telemetry.KindTag:
		if t, err := telemetry.As[telemetry.Tag](*r); err == nil {
			return "epc/" + clean(t.EPC), string(t.Passage)
		}
	case telemetry.KindScan:
		if s, err := telemetry.As[telemetry.Scan](*r); err == nil {
			return "scan/" + scanned(s.Text), ""
		}
	case telemetry.KindAlarm:
		if a, err := telemetry.As[telemetry.Alarm](*r); err == nil {
			if waybill, _, ok := turnedAway(a); ok {
				return "parcel/" + waybill, parcel.TurnedAway
			}
		}
	case telemetry.KindLocker:
		if l, err := telemetry.As[telemetry.Locker](*r); err == nil {
			if kind, id := cutThing(thing); kind == "locker" {
				return cellSubject(id, l.Cell.Or(0)), locker.Step(l)
			}
		}
	}
	return "device/" + device, ""
}

// kindCabinet is the kind of what a cabinet says of a parcel by name: a second row of evidence, with the parcel as its subject
// and the cell as its thing, so that a deposit is found from its parcel without a scan.
const (
	kindCabinet   telemetry.Kind = "cabinet"
	cabinetSuffix                = "+"
)

// named makes of a deposit that names its waybill the row of the parcel.
func named(s *county.Sighting, r *telemetry.Reading) (county.Sighting, bool) {
	if r.Kind != telemetry.KindLocker || s.Step != string(telemetry.CellDeposited) || !strings.HasPrefix(s.Subject, "cell/") {
		return county.Sighting{}, false
	}
	waybill := depositOf(s)
	if waybill == "" {
		return county.Sighting{}, false
	}
	m := *s
	m.ID, m.Kind, m.Subject, m.Thing = s.ID+cabinetSuffix, kindCabinet, "parcel/"+waybill, s.Subject
	return m, true
}

// depositOf is the waybill that a deposit names; empty where it names none.
func depositOf(s *county.Sighting) string {
	if !bytes.Contains(s.Body, []byte(`"waybill"`)) {
		return ""
	}
	l, err := telemetry.As[telemetry.Locker](telemetry.Reading{Body: s.Body})
	if err != nil {
		return ""
	}
	return scanned(l.Waybill)
}

func cellSubject(id string, cell int) string { return "cell/" + id + "/" + strconv.Itoa(cell) }

func cutCell(subject string) (id string, cell int64, ok bool) {
	rest, ok := strings.CutPrefix(subject, "cell/")
	id, n, _ := strings.Cut(rest, "/")
	cell, err := strconv.ParseInt(n, 10, 64)
	return id, cell, ok && err == nil
}

// scanned is the text of a scan as waybills are written.
func scanned(text string) string {
	text = strings.ToUpper(strings.TrimSpace(clean(text)))
	return text[:min(len(text), 128)]
}

// clean takes out what no text column holds.
func clean(s string) string {
	if !strings.ContainsRune(s, 0) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

const evidenceColumns = "id, subject, kind, step, thing, device, at_ms, tq, gateway, epoch, lane, seq, body, te_ms"

// inOrder is the total order of evidence, and its reverse.
const (
	inOrder  = " order by at_ms, gateway, epoch, lane, seq, id"
	backward = " order by at_ms desc, gateway desc, epoch desc, lane desc, seq desc, id desc"
)

// readEvidence reads sightings; where and what follows it are SQL.
func readEvidence(ctx context.Context, c conn, where string, args ...any) ([]county.Sighting, error) {
	return readEvidenceTo(ctx, nil, c, where, args...)
}

// readEvidenceTo adds sightings to out.
func readEvidenceTo(ctx context.Context, out []county.Sighting, c conn, where string, args ...any) ([]county.Sighting, error) {
	err := c.each(ctx, func(scan func(...any) error) error {
		var s county.Sighting
		var at, lane, seq int64
		var kind, tq, body string
		err := scan(&s.ID, &s.Subject, &kind, &s.Step, &s.Thing, &s.Device, &at, &tq, &s.Gateway, &s.Epoch, &lane, &seq, &body, &s.ErrMS)
		s.Kind, s.TQ, s.At, s.Lane, s.Seq, s.Body = telemetry.Kind(kind), telemetry.Quality(tq), moment(at), int(lane), uint64(seq), []byte(body)
		out = append(out, s)
		return err
	}, "select "+evidenceColumns+" from evidence where "+where, args...)
	return out, err
}

// putEvidence keeps what was seen. What was told before and says nothing new is left out; the
// rest marks what has to be folded again.
func (c *commit) putEvidence(ctx context.Context) error {
	if len(c.evidence) == 0 {
		return nil
	}
	w := c.c.words()
	ids := slices.Sorted(maps.Keys(c.evidence))
	old, err := readEvidence(ctx, c.c, w.in("id", "$1"), w.list(ids))
	if err != nil {
		return err
	}
	var moved []county.Sighting // where it was before it was dated anew
	for _, o := range old {
		if c.evidence[o.ID].Before(o) {
			moved = append(moved, o)
		} else {
			delete(c.evidence, o.ID)
		}
	}
	fresh := moved
	var rows, again [][]any
	for _, id := range ids {
		s, ok := c.evidence[id]
		if !ok {
			continue
		}
		fresh = append(fresh, s)
		row := []any{
			s.ID, s.Subject, string(s.Kind), s.Step, s.Thing, s.Device, ms(s.At), string(s.TQ), s.Gateway, s.Epoch, int64(s.Lane), int64(s.Seq), clean(string(s.Body)), s.ErrMS,
		}
		if len(c.arrivals) > 0 && !slices.ContainsFunc(moved, func(o county.Sighting) bool { return o.ID == id }) {
			rows = append(rows, row) // only its gateway tells it, whose lock is ours
		} else {
			again = append(again, row)
		}
	}
	t, err := c.touch(ctx, fresh)
	if err != nil {
		return err
	}
	if err := c.c.put(ctx, newEvidenceTable, rows); err != nil {
		return err
	}
	if err := c.c.put(ctx, evidenceTable, again); err != nil {
		return err
	}
	if err := c.mark(ctx, t); err != nil {
		return err
	}
	tags := map[string]bool{}
	for i := range fresh {
		switch fresh[i].Kind {
		case telemetry.KindTag:
			tags[fresh[i].Subject] = true
		case parcel.KindPartner:
			for _, t := range c.s.tagsOf(fresh[i].Subject) {
				tags["epc/"+t] = true
			}
		}
	}
	return c.markTags(ctx, slices.Sorted(maps.Keys(tags)))
}

// touched is where evidence may change which scan belongs to which deposit, and how it was before.
type touched struct {
	times  map[string][]time.Time // by gateway
	cells  map[string]bool        // subjects of which there is something new to say what is or was inside
	before map[string]pairing     // by deposit
}

// touch marks what fresh evidence is about, and reads the pairings around it before it is put. A scan by itself costs
// nothing but that: one question is asked for all of a gateway's.
func (c *commit) touch(ctx context.Context, fresh []county.Sighting) (t touched, err error) {
	t = touched{times: map[string][]time.Time{}, cells: map[string]bool{}}
	var scans []string
	for i := range fresh {
		s := &fresh[i]
		switch s.Kind {
		case telemetry.KindScan:
			c.parcels[strings.TrimPrefix(s.Subject, "scan/")] = true
			scans = append(scans, strings.TrimPrefix(s.Subject, "scan/"))
			if strings.HasPrefix(s.Thing, "bench/") {
				c.items[strings.TrimPrefix(s.Subject, "scan/")] = true
				c.benches = append(c.benches, *s)
			}
			t.times[s.Gateway] = append(t.times[s.Gateway], s.At)
		case telemetry.KindAlarm:
			c.about(s)
			c.turned = append(c.turned, *s)
		case kindCabinet, parcel.KindPerson, parcel.KindTimer, parcel.KindPartner:
			c.about(s)
		case kindDoor:
			c.ordered(s)
		case telemetry.KindLocker:
			c.cells[s.Subject] = true
			t.times[s.Gateway] = append(t.times[s.Gateway], s.At)
			if err := c.touchCell(ctx, &t, s); err != nil {
				return t, err
			}
		}
	}
	if err := c.markCodes(ctx, scans); err != nil {
		return t, err
	}
	t.before, err = c.pairings(ctx, t.times)
	return t, err
}

// about marks what evidence that names it outright is about: a parcel, a container, or what is put into one.
func (c *commit) about(s *county.Sighting) {
	switch kind, id := cutThing(s.Subject); kind {
	case "parcel":
		c.parcels[id] = true
	case "item":
		c.items[id] = true
	case "container":
		c.boxes[id] = true
	}
}

// markCodes marks what containers whose barcodes were scanned hold or held.
func (c *commit) markCodes(ctx context.Context, texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	w := c.c.words()
	var containers []string
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		containers = append(containers, id)
		return err
	}, "select id from containers where code <> '' and "+w.in("code", "$1"), w.list(texts))
	if err != nil || len(containers) == 0 {
		return err
	}
	return c.markContents(ctx, containers)
}

// touchCell adds to what an event of a cell touches its neighbours: the deposit whose end it may be, and the
// next word on the cell, which may now say something new or nothing new.
func (c *commit) touchCell(ctx context.Context, t *touched, s *county.Sighting) error {
	switch s.Step {
	case string(telemetry.CellDeposited), string(telemetry.CellEmptied), locker.ClosedFull, locker.ClosedEmpty:
	default:
		return nil
	}
	t.cells[s.Subject] = true
	last, err := c.lastDeposit(ctx, s.Subject, s)
	if err != nil {
		return err
	}
	next, err := c.next(ctx, s, contentSteps)
	if err != nil {
		return err
	}
	for _, n := range []*county.Sighting{last, next} {
		if n != nil {
			t.times[n.Gateway] = append(t.times[n.Gateway], n.At)
		}
	}
	return nil
}

// pairings are the pairings around times, by deposit.
func (c *commit) pairings(ctx context.Context, times map[string][]time.Time) (map[string]pairing, error) {
	c.pairs = pairs{}
	all := make(map[string][]time.Time, len(times))
	for g, ts := range times {
		all[g] = slices.Clone(ts)
	}
	if err := c.prepare(ctx, all); err != nil {
		return nil, err
	}
	out := map[string]pairing{}
	for _, stretches := range c.pairs {
		for _, s := range stretches {
			for _, p := range s.pairs {
				out[p.deposit.ID] = p
			}
		}
	}
	return out, nil
}

// mark finds the cells and parcels that what was put concerns: those of deposits that belong to another scan now, and
// those that are or were in the cells it is about.
func (c *commit) mark(ctx context.Context, t touched) error {
	after, err := c.pairings(ctx, t.times)
	if err != nil {
		return err
	}
	differ := func(a, b map[string]pairing) {
		for id, p := range a {
			if q, ok := b[id]; !ok || q.scan != p.scan || t.cells[p.deposit.Subject] {
				c.cells[p.deposit.Subject], c.parcels[p.waybill] = true, true
			}
		}
	}
	differ(t.before, after)
	differ(after, t.before)
	delete(c.parcels, "")
	return nil
}

// markTags marks the parcels of tags, and what the containers of tags hold or held.
func (c *commit) markTags(ctx context.Context, subjects []string) error {
	if len(subjects) == 0 {
		return nil
	}
	epcs := make([]string, len(subjects))
	for i, s := range subjects {
		epcs[i] = strings.TrimPrefix(s, "epc/")
	}
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var waybill string
		err := scan(&waybill)
		c.parcels[waybill] = true
		return err
	}, "select waybill from names where kind = 'epc' and "+w.in("name", "$1"), w.list(epcs))
	if err != nil {
		return err
	}
	var containers []string
	err = c.c.each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		containers = append(containers, id)
		return err
	}, "select id from containers where "+w.in("epc", "$1"), w.list(epcs))
	if err != nil || len(containers) == 0 {
		return err
	}
	return c.markContents(ctx, containers)
}

// markContents marks the parcels that ever were in containers, through containers in containers.
func (c *commit) markContents(ctx context.Context, containers []string) error {
	w := c.c.words()
	for range maxNesting {
		var items []string
		err := c.c.each(ctx, func(scan func(...any) error) error {
			var item string
			err := scan(&item)
			items = append(items, item)
			return err
		}, "select distinct item from contents where "+w.in("container", "$1"), w.list(containers))
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			c.parcels[item] = true // a container among them is no parcel, and is passed over
		}
		containers = items
	}
	return nil
}
