package status

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	runmetrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/devices"
)

// Report is how a gateway is at one moment.
type Report struct {
	Gateway  string             `json:"gateway"`
	Version  string             `json:"version"`
	OK       bool               `json:"ok"`
	Degraded []string           `json:"degraded,omitempty"` // what is not as it should be, in words
	UptimeS  int64              `json:"uptime_s"`
	Boot     string             `json:"boot"`
	Clock    Clock              `json:"clock"`
	Parts    []Part             `json:"parts"`
	Devices  []Device           `json:"devices"`
	Uplink   Uplink             `json:"uplink"`
	Spool    Spool              `json:"spool"`
	Card     *Card              `json:"card,omitempty"` // nil where the kernel doesn't say
	Gauges   map[string]float64 `json:"gauges"`         // of the process: rss_bytes, goroutines
	Counters []Counters         `json:"-"`              // of the rooms; in /metrics only
}

// Clock is the gateway's idea of time.
type Clock struct {
	Now string `json:"now,omitempty"`
	TQ  string `json:"tq"`
}

// Part is a vital part of the gateway.
type Part struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Err  string `json:"err,omitempty"`
}

// Device is a driver.
type Device struct {
	ID       string             `json:"id"`
	Kind     string             `json:"kind"`
	Status   string             `json:"status"`
	ForS     int64              `json:"for_s"`
	Restarts uint64             `json:"restarts"`
	Panics   uint64             `json:"panics"`
	Err      string             `json:"err,omitempty"`
	Counters map[string]uint64  `json:"counters,omitempty"`
	LastBad  []devices.BadFrame `json:"last_bad,omitempty"` // input that was thrown away last, for support
}

// Uplink is the connection to the cloud.
type Uplink struct {
	State    string `json:"state"`
	ForS     int64  `json:"for_s"`
	Err      string `json:"err,omitempty"`
	Conn     uint64 `json:"conn"`
	LastAckS int64  `json:"last_ack_s"`             // seconds since; -1 when there was none
	Month    string `json:"month,omitempty"`        // UTC, 2026-11; absent while no time is known
	Bytes    int64  `json:"month_bytes"`            // sent and received in it, headers included
	Budget   int64  `json:"budget_bytes,omitempty"` // what the month may have
}

// Spool is what is on the card.
type Spool struct {
	Bytes    uint64            `json:"bytes"`
	MaxBytes uint64            `json:"max_bytes"`
	Pending  map[string]uint64 `json:"pending"` // records not acknowledged by the cloud, by lane

	HeldBytes int64   `json:"held_bytes"`       // of segments of which something waits for the cloud
	KeptBytes int64   `json:"kept_bytes"`       // of committed ones; they go when room is needed
	Fill      float64 `json:"fill"`             // held of max, 0 to 1
	Waiting   uint64  `json:"waiting"`          // records that wait for the cloud
	OldestS   int64   `json:"oldest_s"`         // age of the oldest of them
	Thinned   bool    `json:"thinned"`          // so little room that positions and climate are thinned
	Damaged   uint64  `json:"damaged"`          // records lost to damage of the card since the start
	Mirror    string  `json:"mirror,omitempty"` // ok, lost; absent: none is wanted

	WrittenPerHour uint64 `json:"written_bytes_per_hour"` // by the spool, in the last full hour
	SyncsPerHour   uint64 `json:"syncs_per_hour"`
}

// Card is the device under the spool, with all that is written to it.
type Card struct {
	Device         string   `json:"device"`
	WrittenBytes   float64  `json:"written_bytes"`          // since the board was started
	WrittenPerHour float64  `json:"written_bytes_per_hour"` // on average since then
	LifeYears      *float64 `json:"life_years,omitempty"`   // at that rate, when the config says what it stands
}

// Counters is the counters of one room.
type Counters struct {
	Room   string
	Values map[string]uint64
}

const maxRequests = 16

// Handler serves report.
func Handler(report func() Report) http.Handler {
	mux := http.NewServeMux()
	slots := make(chan struct{}, maxRequests)
	page := func(pattern string, write func(w http.ResponseWriter, r Report)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				write(w, report())
			default:
				http.Error(w, "too many requests", http.StatusServiceUnavailable)
			}
		})
	}
	page("GET /healthz", func(w http.ResponseWriter, r Report) {
		w.Header().Set("Content-Type", "application/json")
		if !r.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(r) // the other side went away
	})
	page("GET /metrics", func(w http.ResponseWriter, r Report) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = WriteMetrics(w, r)
	})
	return mux
}

// Serve serves report on ln until ctx ends.
func Serve(ctx context.Context, ln net.Listener, log *slog.Logger, report func() Report) error {
	s := &http.Server{
		Handler: Handler(report), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// WriteMetrics writes r in the Prometheus text format.
func WriteMetrics(to io.Writer, r Report) error {
	w := &metrics{Writer: bufio.NewWriter(to)}
	gw := []string{"gateway", r.Gateway}
	w.family("yizhan_info", "gauge", "The program's version.")
	w.value("yizhan_info", 1, append(gw, "version", r.Version)...)
	w.family("yizhan_up", "gauge", "1 while every vital part runs.")
	w.value("yizhan_up", b2f(r.OK))
	w.family("yizhan_uptime_seconds", "gauge", "Since the program started.")
	w.value("yizhan_uptime_seconds", float64(r.UptimeS))
	w.family("yizhan_part_up", "gauge", "1 while the part runs.")
	for _, p := range r.Parts {
		w.value("yizhan_part_up", b2f(p.OK), "part", p.Name)
	}
	w.family("yizhan_clock_quality", "gauge", "1 for the quality of the gateway's time.")
	w.value("yizhan_clock_quality", 1, "tq", r.Clock.TQ)
	w.family("yizhan_uplink_connected", "gauge", "1 while connected to the cloud.")
	w.value("yizhan_uplink_connected", b2f(r.Uplink.State == "connected"))
	w.family("yizhan_uplink_month_bytes", "gauge", "Sent and received in the calendar month, headers of TCP/IP included.")
	w.value("yizhan_uplink_month_bytes", float64(r.Uplink.Bytes))
	w.family("yizhan_uplink_budget_bytes", "gauge", "What the month may have, 0 without an end.")
	w.value("yizhan_uplink_budget_bytes", float64(r.Uplink.Budget))
	w.family("yizhan_spool_bytes", "gauge", "Size of the segments on the card.")
	w.value("yizhan_spool_bytes", float64(r.Spool.Bytes))
	w.family("yizhan_spool_max_bytes", "gauge", "What they may grow to.")
	w.value("yizhan_spool_max_bytes", float64(r.Spool.MaxBytes))
	w.family("yizhan_spool_pending", "gauge", "Records not acknowledged by the cloud.")
	for _, l := range slices.Sorted(maps.Keys(r.Spool.Pending)) {
		w.value("yizhan_spool_pending", float64(r.Spool.Pending[l]), "lane", l)
	}
	writeSpool(w, &r)
	w.family("yizhan_device_up", "gauge", "1 while the driver runs.")
	for _, d := range r.Devices {
		w.value("yizhan_device_up", b2f(d.Status == "running"), "device", d.ID, "kind", d.Kind)
	}
	w.family("yizhan_device_restarts_total", "counter", "Runs of the driver after the first.")
	for _, d := range r.Devices {
		w.value("yizhan_device_restarts_total", float64(d.Restarts), "device", d.ID, "kind", d.Kind)
	}
	w.family("yizhan_device_events_total", "counter", "What the driver counts; see its package comment.")
	for _, d := range r.Devices {
		for _, k := range slices.Sorted(maps.Keys(d.Counters)) {
			w.value("yizhan_device_events_total", float64(d.Counters[k]), "device", d.ID, "kind", d.Kind, "event", k)
		}
	}
	w.family("yizhan_events_total", "counter", "What the rooms of the gateway count; see their package comments.")
	for _, c := range r.Counters {
		for _, k := range slices.Sorted(maps.Keys(c.Values)) {
			w.value("yizhan_events_total", float64(c.Values[k]), "room", c.Room, "event", k)
		}
	}
	w.family("yizhan_process", "gauge", "Of the process.")
	for _, k := range slices.Sorted(maps.Keys(r.Gauges)) {
		w.value("yizhan_process", r.Gauges[k], "name", k)
	}
	w.goRuntime()
	return w.Flush()
}

// goRuntime writes what the collector has had to do.
func (w *metrics) goRuntime() {
	s := []runmetrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/cycles/total:gc-cycles"}}
	runmetrics.Read(s)
	w.family("yizhan_go_allocs_total", "counter", "Objects that the program allocated.")
	w.value("yizhan_go_allocs_total", float64(s[0].Value.Uint64()))
	w.family("yizhan_go_gc_total", "counter", "Runs of the collector.")
	w.value("yizhan_go_gc_total", float64(s[1].Value.Uint64()))
}

func writeSpool(w *metrics, r *Report) {
	for _, m := range []struct {
		name, help string
		value      float64
	}{
		{"yizhan_spool_held_bytes", "Size of the segments of which something waits for the cloud.", float64(r.Spool.HeldBytes)},
		{"yizhan_spool_kept_bytes", "Size of the segments that are committed and kept while there is room.", float64(r.Spool.KeptBytes)},
		{"yizhan_spool_fill_ratio", "How full the spool is of what waits for the cloud, 0 to 1.", r.Spool.Fill},
		{"yizhan_spool_waiting", "Records that wait for the cloud.", float64(r.Spool.Waiting)},
		{"yizhan_spool_oldest_seconds", "Age of the oldest record that waits.", float64(r.Spool.OldestS)},
		{"yizhan_spool_thinned", "1 while positions and climate are thinned for want of room.", b2f(r.Spool.Thinned)},
		{"yizhan_spool_written_bytes_per_hour", "Written by the spool in the last full hour.", float64(r.Spool.WrittenPerHour)},
		{"yizhan_spool_syncs_per_hour", "Syncs by the spool in the last full hour.", float64(r.Spool.SyncsPerHour)},
	} {
		w.family(m.name, "gauge", m.help)
		w.value(m.name, m.value)
	}
	if r.Spool.Mirror != "" {
		w.family("yizhan_spool_mirror_up", "gauge", "1 while the mirror of the spool is written.")
		w.value("yizhan_spool_mirror_up", b2f(r.Spool.Mirror == "ok"))
	}
	if c := r.Card; c != nil {
		w.family("yizhan_card_written_bytes_total", "counter", "Written to the device under the spool since the board was started.")
		w.value("yizhan_card_written_bytes_total", c.WrittenBytes, "device", c.Device)
		if c.LifeYears != nil {
			w.family("yizhan_card_life_years", "gauge", "How long the device lasts at the rate since the start.")
			w.value("yizhan_card_life_years", *c.LifeYears, "device", c.Device)
		}
	}
}

type metrics struct{ *bufio.Writer }

func (w *metrics) family(name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// value writes one sample; labels are names and values in turn.
func (w *metrics) value(name string, v float64, labels ...string) {
	w.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		w.WriteString(sep + labels[i] + `="` + escape(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		w.WriteByte('}')
	}
	w.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
