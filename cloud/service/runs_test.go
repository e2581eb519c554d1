package service_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/code128"
	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// label draws the Code 128 of a waybill on white paper, as a phone's camera would see it.
func label(t *testing.T, waybill string) string {
	t.Helper()
	code, err := code128.Encode(waybill)
	require.NoError(t, err)
	bars, err := barcode.Scale(code, 3*code.Bounds().Dx(), 160)
	require.NoError(t, err)
	paper := image.NewRGBA(image.Rect(0, 0, bars.Bounds().Dx()+240, 640))
	draw.Draw(paper, paper.Bounds(), image.NewUniform(color.RGBA{236, 232, 222, 255}), image.Point{}, draw.Src)
	draw.Draw(paper, bars.Bounds().Add(image.Pt(120, 220)), bars, image.Point{}, draw.Src)
	file := filepath.Join(t.TempDir(), "label.png")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, paper))
	require.NoError(t, f.Close())
	return file
}

// rounds gives a run its parcels and its locker a board, which opens what it is ordered to.
func (w *town) rounds() (answer func(context.Context)) {
	w.Helper()
	var rows []map[string]any
	for i := range 6 {
		row := map[string]any{"waybill": "YZ260000000" + strconv.Itoa(i+1), "site": "out-qingshi", "size": "m", "consent": "yes"}
		if i == 3 {
			row["consent"] = "no"
		}
		row["hold"] = i == 5
		rows = append(rows, row)
	}
	code, v := w.ask("POST", "/api/v1/waybills", rows)
	require.Equal(w, 201, code, v)
	code, v = w.ask("PUT", "/api/v1/containers/bag-7", map[string]any{"kind": "bag"})
	require.Equal(w, 200, code, v)
	resp, body := w.fetch("POST", "/api/v1/runs/import", "text/csv", "班次,站点,发车,车辆,名称\nA1,wh,8:30,v03,上午线\nA1,青石服务站,9:10,v03,\nB1,wh,9:00,v09,\n")
	require.Equal(w, 200, resp.StatusCode, body)
	require.Contains(w, body, `"line":4,"field":"vehicle"`)
	lk := w.board("lk-qingshi-1")
	for n := range 24 {
		lk.send(cell("board", n+1, telemetry.CellClosed, false))
	}
	lk.committed(telemetry.Custody)
	return func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-lk.commands:
				n, _ := strconv.Atoi(c.Args["cell"])
				lk.send(telemetry.New("board", time.Now(), telemetry.NTP, telemetry.Result{Command: c.ID, Outcome: telemetry.Done, Detail: "opened"}))
				lk.send(cell("board", n, telemetry.CellOpened, false))
				select { // somebody puts it in
				case <-ctx.Done():
				case <-time.After(4 * time.Second):
				}
				lk.send(cell("board", n, telemetry.CellDeposited, true))
			}
		}
	}
}

// A courier's morning in Chromium, half of it without a link, in two tabs; everything is in the database once. SHOTS names a folder
// that keeps the screenshots.
func TestE2ERun(t *testing.T) {
	w := newTown(t)
	answer := w.rounds()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	var wg sync.WaitGroup
	wg.Go(func() { answer(ctx) })
	defer func() { cancel(); wg.Wait() }()
	shots := os.Getenv("SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	link := strings.Replace(w.svc.Link(), "/#", "/run/#", 1)
	out, err := exec.CommandContext(ctx, "node", filepath.Join("..", "ui", "test", "run.mjs"), link, shots, label(t, "YZ2600000002")).CombinedOutput()
	require.NoError(t, err, "needs make ui, node and chromium: %s", out)
	t.Logf("%s", out)

	db, err := sql.Open("sqlite", "file:"+w.dir+"/state.db?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	count := func(query string, args ...any) (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), query, args...).Scan(&n))
		return n
	}
	for kind, want := range map[string]int{"sign_on": 1, "load": 3, "deposit": 2, "unload": 1, "pack": 1, "refuse": 1, "count": 1} {
		require.Equal(t, want, count("select count(*) from acts where kind = $1", kind), kind)
	}
	require.Equal(t, 7, count("select count(*) from evidence where kind = 'person' and subject like 'parcel/%'"), "three loaded, two deposited, one unloaded, one refused")
	require.Equal(t, 1, count("select count(*) from evidence where kind = 'person' and step = 'in_locker' and subject = 'parcel/YZ2600000002'"))
	require.Equal(t, 1, count("select count(*) from photos"))
	require.Equal(t, 1, count("select count(*) from commands"), "one cell was opened")
	_, p := w.ask("GET", "/api/v1/parcels/YZ2600000002", nil)
	require.Equal(t, "in_locker", p["stage"])
	require.EqualValues(t, 15, p["cell"])
	_, p = w.ask("GET", "/api/v1/parcels/YZ2600000001", nil)
	require.Equal(t, "in_locker", p["stage"])
	require.EqualValues(t, 13, p["cell"], "the smallest that fits")
	_, b := w.ask("GET", "/api/v1/containers/bag-7", nil)
	require.Len(t, b["contents"], 1)
	_, x := w.ask("GET", "/api/v1/exceptions?cause=count_differs", nil)
	require.Len(t, x["items"], 1)
	_, acts := w.ask("GET", "/api/v1/run/acts?site=out-qingshi", nil)
	for _, a := range acts["items"].([]any) {
		if a := a.(map[string]any); a["kind"] == "refuse" {
			resp, _ := w.fetch("GET", "/api/v1/run/photos/"+a["id"].(string), "", "")
			require.Equal(t, "image/jpeg", resp.Header.Get("Content-Type"))
		}
	}
}

// By https the console and the courier's page come with cookies that no plain line carries, and HTTP/2.
func TestTheConsoleByHTTPS(t *testing.T) {
	w := newTown(t)
	w.stop()
	w.cfg.TLS.Cert, w.cfg.TLS.Key = filepath.Join(w.dir, "ca", "server.crt"), filepath.Join(w.dir, "ca", "server.key")
	w.start()
	t.Cleanup(func() { w.stop() })
	link := w.svc.Link()
	require.True(t, strings.HasPrefix(link, "https://"), link)
	base, _, _ := strings.Cut(link, "/#")
	root, err := os.ReadFile(filepath.Join(w.dir, "ca", "ca.crt"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(root))
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	do := func(method, url, body string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	page := do("GET", base+"/run/", "")
	require.Equal(t, 2, page.ProtoMajor)
	require.Contains(t, page.Header.Get("Permissions-Policy"), "camera=(self)")
	require.Contains(t, do("GET", base+"/", "").Header.Get("Permissions-Policy"), "camera=()")
	in := do("POST", base+"/session", `{"token":"`+w.token()+`"}`)
	require.Equal(t, 204, in.StatusCode)
	require.True(t, in.Cookies()[0].Secure)
	require.Equal(t, 400, do("GET", strings.Replace(base, "https://", "http://", 1)+"/", "").StatusCode, "nothing is told by http")
	require.Equal(t, 401, do("GET", base+"/api/v1/run/kit", "").StatusCode)
}
