package state

import (
	"context"
	"encoding/base64"
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

// PutWaybills takes waybills that carriers announce. Each stands or falls alone: refused holds, by
// index, why one was not taken. One that is there already with the same content is taken
// again, and changes nothing. What was seen of its tag before counts.
func (s *Store) PutWaybills(ctx context.Context, waybills []county.Waybill, now time.Time) (created []county.Parcel, refused map[int]error, err error) {
	err = s.update(ctx, "waybills", func(c conn) error {
		created, refused = nil, map[int]error{}
		w := s.newCommit(c, nil)
		w.now = now
		good := map[string]county.Waybill{}
		at := map[string]int{}
		for i, b := range waybills {
			b, err := w.checkWaybill(b.Canonical())
			if _, twice := good[b.Waybill]; err == nil && twice {
				err = fmt.Errorf("waybill: %q is given twice", b.Waybill)
			}
			if err != nil {
				refused[i] = err
				continue
			}
			good[b.Waybill], at[b.Waybill] = b, i
		}
		if err := w.insertWaybills(ctx, good, at, refused); err != nil {
			return err
		}
		for id := range good {
			w.parcels[id] = true
		}
		if err := w.foldParcels(ctx); err != nil {
			return err
		}
		if err := w.countLoads(ctx); err != nil {
			return err
		}
		if err := tell(ctx, c, w.now, w.facts, false); err != nil {
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
func (c *commit) insertWaybills(ctx context.Context, good map[string]county.Waybill, at map[string]int, refused map[int]error) error {
	var epcs []string
	for _, b := range good {
		if b.EPC != "" {
			epcs = append(epcs, b.EPC)
		}
	}
	w := c.c.words()
	old, err := readParcels(ctx, c.c, "where "+w.in("waybill", "$1")+" or epc <> '' and "+w.in("epc", "$2")+" order by waybill"+w.lock, w.list(slices.Sorted(maps.Keys(good))), w.list(epcs))
	if err != nil {
		return err
	}
	there, bearer := map[string]bool{}, map[string]string{}
	refuse := func(id string, err error) {
		refused[at[id]] = err
		delete(good, id)
	}
	for i := range old {
		p := &old[i]
		id := p.Waybill.Waybill
		if b, ok := good[id]; ok && b != p.Waybill {
			refuse(id, fmt.Errorf("waybill: %q %w with other content", id, ErrExists))
		}
		there[id] = true
		if p.EPC != "" && p.Stage != county.PickedUp && p.Stage != county.Completed && p.Stage != county.Returned && p.Stage != county.LostClosed {
			bearer[p.EPC] = id
		}
	}
	var rows [][]any
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
		p := parcelRow{Parcel: county.Parcel{Waybill: b, Stage: county.Created, Since: moment(ms(c.now)), Version: 1}, created: c.now, changed: c.now}
		rows = append(rows, p.row())
	}
	return c.c.put(ctx, parcelsTable, rows)
}

// checkWaybill brings a waybill into its canonical form. Its errors name the field.
func (c *commit) checkWaybill(b county.Waybill) (county.Waybill, error) {
	if !waybillForm.MatchString(b.Waybill) {
		return b, errors.New("waybill: must be 6 to 32 of A-Z, 0-9 and '-'")
	}
	if c.reg.siteKind[b.Site] == "" {
		return b, fmt.Errorf("site: there is no %.40q", b.Site)
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

// maxPage is the most parcels of one answer.
const maxPage = 500

// Parcels returns parcels, the one that changed last first. q, where not empty, is the beginning or
// the end of a waybill or of a tag's name. after is empty, or the next of the page before.
func (s *Store) Parcels(ctx context.Context, q, after string, limit int) (items []county.Parcel, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	limit = min(max(limit, 1), maxPage)
	changed, waybill, err := cutCursor(after)
	if err != nil {
		return nil, "", err
	}
	where, args := "where (changed_ms, waybill) < ($1, $2)", []any{changed, waybill}
	if q = strings.TrimSpace(clean(q)); q != "" {
		up, end := strings.ToUpper(q), "\U0010FFFF"
		args = append(args, up, up+end, q, q+end, reversed(up), reversed(up)+end, reversed(q), reversed(q)+end)
		where += ` and waybill in (select waybill from parcels where waybill >= $3 and waybill < $4 union select waybill from parcels where epc <> '' and epc >= $5 and epc < $6
			union select waybill from parcels where epc <> '' and epc >= $3 and epc < $4 union select waybill from parcels where waybill_rev >= $7 and waybill_rev < $8
			union select waybill from parcels where epc_rev <> '' and epc_rev >= $9 and epc_rev < $10)`
	}
	args = append(args, limit+1)
	rows, err := readParcels(ctx, s.db.reader(), where+fmt.Sprintf(" order by changed_ms desc, waybill desc limit $%d", len(args)), args...)
	if err != nil {
		return nil, "", classify(err)
	}
	items = []county.Parcel{}
	for i := range rows {
		if i == limit {
			last := &rows[i-1]
			next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", ms(last.changed), last.Waybill.Waybill))
			break
		}
		items = append(items, rows[i].Parcel)
	}
	return items, next, nil
}

// ErrCursor says that after is no cursor that Parcels gave.
var ErrCursor = errors.New("after: is no cursor")

func cutCursor(after string) (changed int64, waybill string, err error) {
	if after == "" {
		return 1<<62 - 1, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return 0, "", ErrCursor
	}
	if n, err := fmt.Sscanf(string(b), "%d %s", &changed, &waybill); n != 2 || err != nil || clean(waybill) != waybill {
		return 0, "", ErrCursor
	}
	return changed, waybill, nil
}

// Timeline returns a parcel with the evidence it follows from.
func (s *Store) Timeline(ctx context.Context, waybill string) (county.Timeline, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c := s.newCommit(s.db.reader(), nil)
	rows, err := readParcels(ctx, c.c, "where waybill = $1", clean(waybill))
	if err != nil || len(rows) == 0 {
		return county.Timeline{}, false, classify(err)
	}
	timelines, err := c.tell(ctx, rows)
	if err != nil {
		return county.Timeline{}, false, classify(err)
	}
	return timelines[0], true, nil
}
