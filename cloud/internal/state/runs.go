package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
)

var (
	runsTable   = newTable("runs", 2, "day, id, vehicle, doc, version n, changed_ms n", "")
	actsTable   = newTable("acts", 1, "id, kind, actor, site, run, at_ms n, received_ms n, doc", "nothing")
	photosTable = newTable("photos", 1, "act, mime, body b", "nothing")
)

func (s *Store) runRow(r *county.Run) []any {
	doc, _ := json.Marshal(r) // texts always marshal
	return []any{r.Day, r.ID, r.Vehicle, string(doc), r.Version, ms(s.opt.Now())}
}

func readRuns(ctx context.Context, c conn, rest string, args ...any) (out []county.Run, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var doc string
		var r county.Run
		if err := scan(&doc, &r.Version); err != nil {
			return err
		}
		version := r.Version
		err := json.Unmarshal([]byte(doc), &r)
		r.Version = version
		out = append(out, r)
		return err
	}, "select doc, version from runs "+rest, args...)
	return out, err
}

// PutRuns takes runs, each in the place of one of the same day and id.
func (s *Store) PutRuns(ctx context.Context, runs []county.Run) error {
	return s.update(ctx, "runs", func(c conn) error {
		rows := make([][]any, 0, len(runs))
		for i := range runs {
			r := runs[i]
			old, err := readRuns(ctx, c, "where day = $1 and id = $2"+c.words().lock, r.Day, r.ID)
			if err != nil {
				return err
			}
			if r.Version = 1; len(old) > 0 {
				r.Version = old[0].Version + 1
			}
			rows = append(rows, s.runRow(&r))
		}
		return c.put(ctx, runsTable, rows)
	})
}

// Runs returns the runs of a day, by id.
func (s *Store) Runs(ctx context.Context, day string) ([]county.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	out, err := readRuns(ctx, s.db.reader(), "where day = $1 order by id", clean(day))
	return out, classify(err)
}

// RunOf returns the run of a day and id.
func (s *Store) RunOf(ctx context.Context, day, id string) (r county.Run, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	all, err := readRuns(ctx, s.db.reader(), "where day = $1 and id = $2", clean(day), clean(id))
	if err != nil || len(all) == 0 {
		return r, false, classify(err)
	}
	return all[0], true, nil
}

// ErrNoRun says that there is no run of a day and id.
var ErrNoRun = fmt.Errorf("run: %w", county.ErrAbsent)

// ChangeRun changes a run under its lock; an error of change leaves it as it is and is returned.
func (s *Store) ChangeRun(ctx context.Context, day, id string, change func(*county.Run) error) (out county.Run, err error) {
	err = s.update(ctx, "run", func(c conn) error {
		all, err := readRuns(ctx, c, "where day = $1 and id = $2"+c.words().lock, clean(day), clean(id))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return refusal{ErrNoRun}
		}
		out = all[0]
		if err := change(&out); err != nil {
			return refusal{err}
		}
		out.Day, out.ID, out.Version = day, id, all[0].Version+1
		return c.put(ctx, runsTable, [][]any{s.runRow(&out)})
	})
	return out, err
}

// Manifest lists the parcels that a run has to do with: those aboard its vehicle and those for its stops that aren't there yet, by
// site and waybill, at most limit.
func (s *Store) Manifest(ctx context.Context, r *county.Run, limit int) (out []county.Parcel, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	var sites []string
	for _, stop := range r.Stops {
		if s.registry.Load().siteKind[stop.Site] != county.Warehouse {
			sites = append(sites, stop.Site)
		}
	}
	aboard := "vehicle/" + r.Vehicle
	c := s.db.reader()
	w := c.words()
	rows, err := readParcels(ctx, c, "where place = $1 or "+w.in("site", "$2")+` and stage in ('created', 'at_warehouse', 'sorted', 'loaded', 'in_transit', 'at_outlet', 'out_for_delivery')
		order by site, waybill limit $3`, aboard, w.list(sites), limit)
	for i := range rows {
		p := &rows[i].Parcel
		if strings.HasPrefix(p.Place, "vehicle/") && p.Place != aboard {
			continue // aboard another
		}
		out = append(out, *p)
	}
	return slices.Clip(out), classify(err)
}

// ErrAct says that an act's id was used for another.
var ErrAct = fmt.Errorf("id: %w, as another act", county.ErrTaken)

// PutAct keeps an act, and its photo where it has one; fresh is false where it was kept already.
func (s *Store) PutAct(ctx context.Context, a county.Act, mime string, photo []byte) (fresh bool, err error) {
	doc, _ := json.Marshal(a) // texts and numbers always marshal
	err = s.update(ctx, "act", func(c conn) error {
		fresh = true
		err := c.each(ctx, func(scan func(...any) error) error {
			var old string
			if err := scan(&old); err != nil {
				return err
			}
			fresh = false
			if old != string(doc) {
				return refusal{ErrAct}
			}
			return nil
		}, "select doc from acts where id = $1", a.ID)
		if err != nil || !fresh {
			return err
		}
		if len(photo) > 0 {
			if err := c.put(ctx, photosTable, [][]any{{a.ID, mime, photo}}); err != nil {
				return err
			}
		}
		return c.put(ctx, actsTable, [][]any{{a.ID, string(a.Kind), a.Actor, a.Site, a.Run, ms(a.At), ms(s.opt.Now()), string(doc)}})
	})
	return fresh, err
}

// Acts returns what was done at a site, or at all, the newest first, at most limit.
func (s *Store) Acts(ctx context.Context, site string, limit int) (out []county.Act, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	err = s.db.reader().each(ctx, func(scan func(...any) error) error {
		var doc string
		if err := scan(&doc); err != nil {
			return err
		}
		var a county.Act
		err := json.Unmarshal([]byte(doc), &a)
		out = append(out, a)
		return err
	}, "select doc from acts where $1 = '' or site = $1 order by at_ms desc, id desc limit $2", clean(site), limit)
	return out, classify(err)
}

// Photo returns the photo of an act.
func (s *Store) Photo(ctx context.Context, act string) (mime string, body []byte, ok bool, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { ok = true; return scan(&mime, &body) }, "select mime, body from photos where act = $1", clean(act))
	return mime, body, ok, err
}
