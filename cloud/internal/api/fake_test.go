package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
)

// fake is a store in memory, for what is the API's own: routes, ages, errors.
type fake struct {
	mu       sync.Mutex
	broken   error
	vehicles []county.Vehicle
	lockers  []county.Locker
	boxes    []county.ColdBox
	boards   []county.Gateway
	devices  []county.Device
	parcels  []county.Parcel
	evidence []county.Evidence
	intake   []county.Intake
	said     []county.Said
	boxesOf  []county.Held
	wrong    []county.Exception
	filter   county.ExceptionFilter
	orders   map[string]county.Command
	fixes    []api.Fix
	asked    [2]time.Time
}

func pick[T any](f *fake, all []T, is func(T) bool) (v T, ok bool, err error) {
	for _, x := range all {
		if is(x) {
			return x, true, f.broken
		}
	}
	return v, false, f.broken
}

func (f *fake) Vehicles(context.Context) ([]county.Vehicle, error) { return f.vehicles, f.broken }
func (f *fake) Vehicle(_ context.Context, id string) (county.Vehicle, bool, error) {
	return pick(f, f.vehicles, func(v county.Vehicle) bool { return v.ID == id })
}
func (f *fake) Lockers(context.Context) ([]county.Locker, error) { return f.lockers, f.broken }
func (f *fake) Locker(_ context.Context, id string) (county.Locker, bool, error) {
	return pick(f, f.lockers, func(v county.Locker) bool { return v.ID == id })
}
func (f *fake) ColdBoxes(context.Context) ([]county.ColdBox, error) { return f.boxes, f.broken }
func (f *fake) ColdBox(_ context.Context, id string) (county.ColdBox, bool, error) {
	return pick(f, f.boxes, func(v county.ColdBox) bool { return v.ID == id })
}
func (f *fake) Gateways(context.Context) ([]county.Gateway, error) { return f.boards, f.broken }
func (f *fake) Gateway(_ context.Context, id string) (county.Gateway, bool, error) {
	return pick(f, f.boards, func(v county.Gateway) bool { return v.ID == id })
}
func (f *fake) Devices(context.Context) ([]county.Device, error) { return f.devices, f.broken }
func (f *fake) Device(_ context.Context, id string) (county.Device, bool, error) {
	return pick(f, f.devices, func(v county.Device) bool { return v.ID == id })
}

func (f *fake) Ledger(_ context.Context, id string) (county.Ledger, bool, error) {
	_, ok, err := pick(f, f.boards, func(g county.Gateway) bool { return g.ID == id })
	lane := county.LaneAccount{
		Epoch: "0000000000000007", Lane: "track", Known: true, Account: county.Account{Produced: 9, Committed: 6, Dropped: 2, Unexplained: 1},
		Ranges: []frame.Range{{From: 4, To: 9}}, Holes: []frame.Range{{From: 3, To: 3}}, Drops: []county.Drop{{Reason: "lane_full", Tombstones: 1, Count: 2}},
	}
	return county.Ledger{Gateway: id, Account: lane.Account, Lanes: []county.LaneAccount{lane}}, ok, err
}

func (f *fake) Parcels(_ context.Context, q, after string, limit int) (items []county.Parcel, next string, err error) {
	for _, p := range f.parcels {
		if after != "" {
			if p.Waybill.Waybill == after {
				after = ""
			}
			continue
		}
		if !strings.HasPrefix(p.Waybill.Waybill, q) {
			continue
		}
		if len(items) == limit {
			return items, items[limit-1].Waybill.Waybill, f.broken
		}
		items = append(items, p)
	}
	return items, "", f.broken
}

func (f *fake) Timeline(_ context.Context, waybill string) (county.Timeline, bool, error) {
	p, ok, err := pick(f, f.parcels, func(p county.Parcel) bool { return p.Waybill.Waybill == waybill })
	return county.Timeline{Parcel: p, Evidence: f.evidence}, ok, err
}

func (f *fake) Announce(_ context.Context, ws []county.Intake, now time.Time) ([]county.Parcel, map[int]error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	refused := map[int]error{}
	var created []county.Parcel
	for i, w := range ws {
		if w.EPC == "ABCD0001" {
			refused[i] = errors.New("epc: is the tag of another parcel")
			continue
		}
		p := county.Parcel{Waybill: w.Waybill, Stage: county.Created, Since: now, Version: 1}
		f.parcels, created = append(f.parcels, p), append(created, p)
		f.intake = append(f.intake, w)
	}
	return created, refused, f.broken
}

func (f *fake) byWaybill(waybill string) (*county.Parcel, error) {
	for i := range f.parcels {
		if f.parcels[i].Waybill.Waybill == waybill {
			return &f.parcels[i], f.broken
		}
	}
	return &county.Parcel{}, fmt.Errorf("waybill: %w", county.ErrAbsent)
}

func (f *fake) Amend(_ context.Context, waybill string, a county.Amendment) (county.Parcel, []county.Change, error) {
	p, err := f.byWaybill(waybill)
	if err != nil {
		return *p, nil, err
	}
	if a.Site != nil && *a.Site == "nowhere" {
		return *p, nil, errors.New("site: there is no \"nowhere\"")
	}
	p.Waybill = a.Of(p.Waybill)
	f.intake = append(f.intake, county.Intake{Waybill: p.Waybill, Recipient: a.Recipient, PhoneHash: a.PhoneHash})
	return *p, []county.Change{{Kind: county.ParcelChanged, ID: waybill}}, nil
}

func (f *fake) Cancel(_ context.Context, waybill, _, _ string) (county.Parcel, []county.Change, error) {
	p, err := f.byWaybill(waybill)
	if err == nil && p.Stage == county.PickedUp {
		err = fmt.Errorf("waybill: %w", county.ErrClosed)
	}
	return *p, nil, err
}

func (f *fake) Say(_ context.Context, said []county.Said) ([]county.Parcel, []county.Change, map[int]error, error) {
	f.said = append(f.said, said...)
	p, err := f.byWaybill(said[0].Waybill)
	if err != nil && f.broken == nil {
		return nil, nil, map[int]error{0: err}, nil
	}
	return []county.Parcel{*p}, nil, nil, f.broken
}

func (f *fake) Amended(context.Context, string) ([]county.Amended, error) {
	return []county.Amended{{N: 1, Actor: "token"}}, f.broken
}

func (f *fake) PutContainer(_ context.Context, b county.Container) error {
	f.boxesOf = append(f.boxesOf, county.Held{Container: b, Contents: []county.Content{}})
	return f.broken
}

func (f *fake) Container(_ context.Context, id string) (county.Held, bool, error) {
	return pick(f, f.boxesOf, func(h county.Held) bool { return h.ID == id })
}

func (f *fake) Containers(context.Context, string, int) (all []county.Container, err error) {
	for _, h := range f.boxesOf {
		all = append(all, h.Container)
	}
	return all, f.broken
}

func (f *fake) moved(id string, items ...string) ([]county.Change, error) {
	for i := range f.boxesOf {
		if f.boxesOf[i].ID == id {
			for _, item := range items {
				f.boxesOf[i].Contents = append(f.boxesOf[i].Contents, county.Content{Item: item})
			}
			return nil, f.broken
		}
	}
	return nil, fmt.Errorf("container: %w", county.ErrAbsent)
}

func (f *fake) Pack(_ context.Context, id string, items []string, _ time.Time, _ string) ([]county.Change, error) {
	return f.moved(id, items...)
}

func (f *fake) Unpack(_ context.Context, id string, _ []string, _ time.Time, _ string) ([]county.Change, error) {
	return f.moved(id)
}

func (f *fake) Break(_ context.Context, id string, _ time.Time, _, _ string) ([]county.Change, error) {
	return f.moved(id)
}

func (f *fake) Count(_ context.Context, id string, _ int, _ time.Time, _, _ string) ([]county.Change, error) {
	return f.moved(id)
}

func (f *fake) Ratings(context.Context, time.Time) ([]county.RatingMean, error) {
	mean := 4.5
	return []county.RatingMean{{Site: "out-qingshi", N: 2, Mean: &mean}}, nil
}

func (f *fake) Exceptions(_ context.Context, flt county.ExceptionFilter, _ string, _ int) ([]county.Exception, string, error) {
	f.filter = flt
	return f.wrong, "", f.broken
}

func (f *fake) Exception(_ context.Context, id string) (county.Exception, bool, error) {
	return pick(f, f.wrong, func(x county.Exception) bool { return x.ID == id })
}

func (f *fake) EndException(_ context.Context, id string) (county.Exception, error) {
	x, ok, _ := f.Exception(context.Background(), id)
	if !ok {
		return x, fmt.Errorf("exception: %w", county.ErrAbsent)
	}
	x.Ended = &now
	return x, f.broken
}

// Seal and PhoneHash stand for the keeper of what is a person's.
func (f *fake) Seal(r county.Recipient) []byte { return []byte("sealed " + r.Village) }

func (f *fake) PhoneHash(phone string) string {
	if len(phone) < 5 {
		return ""
	}
	return "hash"
}

func (f *fake) Site(village, address string) (string, bool) {
	if strings.Contains(village+address, "青石") {
		return "out-qingshi", true
	}
	return "", false
}

func (f *fake) Command(_ context.Context, id string) (county.Command, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.orders[id]
	return c, ok, f.broken
}

func (f *fake) Commands(_ context.Context, device string, _ int) (all []county.Command, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.orders {
		if device != "" && c.Device != device {
			continue
		}
		all = append(all, c)
	}
	return all, f.broken
}

func (f *fake) Track(_ context.Context, _ string, from, to time.Time, _ int) ([]api.Fix, error) {
	f.asked = [2]time.Time{from, to}
	return f.fixes, f.broken
}

func (f *fake) Climate(_ context.Context, _ string, from, to time.Time, _ int) ([]api.Sample, error) {
	f.asked = [2]time.Time{from, to}
	return nil, f.broken
}

var (
	errBusy     = errors.New("busy")
	errConflict = errors.New("conflict")
	errCursor   = errors.New("cursor")
)

func (f *fake) Issue(_ context.Context, c county.Command) (county.Command, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch c.ID {
	case "busy-busy":
		return c, errBusy
	case "conflict-1":
		return c, errConflict
	case "":
		c.ID = "made"
	}
	f.orders[c.ID] = c
	return c, f.broken
}

func (f *fake) Shown(c county.Command) county.Command { return c }
