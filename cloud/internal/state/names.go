package state

import (
	"context"
	"slices"
)

// What a parcel is looked up by, besides its waybill, stands in a table of its own: it is written when a waybill is taken in or amended,
// and a step of the parcel touches none of its indexes.
const (
	byTag        = "epc"
	byPhone      = "phone"       // the keyed hash of its recipient's
	byWaybillEnd = "waybill_end" // reversed
	byTagEnd     = "epc_end"     // reversed
)

// names are the rows of what a parcel is looked up by.
func (p *parcelRow) names() (rows [][]any) {
	for _, n := range [][2]string{{byTag, p.EPC}, {byPhone, p.phone}, {byWaybillEnd, reversed(p.Waybill.Waybill)}, {byTagEnd, reversed(p.EPC)}} {
		if n[1] != "" {
			rows = append(rows, []any{n[0], n[1], p.Waybill.Waybill})
		}
	}
	return rows
}

// rename puts what a parcel is looked up by now in place of what it was.
func (c *commit) rename(ctx context.Context, was, now *parcelRow) error {
	rows := now.names()
	for _, old := range was.names() {
		if slices.ContainsFunc(rows, func(r []any) bool { return slices.Equal(r, old) }) {
			continue
		}
		if _, err := c.c.exec(ctx, "delete from names where kind = $1 and name = $2 and waybill = $3", old...); err != nil {
			return err
		}
	}
	return c.c.put(ctx, namesTable, rows)
}

// called tells that a parcel has a name of a kind of which a condition holds.
func called(kind, condition string) string {
	return "waybill in (select waybill from names where kind = '" + kind + "' and " + condition + ")"
}
