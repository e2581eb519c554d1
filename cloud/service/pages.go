package service

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/config"
	"yizhan/cloud/internal/history"
	"yizhan/cloud/internal/notify"
	"yizhan/cloud/internal/page"
	"yizhan/cloud/internal/web"
)

// pages is everything on listen. What isn't named here as open needs a session.
func (s *Service) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", s.gate.Guard(s.api))
	mux.Handle("/session", s.gate)
	mux.Handle(api.PrintPath, s.gate.Guard(s.api.Print()))
	mux.Handle(notify.HookPath, s.notifier.Hooks()) // providers show the channel's secret
	mux.Handle(page.Path, s.page)                   // the link is the key
	mux.Handle(page.MyPath, s.page)                 // a code by message is the key
	mux.Handle("/", s.site)                         // the page itself holds no data
	if s.ops == nil && config.Loopback(s.http.Addr().String()) {
		s.addOps(mux)
	}
	return web.Headers(s.gate.Host(mux))
}

// opsPages is everything on ops.
func (s *Service) opsPages() http.Handler {
	mux := http.NewServeMux()
	s.addOps(mux)
	return web.Headers(mux)
}

func (s *Service) addOps(mux *http.ServeMux) {
	doc, err := s.api.OpenAPI()
	if err != nil {
		panic("BUG: service: openapi: " + err.Error())
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		_, _ = w.Write(doc)
	})
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics(), promhttp.HandlerOpts{}))
}

// health is 200 while the store answers. What is late is told, and is no reason to be restarted.
func (s *Service) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	report := struct {
		Status      string  `json:"status"`
		State       string  `json:"state"`
		HistoryLagS float64 `json:"history_lag_s"`
		Gateways    int     `json:"gateways_connected"`
		Console     bool    `json:"console"`
		Version     string  `json:"version"`
	}{"ok", "ok", s.projector.Lag().Seconds(), len(s.gateways.Connected()), s.site.Built(), s.env.Version}
	status := http.StatusOK
	if _, err := s.store.Commands(ctx, "", 1); err != nil {
		s.env.Log.Warn("store does not answer", "err", err)
		report.Status, report.State, status = "failing", "does not answer", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(report)
}

// past shows a history as the API asks for it.
type past struct{ *history.History }

// Track implements api.History.
func (p past) Track(ctx context.Context, vehicle string, from, to time.Time, max int) ([]api.Fix, error) {
	points, err := p.History.Track(ctx, vehicle, from, to, max)
	out := make([]api.Fix, len(points))
	for i, x := range points {
		out[i] = api.Fix{At: x.At, Lat: x.Lat, Lon: x.Lon, SpeedMPS: x.SpeedMPS}
	}
	return out, err
}

// Climate implements api.History.
func (p past) Climate(ctx context.Context, coldbox string, from, to time.Time, max int) ([]api.Sample, error) {
	samples, err := p.History.Climate(ctx, coldbox, from, to, max)
	out := make([]api.Sample, len(samples))
	for i, x := range samples {
		out[i] = api.Sample{At: x.At, TemperatureC: x.TemperatureC, HumidityPct: x.HumidityPct}
	}
	return out, err
}
