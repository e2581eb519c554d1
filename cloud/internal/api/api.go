package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"yizhan/cloud/internal/county"
)

// Prefix stands before every route.
const Prefix = "/api/v1"

const storeTimeout = 10 * time.Second

// Things answers what stands and drives in the county.
type Things interface {
	Vehicles(ctx context.Context) ([]county.Vehicle, error)
	Vehicle(ctx context.Context, id string) (county.Vehicle, bool, error)
	Lockers(ctx context.Context) ([]county.Locker, error)
	Locker(ctx context.Context, id string) (county.Locker, bool, error)
	ColdBoxes(ctx context.Context) ([]county.ColdBox, error)
	ColdBox(ctx context.Context, id string) (county.ColdBox, bool, error)
}

// Boards answers which boards and devices there are.
type Boards interface {
	Gateways(ctx context.Context) ([]county.Gateway, error)
	Gateway(ctx context.Context, id string) (county.Gateway, bool, error)
	Ledger(ctx context.Context, gateway string) (county.Ledger, bool, error)
	Devices(ctx context.Context) ([]county.Device, error)
	Device(ctx context.Context, id string) (county.Device, bool, error)
}

// Parcels answers where parcels are.
type Parcels interface {
	Parcels(ctx context.Context, q, after string, limit int) (items []county.Parcel, next string, err error)
	Timeline(ctx context.Context, waybill string) (county.Timeline, bool, error)
}

// Commands answers what was ordered.
type Commands interface {
	Command(ctx context.Context, id string) (county.Command, bool, error)
	Commands(ctx context.Context, device string, limit int) ([]county.Command, error)
}

// Store is the read face of the state.
type Store interface {
	Things
	Ratings
	Boards
	Parcels
	Waybills
	Containers
	Exceptions
	Commands
}

// Fix is a point of a track.
type Fix struct {
	At       time.Time
	Lat, Lon float64
	SpeedMPS *float64
}

// Sample is what a cold box measured at a time.
type Sample struct {
	At           time.Time `json:"at"`
	TemperatureC *float64  `json:"temperature_c,omitempty"`
	HumidityPct  *float64  `json:"humidity_pct,omitempty"`
}

// History answers what was, thinned to at most max points.
type History interface {
	Track(ctx context.Context, vehicle string, from, to time.Time, max int) ([]Fix, error)
	Climate(ctx context.Context, coldbox string, from, to time.Time, max int) ([]Sample, error)
}

// Desk takes orders to devices.
type Desk interface {
	Issue(ctx context.Context, c county.Command) (county.Command, error)
	Shown(c county.Command) county.Command
}

// Config of an API.
type Config struct {
	Store    Store
	History  History
	Desk     Desk
	Stream   http.Handler // GET /stream
	Events   Events       // nil: no /epcis
	Labels   Labels       // nil: no labels
	Persons  Persons
	Outlets  Outlets
	Telling  *Telling // nil: no /notices
	Calling  *Calling // nil: no /callbacks
	Running  *Running // nil: no /runs, no /run
	Registry *county.Registry
	Map      []byte // GeoJSON of the base map; empty: none
	Demo     bool
	Speed    float64
	Version  string
	Busy     error                         // what Desk.Issue wraps when it takes no more
	Conflict error                         // what it wraps when an id is taken
	Cursor   error                         // what Store.Parcels wraps when after is none of its own
	Created  func(parcels []county.Parcel) // told of parcels that were announced
	Changed  func([]county.Change)         // told of what people changed
	Now      func() time.Time
	Log      *slog.Logger
}

// API answers.
type API struct {
	cfg Config
	mux *http.ServeMux
	doc *huma.OpenAPI
	sch huma.Registry
	row *huma.Schema // of a waybill

	running running
}

// New makes an API. It panics when a route is wrong, as http.ServeMux does.
func New(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg, mux: http.NewServeMux()}
	hc := huma.DefaultConfig("Yizhan", cfg.Version)
	hc.Info.Description = "Where every parcel, vehicle, locker and cold box of the county is, and how old that knowledge is."
	hc.OpenAPIPath, hc.DocsPath, hc.SchemasPath = "", "", "" // served by the ops port only
	hc.CreateHooks = nil                                     // no $schema in answers
	hc.RejectUnknownQueryParameters = true
	hc.Servers = []*huma.Server{{URL: "/"}}
	a.sch = hc.Components.Schemas
	a.sch.RegisterTypeAlias(reflect.TypeFor[county.RawJSON](), reflect.TypeFor[map[string]any]())
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":  {Type: "http", Scheme: "bearer"},
		"session": {Type: "apiKey", In: "cookie", Name: "yizhan", Description: "POST /session swaps the token for it"},
	}
	hc.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
	h := humago.New(a.mux, hc)
	a.doc = h.OpenAPI()
	a.things(h)
	a.boards(h)
	a.parcels(h)
	a.waybills(h)
	a.containers(h)
	a.exceptions(h)
	a.ratings(h)
	a.commands(h)
	a.county(h)
	a.labels(h)
	a.epcis()
	a.notices(h)
	a.callbacks(h)
	a.runs(h)
	a.stream()
	return a
}

// ServeHTTP answers below Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	a.mux.ServeHTTP(w, r)
}

// OpenAPI is the description of the API.
func (a *API) OpenAPI() ([]byte, error) { return json.MarshalIndent(a.doc, "", " ") }

// Routes lists every method and path pattern.
func (a *API) Routes() [][2]string {
	var all [][2]string
	for path, item := range a.doc.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil {
				all = append(all, [2]string{method, path})
			}
		}
	}
	return all
}

// stream is no request and answer, so huma only describes it.
func (a *API) stream() {
	a.mux.Handle("GET "+Prefix+"/stream", a.cfg.Stream)
	a.doc.AddOperation(&huma.Operation{
		OperationID: "stream", Method: http.MethodGet, Path: Prefix + "/stream", Tags: []string{"live"},
		Summary:     "Changes as they are committed",
		Description: "Server-sent events vehicle, parcel, locker, coldbox, gateway, each with the object of its GET, and reset: fetch the lists.",
		Parameters:  []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "string"}}},
		Responses:   map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {}}}},
	})
}

// fail hides what a store said from whoever asked.
func (a *API) fail(ctx context.Context, what string, err error) error {
	if ctx.Err() == nil {
		a.cfg.Log.Error("store did not answer", "kind", what, "err", err)
	}
	return huma.Error503ServiceUnavailable("the store did not answer; try again")
}

type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next" doc:"value of after for the next page; empty at the end"`
}

type answer[T any] struct{ Body T }

func reply[T any](v T) *answer[T] { return &answer[T]{Body: v} }

type none struct{}

type byID struct {
	ID string `path:"id" pattern:"^[a-z0-9-]{1,32}$" example:"v03"`
}

// all registers GET path: a list of everything of a kind.
func all[T any](a *API, h huma.API, path, tag, summary string, get func(context.Context) ([]T, error), served func(T, time.Time) T) {
	huma.Register(h, huma.Operation{OperationID: "list-" + tag, Method: http.MethodGet, Path: Prefix + path, Tags: []string{tag}, Summary: summary},
		func(ctx context.Context, _ *none) (*answer[list[T]], error) {
			ctx, cancel := context.WithTimeout(ctx, storeTimeout)
			defer cancel()
			items, err := get(ctx)
			if err != nil {
				return nil, a.fail(ctx, tag, err)
			}
			now := a.cfg.Now()
			out := list[T]{Items: make([]T, len(items))}
			for i, it := range items {
				out.Items[i] = served(it, now)
			}
			return reply(out), nil
		})
}

// one registers GET path/{id}.
func one[T any](a *API, h huma.API, path, tag, summary string, get func(context.Context, string) (T, bool, error), served func(T, time.Time) T) {
	huma.Register(h, huma.Operation{OperationID: "get-" + tag, Method: http.MethodGet, Path: Prefix + path + "/{id}", Tags: []string{tag}, Summary: summary},
		func(ctx context.Context, in *byID) (*answer[T], error) {
			v, err := find(ctx, a, tag, in.ID, get)
			if err != nil {
				return nil, err
			}
			return reply(served(v, a.cfg.Now())), nil
		})
}

func find[T any](ctx context.Context, a *API, tag, id string, get func(context.Context, string) (T, bool, error)) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	v, ok, err := get(ctx, id)
	if err != nil {
		return v, a.fail(ctx, tag, err)
	}
	if !ok {
		return v, huma.Error404NotFound("no " + tag + " has the id " + id)
	}
	return v, nil
}
