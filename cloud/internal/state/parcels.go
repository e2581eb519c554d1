package state

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// maxNesting is how deep containers may stand in containers.
const maxNesting = 4

// The fences that a vehicle crossed concern a parcel from so long before its reader first saw the
// parcel until so long after.
const (
	fenceBefore = 24 * time.Hour
	fenceAfter  = 30 * 24 * time.Hour
)

// A parcelRow is a row of parcels.
type parcelRow struct {
	county.Parcel
	created time.Time
	changed time.Time
	told    string // what others were told of it, a tale
	wrong   string // ids of its open exceptions, each followed by ','

	phone  string // its recipient's, hashed
	sealed []byte // the recipient, of a row that is to be put
}

const parcelColumns = "waybill, epc, site, locker, handling, created_ms, stage, since_ms, place, cell, inferred, version, changed_ms, direction, size, consent, hold, order_no, phone_hash, told, wrong, wish"

func readParcels(ctx context.Context, c conn, rest string, args ...any) (out []parcelRow, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var p parcelRow
		var created, since, cell, inferred, changed, hold int64
		var stage, direction, consent, wish string
		err := scan(&p.Waybill.Waybill, &p.EPC, &p.Site, &p.Locker, &p.Handling, &created, &stage, &since, &p.Place, &cell, &inferred, &p.Version, &changed,
			&direction, &p.Size, &consent, &hold, &p.Order, &p.phone, &p.told, &p.wrong, &wish)
		p.created, p.changed, p.Since = moment(created), moment(changed), moment(since)
		p.Stage, p.Cell, p.Inferred = county.Stage(stage), int(cell), inferred != 0
		p.Direction, p.Consent, p.Hold = county.Direction(direction), county.Consent(consent), hold != 0
		p.Wish = county.Wish(wish)
		p.overlay()
		out = append(out, p)
		return err
	}, "select "+parcelColumns+" from parcels "+rest, args...)
	return out, err
}

func (p *parcelRow) row() []any {
	return []any{
		p.Waybill.Waybill, p.EPC, p.Site, p.Locker, p.Handling, ms(p.created), string(p.Stage), ms(p.Since), p.Place, int64(p.Cell), oneIf(p.Inferred),
		p.Version, ms(p.changed),
		string(p.Direction), p.Size, string(p.Consent), oneIf(p.Hold), p.Order, bytesOf(p.sealed), p.phone, p.told, p.wrong, string(p.Wish),
	}
}

// folded is what a fold changes of a row.
func (p *parcelRow) folded() []any {
	return []any{p.Waybill.Waybill, string(p.Stage), ms(p.Since), p.Place, int64(p.Cell), oneIf(p.Inferred), p.Version, ms(p.changed), p.told, p.wrong}
}

// overlay fills in what follows from the rest.
func (p *parcelRow) overlay() {
	p.Wrong = strings.Count(p.wrong, ",")
	p.Views = county.ViewsOf(p.Stage, p.Direction, p.Wrong > 0)
}

// bytesOf is b, for a column that is never null.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return clean(string(b))
}

// foldParcels folds the parcels again that something marked, under their locks.
func (c *commit) foldParcels(ctx context.Context) error {
	if len(c.parcels) == 0 {
		return nil
	}
	w := c.c.words()
	old, err := readParcels(ctx, c.c, "where "+w.in("waybill", "$1")+" order by waybill"+w.lock, w.list(slices.Sorted(maps.Keys(c.parcels))))
	if err != nil {
		return err
	}
	c.turnedStrangers(old)
	timelines, err := c.tell(ctx, old)
	if err != nil {
		return err
	}
	var rows [][]any
	for i := range old {
		p, now := &old[i], &timelines[i]
		changed, err := c.refold(ctx, p, now)
		if err != nil {
			return err
		}
		if changed {
			rows = append(rows, p.folded())
		}
	}
	if err := c.fillRetracted(ctx); err != nil {
		return err
	}
	if err := c.c.put(ctx, foldsTable, rows); err != nil {
		return err
	}
	if err := c.putRides(ctx); err != nil {
		return err
	}
	return c.putExceptions(ctx)
}

// refold brings a parcel to what its evidence says now, tells of it, and reports whether its row changed.
func (c *commit) refold(ctx context.Context, p *parcelRow, now *county.Timeline) (changed bool, err error) {
	was, told, wrong := p.Parcel, p.told, p.wrong
	if err := c.retell(ctx, p, now); err != nil {
		return false, err
	}
	p.Parcel = now.Parcel
	p.wrong = c.find(wrong, now.Exceptions)
	p.overlay()
	p.Version = was.Version
	if p.Parcel == was {
		return p.told != told || p.wrong != wrong, nil
	}
	if p.Place != was.Place {
		for _, place := range []string{p.Place, was.Place} {
			if kind, id := cutThing(place); kind == "vehicle" {
				c.loads[id] = true
			}
		}
	}
	p.Version++
	p.changed = c.now
	c.changes = append(c.changes, county.Change{Kind: county.ParcelChanged, ID: p.Waybill.Waybill, Version: p.Version, Object: p.Parcel})
	return true, nil
}
