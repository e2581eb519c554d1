package label

import (
	"context"
	"fmt"
	"time"

	"yizhan/cloud/internal/county"
)

// Store knows parcels and gives them tags.
type Store interface {
	ParcelsNamed(ctx context.Context, waybills []string) ([]county.Parcel, error)
	Recipient(ctx context.Context, waybill string) (sealed []byte, ok bool, err error)
	GiveTag(ctx context.Context, waybill, actor string, next func(n int64) (string, error)) (county.Parcel, []county.Change, error)
	TagRead(ctx context.Context, waybill string, at time.Time) error
}

// Config of a Desk.
type Config struct {
	Store    Store
	Registry *county.Registry
	Masked   func(sealed []byte) (name, phone string, err error) // of a recipient
	Publish  func(changes []county.Change)                       // told of parcels that got a tag
	Now      func() time.Time
}

// Desk makes labels of parcels.
type Desk struct{ cfg Config }

// New makes a Desk.
func New(cfg Config) *Desk { return &Desk{cfg} }

// Print makes labels of parcels, in the order asked for: pdf or zpl, of a size as ParseSize reads it. With tags, a parcel that bears no tag is given one, where
// the county has a company prefix. absent are parcels that there aren't; county.ErrNoParcel where that is all of them, ErrSize where there is no
// such size or resolution.
func (d *Desk) Print(ctx context.Context, waybills []string, o county.LabelOptions) (doc []byte, absent []string, err error) {
	size, err := ParseSize(o.Size)
	if err != nil {
		return nil, nil, err
	}
	parcels, err := d.cfg.Store.ParcelsNamed(ctx, waybills)
	if err != nil {
		return nil, nil, err
	}
	if len(parcels) == 0 {
		return nil, waybills, county.ErrNoParcel
	}
	there := map[string]bool{}
	var labels []Label
	for i := range parcels {
		there[parcels[i].Waybill.Waybill] = true
		l, err := d.label(ctx, parcels[i], o)
		if err != nil {
			return nil, nil, err
		}
		labels = append(labels, l)
	}
	for _, w := range waybills {
		if !there[w] {
			absent = append(absent, w)
		}
	}
	if o.PDF {
		doc, err = PDF(labels, size)
	} else {
		doc, err = ZPL(labels, size, o.DPI)
	}
	return doc, absent, err
}

// ended tells that a parcel is with its recipient or closed: it gets no tag any more.
func ended(s county.Stage) bool {
	switch s {
	case county.PickedUp, county.SignedFor, county.Completed, county.Returned, county.LostClosed:
		return true
	}
	return false
}

// label is what is printed of a parcel.
func (d *Desk) label(ctx context.Context, p county.Parcel, o county.LabelOptions) (Label, error) {
	r := d.cfg.Registry
	if o.Tags && p.EPC == "" && r.GS1.Prefix != "" && !ended(p.Stage) {
		tagged, changes, err := d.cfg.Store.GiveTag(ctx, p.Waybill.Waybill, "label", func(n int64) (string, error) {
			e, err := NewTag(r.GS1.Prefix, n)
			return e.URI(), err
		})
		if err != nil {
			return Label{}, err
		}
		p = tagged
		if d.cfg.Publish != nil && len(changes) > 0 {
			d.cfg.Publish(changes)
		}
	}
	l := Label{Waybill: p.Waybill.Waybill, County: r.Name, Handling: p.Handling, Size: p.Size, Cell: p.Cell, Outbound: p.Direction == county.FromVillage}
	for _, s := range r.Sites {
		if s.ID == p.Site {
			l.Site, l.Village, l.Township = s.Name, s.Village, s.Township
		}
	}
	for _, k := range r.Lockers {
		if k.ID == p.Locker || p.Place == "locker/"+k.ID {
			l.Locker = k.Name
		}
	}
	if e, err := TagOf(p.EPC); err == nil {
		if o.Tags {
			l.Tag = e.Hex()
		}
		if o.Link {
			l.Link = DigitalLink(r.GS1.Base, e)
		}
	}
	sealed, _, err := d.cfg.Store.Recipient(ctx, p.Waybill.Waybill)
	if err != nil {
		return Label{}, err
	}
	if len(sealed) > 0 {
		if l.Name, l.Phone, err = d.cfg.Masked(sealed); err != nil {
			return Label{}, fmt.Errorf("label: %w", err)
		}
	}
	return l, nil
}

// ReadBack checks what a printer or reader says that a parcel's label holds, and notes it where it is right. It returns the tag's name.
func (d *Desk) ReadBack(ctx context.Context, waybill, read string) (string, error) {
	parcels, err := d.cfg.Store.ParcelsNamed(ctx, []string{waybill})
	if err != nil {
		return "", err
	}
	if len(parcels) == 0 {
		return "", county.ErrNoParcel
	}
	name := parcels[0].EPC
	if err := Verify(name, read); err != nil {
		return name, fmt.Errorf("%w: %w", county.ErrTagDiffers, err)
	}
	return name, d.cfg.Store.TagRead(ctx, waybill, d.cfg.Now())
}
