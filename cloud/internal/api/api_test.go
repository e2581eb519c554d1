package api_test

import (
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
	"yizhan/devices/telemetry"
)

var now = time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)

func registry() *county.Registry {
	return &county.Registry{
		Name: county.Text{ZH: "云岭县", EN: "Yunling County"}, Note: county.Text{ZH: "虚构", EN: "fictional"}, Timezone: "Asia/Shanghai",
		Sites:    []county.Site{{ID: "wh", Kind: "warehouse"}, {ID: "out-qingshi", Kind: "outlet", Lat: 30.4, Lon: 103.4}},
		Lockers:  []county.Locker{{ID: "lk-qingshi", Site: "out-qingshi", Cells: make([]county.Cell, 12)}},
		Bindings: map[string]string{"lk-qingshi-1/board": "locker/lk-qingshi", "van-01/gps": "vehicle/v01"},
	}
}

func newAPI(t *testing.T) (*fake, *api.API) {
	t.Helper()
	speed := 9.0
	f := &fake{orders: map[string]county.Command{}}
	f.vehicles = []county.Vehicle{{ID: "v01", Plate: "岭A·20311", Version: 3, Position: &county.Live[county.Position]{
		Value: county.Position{Lat: 30.5, Lon: 103.2, SpeedMPS: &speed}, At: now.Add(-7 * time.Second), TQ: telemetry.GNSS,
	}}}
	f.lockers = []county.Locker{{ID: "lk-qingshi", Last: now}}
	f.boxes = []county.ColdBox{{ID: "cb-v01", MinC: 2, MaxC: 8}}
	f.boards = []county.Gateway{{ID: "van-01"}}
	f.devices = []county.Device{{ID: "van-01/gps", Last: map[string]*county.Live[county.LastBody]{"position": {Value: county.RawJSON(`{"lat":30.5}`), At: now.Add(-time.Minute), TQ: telemetry.GNSS}}}}
	for i := range 5 {
		f.parcels = append(f.parcels, county.Parcel{Waybill: county.Waybill{Waybill: fmt.Sprintf("YZ000000%d", i), Site: "out-qingshi"}, Stage: county.InLocker, Since: now})
	}
	return f, api.New(api.Config{
		Store: f, History: f, Desk: f, Persons: f, Outlets: f, Registry: registry(), Map: []byte(`{"type":"FeatureCollection","features":[]}`), Demo: true, Speed: 12,
		Stream: http.NotFoundHandler(), Version: "test", Busy: errBusy, Conflict: errConflict, Cursor: errCursor, Now: func() time.Time { return now },
	})
}

func ask(t *testing.T, h http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var v map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), "%s %s: %s", method, path, w.Body)
	if w.Code >= 400 {
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	}
	require.NotEmpty(t, w.Header().Get("Cache-Control"))
	return w.Code, v
}

func TestLiveValuesCarryTheirAge(t *testing.T) {
	_, a := newAPI(t)
	code, v := ask(t, a, "GET", "/api/v1/vehicles/v01", "")
	require.Equal(t, 200, code)
	require.Equal(t, "moving", v["motion"])
	p := v["position"].(map[string]any)
	require.EqualValues(t, 7, p["age_s"])
	require.Equal(t, "gnss", p["tq"])
	require.Equal(t, "2026-08-05T05:59:53Z", p["at"])
	require.NotContains(t, v, "$schema")
	code, v = ask(t, a, "GET", "/api/v1/devices/van-01/gps", "")
	require.Equal(t, 200, code)
	last := v["last"].(map[string]any)["position"].(map[string]any)
	require.EqualValues(t, 60, last["age_s"])
	require.EqualValues(t, 30.5, last["value"].(map[string]any)["lat"])
}

func TestEveryListAndItemAnswers(t *testing.T) {
	_, a := newAPI(t)
	for path, id := range map[string]string{"vehicles": "v01", "lockers": "lk-qingshi", "coldboxes": "cb-v01", "gateways": "van-01", "devices": "van-01/gps", "parcels": "YZ0000001"} {
		code, v := ask(t, a, "GET", "/api/v1/"+path, "")
		require.Equal(t, 200, code, path)
		require.NotEmpty(t, v["items"], path)
		require.Contains(t, v, "next", path)
		code, _ = ask(t, a, "GET", "/api/v1/"+path+"/"+id, "")
		require.Equal(t, 200, code, path)
		code, v = ask(t, a, "GET", "/api/v1/"+path+"/"+strings.Replace(id, "0", "9", 1), "")
		require.Contains(t, []int{404, 200}, code)
		if code == 404 {
			require.Contains(t, v["detail"], "has the id")
		}
	}
	code, v := ask(t, a, "GET", "/api/v1/vehicles/nobody", "")
	require.Equal(t, 404, code)
	require.Contains(t, v["detail"], "no vehicle has the id nobody")
	code, v = ask(t, a, "GET", "/api/v1/about", "")
	require.Equal(t, 200, code)
	require.EqualValues(t, 12, v["speed"])
	require.Equal(t, "2026-08-05T06:00:00Z", v["time"])
}

func TestLedgerOfABoard(t *testing.T) {
	_, a := newAPI(t)
	code, v := ask(t, a, "GET", "/api/v1/gateways/van-01/ledger", "")
	require.Equal(t, 200, code)
	require.EqualValues(t, 9, v["produced"])
	require.EqualValues(t, 1, v["unexplained"])
	lane := v["lanes"].([]any)[0].(map[string]any)
	require.Equal(t, "0000000000000007", lane["epoch"])
	require.EqualValues(t, 2, lane["dropped"])
	require.Equal(t, []any{map[string]any{"from": 3.0, "to": 3.0}}, lane["holes"])
	require.Equal(t, "lane_full", lane["drops"].([]any)[0].(map[string]any)["reason"])
	code, v = ask(t, a, "GET", "/api/v1/gateways/nobody/ledger", "")
	require.Equal(t, 404, code)
	require.Contains(t, v["detail"], "no gateway has the id nobody")
	doc, err := a.OpenAPI()
	require.NoError(t, err)
	require.Contains(t, string(doc), "/api/v1/gateways/{id}/ledger")
	require.Contains(t, string(doc), "unexplained")
}

func TestWrongQuestionsNameTheField(t *testing.T) {
	_, a := newAPI(t)
	for path, want := range map[string]string{
		"/api/v1/vehicles/V%2001":                              "path.id",
		"/api/v1/parcels?limit=0":                              "query.limit",
		"/api/v1/parcels?limit=many":                           "query.limit",
		"/api/v1/parcels?q=" + strings.Repeat("x", 81):         "query.q",
		"/api/v1/vehicles/v01/track?from=yesterday":            "query.from",
		"/api/v1/vehicles/v01/track?from=2026-08-06T00:00:00Z": "query.from",
		"/api/v1/vehicles/v01/track?from=2020-08-06T00:00:00Z": "query.from",
		"/api/v1/vehicles?what=ever":                           "query.what",
	} {
		code, v := ask(t, a, "GET", path, "")
		require.Equal(t, 422, code, path)
		errs := v["errors"].([]any)
		require.Equal(t, want, errs[0].(map[string]any)["location"], path)
	}
}

func TestPaging(t *testing.T) {
	f, a := newAPI(t)
	seen := 0
	after := ""
	for range 10 {
		_, v := ask(t, a, "GET", "/api/v1/parcels?limit=2&after="+after, "")
		seen += len(v["items"].([]any))
		if after = v["next"].(string); after == "" {
			break
		}
	}
	require.Equal(t, 5, seen)
	f.broken = errCursor
	code, v := ask(t, a, "GET", "/api/v1/parcels?after=garbage", "")
	require.Equal(t, 422, code)
	require.Equal(t, "query.after", v["errors"].([]any)[0].(map[string]any)["location"])
	f.broken = nil
	_, v = ask(t, a, "GET", "/api/v1/parcels?q=nothing", "")
	require.Equal(t, []any{}, v["items"], "an empty list is a list")
}

func TestTrack(t *testing.T) {
	f, a := newAPI(t)
	_, v := ask(t, a, "GET", "/api/v1/vehicles/v01/track", "")
	require.Nil(t, v["geometry"])
	require.Equal(t, [2]time.Time{now.Add(-30 * time.Minute), now}, f.asked)
	f.fixes = []api.Fix{{At: now, Lat: 30, Lon: 103}}
	_, v = ask(t, a, "GET", "/api/v1/vehicles/v01/track", "")
	require.Equal(t, "Point", v["geometry"].(map[string]any)["type"])
	f.fixes = append(f.fixes, api.Fix{At: now, Lat: 31, Lon: 104})
	_, v = ask(t, a, "GET", "/api/v1/vehicles/v01/track?from=2026-08-05T01:00:00%2B08:00&to=2026-08-05T02:00:00Z", "")
	g := v["geometry"].(map[string]any)
	require.Equal(t, "LineString", g["type"])
	require.Equal(t, []any{103.0, 30.0}, g["coordinates"].([]any)[0], "longitude first")
	require.Len(t, v["properties"].(map[string]any)["times"], 2)
	code, v := ask(t, a, "GET", "/api/v1/coldboxes/cb-v01/climate", "")
	require.Equal(t, 200, code)
	require.Equal(t, []any{}, v["items"])
}

func TestAStoreThatFailsIsNotQuoted(t *testing.T) {
	f, a := newAPI(t)
	f.broken = errors.New("password=hunter2")
	for _, path := range []string{"/vehicles", "/vehicles/v01", "/vehicles/v01/track", "/parcels", "/parcels/YZ0000001", "/commands", "/devices", "/gateways/van-01", "/coldboxes/cb-v01/climate"} {
		code, v := ask(t, a, "GET", "/api/v1"+path, "")
		require.Equal(t, 503, code, path)
		require.NotContains(t, fmt.Sprint(v), "hunter2")
	}
}

func TestWaybills(t *testing.T) {
	f, a := newAPI(t)
	code, v := ask(t, a, "POST", "/api/v1/waybills", `{"waybill":"YZ1234567","site":"out-qingshi","locker":"lk-qingshi","handling":"chilled","epc":"urn:epc:id:sscc:6901234.1234567890"}`)
	require.Equal(t, 201, code, v)
	require.Len(t, v["items"], 1)
	require.Equal(t, []any{}, v["refused"])
	require.Equal(t, "urn:epc:id:sscc:6901234.1234567890", f.parcels[5].EPC)

	batch := []string{
		`{"waybill":"YZ1000001","site":"out-qingshi"}`,
		`{"waybill":"x","site":"out-qingshi"}`,
		`{"waybill":"YZ1000002","site":"nowhere"}`,
		`{"waybill":"YZ1000003","site":"wh","locker":"lk-qingshi"}`,
		`{"waybill":"YZ1000004","site":"wh","locker":"lk-none"}`,
		`{"waybill":"YZ1000001","site":"wh"}`,
		`{"waybill":"YZ1000005","site":"wh","epc":"hello"}`,
		`{"waybill":"YZ1000006","site":"wh","handling":"gently"}`,
		`{"waybill":"YZ1000007","site":"wh","phone":"138"}`,
		`{"waybill":"YZ1000008"}`,
		`null`,
		`{"waybill":"YZ1000009","site":"wh","epc":"abcd0001"}`,
		`{"waybill":"YZ1000010","site":"wh","epc":"abcd0002"}`,
	}
	code, v = ask(t, a, "POST", "/api/v1/waybills", "["+strings.Join(batch, ",")+"]")
	require.Equal(t, 200, code, v)
	require.Len(t, v["items"], 2)
	want := []struct {
		index int
		field string
	}{{1, "waybill"}, {2, "site"}, {3, "locker"}, {4, "locker"}, {5, "waybill"}, {6, "epc"}, {7, "handling"}, {8, "phone"}, {9, "site"}, {10, ""}, {11, "epc"}}
	refused := v["refused"].([]any)
	require.Len(t, refused, len(want))
	for i, w := range want {
		r := refused[i].(map[string]any)
		require.EqualValues(t, w.index, r["index"])
		field, _ := r["field"].(string)
		require.Equal(t, w.field, field, r)
		require.NotEmpty(t, r["reason"])
	}
	require.Equal(t, "ABCD0002", f.parcels[len(f.parcels)-1].EPC)

	code, v = ask(t, a, "POST", "/api/v1/waybills", `{"waybill":"x","site":"wh"}`)
	require.Equal(t, 422, code)
	require.Equal(t, "body[0].waybill", v["errors"].([]any)[0].(map[string]any)["location"])
	for _, body := range []string{`[]`, `[` + strings.Repeat(`{},`, 1000) + `{}]`, `{`, `7`, `"x"`, `[[1]]`} {
		code, _ := ask(t, a, "POST", "/api/v1/waybills", body)
		require.Contains(t, []int{400, 422}, code, "%.20s", body)
	}
	code, _ = ask(t, a, "POST", "/api/v1/waybills", `["`+strings.Repeat("x", 2<<20)+`"]`)
	require.Equal(t, 413, code)
}

func TestCommands(t *testing.T) {
	f, a := newAPI(t)
	code, v := ask(t, a, "POST", "/api/v1/commands", `{"device":"lk-qingshi-1/board","action":"open_cell","args":{"cell":"7"}}`)
	require.Equal(t, 202, code, v)
	require.Equal(t, "made", v["id"])
	code, v = ask(t, a, "GET", "/api/v1/commands/made", "")
	require.Equal(t, 200, code)
	require.Equal(t, "open_cell", v["action"])
	_, v = ask(t, a, "GET", "/api/v1/commands", "")
	require.Len(t, v["items"], 1)
	_, v = ask(t, a, "GET", "/api/v1/commands?device=lk-qingshi-1/board", "")
	require.Len(t, v["items"], 1)
	_, v = ask(t, a, "GET", "/api/v1/commands?device=lk-beixi-1/board", "")
	require.Empty(t, v["items"])
	code, _ = ask(t, a, "GET", "/api/v1/commands?device=board", "")
	require.Equal(t, 422, code)
	f.orders["made"] = county.Command{ID: "made", Device: "lk-qingshi-1/board", Action: "open_cell", Door: []county.DoorStep{{Step: "not_opened", Cell: 7, At: now, TQ: telemetry.Retro, ErrMS: 90, WaitedS: 30}}}
	_, v = ask(t, a, "GET", "/api/v1/commands/made", "")
	step := v["door"].([]any)[0].(map[string]any)
	require.Equal(t, "not_opened retro 30 90", fmt.Sprint(step["step"], " ", step["tq"], " ", step["waited_s"], " ", step["te_ms"]))
	for body, want := range map[string]string{
		`{"device":"lk-qingshi-1/board","action":"open_cell","args":{"cell":"13"}}`: "body.args.cell",
		`{"device":"lk-qingshi-1/board","action":"open_cell","args":{"cell":"07"}}`: "body.args.cell",
		`{"device":"lk-qingshi-1/board","action":"open_cell"}`:                      "body.args.cell",
		`{"device":"van-01/gps","action":"open_cell","args":{"cell":"1"}}`:          "body.device",
		`{"device":"van-01/none","action":"restart"}`:                               "body.device",
		`{"device":"van-01","action":"restart"}`:                                    "body.device",
		`{"device":"van-01/gps","action":"explode"}`:                                "body.action",
		`{"device":"van-01/gps","action":"restart","id":"../x"}`:                    "body.id",
		`{"device":"van-01/gps","action":"restart","hurry":true}`:                   "body.hurry",
	} {
		code, v := ask(t, a, "POST", "/api/v1/commands", body)
		require.Equal(t, 422, code, body)
		require.Equal(t, want, v["errors"].([]any)[0].(map[string]any)["location"], body)
	}
	require.Len(t, f.orders, 1)
	code, _ = ask(t, a, "POST", "/api/v1/commands", `{"device":"van-01/gps","action":"restart","id":"busy-busy"}`)
	require.Equal(t, 503, code)
	code, _ = ask(t, a, "POST", "/api/v1/commands", `{"device":"van-01/gps","action":"restart","id":"conflict-1"}`)
	require.Equal(t, 409, code)
}

func TestMap(t *testing.T) {
	_, a := newAPI(t)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/map", nil)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	require.Equal(t, "application/geo+json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), `"site/out-qingshi"`)
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	a.ServeHTTP(w, r)
	require.Equal(t, 304, w.Code)
	require.Empty(t, w.Body.Bytes())
	require.NoError(t, api.CheckMap(nil))
	require.Error(t, api.CheckMap([]byte(`{"type":"Feature"}`)))
	require.Error(t, api.CheckMap([]byte(`<html>`)))
}

func TestOpenAPI(t *testing.T) {
	_, a := newAPI(t)
	b, err := a.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	require.NoError(t, json.Unmarshal(b, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	for _, p := range []string{"/vehicles/{id}/track", "/parcels/{waybill}", "/devices/{gateway}/{device}", "/stream", "/map", "/waybills"} {
		require.Contains(t, doc.Paths, api.Prefix+p)
	}
	require.Contains(t, string(b), `"pattern": "^[A-Z0-9-]{6,32}$"`)
	require.Greater(t, len(a.Routes()), 20)
}
