package status_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/gateway/internal/status"
)

func report() status.Report {
	years := 12.5
	return status.Report{
		Gateway: "van-03", Version: `v1 "x"`, OK: true, UptimeS: 61, Clock: status.Clock{TQ: "ntp"},
		Parts:    []status.Part{{Name: "spool", OK: true}},
		Devices:  []status.Device{{ID: "gps", Kind: "gnss", Status: "waiting", Restarts: 3, Err: "no such port", Counters: map[string]uint64{"frames_ok": 9, "bad_checksum": 1}}},
		Uplink:   status.Uplink{State: "connected", LastAckS: 2},
		Spool:    status.Spool{Bytes: 4096, MaxBytes: 1 << 30, Pending: map[string]uint64{"track": 5, "custody": 0}, Fill: 0.25, OldestS: 90, Mirror: "lost", SyncsPerHour: 120},
		Card:     &status.Card{Device: "mmcblk0", WrittenBytes: 5e9, WrittenPerHour: 2e7, LifeYears: &years},
		Counters: []status.Counters{{Room: "uplink", Values: map[string]uint64{"frames": 7}}},
		Gauges:   map[string]float64{"rss_bytes": 1.5e7},
	}
}

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func TestHealthz(t *testing.T) {
	r := report()
	h := status.Handler(func() status.Report { return r })
	w := get(t, h, http.MethodGet, "/healthz")
	require.Equal(t, http.StatusOK, w.Code)
	var got status.Report
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, r.Devices, got.Devices)
	require.Equal(t, r.Spool, got.Spool)
	r.OK = false
	require.Equal(t, http.StatusServiceUnavailable, get(t, h, http.MethodGet, "/healthz").Code)
	require.Equal(t, http.StatusNotFound, get(t, h, http.MethodGet, "/debug/pprof/").Code)
	require.Equal(t, http.StatusMethodNotAllowed, get(t, h, http.MethodPost, "/healthz").Code)
}

func TestMetricsAreInThePrometheusFormat(t *testing.T) {
	w := get(t, status.Handler(report), http.MethodGet, "/metrics")
	sample := regexp.MustCompile(`^[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? [-+.e0-9]+$`)
	types := map[string]bool{}
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		if f := strings.Fields(line); f[0] == "#" {
			if f[1] == "TYPE" {
				require.False(t, types[f[2]], "%s is a family twice", f[2])
				types[f[2]] = true
			}
			continue
		}
		require.Regexp(t, sample, line)
		require.True(t, types[regexp.MustCompile(`^[a-z_]+`).FindString(line)], line)
	}
	for _, want := range []string{
		`yizhan_info{gateway="van-03",version="v1 \"x\""} 1`, `yizhan_device_events_total{device="gps",kind="gnss",event="frames_ok"} 9`,
		`yizhan_events_total{room="uplink",event="frames"} 7`, `yizhan_spool_pending{lane="track"} 5`, `yizhan_process{name="rss_bytes"} 1.5e+07`,
		`yizhan_device_up{device="gps",kind="gnss"} 0`, `yizhan_spool_fill_ratio 0.25`, `yizhan_spool_oldest_seconds 90`,
		`yizhan_spool_mirror_up 0`, `yizhan_spool_syncs_per_hour 120`, `yizhan_card_written_bytes_total{device="mmcblk0"} 5e+09`,
		`yizhan_card_life_years{device="mmcblk0"} 12.5`,
	} {
		require.Contains(t, w.Body.String(), want+"\n")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- status.Serve(ctx, ln, slog.New(slog.DiscardHandler), report) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ln.Addr().String()+"/metrics", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(b), "yizhan_up 1")
	cancel()
	require.NoError(t, <-ended)
}

func TestMetricsTellOfTheCollector(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, status.WriteMetrics(&b, status.Report{}))
	require.Regexp(t, `(?m)^yizhan_go_allocs_total [1-9]`, b.String())
	require.Regexp(t, `(?m)^yizhan_go_gc_total \d`, b.String())
}
