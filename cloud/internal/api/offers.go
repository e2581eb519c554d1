package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// reserved is how long a cell that was offered is offered to nobody else.
const reserved = 2 * time.Minute

// kit is what a phone needs to work for a day without a link.
type kit struct {
	County     county.Text        `json:"county"`
	Day        string             `json:"day"`
	Time       time.Time          `json:"time" doc:"the server's clock"`
	Runs       []county.Run       `json:"runs"`
	Sites      []kitSite          `json:"sites"`
	Vehicles   []kitVehicle       `json:"vehicles"`
	Lockers    []county.Locker    `json:"lockers"`
	Containers []county.Container `json:"containers"`
}

type kitSite struct {
	ID   string      `json:"id"`
	Kind string      `json:"kind"`
	Name county.Text `json:"name"`
}

type kitVehicle struct {
	ID    string      `json:"id"`
	Plate string      `json:"plate"`
	Name  county.Text `json:"name"`
}

func (a *API) offers(h huma.API, op func(id, method, path, summary string) huma.Operation) {
	huma.Register(h, op("run-kit", http.MethodGet, "/run/kit", "What a phone needs to work for a day without a link"), a.kit)
	offer := op("offer-cell", http.MethodPost, "/run/deposits", "Ask for a cell for a parcel: the smallest free one that fits opens")
	offer.Description = "The order to open has the id that you give: ask GET /commands/{id} for its outcome, and the locker for its door. The same id again is the same offer. " +
		"422: it may not go into this locker, or nothing fits."
	offer.DefaultStatus, offer.Errors = http.StatusAccepted, []int{http.StatusNotFound}
	huma.Register(h, offer, a.offer)
}

func (a *API) kit(ctx context.Context, in *OnDay) (*answer[kit], error) {
	day, err := a.dayOf(*in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	k := kit{County: a.cfg.Registry.Name, Day: day.Format(time.DateOnly), Time: a.cfg.Now().UTC(), Runs: []county.Run{}, Sites: []kitSite{}, Vehicles: []kitVehicle{}, Containers: []county.Container{}}
	runs, err1 := a.cfg.Running.Store.Runs(ctx, k.Day)
	lockers, err2 := a.cfg.Store.Lockers(ctx)
	boxes, err3 := a.cfg.Store.Containers(ctx, "", 500)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, a.fail(ctx, "run", err)
	}
	k.Runs, k.Containers = append(k.Runs, runs...), append(k.Containers, boxes...)
	for _, s := range a.cfg.Registry.Sites {
		k.Sites = append(k.Sites, kitSite{s.ID, s.Kind, s.Name})
	}
	for i := range a.cfg.Registry.Vehicles {
		v := &a.cfg.Registry.Vehicles[i]
		k.Vehicles = append(k.Vehicles, kitVehicle{v.ID, v.Plate, v.Name})
	}
	k.Lockers = make([]county.Locker, len(lockers))
	for i := range lockers {
		k.Lockers[i] = lockers[i].Served(a.cfg.Now())
	}
	return reply(k), nil
}

type offered struct {
	Cell    int            `json:"cell"`
	Size    string         `json:"size"`
	Command county.Command `json:"command" doc:"the order that opens it"`
}

type offerWanted struct {
	Body struct {
		ID      string `json:"id" pattern:"^[A-Za-z0-9_.-]{8,56}$" doc:"yours; it is the id of the order"`
		Waybill string `json:"waybill" pattern:"^[A-Z0-9-]{6,32}$"`
		Locker  string `json:"locker" pattern:"^[a-z0-9-]{1,32}$"`
		Size    string `json:"size,omitempty" enum:"s,m,l" doc:"at least so large; absent: as the waybill says, else small"`
	}
}

func (a *API) offer(ctx context.Context, in *offerWanted) (*answer[offered], error) {
	b := &in.Body
	l, err := find(ctx, a, "locker", b.Locker, a.cfg.Store.Locker)
	if err != nil {
		return nil, err
	}
	p, err := find(ctx, a, "parcel", b.Waybill, a.cfg.Store.Timeline)
	if err != nil {
		return nil, err
	}
	l = l.Served(a.cfg.Now())
	a.running.offering.Lock() // whoever asks next sees the order
	defer a.running.offering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	old, again, err := a.cfg.Store.Command(ctx, b.ID)
	if err != nil {
		return nil, a.fail(ctx, "command", err)
	}
	if again && (old.Device != l.Device || old.Args["waybill"] != b.Waybill) {
		return nil, huma.Error409Conflict("body.id: is another order's")
	}
	if again {
		n, _ := strconv.Atoi(old.Args["cell"])
		return reply(offered{Cell: n, Size: sizeOf(&l, n), Command: a.cfg.Desk.Shown(old)}), nil
	}
	if why := mayNot(&p.Parcel, &l); why != nil {
		return nil, huma.Error422UnprocessableEntity("it may not go into this locker", why)
	}
	recent, err := a.cfg.Store.Commands(ctx, l.Device, 200)
	if err != nil {
		return nil, a.fail(ctx, "command", err)
	}
	cell := choose(&l, cmp.Or(b.Size, p.Size), recent, a.cfg.Now())
	if cell == nil {
		return nil, huma.Error422UnprocessableEntity("nothing fits", &huma.ErrorDetail{Location: "body.size", Message: "no free cell is large enough", Value: cmp.Or(b.Size, p.Size)})
	}
	c, err := a.cfg.Desk.Issue(ctx, county.Command{
		ID: b.ID, Issuer: issuer, Device: l.Device, Action: "open_cell", Args: map[string]string{"cell": strconv.Itoa(cell.Cell), "waybill": b.Waybill},
	})
	switch {
	case errors.Is(err, a.cfg.Busy):
		return nil, huma.Error503ServiceUnavailable(err.Error())
	case err != nil:
		return nil, a.fail(ctx, "command", err)
	}
	return reply(offered{Cell: cell.Cell, Size: cell.Size, Command: c}), nil
}

// mayNot tells why a parcel may not go into a locker: consent comes first.
func mayNot(p *county.Parcel, l *county.Locker) *huma.ErrorDetail {
	wrong := func(field, message string, v any) *huma.ErrorDetail {
		return &huma.ErrorDetail{Location: "body." + field, Message: message, Value: v}
	}
	switch {
	case l.Device == "":
		return wrong("locker", "has no lock board", l.ID)
	case !l.Online:
		return wrong("locker", "is out of reach: it decides itself, type the waybill at its panel", l.ID)
	case p.Stage.Over() || p.Stage == county.InLocker:
		return wrong("waybill", "is in a locker, with its recipient, or closed", p.Stage)
	case p.Consent != county.ConsentYes:
		return wrong("waybill", "its recipient has not agreed to a locker", p.Consent)
	case p.Hold:
		return wrong("waybill", "is on hold", true)
	case p.Handling == "chilled" || p.Handling == "frozen":
		return wrong("waybill", "needs cold", p.Handling)
	case p.Site != l.Site || p.Locker != "" && p.Locker != l.ID:
		return wrong("locker", "is not where the parcel goes", p.Site)
	}
	return nil
}

// choose is the smallest free cell that fits and that nobody was just offered, or nil.
func choose(l *county.Locker, size string, recent []county.Command, now time.Time) *county.Cell {
	rank := map[string]int{"s": 1, "m": 2, "l": 3}
	given := map[int]bool{}
	for i := range recent {
		c := &recent[i]
		if n, err := strconv.Atoi(c.Args["cell"]); err == nil && c.Device == l.Device && now.Sub(c.Created) < reserved {
			given[n] = true
		}
	}
	free := slices.DeleteFunc(slices.Clone(l.Cells), func(c county.Cell) bool {
		return c.State != county.CellEmpty || given[c.Cell] || rank[c.Size] < rank[size]
	})
	if len(free) == 0 {
		return nil
	}
	slices.SortStableFunc(free, func(a, b county.Cell) int {
		return cmp.Or(cmp.Compare(rank[a.Size], rank[b.Size]), cmp.Compare(a.Cell, b.Cell))
	})
	return &free[0]
}

func sizeOf(l *county.Locker, n int) string {
	if i := slices.IndexFunc(l.Cells, func(c county.Cell) bool { return c.Cell == n }); i >= 0 {
		return l.Cells[i].Size
	}
	return ""
}
