package state

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
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
	case telemetry.KindLocker:
		if l, err := telemetry.As[telemetry.Locker](*r); err == nil {
			if kind, id := cutThing(thing); kind == "locker" {
				return cellSubject(id, l.Cell.Or(0)), string(l.Event)
			}
		}
	}
	return "device/" + device, ""
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

const evidenceColumns = "id, subject, kind, step, thing, device, at_ms, tq, gateway, epoch, lane, seq, body"

// inOrder is the total order of evidence, and its reverse.
const (
	inOrder  = " order by at_ms, gateway, epoch, lane, seq, id"
	backward = " order by at_ms desc, gateway desc, epoch desc, lane desc, seq desc, id desc"
)

// readEvidence reads sightings; where and what follows it are SQL.
func readEvidence(ctx context.Context, c conn, where string, args ...any) (out []county.Sighting, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var s county.Sighting
		var at, lane, seq int64
		var kind, tq, body string
		err := scan(&s.ID, &s.Subject, &kind, &s.Step, &s.Thing, &s.Device, &at, &tq, &s.Gateway, &s.Epoch, &lane, &seq, &body)
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
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(c.evidence)) {
		s := c.evidence[id]
		fresh = append(fresh, s)
		rows = append(rows, []any{
			s.ID, s.Subject, string(s.Kind), s.Step, s.Thing, s.Device, ms(s.At), string(s.TQ), s.Gateway, s.Epoch, int64(s.Lane), int64(s.Seq), clean(string(s.Body)),
		})
	}
	if err := c.c.put(ctx, evidenceTable, rows); err != nil {
		return err
	}
	return c.mark(ctx, fresh)
}

// mark finds the cells and parcels that sightings concern.
func (c *commit) mark(ctx context.Context, fresh []county.Sighting) error {
	var tags []string
	for i := range fresh {
		s := &fresh[i]
		switch s.Kind {
		case telemetry.KindTag:
			tags = append(tags, s.Subject)
		case telemetry.KindScan:
			if err := c.markScan(ctx, s); err != nil {
				return err
			}
		case telemetry.KindLocker:
			if err := c.markCell(ctx, s); err != nil {
				return err
			}
		}
	}
	slices.Sort(tags)
	return c.markTags(ctx, slices.Compact(tags))
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
	}, "select waybill from parcels where "+w.in("epc", "$1"), w.list(epcs))
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

// markScan marks the parcel of a scan, the one scanned before it (whose deposit this scan may take
// away), and the cells where a deposit followed.
func (c *commit) markScan(ctx context.Context, s *county.Sighting) error {
	c.parcels[strings.TrimPrefix(s.Subject, "scan/")] = true
	if err := c.markScansBefore(ctx, s); err != nil {
		return err
	}
	return c.markDepositsAfter(ctx, s)
}

func (c *commit) markCell(ctx context.Context, s *county.Sighting) error {
	c.cells[s.Subject] = true
	switch telemetry.CellEvent(s.Step) {
	case telemetry.CellDeposited:
		if err := c.markScansBefore(ctx, s); err != nil {
			return err
		}
		return c.markDepositsAfter(ctx, s)
	case telemetry.CellEmptied:
		deposits, err := readEvidence(ctx, c.c, "subject = $1 and at_ms <= $2 and step = 'deposited'"+backward+" limit 1", s.Subject, ms(s.At))
		if err != nil || len(deposits) == 0 {
			return err
		}
		return c.markScansBefore(ctx, &deposits[0])
	}
	return nil
}

func (c *commit) markScansBefore(ctx context.Context, s *county.Sighting) error {
	scans, _, err := c.around(ctx, s.Gateway, s.At.Add(-locker.Window), s.At)
	for i := range scans {
		c.parcels[strings.TrimPrefix(scans[i].Subject, "scan/")] = true
	}
	return err
}

func (c *commit) markDepositsAfter(ctx context.Context, s *county.Sighting) error {
	_, deposits, err := c.around(ctx, s.Gateway, s.At, s.At.Add(locker.Window))
	for i := range deposits {
		c.cells[deposits[i].Subject] = true
	}
	return err
}

// around reads the scans and deposits at a gateway from a time to another, both included.
func (c *commit) around(ctx context.Context, gateway string, from, to time.Time) (scans, deposits []county.Sighting, err error) {
	all, err := readEvidence(ctx, c.c, "gateway = $1 and at_ms between $2 and $3 and kind in ('scan', 'locker')"+inOrder, gateway, ms(from), ms(to))
	for _, s := range all {
		switch {
		case s.Kind == telemetry.KindScan:
			scans = append(scans, s)
		case s.Step == string(telemetry.CellDeposited):
			deposits = append(deposits, s)
		}
	}
	return scans, deposits, err
}

// bound finds the scan that a deposit belongs to.
func (c *commit) bound(ctx context.Context, deposit *county.Sighting) (waybill string, err error) {
	scans, deposits, err := c.around(ctx, deposit.Gateway, deposit.At.Add(-locker.Window), deposit.At)
	if err != nil {
		return "", err
	}
	id := locker.Bind(scans, deposits)[deposit.ID]
	for i := range scans {
		if scans[i].ID == id {
			return strings.TrimPrefix(scans[i].Subject, "scan/"), nil
		}
	}
	return "", nil
}
