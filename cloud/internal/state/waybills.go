package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
)

var waybillForm = regexp.MustCompile(`^[A-Z0-9-]{6,32}$`)

// PutWaybills takes waybills of which no recipient is known; see Announce.
func (s *Store) PutWaybills(ctx context.Context, waybills []county.Waybill, now time.Time) (created []county.Parcel, refused map[int]error, err error) {
	all := make([]county.Intake, len(waybills))
	for i := range waybills {
		all[i].Waybill = waybills[i]
	}
	return s.Announce(ctx, all, now)
}

// Announce takes waybills that carriers announce. Each stands or falls alone: refused holds, by index, why one was
// not taken. One that is there already with the same content is taken again, and changes nothing. What was seen of
// it before counts. A waybill without a site is taken, and is an exception until it has one.
func (s *Store) Announce(ctx context.Context, all []county.Intake, now time.Time) (created []county.Parcel, refused map[int]error, err error) {
	err = s.update(ctx, "waybills", func(c conn) error {
		created, refused = nil, map[int]error{}
		w := s.newCommit(c, nil)
		w.now = now
		good := map[string]county.Intake{}
		at := map[string]int{}
		for i, b := range all {
			var err error
			b.Waybill, err = w.checkWaybill(b.Waybill.Canonical())
			if _, twice := good[b.Waybill.Waybill]; err == nil && twice {
				err = fmt.Errorf("waybill: %q is given twice", b.Waybill.Waybill)
			}
			if err != nil {
				refused[i] = err
				continue
			}
			good[b.Waybill.Waybill], at[b.Waybill.Waybill] = b, i
		}
		if err := w.insertWaybills(ctx, good, at, refused); err != nil {
			return err
		}
		for id := range good {
			w.parcels[id] = true
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		rows, err := readParcels(ctx, c, "where "+c.words().in("waybill", "$1"), c.words().list(slices.Sorted(maps.Keys(good))))
		slices.SortFunc(rows, func(a, b parcelRow) int { return at[a.Waybill.Waybill] - at[b.Waybill.Waybill] })
		for i := range rows {
			created = append(created, rows[i].Parcel)
		}
		return err
	})
	if err == nil {
		s.wake()
	}
	return created, refused, err
}

// insertWaybills puts those that are new, and refuses those that say something else than the one
// that is there or whose tag another open parcel bears.
func (c *commit) insertWaybills(ctx context.Context, good map[string]county.Intake, at map[string]int, refused map[int]error) error {
	var epcs []string
	for _, b := range good {
		if b.EPC != "" {
			epcs = append(epcs, b.EPC)
		}
	}
	w := c.c.words()
	old, err := readParcels(ctx, c.c, "where "+w.in("waybill", "$1")+" order by waybill"+w.lock, w.list(slices.Sorted(maps.Keys(good))))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	refuse := func(id string, err error) {
		refused[at[id]] = err
		delete(good, id)
	}
	for i := range old {
		p := &old[i]
		id := p.Waybill.Waybill
		if b, ok := good[id]; ok && (b.Waybill != p.Waybill || b.PhoneHash != p.phone) {
			refuse(id, fmt.Errorf("waybill: %q %w with other content", id, ErrExists))
		}
		there[id] = true
	}
	bearer, err := c.bearers(ctx, epcs)
	if err != nil {
		return err
	}
	wrong, err := c.wrongBefore(ctx, slices.Sorted(maps.Keys(good)))
	if err != nil {
		return err
	}
	var rows, names [][]any
	for _, id := range slices.SortedFunc(maps.Keys(good), func(a, b string) int { return at[a] - at[b] }) {
		b := good[id]
		if there[id] {
			continue
		}
		if other := bearer[b.EPC]; b.EPC != "" && other != "" {
			refuse(id, fmt.Errorf("epc: parcel %q bears this tag", other))
			continue
		}
		bearer[b.EPC] = id
		p := parcelRow{
			Parcel:  county.Parcel{Waybill: b.Waybill, Stage: county.Created, Since: moment(ms(c.now)), Version: 1},
			created: c.now, changed: c.now, sealed: b.Recipient, phone: b.PhoneHash, wrong: wrong[id],
		}
		rows, names = append(rows, p.row()), append(names, p.names()...)
	}
	if err := c.c.put(ctx, parcelsTable, rows); err != nil {
		return err
	}
	return c.c.put(ctx, namesTable, names)
}

// bearers finds the open parcels that bear tags.
func (c *commit) bearers(ctx context.Context, epcs []string) (map[string]string, error) {
	out := map[string]string{}
	if len(epcs) == 0 {
		return out, nil
	}
	w := c.c.words()
	rows, err := readParcels(ctx, c.c, "where "+called(byTag, w.in("name", "$1")), w.list(epcs))
	for i := range rows {
		if !closed(rows[i].Stage) {
			out[rows[i].EPC] = rows[i].Waybill.Waybill
		}
	}
	return out, err
}

// closed tells that a parcel is done with.
func closed(s county.Stage) bool {
	switch s {
	case county.PickedUp, county.SignedFor, county.Completed, county.Returned, county.LostClosed:
		return true
	}
	return false
}

// checkWaybill brings a waybill into its canonical form. Its errors name the field.
func (c *commit) checkWaybill(b county.Waybill) (county.Waybill, error) {
	if !waybillForm.MatchString(b.Waybill) {
		return b, errors.New("waybill: must be 6 to 32 of A-Z, 0-9 and '-'")
	}
	if b.Site != "" && c.reg.siteKind[b.Site] == "" {
		return b, fmt.Errorf("site: there is no %.40q", b.Site)
	}
	if b.Direction != county.ToVillage && b.Direction != county.FromVillage {
		return b, fmt.Errorf("direction: %.20q is neither inbound nor outbound", b.Direction)
	}
	if b.Site == "" && b.Direction == county.FromVillage {
		return b, errors.New("site: from which outlet does it come?")
	}
	switch b.Consent {
	case county.ConsentYes, county.ConsentNo, county.ConsentUnknown:
	default:
		return b, fmt.Errorf("consent: %.20q is none of yes, no, unknown", b.Consent)
	}
	switch b.Wish {
	case "", county.WishLocker, county.WishStation, county.WishHome:
	default:
		return b, fmt.Errorf("wish: %.20q is none of locker, station, home", b.Wish)
	}
	if b.Wish != "" && b.Wish.Consent() != b.Consent {
		return b, fmt.Errorf("wish: %s goes not with consent %s", b.Wish, b.Consent)
	}
	switch b.Size {
	case "", "s", "m", "l":
	default:
		return b, fmt.Errorf("size: %.20q is none of s, m, l", b.Size)
	}
	if len(b.Order) > 64 || clean(b.Order) != b.Order {
		return b, errors.New("order: must be at most 64 characters")
	}
	if b.Locker != "" {
		l := c.reg.locker[b.Locker]
		if l == nil || l.Site != b.Site {
			return b, fmt.Errorf("locker: there is no %.40q at %q", b.Locker, b.Site)
		}
	}
	switch b.Handling {
	case "", "ambient", "chilled", "frozen", "fragile":
	default:
		return b, fmt.Errorf("handling: %.20q is none of ambient, chilled, frozen, fragile", b.Handling)
	}
	var err error
	b.EPC, err = tagName(b.EPC)
	return b, err
}

// tagName is a tag as readings name it: its pure identity URI, or upper-case hex where it has none.
func tagName(tag string) (string, error) {
	tag = strings.TrimSpace(tag)
	if tag == "" || strings.HasPrefix(tag, "urn:epc:id:") {
		if len(tag) > 256 || clean(tag) != tag {
			return "", errors.New("epc: is no tag")
		}
		return tag, nil
	}
	hex := strings.ToUpper(tag)
	if len(hex)%4 != 0 || len(hex) > 128 || strings.Trim(hex, "0123456789ABCDEF") != "" {
		return "", errors.New("epc: is neither urn:epc:id:... nor the hex of whole words")
	}
	if e, err := epc.FromHex(hex); err == nil {
		return e.URI(), nil
	}
	return hex, nil
}
