package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

var (
	epcisTable = newTable("epcis_events", 2, "id, declared_ms n, no n, type, at_ms n, recorded_ms n, action, biz_step, disposition, read_point, biz_location, "+
		"reason, key, waybill, digest, doc", "nothing")
	epcisTermsTable = newTable("epcis_terms", 3, "kind, value, no n", "nothing")
	capturesTable   = newTable("epcis_captures", 1, "id, at_ms n, finished_ms n, rollback n, success n, events n, stored n, faults", "nothing")
)

const epcisColumns = "select id, declared_ms, no, type, at_ms, recorded_ms, action, biz_step, disposition, read_point, biz_location, reason, key, waybill, digest, doc from "

func readEPCIS(ctx context.Context, c conn, where string, args ...any) ([]county.EPCISEvent, error) {
	return readEvents(ctx, c, epcisColumns+"epcis_events e "+where, args...)
}

func readEvents(ctx context.Context, c conn, query string, args ...any) (out []county.EPCISEvent, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var e county.EPCISEvent
		var declared, at, recorded int64
		var doc string
		err := scan(&e.ID, &declared, &e.No, &e.Type, &at, &recorded, &e.Action, &e.BizStep, &e.Disposition, &e.ReadPoint, &e.BizLocation, &e.Reason, &e.Key, &e.Waybill, &e.Digest, &doc)
		e.Declared, e.At, e.Recorded, e.Doc = moment(declared), moment(at), moment(recorded), county.RawJSON(doc)
		out = append(out, e)
		return err
	}, query, args...)
	return out, err
}

// EPCIS reads events in the order that q wants, one more than q.Limit where there are more.
func (s *Store) EPCIS(ctx context.Context, q county.EPCISQuery) ([]county.EPCISEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	query, args := epcisQuery(s.words(), q)
	events, err := readEvents(ctx, s.db.reader(), query, args...)
	if err != nil {
		return nil, fmt.Errorf("state: epcis: %w", classify(err))
	}
	return events, nil
}

// epcisQuery is the SQL of a query and its arguments. Business steps are asked for one by one, each in the order of its index, and then
// merged: a rare step costs what it has, and not a walk over all events.
func epcisQuery(words *words, q county.EPCISQuery) (query string, args []any) {
	w := &wanted{words: words}
	w.where(q)
	column, way, beyond := "at_ms", "desc", "<"
	if q.ByRecord {
		column = "recorded_ms"
	}
	if q.Up {
		way, beyond = "asc", ">"
	}
	if q.After {
		w.and("(e."+column+", e.no) "+beyond+" (%s, %s)", q.AfterMS, q.AfterNo)
	}
	end := fmt.Sprintf(" order by e.%s %s, e.no %s limit %s", column, way, way, w.arg(q.Limit+1))
	steps := slices.Compact(slices.Sorted(slices.Values(cleaned(q.BizSteps))))
	if len(steps) == 0 {
		return epcisColumns + "epcis_events e " + w.String() + end, w.args
	}
	parts := make([]string, len(steps))
	for i, step := range steps {
		one := *w
		one.conds = slices.Clone(w.conds)
		one.and("e.biz_step = %s", step)
		parts[i] = "select * from (select e.* from epcis_events e " + one.String() + end + ") as s" + strconv.Itoa(i)
		w.args = one.args
	}
	return epcisColumns + "(" + strings.Join(parts, " union all ") + ") as e" + end, w.args
}

// wanted gathers the conditions of a query and their arguments.
type wanted struct {
	words *words
	conds []string
	args  []any
}

func (w *wanted) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

// and adds a condition, in which %s stand for args.
func (w *wanted) and(cond string, args ...any) {
	marks := make([]any, len(args))
	for i, v := range args {
		marks[i] = w.arg(v)
	}
	w.conds = append(w.conds, fmt.Sprintf(cond, marks...))
}

func (w *wanted) in(column string, values []string) {
	if len(values) > 0 {
		w.conds = append(w.conds, w.words.in(column, w.arg(w.words.list(cleaned(values)))))
	}
}

func (w *wanted) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return "where " + strings.Join(w.conds, " and ")
}

func (w *wanted) where(q county.EPCISQuery) {
	w.in("e.type", q.Types)
	w.in("e.action", q.Actions)
	w.in("e.disposition", q.Dispositions)
	w.in("e.read_point", q.ReadPoints)
	w.in("e.biz_location", q.BizLocations)
	w.in("e.id", q.IDs)
	w.in("e.reason", q.Reasons)
	for _, span := range []struct {
		column      string
		from, until time.Time
	}{{"e.at_ms", q.From, q.Until}, {"e.recorded_ms", q.RecordedFrom, q.RecordedUntil}, {"e.declared_ms", q.DeclaredFrom, q.DeclaredUntil}} {
		if !span.from.IsZero() {
			w.and(span.column+" >= %s", upMS(span.from))
		}
		if !span.until.IsZero() {
			w.and(span.column+" < %s", upMS(span.until))
		}
	}
	if q.Declared || !q.DeclaredUntil.IsZero() {
		w.and("e.declared_ms > 0")
	}
	for _, m := range q.Matches {
		var names []string
		if len(m.Values) > 0 {
			names = append(names, w.words.in("t.value", w.arg(w.words.list(cleaned(m.Values)))))
		}
		for _, p := range m.Prefixes {
			names = append(names, fmt.Sprintf("t.value >= %s and t.value < %s", w.arg(clean(p)), w.arg(clean(p)+"\U0010FFFF")))
		}
		w.conds = append(w.conds, "e.no in (select t.no from epcis_terms t where "+w.words.in("t.kind", w.arg(w.words.list(m.Kinds)))+" and ("+strings.Join(names, " or ")+"))")
	}
}

// upMS is the first whole millisecond that isn't before t.
func upMS(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func cleaned(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = clean(v)
	}
	return out
}

// putEPCIS stores those of events that aren't there, numbers them, and returns those that were new.
func putEPCIS(ctx context.Context, c conn, now time.Time, events []county.EPCISEvent) (fresh []county.EPCISEvent, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	if _, err := c.exec(ctx, "update counters set value = value where name = 'epcis'"); err != nil { // one at a time: numbers come in their order
		return nil, err
	}
	there, err := standingEPCIS(ctx, c, events)
	if err != nil {
		return nil, err
	}
	var rows, terms [][]any
	for _, e := range events {
		id := fmt.Sprintf("%s %d", e.ID, ms(e.Declared))
		if _, old := there[id]; !old {
			there[id] = e.Digest
			fresh = append(fresh, e)
		}
	}
	last, err := draw(ctx, c, "epcis", len(fresh))
	if err != nil {
		return nil, err
	}
	for i, e := range fresh {
		no := last - int64(len(fresh)-i-1)
		rows = append(rows, []any{
			clean(e.ID), ms(e.Declared), no, e.Type, ms(e.At), ms(now), e.Action, clean(e.BizStep), clean(e.Disposition), clean(e.ReadPoint), clean(e.BizLocation),
			clean(e.Reason), e.Key, clean(e.Waybill), e.Digest, string(e.Doc),
		})
		for _, t := range e.Terms {
			terms = append(terms, []any{clean(t.Kind), clean(t.Value), no})
		}
	}
	if err := c.put(ctx, epcisTable, rows); err != nil {
		return nil, err
	}
	return fresh, c.put(ctx, epcisTermsTable, terms)
}

// standingEPCIS reads which of events are there: "id declared_ms" -> the digest of the content.
func standingEPCIS(ctx context.Context, c conn, events []county.EPCISEvent) (map[string]string, error) {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = clean(events[i].ID)
	}
	there := map[string]string{}
	w := c.words()
	err := c.each(ctx, func(scan func(...any) error) error {
		var id, digest string
		var declared int64
		err := scan(&id, &declared, &digest)
		there[fmt.Sprintf("%s %d", id, declared)] = digest
		return err
	}, "select id, declared_ms, digest from epcis_events where "+w.in("id", "$1"), w.list(ids))
	return there, err
}

// TellEPCIS makes events of the next facts, at most limit, and stores them with the cursor, so that each fact is told once.
// standing reads events by the keys of the facts that they tell.
func (s *Store) TellEPCIS(ctx context.Context, limit int, events func(facts []county.Fact, standing func(keys []string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error)) (int, error) {
	return s.FollowFacts(ctx, "epcis", limit, func(tx Tx, facts []county.Fact) error {
		made, err := events(facts, func(keys []string) (map[string]county.EPCISEvent, error) {
			if len(keys) == 0 {
				return nil, nil
			}
			w := tx.c.words()
			found, err := readEPCIS(ctx, tx.c, "where "+w.in("key", "$1"), w.list(keys))
			byKey := make(map[string]county.EPCISEvent, len(found))
			for _, e := range found {
				byKey[e.Key] = e
			}
			return byKey, err
		})
		if err != nil {
			return err
		}
		_, err = putEPCIS(ctx, tx.c, tx.Now(), made)
		return err
	})
}

// CaptureEPCIS stores what is new of a partner's events, and what became of the capture. at names their places in its
// document. An event whose id stands for another content is a fault; with Rollback any fault stores none. What new events say of
// parcels becomes evidence in the same transaction.
func (s *Store) CaptureEPCIS(ctx context.Context, c county.EPCISCapture, events []county.EPCISEvent, at []string) (county.EPCISCapture, error) {
	var done county.EPCISCapture
	var w *commit
	err := s.update(ctx, "epcis", func(tx conn) error {
		done, w = c, s.newCommit(tx, nil)
		done.Errors = append([]county.EPCISFault{}, c.Errors...)
		if _, err := tx.exec(ctx, "update counters set value = value where name = 'epcis'"); err != nil {
			return err
		}
		there, err := standingEPCIS(ctx, tx, events)
		if err != nil {
			return err
		}
		var good []county.EPCISEvent
		for i, e := range events {
			id := fmt.Sprintf("%s %d", clean(e.ID), ms(e.Declared))
			if digest, old := there[id]; old && digest != e.Digest {
				done.Errors = append(done.Errors, county.EPCISFault{Path: at[i] + ".eventID", Reason: "is the id of another event"})
				continue
			}
			there[id] = e.Digest
			good = append(good, e)
		}
		if done.Rollback && len(done.Errors) > 0 {
			good = nil
		}
		fresh, err := putEPCIS(ctx, tx, s.opt.Now(), good)
		if err != nil {
			return err
		}
		done.Stored = len(fresh)
		if err := w.heed(ctx, fresh); err != nil {
			return err
		}
		done.Success, done.Finished = len(done.Errors) == 0, s.opt.Now()
		faults, err := json.Marshal(done.Errors)
		if err != nil {
			return err
		}
		return tx.put(ctx, capturesTable, [][]any{{
			done.ID, ms(done.At), ms(done.Finished), oneIf(done.Rollback), oneIf(done.Success), int64(done.Events), int64(done.Stored), clean(string(faults)),
		}})
	})
	if err == nil && len(w.facts) > 0 {
		s.wake()
	}
	if err == nil && len(w.changes) > 0 && s.opt.Changed != nil {
		s.opt.Changed(w.changes)
	}
	return done, err
}

// EPCISCapture reads what became of a capture.
func (s *Store) EPCISCapture(ctx context.Context, id string) (c county.EPCISCapture, ok bool, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var at, finished, rollback, success int64
		var faults string
		ok = true
		err := scan(&c.ID, &at, &finished, &rollback, &success, &c.Events, &c.Stored, &faults)
		c.At, c.Finished, c.Rollback, c.Success = moment(at), moment(finished), rollback == 1, success == 1
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(faults), &c.Errors)
	}, "select id, at_ms, finished_ms, rollback, success, events, stored, faults from epcis_captures where id = $1", clean(id))
	return c, ok, err
}
