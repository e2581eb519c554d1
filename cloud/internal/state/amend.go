package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// ErrClosed says that a parcel is with its recipient or closed: nothing of its waybill changes any more.
var ErrClosed = fmt.Errorf("waybill: %w", county.ErrClosed)

// Amend changes a waybill: an address, a hold, a consent. What it was is kept with who changed it. Its errors name
// the field; ErrNoParcel and ErrClosed are among them.
func (s *Store) Amend(ctx context.Context, waybill string, a county.Amendment) (out county.Parcel, changes []county.Change, err error) {
	err = s.update(ctx, "amend", func(c conn) error {
		w := s.newCommit(c, nil)
		p, err := w.lockParcel(ctx, waybill)
		if err != nil {
			return err
		}
		if closed(p.Stage) {
			return refusal{ErrClosed}
		}
		if err := w.amend(ctx, p, &a); err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		out, changes, err = w.afterwards(ctx, waybill)
		return err
	})
	if err == nil {
		s.wake()
	}
	return out, changes, err
}

func (c *commit) lockParcel(ctx context.Context, waybill string) (*parcelRow, error) {
	rows, err := readParcels(ctx, c.c, "where waybill = $1"+c.c.words().lock, clean(waybill))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, refusal{ErrNoParcel}
	}
	return &rows[0], nil
}

// amend writes a change of a parcel's waybill, and tells of it.
func (c *commit) amend(ctx context.Context, p *parcelRow, a *county.Amendment) error {
	now, err := c.checkWaybill(a.Of(p.Waybill))
	if err != nil {
		return refusal{err}
	}
	if now.EPC != p.EPC && now.EPC != "" {
		bearer, err := c.bearers(ctx, []string{now.EPC})
		if err != nil {
			return err
		}
		if other := bearer[now.EPC]; other != "" {
			return refusal{fmt.Errorf("epc: parcel %q bears this tag", other)}
		}
	}
	if now == p.Waybill && a.Recipient == nil {
		return nil
	}
	n, err := c.keepAmended(ctx, p, a.Actor)
	if err != nil {
		return err
	}
	was := *p
	p.Waybill = now
	p.Version++
	p.changed = c.now
	err = c.c.put(ctx, amendsTable, [][]any{{
		p.Waybill.Waybill, p.EPC, p.Site, p.Locker, p.Handling, p.Size, string(p.Consent), oneIf(p.Hold), p.Version, ms(p.changed), string(p.Wish),
	}})
	if err != nil {
		return err
	}
	if a.Recipient != nil {
		if err := c.c.put(ctx, recipientsTable, [][]any{{p.Waybill.Waybill, a.Recipient, a.PhoneHash}}); err != nil {
			return err
		}
		p.phone = a.PhoneHash
	}
	if err := c.rename(ctx, &was, p); err != nil {
		return err
	}
	c.parcels[p.Waybill.Waybill] = true
	c.facts = append(c.facts, NewFact(county.FactWaybill, "parcel/"+p.Waybill.Waybill, fmt.Sprintf("waybill/%s/amended/%d", p.Waybill.Waybill, n), county.StepTold{
		Waybill: p.Waybill.Waybill, EPC: p.EPC, Direction: p.Direction, Handling: p.Handling, Site: p.Site, Before: p.Stage,
		Row: county.Evidence{ID: fmt.Sprintf("amended/%s/%d", p.Waybill.Waybill, n), At: moment(ms(c.now)), TQ: telemetry.Cloud, Step: "amended", Actor: a.Actor},
	}))
	return nil
}

// keepAmended keeps what a waybill is before it changes, and numbers the change.
func (c *commit) keepAmended(ctx context.Context, p *parcelRow, actor string) (n int64, err error) {
	var sealed []byte
	err = c.c.each(ctx, func(scan func(...any) error) error { return scan(&n, &sealed) },
		"select (select count(*) from amendments where waybill = p.waybill) + 1, p.recipient from parcels p where p.waybill = $1", p.Waybill.Waybill)
	if err != nil {
		return 0, err
	}
	doc, _ := json.Marshal(p.Waybill) // strings always marshal
	return n, c.c.put(ctx, amendmentsTable, [][]any{{p.Waybill.Waybill, n, ms(c.now), clean(actor), string(doc), bytesOf(sealed)}})
}

// afterwards is a parcel as this transaction leaves it, with a change of it for whoever looks.
func (c *commit) afterwards(ctx context.Context, waybill string) (county.Parcel, []county.Change, error) {
	rows, err := readParcels(ctx, c.c, "where waybill = $1", waybill)
	if err != nil || len(rows) == 0 {
		return county.Parcel{}, nil, err
	}
	p := rows[0].Parcel
	if !slices.ContainsFunc(c.changes, func(x county.Change) bool { return x.Kind == county.ParcelChanged && x.ID == waybill }) {
		c.changes = append(c.changes, county.Change{Kind: county.ParcelChanged, ID: waybill, Version: p.Version, Object: p})
	}
	return p, c.changes, nil
}

// Cancel takes a waybill back. A parcel that hasn't left the warehouse is returned; one that has is held, which is an
// exception until somebody brings it back. The same again changes nothing.
func (s *Store) Cancel(ctx context.Context, waybill, actor, reason string) (out county.Parcel, changes []county.Change, err error) {
	err = s.update(ctx, "cancel", func(c conn) error {
		w := s.newCommit(c, nil)
		p, err := w.lockParcel(ctx, waybill)
		if err != nil {
			return err
		}
		id := personID(waybill, "cancel")
		old, err := readEvidence(ctx, c, "id = $1", id)
		if err != nil {
			return err
		}
		switch {
		case len(old) > 0:
			out, changes, err = w.afterwards(ctx, waybill)
			return err
		case closed(p.Stage):
			return refusal{ErrClosed}
		}
		hold := true
		switch p.Stage {
		case county.Created, county.AtWarehouse, county.Sorted:
		default:
			if err := w.amend(ctx, p, &county.Amendment{Hold: &hold, Actor: actor}); err != nil {
				return err
			}
		}
		body, _ := json.Marshal(saying{Actor: clean(actor), Reason: clean(reason)}) // strings always marshal
		w.witness(county.Sighting{ID: id, At: moment(ms(w.now)), TQ: telemetry.Cloud, Kind: parcel.KindPerson, Subject: "parcel/" + waybill, Step: parcel.Cancelled, Body: body})
		if err := w.settle(ctx); err != nil {
			return err
		}
		out, changes, err = w.afterwards(ctx, waybill)
		return err
	})
	if err == nil {
		s.wake()
	}
	return out, changes, err
}

// Amended returns what a waybill was before each change, the first change first.
func (s *Store) Amended(ctx context.Context, waybill string) (out []county.Amended, err error) {
	out = []county.Amended{}
	err = s.each(ctx, func(scan func(...any) error) error {
		var a county.Amended
		var at int64
		var doc string
		if err := scan(&a.N, &at, &a.Actor, &doc); err != nil {
			return err
		}
		a.At = moment(at)
		err := json.Unmarshal([]byte(doc), &a.Before)
		out = append(out, a)
		return err
	}, "select n, at_ms, actor, doc from amendments where waybill = $1 order by n", clean(waybill))
	return out, err
}

// Recipient returns the sealed recipient of a parcel; empty where none is known.
func (s *Store) Recipient(ctx context.Context, waybill string) (sealed []byte, ok bool, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { ok = true; return scan(&sealed) }, "select recipient from parcels where waybill = $1", clean(waybill))
	return sealed, ok, err
}

// Recipients returns the sealed recipients of parcels, of those that are known.
func (s *Store) Recipients(ctx context.Context, waybills []string) (map[string][]byte, error) {
	sealed := map[string][]byte{}
	w := s.words()
	err := s.each(ctx, func(scan func(...any) error) error {
		var waybill string
		var b []byte
		err := scan(&waybill, &b)
		if len(b) > 0 {
			sealed[waybill] = b
		}
		return err
	}, "select waybill, recipient from parcels where "+w.in("waybill", "$1"), w.list(cleaned(waybills)))
	return sealed, err
}

// ParcelsOf returns the parcels of a phone by its keyed hash, the one that changed last first, at most limit.
func (s *Store) ParcelsOf(ctx context.Context, phoneHash string, limit int) (out []county.Parcel, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if phoneHash == "" {
		return nil, nil
	}
	rows, err := readParcels(ctx, s.db.reader(), "where "+called(byPhone, "name = $1")+" order by changed_ms desc, waybill desc limit $2", phoneHash, min(limit, maxPage))
	for i := range rows {
		out = append(out, rows[i].Parcel)
	}
	return out, classify(err)
}

// Container returns a container with what is and was in it.
func (s *Store) Container(ctx context.Context, id string) (out county.Held, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c := s.db.reader()
	err = c.each(ctx, func(scan func(...any) error) error {
		ok = true
		return scan(&out.ID, &out.Kind, &out.EPC, &out.Code)
	}, "select id, kind, epc, code from containers where id = $1", clean(id))
	if err != nil || !ok {
		return out, false, classify(err)
	}
	out.Contents = []county.Content{}
	err = c.each(ctx, func(scan func(...any) error) error {
		var item county.Content
		var since, until int64
		err := scan(&item.Item, &since, &until)
		if item.Since = moment(since); until != 0 {
			t := moment(until)
			item.Until = &t
		}
		out.Contents = append(out.Contents, item)
		return err
	}, "select item, since_ms, until_ms from contents where container = $1 order by since_ms, item", id)
	if err != nil {
		return out, false, classify(err)
	}
	out.Exceptions, err = readExceptions(ctx, c, "object = $1 order by discovered_ms, id", "container/"+id)
	return out, err == nil, classify(err)
}

// Containers returns all containers by id, at most limit after one.
func (s *Store) Containers(ctx context.Context, after string, limit int) (out []county.Container, err error) {
	out = []county.Container{}
	err = s.each(ctx, func(scan func(...any) error) error {
		var b county.Container
		err := scan(&b.ID, &b.Kind, &b.EPC, &b.Code)
		out = append(out, b)
		return err
	}, "select id, kind, epc, code from containers where id > $1 order by id limit $2", clean(after), min(max(limit, 1), maxPage))
	return out, err
}
