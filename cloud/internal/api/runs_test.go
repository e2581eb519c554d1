package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
)

// roster keeps runs and acts in memory.
type roster struct {
	runs     map[string]county.Run // by day/id
	kept     map[string]county.Act
	photos   map[string][]byte
	reported []county.Exception
	broken   error
}

func (r *roster) PutRuns(_ context.Context, runs []county.Run) error {
	for _, x := range runs {
		r.runs[x.Day+"/"+x.ID] = x
	}
	return r.broken
}

func (r *roster) Runs(_ context.Context, day string) (all []county.Run, err error) {
	for _, x := range r.runs {
		if x.Day == day {
			all = append(all, x)
		}
	}
	return all, r.broken
}

func (r *roster) RunOf(_ context.Context, day, id string) (county.Run, bool, error) {
	x, ok := r.runs[day+"/"+id]
	return x, ok, r.broken
}

func (r *roster) ChangeRun(_ context.Context, day, id string, change func(*county.Run) error) (county.Run, error) {
	x, ok := r.runs[day+"/"+id]
	if !ok {
		return x, fmt.Errorf("run: %w", county.ErrAbsent)
	}
	if err := change(&x); err != nil {
		return x, err
	}
	r.runs[day+"/"+id] = x
	return x, nil
}

func (r *roster) Manifest(context.Context, *county.Run, int) ([]county.Parcel, error) {
	return []county.Parcel{
		{Waybill: county.Waybill{Waybill: "YZ0000001", Site: "out-qingshi", Hold: true}, Stage: county.AtWarehouse},
		{Waybill: county.Waybill{Waybill: "YZ0000002", Site: "out-qingshi", Wish: county.WishHome, Consent: county.ConsentNo}, Stage: county.OutForDelivery},
	}, r.broken
}

func (r *roster) PutAct(_ context.Context, a county.Act, _ string, photo []byte) (bool, error) {
	if r.broken != nil {
		return false, r.broken
	}
	if old, ok := r.kept[a.ID]; ok {
		if old.Kind != a.Kind {
			return false, fmt.Errorf("id: %w", county.ErrTaken)
		}
		return false, nil
	}
	r.kept[a.ID], r.photos[a.ID] = a, photo
	return true, nil
}

func (r *roster) Acts(context.Context, string, int) ([]county.Act, error) { return nil, r.broken }

func (r *roster) Photo(_ context.Context, act string) (string, []byte, bool, error) {
	return "image/png", r.photos[act], len(r.photos[act]) > 0, r.broken
}

func (r *roster) Report(_ context.Context, x county.Exception) (county.Exception, error) {
	r.reported = append(r.reported, x)
	return x, r.broken
}

func runAPI(t *testing.T) (*fake, *roster, *api.API) {
	t.Helper()
	f, _ := newAPI(t)
	r := &roster{runs: map[string]county.Run{}, kept: map[string]county.Act{}, photos: map[string][]byte{}}
	r.runs["2026-08-05/A1"] = county.Run{ID: "A1", Day: "2026-08-05", Stops: []county.RunStop{{Site: "wh"}, {Site: "out-qingshi"}}}
	reg := registry()
	reg.Vehicles = []county.Vehicle{{ID: "v01", Plate: "岭A·20311"}}
	zone := time.FixedZone("county", 8*3600)
	return f, r, api.New(api.Config{
		Store: f, History: f, Desk: f, Stream: http.NotFoundHandler(), Registry: reg, Persons: f, Outlets: f, Now: func() time.Time { return now }, Busy: errBusy, Conflict: errConflict, Cursor: errCursor,
		Running: &api.Running{Recipients: func(_ context.Context, waybills []string) (map[string]county.Recipient, error) {
			out := map[string]county.Recipient{}
			for _, w := range waybills {
				out[w] = county.Recipient{Name: "王**", Phone: "199****5678", Village: "青石村"}
			}
			return out, nil
		}, Store: r, Zone: zone, MaxBytes: 1 << 20, Read: func(kind string, body []byte, day time.Time) ([]county.Run, []api.RunFault, int, error) {
			if kind != "text/csv" {
				return nil, nil, 0, errors.New("send text/csv")
			}
			if string(body) == "bad" {
				return nil, []api.RunFault{{File: "csv", Line: 2, Field: "stop", Message: "none"}}, 0, nil
			}
			return []county.Run{{ID: string(body), Day: day.Format(time.DateOnly)}}, nil, 0, nil
		}},
	})
}

func tell(t *testing.T, a *api.API, method, path, kind, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	var out map[string]any
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out), w.Body.String())
	}
	return w.Code, out
}

func TestRunsOverTheAPI(t *testing.T) {
	_, r, a := runAPI(t)
	const js = "application/json"
	for _, c := range []struct {
		method, path, kind, body string
		code                     int
		field                    string
	}{
		{"POST", "/runs/import?day=2026-08-06", "text/csv", "B1", 201, ""},
		{"POST", "/runs/import", "text/csv", "bad", 422, ""},
		{"POST", "/runs/import", "image/png", "x", 415, ""},
		{"POST", "/runs/import?day=2026-13-06", "text/csv", "B1", 422, "query.day"},
		{"GET", "/runs/B1?day=2026-08-06", "", "", 200, ""},
		{"GET", "/runs/B1", "", "", 404, ""},
		{"PATCH", "/runs/A1", js, `{"cancelled":true,"vehicle":"v01","add":{"site":"out-qingshi","before":"wh","arrive":"08:00"}}`, 200, ""},
		{"PATCH", "/runs/A1", js, `{"vehicle":"v99"}`, 422, "body.vehicle"},
		{"PATCH", "/runs/A1", js, `{"add":{"site":"nowhere"}}`, 422, "body.add.site"},
		{"PATCH", "/runs/A1", js, `{"add":{"site":"wh","before":"nowhere"}}`, 422, "body.add.before"},
		{"PATCH", "/runs/A1", js, `{"drop":"nowhere"}`, 422, "body.drop"},
		{"PATCH", "/runs/A9", js, `{"cancelled":true}`, 404, ""},
	} {
		code, v := tell(t, a, c.method, c.path, c.kind, c.body)
		require.Equal(t, c.code, code, "%s %s %s: %v", c.method, c.path, c.body, v)
		if c.field != "" {
			require.Equal(t, c.field, v["errors"].([]any)[0].(map[string]any)["location"])
		}
	}
	require.Equal(t, county.Run{
		ID: "A1", Day: "2026-08-05", Vehicle: "v01", Cancelled: true, Stops: []county.RunStop{{Site: "out-qingshi", Arrive: "08:00"}, {Site: "wh"}, {Site: "out-qingshi"}},
	}, r.runs["2026-08-05/A1"], "what was refused changed nothing")
	_, m := tell(t, a, "GET", "/runs/A1/manifest", "", "")
	require.Equal(t, true, m["items"].([]any)[0].(map[string]any)["hold"])
	code, kit := tell(t, a, "GET", "/run/kit", "", "")
	require.Equal(t, 200, code)
	require.Equal(t, "2026-08-05", kit["day"], "of the county's clock")
}

func TestActsAreTakenOnceAndJudgedOneByOne(t *testing.T) {
	f, r, a := runAPI(t)
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	acts := fmt.Sprintf(`{"acts":[
		{"id":"act-00000001","kind":"load","actor":"c01","at":%[1]q,"of":"YZ0000001","vehicle":"v01"},
		{"id":"act-00000002","kind":"load","actor":"c01","at":%[1]q,"of":"YZ0000001"},
		{"id":"act-00000003","kind":"sign_on","actor":"c01","at":%[2]q,"site":"wh"},
		{"id":"act-00000004","kind":"sign_on","actor":"c01","at":%[1]q,"site":"nowhere"},
		{"id":"act-00000005","kind":"deposit","actor":"c01","at":%[1]q,"of":"YZ0000001","locker":"lk-qingshi"},
		{"id":"act-00000006","kind":"refuse","actor":"c01","at":%[1]q,"of":"YZ0000001","reason":"unwanted","photo":"dGV4dA=="},
		{"id":"act-00000007","kind":"pack","actor":"c01","at":%[1]q,"of":"YZ0000001","container":"none"},
		{"id":"act-00000008","kind":"count","actor":"c01","at":%[1]q,"site":"wh","run":"A1","day":"2026-08-05","n":3,"expected":4},
		{"id":"act-00000001","kind":"load","actor":"c01","at":%[1]q,"of":"YZ0000001","vehicle":"v01"}
	]}`, at(-time.Hour), at(time.Hour))
	code, v := tell(t, a, "POST", "/run/acts", "application/json", acts)
	require.Equal(t, 200, code, v)
	var got []string
	for _, x := range v["items"].([]any) {
		m := x.(map[string]any)
		field, _ := m["field"].(string)
		got = append(got, m["status"].(string)+" "+field)
	}
	require.Equal(t, []string{"taken ", "refused vehicle", "refused at", "refused site", "refused cell", "refused photo", "refused container", "taken ", "refused id"}, got)
	require.Len(t, r.kept, 2)
	require.Len(t, r.reported, 1)
	require.Equal(t, "run/2026-08-05/A1", r.reported[0].Object)
	require.Equal(t, "run/c01", f.said[0].Actor)
	require.Equal(t, "loaded", f.said[0].Step)

	again := fmt.Sprintf(`{"acts":[{"id":"act-00000001","kind":"load","actor":"c01","at":%q,"of":"YZ0000001","vehicle":"v01"}]}`, at(-time.Hour))
	_, v = tell(t, a, "POST", "/run/acts", "application/json", again)
	require.Equal(t, "already", v["items"].([]any)[0].(map[string]any)["status"])
	r.broken = errors.New("away")
	code, _ = tell(t, a, "POST", "/run/acts", "application/json", again)
	require.Equal(t, 503, code, "a store that is away refuses nothing: the phone keeps it")
}

func TestACellIsOfferedToOneAtATime(t *testing.T) {
	f, _, a := runAPI(t)
	f.lockers = []county.Locker{{ID: "lk-qingshi", Site: "out-qingshi", Device: "lk-qingshi-1/board", Last: now, Cells: []county.Cell{
		{Cell: 1, Size: "l", State: county.CellEmpty}, {Cell: 2, Size: "s", State: county.CellEmpty}, {Cell: 3, Size: "m", State: county.CellEmpty}, {Cell: 4, Size: "m", State: county.CellOccupied}, {Cell: 5, Size: "m", State: county.CellFault},
	}}}
	for i := range f.parcels {
		f.parcels[i].Stage, f.parcels[i].Consent, f.parcels[i].Size = county.AtOutlet, county.ConsentYes, "m"
	}
	f.parcels[3].Consent = county.ConsentUnknown
	f.parcels[4].Handling = "frozen"
	ask := func(id, waybill string) (int, map[string]any) {
		return tell(t, a, "POST", "/run/deposits", "application/json", fmt.Sprintf(`{"id":%q,"waybill":%q,"locker":"lk-qingshi"}`, id, waybill))
	}
	offer := func(id, waybill string, cell float64) {
		f.mu.Lock() // orders have the time of their issue
		for k, c := range f.orders {
			c.Created = now
			f.orders[k] = c
		}
		f.mu.Unlock()
		code, v := ask(id, waybill)
		require.Equal(t, 202, code, v)
		require.Equal(t, cell, v["cell"])
	}
	offer("order-00001", "YZ0000000", 3)
	offer("order-00001", "YZ0000000", 3)
	offer("order-00002", "YZ0000001", 1)
	for id, c := range f.orders {
		c.Created = now
		f.orders[id] = c
	}
	code, v := ask("order-00003", "YZ0000002")
	require.Equal(t, 422, code, "nothing fits: %v", v)
	code, v = ask("order-00004", "YZ0000003")
	require.Equal(t, 422, code)
	require.Contains(t, fmt.Sprint(v), "not agreed")
	code, v = ask("order-00005", "YZ0000004")
	require.Equal(t, 422, code)
	require.Contains(t, fmt.Sprint(v), "cold")
	code, _ = ask("order-00001", "YZ0000002")
	require.Equal(t, 409, code)
	f.lockers[0].Last = now.Add(-time.Hour)
	code, v = ask("order-00006", "YZ0000002")
	require.Equal(t, 422, code)
	require.Contains(t, fmt.Sprint(v), "out of reach")
	require.Len(t, f.orders, 2)
}

// A courier sees of whom a parcel goes to, at the door, as much as it takes to find them; of others nothing.
func TestTheManifestSaysWhatGoesToTheDoor(t *testing.T) {
	_, _, a := runAPI(t)
	code, out := tell(t, a, "GET", "/runs/A1/manifest?day=2026-08-05", "", "")
	require.Equal(t, 200, code)
	items := out["items"].([]any)
	require.Len(t, items, 2)
	counter, home := items[0].(map[string]any), items[1].(map[string]any)
	require.Equal(t, "station", counter["plan"])
	require.NotContains(t, counter, "to")
	require.Equal(t, "home", home["plan"])
	require.Equal(t, map[string]any{"village": "青石村", "name": "王**", "phone": "199****5678"}, home["to"])
}

func TestToTheDoorIsAnAct(t *testing.T) {
	f, r, a := runAPI(t)
	code, out := tell(t, a, "POST", "/run/acts", "application/json", `{"acts":[{"id":"act-00000001","kind":"to_door","actor":"c01","at":"2026-08-05T05:00:00Z","of":"YZ0000002","site":"out-qingshi","vehicle":"v01"},`+
		`{"id":"act-00000002","kind":"to_door","actor":"c01","at":"2026-08-05T05:00:00Z"}]}`)
	require.Equal(t, 200, code, out)
	require.Len(t, r.kept, 1)
	require.Len(t, f.said, 1)
	require.Equal(t, "out_for_delivery", f.said[0].Step)
	require.Equal(t, "v01", f.said[0].Vehicle)
}
