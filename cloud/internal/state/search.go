package state

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"yizhan/cloud/internal/county"
)

// maxPage is the most parcels of one answer.
const maxPage = 500

// maxHits is how many parcels are looked up by name; of more the newest are looked for among all.
const maxHits = 2000

// hits are the waybills that q is the beginning or end of, or of whose tag, at most one more than maxHits.
func (s *Store) hits(ctx context.Context, q string) (out []string, err error) {
	err = s.db.reader().each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		out = append(out, id)
		return err
	}, "select waybill from ("+hitsQuery()+") hits limit "+strconv.Itoa(maxHits+1), hitsArgs(q)...)
	return out, err
}

// hitsQuery looks each name up in its index, as far as maxHits. Its arguments are of hitsArgs.
func hitsQuery() string {
	var parts []string
	for _, look := range []string{
		"parcels where waybill >= $1 and waybill < $2",
		"names where kind = '" + byTag + "' and name >= $3 and name < $4",
		"names where kind = '" + byTag + "' and name >= $1 and name < $2",
		"names where kind = '" + byWaybillEnd + "' and name >= $5 and name < $6",
		"names where kind = '" + byTagEnd + "' and name >= $7 and name < $8",
	} {
		parts = append(parts, fmt.Sprintf("select waybill from (select waybill from %s limit %d) part", look, maxHits+1))
	}
	return strings.Join(parts, " union ")
}

func hitsArgs(q string) []any {
	up, end := strings.ToUpper(q), "\U0010FFFF"
	return []any{up, up + end, q, q + end, reversed(up), reversed(up) + end, reversed(q), reversed(q) + end}
}

// hit tells that a parcel is a hit, of its row alone; $3 is q in upper case, $4 q.
func hit() string {
	var either []string
	for _, c := range [][2]string{{"waybill", "$3"}, {"epc", "$3"}, {"epc", "$4"}} {
		either = append(either, fmt.Sprintf("substr(%s, 1, length(cast(%s as text))) = %s", c[0], c[1], c[1]))
	}
	for _, c := range [][2]string{{"waybill", "$3"}, {"epc", "$4"}} {
		either = append(either, fmt.Sprintf("substr(%[1]s, length(%[1]s) - length(cast(%[2]s as text)) + 1) = %[2]s", c[0], c[1]))
	}
	return strings.Join(either, " or ")
}

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
		found, err := s.hits(ctx, q)
		if err != nil {
			return nil, "", classify(err)
		}
		if len(found) <= maxHits {
			w := s.words()
			where, args = where+" and "+w.in("waybill", "$3"), append(args, w.list(found))
		} else { // so many that the newest are soon found among all
			where, args = where+" and ("+hit()+")", append(args, strings.ToUpper(q), q)
		}
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
	t := &timelines[0]
	t.Wrong, t.Views = rows[0].Wrong, rows[0].Views
	found := t.Exceptions
	t.Exceptions, err = readExceptions(ctx, c.c, "object = $1 order by discovered_ms, id", "parcel/"+rows[0].Waybill.Waybill)
	for i := range t.Exceptions { // with what shows it now, which may be earlier than what showed it first
		x := &t.Exceptions[i]
		if j := slices.IndexFunc(found, func(f county.Exception) bool { return f.ID == x.ID }); j >= 0 {
			x.Evidence, x.Detail = found[j].Evidence, found[j].Detail
		}
	}
	return *t, err == nil, classify(err)
}
