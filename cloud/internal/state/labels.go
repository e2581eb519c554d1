package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"yizhan/cloud/internal/county"
)

var labelsTable = newTable("labels", 1, "waybill, epc, at_ms n, read_ms n", "nothing")

// ParcelsNamed returns those of some parcels that there are, in the order asked for.
func (s *Store) ParcelsNamed(ctx context.Context, waybills []string) ([]county.Parcel, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	w := s.words()
	rows, err := readParcels(ctx, s.db.reader(), "where "+w.in("waybill", "$1"), w.list(cleaned(waybills)))
	if err != nil {
		return nil, fmt.Errorf("state: parcels: %w", classify(err))
	}
	byName := make(map[string]county.Parcel, len(rows))
	for i := range rows {
		byName[rows[i].Waybill.Waybill] = rows[i].Parcel
	}
	var out []county.Parcel
	for _, id := range waybills {
		if p, ok := byName[id]; ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// GiveTag gives a parcel that bears no tag the next one of the county's numbers, which next names; a number is never
// given twice. A parcel that bears one keeps it. Its errors are Amend's.
func (s *Store) GiveTag(ctx context.Context, waybill, actor string, next func(n int64) (string, error)) (out county.Parcel, changes []county.Change, err error) {
	given := false
	err = s.update(ctx, "tag", func(c conn) error {
		given = false
		w := s.newCommit(c, nil)
		p, err := w.lockParcel(ctx, waybill)
		if err != nil {
			return err
		}
		if out = p.Parcel; p.EPC != "" {
			return nil
		}
		if closed(p.Stage) {
			return ErrClosed
		}
		n, err := draw(ctx, c, "sscc", 1)
		if err != nil {
			return err
		}
		name, err := next(n)
		if err != nil {
			return err
		}
		if err := w.amend(ctx, p, &county.Amendment{EPC: &name, Actor: actor}); err != nil {
			return err
		}
		if err := c.put(ctx, labelsTable, [][]any{{waybill, p.EPC, ms(w.now), int64(0)}}); err != nil {
			return err
		}
		given = true
		if err := w.settle(ctx); err != nil {
			return err
		}
		out, changes, err = w.afterwards(ctx, waybill)
		return err
	})
	if err == nil && given {
		s.wake()
	}
	return out, changes, err
}

// ErrNoTag says that a parcel bears no tag.
var ErrNoTag = errors.New("epc: the parcel bears no tag")

// TagRead notes that the tag of a parcel's label was read back and is right.
func (s *Store) TagRead(ctx context.Context, waybill string, at time.Time) error {
	return s.update(ctx, "tag", func(c conn) error {
		p, err := s.newCommit(c, nil).lockParcel(ctx, waybill)
		if err != nil {
			return err
		}
		if p.EPC == "" {
			return ErrNoTag
		}
		if err := c.put(ctx, labelsTable, [][]any{{waybill, p.EPC, ms(at), ms(at)}}); err != nil {
			return err
		}
		_, err = c.exec(ctx, "update labels set epc = $1, read_ms = $2 where waybill = $3", p.EPC, ms(at), waybill)
		return err
	})
}

// LabelRead tells when the tag of a parcel's label was read back; zero: not yet.
func (s *Store) LabelRead(ctx context.Context, waybill string) (at time.Time, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		at = moment(n)
		return err
	}, "select read_ms from labels where waybill = $1", clean(waybill))
	return at, err
}
