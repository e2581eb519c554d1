package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// RunStore keeps runs and what was done on them.
type RunStore interface {
	PutRuns(ctx context.Context, runs []county.Run) error
	Runs(ctx context.Context, day string) ([]county.Run, error)
	RunOf(ctx context.Context, day, id string) (county.Run, bool, error)
	ChangeRun(ctx context.Context, day, id string, change func(*county.Run) error) (county.Run, error)
	Manifest(ctx context.Context, r *county.Run, limit int) ([]county.Parcel, error)
	PutAct(ctx context.Context, a county.Act, mime string, photo []byte) (fresh bool, err error)
	Acts(ctx context.Context, site string, limit int) ([]county.Act, error)
	Photo(ctx context.Context, act string) (mime string, body []byte, ok bool, err error)
	Report(ctx context.Context, x county.Exception) (county.Exception, error)
}

// Running is what the routes of runs are made of.
type Running struct {
	Store    RunStore
	Read     func(contentType string, body []byte, day time.Time) (runs []county.Run, faults []RunFault, more int, err error)
	MaxBytes int64          // of what Read takes
	Zone     *time.Location // in which a day is a day

	// Recipients are those of parcels, masked, as far as they are known; nil: nobody is.
	Recipients func(ctx context.Context, waybills []string) (map[string]county.Recipient, error)
}

// RunFault is what is wrong with a row of an import.
type RunFault struct {
	File    string `json:"file" example:"stop_times.txt"`
	Line    int    `json:"line" doc:"from 1, the header's; 0: the file as a whole"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// maxCargo is the most parcels of a manifest.
const maxCargo = 2000

// runs is what the routes of runs keep.
type running struct {
	offering sync.Mutex // one cell is offered at a time
}

// OnDay is the day of a run; absent is today.
type OnDay struct {
	Day string `query:"day" pattern:"^\\d{4}-\\d{2}-\\d{2}$" example:"2026-06-03" doc:"of the county's clock; absent is today"`
}

// ByRun names a run of a day.
type ByRun struct {
	ID string `path:"id" pattern:"^[A-Za-z0-9_.-]{1,64}$" example:"A1"`
	OnDay
}

func (a *API) runs(h huma.API) {
	if a.cfg.Running == nil {
		return
	}
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: Prefix + path, Tags: []string{"run"}, Summary: summary}
	}
	huma.Register(h, op("list-runs", http.MethodGet, "/runs", "The runs of a day"), a.listRuns)
	imp := op("import-runs", http.MethodPost, "/runs/import", "Take in the runs of a day, from a sheet (CSV) or a GTFS feed (zip)")
	imp.Description = "Good runs pass and replace those of the same id on that day; what is wrong comes back with file, line and field. 201: all passed; 200: some; 422: none."
	imp.MaxBodyBytes = a.cfg.Running.MaxBytes
	imp.SkipValidateBody, imp.DefaultStatus = true, http.StatusCreated
	imp.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"text/csv":        {Schema: &huma.Schema{Type: huma.TypeString, Description: "a header of run, seq, stop, arrive, depart, vehicle, name, in English or Chinese"}},
		"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "stops.txt, trips.txt, stop_times.txt, calendar.txt or calendar_dates.txt"}},
	}}
	huma.Register(h, imp, a.importRuns)
	huma.Register(h, op("get-run", http.MethodGet, "/runs/{id}", "A run"), func(ctx context.Context, in *ByRun) (*answer[county.Run], error) {
		r, err := a.runOf(ctx, in)
		return reply(r), err
	})
	change := op("change-run", http.MethodPatch, "/runs/{id}", "Change a run during the day: cancel it, give it another vehicle, add or drop a stop")
	change.Errors = []int{http.StatusNotFound}
	huma.Register(h, change, a.changeRun)
	huma.Register(h, op("manifest", http.MethodGet, "/runs/{id}/manifest", "The parcels that a run has to do with: aboard, or for its stops"), a.manifest)
	a.acts(h, op)
	a.offers(h, op)
}

// dayOf is a day of the county's clock.
func (a *API) dayOf(in OnDay) (time.Time, error) {
	if in.Day == "" {
		return a.cfg.Now().In(a.cfg.Running.Zone), nil
	}
	day, err := time.ParseInLocation(time.DateOnly, in.Day, a.cfg.Running.Zone)
	if err != nil {
		return day, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "query.day", Message: "is no day", Value: in.Day})
	}
	return day, nil
}

func (a *API) runOf(ctx context.Context, in *ByRun) (r county.Run, err error) {
	day, err := a.dayOf(in.OnDay)
	if err != nil {
		return r, err
	}
	return find(ctx, a, "run", in.ID, func(ctx context.Context, id string) (county.Run, bool, error) {
		return a.cfg.Running.Store.RunOf(ctx, day.Format(time.DateOnly), id)
	})
}

func (a *API) listRuns(ctx context.Context, in *OnDay) (*answer[list[county.Run]], error) {
	day, err := a.dayOf(*in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	items, err := a.cfg.Running.Store.Runs(ctx, day.Format(time.DateOnly))
	if err != nil {
		return nil, a.fail(ctx, "run", err)
	}
	if items == nil {
		items = []county.Run{}
	}
	return reply(list[county.Run]{Items: items}), nil
}

type imported struct {
	Status int
	Body   struct {
		Items   []county.Run `json:"items" doc:"the runs that were taken"`
		Refused []RunFault   `json:"refused"`
		More    int          `json:"more,omitempty" doc:"faults that aren't listed"`
	}
}

func (a *API) importRuns(ctx context.Context, in *struct {
	OnDay
	ContentType string `header:"Content-Type"`
	RawBody     []byte
},
) (*imported, error) {
	day, err := a.dayOf(in.OnDay)
	if err != nil {
		return nil, err
	}
	runs, faults, more, err := a.cfg.Running.Read(in.ContentType, in.RawBody, day)
	if err != nil {
		return nil, huma.Error415UnsupportedMediaType(err.Error())
	}
	out := &imported{Status: http.StatusCreated}
	out.Body.Items, out.Body.Refused, out.Body.More = append([]county.Run{}, runs...), append([]RunFault{}, faults...), more
	switch {
	case len(runs) == 0:
		out.Status = http.StatusUnprocessableEntity
		return out, nil
	case len(faults) > 0:
		out.Status = http.StatusOK
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := a.cfg.Running.Store.PutRuns(ctx, runs); err != nil {
		return nil, a.fail(ctx, "run", err)
	}
	return out, nil
}

type runChange struct {
	Cancelled *bool   `json:"cancelled,omitempty"`
	Vehicle   *string `json:"vehicle,omitempty" maxLength:"32" doc:"empty: none for now"`
	Name      *string `json:"name,omitempty" maxLength:"80"`
	Add       *struct {
		Site   string `json:"site" maxLength:"32"`
		Arrive string `json:"arrive,omitempty" pattern:"^[0-4]\\d:[0-5]\\d$"`
		Depart string `json:"depart,omitempty" pattern:"^[0-4]\\d:[0-5]\\d$"`
		Before string `json:"before,omitempty" maxLength:"32" doc:"the site of the stop that it comes before; absent: at the end"`
	} `json:"add,omitempty" doc:"a stop"`
	Drop string `json:"drop,omitempty" maxLength:"32" doc:"the site of a stop that isn't made"`
}

func (a *API) changeRun(ctx context.Context, in *struct {
	ByRun
	Body runChange
},
) (*answer[county.Run], error) {
	day, err := a.dayOf(in.OnDay)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var wrong *huma.ErrorDetail
	r, err := a.cfg.Running.Store.ChangeRun(ctx, day.Format(time.DateOnly), in.ID, func(r *county.Run) error {
		if wrong = a.apply(r, &in.Body); wrong != nil {
			return wrong
		}
		return nil
	})
	switch {
	case wrong != nil:
		return nil, huma.Error422UnprocessableEntity("validation failed", wrong)
	case errors.Is(err, county.ErrAbsent):
		return nil, huma.Error404NotFound("no run has the id " + in.ID + " on " + day.Format(time.DateOnly))
	case err != nil:
		return nil, a.fail(ctx, "run", err)
	}
	return reply(r), nil
}

// apply changes a run, or says what is wrong with the change.
func (a *API) apply(r *county.Run, c *runChange) *huma.ErrorDetail {
	if c.Cancelled != nil {
		r.Cancelled = *c.Cancelled
	}
	if c.Name != nil {
		r.Name = *c.Name
	}
	if c.Vehicle != nil {
		if *c.Vehicle != "" && !slices.ContainsFunc(a.cfg.Registry.Vehicles, func(v county.Vehicle) bool { return v.ID == *c.Vehicle }) {
			return &huma.ErrorDetail{Location: "body.vehicle", Message: "is no vehicle of the county", Value: *c.Vehicle}
		}
		r.Vehicle = *c.Vehicle
	}
	r.Stops = slices.Clone(r.Stops)
	stopAt := func(site string) int {
		return slices.IndexFunc(r.Stops, func(s county.RunStop) bool { return s.Site == site })
	}
	if s := c.Add; s != nil {
		at := len(r.Stops)
		if s.Before != "" {
			at = stopAt(s.Before)
		}
		switch {
		case !slices.ContainsFunc(a.cfg.Registry.Sites, func(x county.Site) bool { return x.ID == s.Site }):
			return &huma.ErrorDetail{Location: "body.add.site", Message: "is no site of the county", Value: s.Site}
		case at < 0:
			return &huma.ErrorDetail{Location: "body.add.before", Message: "is no stop of the run", Value: s.Before}
		case len(r.Stops) >= 200:
			return &huma.ErrorDetail{Location: "body.add", Message: "the run has 200 stops already"}
		}
		r.Stops = slices.Insert(r.Stops, at, county.RunStop{Site: s.Site, Arrive: s.Arrive, Depart: s.Depart})
	}
	if c.Drop != "" {
		at := stopAt(c.Drop)
		if at < 0 {
			return &huma.ErrorDetail{Location: "body.drop", Message: "is no stop of the run", Value: c.Drop}
		}
		r.Stops = slices.Delete(r.Stops, at, at+1)
	}
	return nil
}

// cargo is a parcel of a manifest: what its courier has to know, and no more.
type cargo struct {
	Waybill   string           `json:"waybill"`
	Site      string           `json:"site,omitempty"`
	Locker    string           `json:"locker,omitempty"`
	Direction county.Direction `json:"direction,omitempty"`
	Handling  string           `json:"handling,omitempty"`
	Size      string           `json:"size,omitempty"`
	Consent   county.Consent   `json:"consent,omitempty"`
	Hold      bool             `json:"hold,omitempty"`
	Stage     county.Stage     `json:"stage"`
	Place     string           `json:"place,omitempty"`
	Plan      county.Wish      `json:"plan,omitempty" enum:"locker,station,home" doc:"where it goes at its outlet"`
	To        *door            `json:"to,omitempty" doc:"whose door, of what goes home and isn't there yet"`
}

// door is what a courier may see of whom a parcel is brought to.
type door struct {
	Village string `json:"village,omitempty"`
	Name    string `json:"name,omitempty" example:"王**"`
	Phone   string `json:"phone,omitempty" example:"199****5678"`
}

type manifest struct {
	Run   county.Run `json:"run"`
	At    time.Time  `json:"at" doc:"as of"`
	Items []cargo    `json:"items"`
	Cut   bool       `json:"cut,omitempty" doc:"there are more"`
}

func (a *API) manifest(ctx context.Context, in *ByRun) (*answer[manifest], error) {
	r, err := a.runOf(ctx, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	parcels, err := a.cfg.Running.Store.Manifest(ctx, &r, maxCargo+1)
	if err != nil {
		return nil, a.fail(ctx, "run", err)
	}
	m := manifest{Run: r, At: a.cfg.Now().UTC(), Items: []cargo{}, Cut: len(parcels) > maxCargo}
	for i := range parcels[:min(len(parcels), maxCargo)] {
		p := &parcels[i]
		m.Items = append(m.Items, cargo{
			Waybill: p.Waybill.Waybill, Site: p.Site, Locker: p.Locker, Direction: p.Direction, Handling: p.Handling, Size: p.Size,
			Consent: p.Consent, Hold: p.Hold, Stage: p.Stage, Place: p.Place, Plan: p.Plan(),
		})
	}
	if err := a.doors(ctx, m.Items); err != nil {
		return nil, a.fail(ctx, "run", err)
	}
	return reply(m), nil
}

// doors says of the parcels that go home to whom.
func (a *API) doors(ctx context.Context, items []cargo) error {
	var home []string
	for i := range items {
		if items[i].Plan == county.WishHome && !items[i].Stage.Over() {
			home = append(home, items[i].Waybill)
		}
	}
	if len(home) == 0 || a.cfg.Running.Recipients == nil {
		return nil
	}
	known, err := a.cfg.Running.Recipients(ctx, home)
	if err != nil {
		return err
	}
	for i := range items {
		if who, ok := known[items[i].Waybill]; ok {
			items[i].To = &door{Village: who.Village, Name: who.Name, Phone: who.Phone}
		}
	}
	return nil
}
