package state

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
)

// Exceptions that follow from evidence have ids x-...; they are opened and ended by folds. Others are reported (r-...)
// and stand until somebody ends them.
const reported = "r-"

const exceptionColumns = "select id, class, cause, object, evidence, source, detail, discovered_ms, ended_ms, version from exceptions where "

func readExceptions(ctx context.Context, c conn, where string, args ...any) (out []county.Exception, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var x county.Exception
		var class, evidence string
		var discovered, ended int64
		if err := scan(&x.ID, &class, &x.Cause, &x.Object, &evidence, &x.Source, &x.Detail, &discovered, &ended, &x.Version); err != nil {
			return err
		}
		x.Class, x.Discovered = county.ExceptionClass(class), moment(discovered)
		if ended != 0 {
			t := moment(ended)
			x.Ended = &t
		}
		out = append(out, x)
		return json.Unmarshal([]byte(evidence), &out[len(out)-1].Evidence)
	}, exceptionColumns+where, args...)
	return out, err
}

func exceptionRow(x *county.Exception) []any {
	evidence, _ := json.Marshal(x.Evidence) // strings always marshal
	ended := int64(0)
	if x.Ended != nil {
		ended = ms(*x.Ended)
	}
	return []any{x.ID, string(x.Class), x.Cause, x.Object, string(evidence), x.Source, clean(x.Detail), ms(x.Discovered), ended, x.Version}
}

// find compares the exceptions that a fold found with the ids that were open, and returns the ids now. Those that
// were reported stay. One that is over is put down once, with its end.
func (c *commit) find(open string, now []county.Exception) string {
	stays := map[string]bool{}
	for i := range now {
		if now[i].Ended != nil {
			c.opened[now[i].ID] = now[i]
			continue
		}
		stays[now[i].ID] = true
		if !strings.Contains(open, now[i].ID+",") {
			c.opened[now[i].ID] = now[i]
		}
	}
	for _, id := range strings.FieldsFunc(open, func(r rune) bool { return r == ',' }) {
		if strings.HasPrefix(id, reported) {
			stays[id] = true
		} else if _, known := c.opened[id]; !stays[id] && !known {
			c.ended[id] = true
		}
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(stays)) {
		b.WriteString(id + ",")
	}
	return b.String()
}

// putExceptions opens and ends what folds found, and tells of it.
func (c *commit) putExceptions(ctx context.Context) error {
	if len(c.opened)+len(c.ended) == 0 {
		return nil
	}
	ids := slices.AppendSeq(slices.Collect(maps.Keys(c.opened)), maps.Keys(c.ended))
	slices.Sort(ids)
	w := c.c.words()
	old, err := readExceptions(ctx, c.c, w.in("id", "$1")+" order by id"+w.lock, w.list(ids))
	if err != nil {
		return err
	}
	var rows [][]any
	keep := func(x county.Exception) {
		x.Version++
		rows = append(rows, exceptionRow(&x))
		c.facts = append(c.facts, exceptionFact(&x))
	}
	for _, x := range old {
		now, found := c.opened[x.ID]
		open := found && now.Ended == nil
		switch {
		case found && now.Ended != nil:
			if x.Ended == nil || !x.Ended.Equal(*now.Ended) {
				x.Ended = now.Ended
				keep(x)
			}
		case open && x.Ended != nil:
			x.Ended = nil // it is so again; it was discovered then
			keep(x)
		case !open && x.Ended == nil:
			x.Ended = &c.now
			keep(x)
		}
		delete(c.opened, x.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(c.opened)) {
		x := c.opened[id]
		x.Discovered = c.now
		keep(x)
	}
	clear(c.opened)
	clear(c.ended)
	return c.c.put(ctx, exceptionsTable, rows)
}

func exceptionFact(x *county.Exception) county.Fact {
	return NewFact(county.FactException, "exception/"+x.ID, fmt.Sprintf("exception/%s/%d", x.ID, x.Version), x)
}

// Report opens an exception that somebody reports: its id is made of class, cause, object and evidence, so that the same
// report again is the same exception. One that was ended is opened again. It returns the exception as it is kept.
func (tx Tx) Report(ctx context.Context, x county.Exception) (county.Exception, error) {
	x.ID = reported + strings.TrimPrefix(county.ExceptionID(x.Class, x.Cause, x.Object, x.Evidence...), "x-")
	return tx.note(ctx, x.ID, func(old *county.Exception) *county.Exception {
		if old != nil {
			x.Discovered, x.Version = old.Discovered, old.Version
			if old.Ended == nil {
				return nil
			}
		} else {
			x.Discovered = tx.now
		}
		return &x
	})
}

// ErrNoException says that there is no exception of an id.
var ErrNoException = fmt.Errorf("exception: %w", county.ErrAbsent)

// EndException ends an exception that was reported.
func (tx Tx) EndException(ctx context.Context, id string) (county.Exception, error) {
	if !strings.HasPrefix(id, reported) {
		return county.Exception{}, refusal{fmt.Errorf("%w that was reported as %.30q", ErrNoException, id)}
	}
	return tx.note(ctx, id, func(old *county.Exception) *county.Exception {
		if old == nil || old.Ended != nil {
			return nil
		}
		x := *old
		x.Ended = &tx.now
		return &x
	})
}

// note changes an exception and counts it with its parcel; change returns nil where nothing changes.
func (tx Tx) note(ctx context.Context, id string, change func(old *county.Exception) *county.Exception) (county.Exception, error) {
	c, w := tx.c, tx.c.words()
	old, err := readExceptions(ctx, c, "id = $1"+w.lock, id)
	if err != nil {
		return county.Exception{}, err
	}
	var was *county.Exception
	if len(old) > 0 {
		was = &old[0]
	}
	x := change(was)
	switch {
	case x == nil && was == nil:
		return county.Exception{}, refusal{ErrNoException}
	case x == nil:
		return *was, nil
	}
	x.Version++
	if waybill, ok := strings.CutPrefix(x.Object, "parcel/"); ok {
		rows, err := readParcels(ctx, c, "where waybill = $1"+w.lock, waybill)
		if err != nil {
			return county.Exception{}, err
		}
		for i := range rows {
			p := &rows[i]
			p.wrong = strings.ReplaceAll(p.wrong, id+",", "")
			if x.Ended == nil {
				p.wrong += id + ","
			}
			p.Version++
			p.changed = tx.now
			if err := c.put(ctx, foldsTable, [][]any{p.folded()}); err != nil {
				return county.Exception{}, err
			}
		}
	}
	if err := c.put(ctx, exceptionsTable, [][]any{exceptionRow(x)}); err != nil {
		return county.Exception{}, err
	}
	*tx.told = true
	return *x, tell(ctx, c, tx.now, []county.Fact{exceptionFact(x)}, true)
}

// Exceptions returns exceptions, the one discovered last first. after is empty, or the next of the page before.
func (s *Store) Exceptions(ctx context.Context, f county.ExceptionFilter, after string, limit int) (items []county.Exception, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	limit = min(max(limit, 1), maxPage)
	discovered, id, err := cutCursor(after)
	if err != nil {
		return nil, "", err
	}
	where, args := "(discovered_ms, id) < ($1, $2)", []any{discovered, id}
	for _, eq := range [][2]string{{"object", f.Object}, {"class", string(f.Class)}, {"cause", f.Cause}} {
		if eq[1] != "" {
			args = append(args, clean(eq[1]))
			where += fmt.Sprintf(" and %s = $%d", eq[0], len(args))
		}
	}
	if f.Open {
		where += " and ended_ms = 0"
	}
	args = append(args, limit+1)
	items, err = readExceptions(ctx, s.db.reader(), where+fmt.Sprintf(" order by discovered_ms desc, id desc limit $%d", len(args)), args...)
	if err != nil {
		return nil, "", fmt.Errorf("state: exceptions: %w", classify(err))
	}
	if len(items) > limit {
		last := &items[limit-1]
		next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", ms(last.Discovered), last.ID))
		items = items[:limit]
	}
	return items, next, nil
}

// Exception returns an exception.
func (s *Store) Exception(ctx context.Context, id string) (county.Exception, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	all, err := readExceptions(ctx, s.db.reader(), "id = $1", clean(id))
	if err != nil || len(all) == 0 {
		return county.Exception{}, false, classify(err)
	}
	return all[0], true, nil
}

// Report opens an exception that somebody reports; see Tx.Report.
func (s *Store) Report(ctx context.Context, x county.Exception) (out county.Exception, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		var err error
		out, err = tx.Report(ctx, x)
		return err
	})
	return out, err
}

// EndException ends an exception that was reported.
func (s *Store) EndException(ctx context.Context, id string) (out county.Exception, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		var err error
		out, err = tx.EndException(ctx, id)
		return err
	})
	return out, err
}
