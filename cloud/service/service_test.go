package service_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/service"
	"yizhan/devices/telemetry"
)

func (w *town) token() string {
	w.Helper()
	b, err := os.ReadFile(w.cfg.TokenFile)
	require.NoError(w, err)
	return strings.TrimSpace(string(b))
}

// ask asks with the bearer token; body and answer are JSON.
func (w *town) ask(method, path string, body any) (int, map[string]any) {
	w.Helper()
	return w.askAs("Bearer "+w.token(), method, path, body)
}

func (w *town) askAs(auth, method, path string, body any) (int, map[string]any) {
	w.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(w, err)
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.svc.Addr().String()+path, in)
	require.NoError(w, err)
	r.Header.Set("Content-Type", "application/json")
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	var out map[string]any
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		require.NoError(w, json.NewDecoder(resp.Body).Decode(&out), path)
	}
	return resp.StatusCode, out
}

// Promise 7: every route that the API document names, and every one beside it, is closed without a session.
func TestEveryRouteIsClosed(t *testing.T) {
	w := newTown(t)
	code, doc := w.askAs("", "GET", "/openapi.json", nil)
	require.Equal(t, 200, code, "open on loopback")
	paths := doc["paths"].(map[string]any)
	require.Greater(t, len(paths), 15)
	fill := strings.NewReplacer("{id}", "v01", "{waybill}", "YZ0000001", "{gateway}", "van-01", "{device}", "gps")
	for pattern, item := range paths {
		for method := range item.(map[string]any) {
			method = strings.ToUpper(method)
			code, problem := w.askAs("", method, fill.Replace(pattern), nil)
			require.Equal(t, 401, code, "%s %s", method, pattern)
			require.EqualValues(t, 401, problem["status"])
			if method == "GET" && pattern != "/api/v1/stream" {
				code, _ := w.ask(method, fill.Replace(pattern), nil)
				require.Contains(t, []int{200, 404}, code, pattern)
			}
		}
	}
	for _, path := range []string{"/api", "/api/", "/api/v1/none", "/api/v1/vehicles/", "/api/v1/../v1/vehicles", "//api/v1/vehicles", "/api/v1/%76ehicles"} {
		code, body := w.askAs("", "GET", path, nil)
		require.Contains(t, []int{401, 404}, code, path)
		require.NotContains(t, body, "items")
	}
	code, _ = w.askAs("Bearer wrong", "GET", "/api/v1/vehicles", nil)
	require.Equal(t, 401, code)
}

func TestOpsPages(t *testing.T) {
	w := newTown(t)
	code, health := w.askAs("", "GET", "/healthz", nil)
	require.Equal(t, 200, code)
	require.Equal(t, "ok", health["status"])
	w.board("van-01")
	require.Eventually(t, func() bool {
		_, health := w.askAs("", "GET", "/healthz", nil)
		return health["gateways_connected"] == 1.0 && w.metric("yizhan_ingest_hellos_total") == "1"
	}, time.Minute, 20*time.Millisecond)
	for name, want := range map[string]string{"yizhan_gateways_connected": "1", "yizhan_history_lag_seconds": "0", "yizhan_live_clients": "0", "yizhan_broker_connects_total": "1"} {
		require.Equal(t, want, w.metric(name), name)
	}
	require.NotEmpty(t, w.metric("yizhan_state_frames"))
	require.NotEmpty(t, w.metric("go_goroutines"))
}

// metric is the value of a metric, as text.
func (w *town) metric(name string) string {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), "GET", "http://"+w.svc.Addr().String()+"/metrics", nil)
	require.NoError(w, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// A position on the wire is on the map, in the stream and in the track, once.
func TestAReadingsLife(t *testing.T) {
	w := newTown(t)
	stream := w.stream("")
	stream.until("event: reset")
	b := w.board("van-01")
	b.send(at("gps", 30.5, 103.2, 12, 90))
	b.committed(telemetry.Track)
	stream.until(`"id":"v01"`)
	require.Eventually(t, func() bool {
		_, v := w.ask("GET", "/api/v1/vehicles/v01", nil)
		return v["motion"] == "moving" && v["position"].(map[string]any)["value"].(map[string]any)["lat"] == 30.5
	}, time.Minute, 20*time.Millisecond)
	b.send(at("gps", 30.51, 103.21, 12, 90), climate2())
	b.committed(telemetry.Track)
	require.Eventually(t, func() bool {
		_, f := w.ask("GET", "/api/v1/vehicles/v01/track", nil)
		g, _ := f["geometry"].(map[string]any)
		return g != nil && g["type"] == "LineString" && len(g["coordinates"].([]any)) == 2
	}, time.Minute, 50*time.Millisecond)
	_, d := w.ask("GET", "/api/v1/devices/van-01/gps", nil)
	require.Equal(t, true, d["registered"])
	_, g := w.ask("GET", "/api/v1/gateways/van-01", nil)
	require.Equal(t, true, g["online"])
}

// climate2 rides in the same frame and lane as a position: health.
func climate2() telemetry.Reading {
	return telemetry.New("gps", time.Now(), telemetry.NTP, telemetry.Health{{Name: "rss_bytes", Value: 1}})
}

// An order goes down with a lease, and its outcome comes back as data.
func TestAnOrdersLife(t *testing.T) {
	w := newTown(t)
	order := map[string]any{"id": "order-number-1", "device": "lk-qingshi-1/board", "action": "open_cell", "args": map[string]string{"cell": "7"}}
	code, c := w.ask("POST", "/api/v1/commands", order)
	require.Equal(t, 202, code, c)
	outcome := func(id, want string) func() bool {
		return func() bool {
			_, c = w.ask("GET", "/api/v1/commands/"+id, nil)
			return c["outcome"] == want
		}
	}
	require.Eventually(t, outcome("order-number-1", "refused"), time.Minute, 20*time.Millisecond, "nobody is there")
	require.Equal(t, "unreachable", c["detail"])
	require.NotContains(t, c, "sent")

	b := w.board("lk-qingshi-1")
	order["id"] = "order-number-2"
	code, _ = w.ask("POST", "/api/v1/commands", order)
	require.Equal(t, 202, code)
	var got frame.Command
	select {
	case got = <-b.commands:
	case <-time.After(15 * time.Second):
		require.FailNow(t, "no command")
	}
	require.Equal(t, "board", got.Device)
	require.Equal(t, map[string]string{"cell": "7"}, got.Args)
	require.Equal(t, frame.Boot{1}, got.Boot)
	require.Positive(t, got.LeaseMS)
	require.LessOrEqual(t, got.MonoNS, b.mono())
	_, c = w.ask("GET", "/api/v1/commands/order-number-2", nil)
	require.NotEmpty(t, c["sent"])
	require.NotContains(t, c, "outcome")
	b.send(telemetry.New("board", time.Now(), telemetry.NTP, telemetry.Result{Command: got.ID, Outcome: telemetry.Done, Detail: "opened"}))
	require.Eventually(t, outcome("order-number-2", "done"), time.Minute, 20*time.Millisecond)
	require.NotEmpty(t, c["sent"], "what was noted before stays")
	require.NotEmpty(t, c["answered"])
	code, again := w.ask("POST", "/api/v1/commands", order)
	require.Equal(t, 202, code)
	require.Equal(t, "done", again["outcome"], "the same id replays the first outcome")
	require.Empty(t, b.commands)
}

func TestWaybillsOnTheRealStore(t *testing.T) {
	w := newTown(t)
	stream := w.stream("")
	stream.until("event: reset")
	batch := []map[string]any{
		{"waybill": "YZ2600000001", "site": "out-qingshi", "locker": "lk-qingshi", "epc": "urn:epc:id:sscc:6901234.1234567890"},
		{"waybill": "YZ2600000002", "site": "out-qingshi", "epc": "urn:epc:id:sscc:6901234.1234567890"},
		{"waybill": "no", "site": "out-qingshi"},
	}
	code, v := w.ask("POST", "/api/v1/waybills", batch)
	require.Equal(t, 200, code, v)
	require.Len(t, v["items"], 1)
	refused := v["refused"].([]any)
	require.Len(t, refused, 2)
	require.Equal(t, map[string]any{"index": 1.0, "field": "epc", "reason": refused[0].(map[string]any)["reason"]}, refused[0])
	stream.until(`"waybill":"YZ2600000001"`)
	code, v = w.ask("POST", "/api/v1/waybills", batch[0])
	require.Equal(t, 201, code, "told twice is told once: %v", v)
	other := map[string]any{"waybill": "YZ2600000001", "site": "wh"}
	code, v = w.ask("POST", "/api/v1/waybills", other)
	require.Equal(t, 422, code)
	require.Equal(t, "body[0].waybill", v["errors"].([]any)[0].(map[string]any)["location"])
	for _, q := range []string{"YZ26", "0001", "", "urn:epc:id:sscc:6901234"} {
		_, v = w.ask("GET", "/api/v1/parcels?q="+q, nil)
		require.Len(t, v["items"], 1, q)
	}
	code, v = w.ask("GET", "/api/v1/parcels/YZ2600000001", nil)
	require.Equal(t, 200, code)
	require.Equal(t, "created", v["stage"])
	require.NotNil(t, v["evidence"])
	code, v = w.ask("GET", "/api/v1/parcels?after=garbage", nil)
	require.Equal(t, 422, code, v)
}

// A browser that comes back after the cloud was restarted is told to fetch anew, and to log in again.
func TestRestart(t *testing.T) {
	w := newTown(t)
	b := w.board("van-01")
	b.send(at("gps", 30.5, 103.2, 12, 90))
	b.committed(telemetry.Track)
	stream := w.stream("")
	id := stream.until("id: ")
	old := w.token()
	b.client.Disconnect(0)
	w.stop()
	w.start()
	w.Cleanup(w.stop)
	code, _ := w.askAs("Bearer "+old, "GET", "/api/v1/vehicles", nil)
	require.Equal(t, 401, code, "each start has a fresh token")
	_, v := w.ask("GET", "/api/v1/vehicles/v01", nil)
	require.Equal(t, 30.5, v["position"].(map[string]any)["value"].(map[string]any)["lat"])
	again := w.stream(strings.TrimSpace(strings.TrimPrefix(id, "id: ")))
	again.until("event: reset")
}

func TestABrowsersLogin(t *testing.T) {
	w := newTown(t)
	base, fragment, ok := strings.Cut(w.svc.Link(), "#token=")
	require.True(t, ok)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &http.Client{Jar: jar}
	post, err := c.Post(base+"session", "application/json", strings.NewReader(fmt.Sprintf(`{"token":%q}`, fragment)))
	require.NoError(t, err)
	post.Body.Close()
	require.Equal(t, 204, post.StatusCode)
	resp, err := c.Get(base + "api/v1/vehicles")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
}

func TestWhatCannotOpenIsClosedAgain(t *testing.T) {
	w := newTown(t)
	for name, change := range map[string]func(*service.Config){
		"port taken":   func(c *service.Config) { c.Listen = w.svc.Addr().String() },
		"no county":    func(c *service.Config) { c.County = w.dir },
		"no key":       func(c *service.Config) { c.MQTT.Key = filepath.Join(w.dir, "none") },
		"no history":   func(c *service.Config) { c.History = "influx+http://" },
		"no token":     func(c *service.Config) { c.Demo, c.TokenFile = false, filepath.Join(w.dir, "none") },
		"ops is taken": func(c *service.Config) { c.Ops = w.svc.Addr().String() },
	} {
		cfg := w.cfg
		cfg.State = "sqlite:" + filepath.Join(t.TempDir(), "other.db")
		cfg.TokenFile = filepath.Join(t.TempDir(), "token")
		change(&cfg)
		_, err := service.New(t.Context(), cfg, service.Env{})
		require.Error(t, err, name)
	}
}

func TestToolFrame(t *testing.T) {
	out := tool(t, "frame", filepath.Join("..", "..", "broker", "frame", "testdata", "v1.frame"))
	var f struct {
		Gateway string
		Records []struct{ Type string }
	}
	require.NoError(t, json.Unmarshal(out, &f))
	require.NotEmpty(t, f.Gateway)
	require.NotEmpty(t, f.Records)
	for _, args := range [][]string{{"frame"}, {"ca"}, {"ca", "init"}, {"ca", "sign", "x"}, {"ca", "server", "x"}, {"ca", "burn", "x"}} {
		require.ErrorIs(t, service.Tool(args, io.Discard), service.ErrUsage, args)
	}
	require.Error(t, service.Tool([]string{"frame", filepath.Join(t.TempDir(), "none")}, io.Discard))
	require.Error(t, service.Tool([]string{"frame", "service_test.go"}, io.Discard))
}

// events reads a stream line by line.
type events struct {
	t    *testing.T
	line chan string
}

func (w *town) stream(lastID string) *events {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	w.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+w.svc.Addr().String()+"/api/v1/stream", nil)
	require.NoError(w, err)
	r.Header.Set("Authorization", "Bearer "+w.token())
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w, err)
	require.Equal(w, 200, resp.StatusCode)
	e := &events{w.T, make(chan string, 1000)}
	go func() {
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			e.line <- in.Text()
		}
		close(e.line)
	}()
	return e
}

// until waits for a line with want in it.
func (e *events) until(want string) string {
	e.t.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case l, ok := <-e.line:
			require.True(e.t, ok, "stream ended before %s", want)
			if strings.Contains(l, want) {
				return l
			}
		case <-late:
			require.FailNow(e.t, "not in the stream", want)
		}
	}
}
