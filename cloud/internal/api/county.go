package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// About tells whose county this is.
type About struct {
	County   county.Text `json:"county"`
	Note     county.Text `json:"note"`
	Timezone string      `json:"timezone"`
	IDs      string      `json:"ids" doc:"below it things without a GS1 key have their URIs in EPCIS events"`
	Demo     bool        `json:"demo"`
	Speed    float64     `json:"speed" doc:"of the demo's story; no clock goes faster"`
	Version  string      `json:"version"`
	Time     time.Time   `json:"time" doc:"the server's clock"`
}

func (a *API) county(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "about", Method: http.MethodGet, Path: Prefix + "/about", Tags: []string{"county"},
		Summary: "Whose county this is, and the server's time",
	}, func(context.Context, *none) (*answer[About], error) {
		r := a.cfg.Registry
		return reply(About{
			County: r.Name, Note: r.Note, IDs: r.GS1.Base, Timezone: r.Timezone, Demo: a.cfg.Demo, Speed: a.cfg.Speed,
			Version: a.cfg.Version, Time: a.cfg.Now().UTC(),
		}), nil
	})
	body, err := mapWithSites(a.cfg.Map, a.cfg.Registry)
	if err != nil {
		panic("BUG: api: the map was to be checked before: " + err.Error())
	}
	a.mux.Handle("GET "+Prefix+"/map", static(body))
	a.doc.AddOperation(&huma.Operation{
		OperationID: "map", Method: http.MethodGet, Path: Prefix + "/map", Tags: []string{"county"},
		Summary:     "The base map and the sites",
		Description: "A GeoJSON FeatureCollection; kind is boundary, terrain, river, road, township, village or site.",
		Responses:   map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/geo+json": {}}}},
	})
}

// CheckMap reports whether b is a map that New takes.
func CheckMap(b []byte) error {
	_, err := mapWithSites(b, &county.Registry{})
	return err
}

// mapWithSites is the base map with a point for each site.
func mapWithSites(base []byte, r *county.Registry) ([]byte, error) {
	fc := struct {
		Type     string            `json:"type"`
		Features []json.RawMessage `json:"features"`
	}{Type: "FeatureCollection", Features: []json.RawMessage{}}
	if len(base) > 0 {
		if err := json.Unmarshal(base, &fc); err != nil {
			return nil, fmt.Errorf("map: %w", err)
		}
		if fc.Type != "FeatureCollection" {
			return nil, fmt.Errorf("map: type is %.40q, not FeatureCollection", fc.Type)
		}
	}
	for _, s := range r.Sites {
		f, err := json.Marshal(map[string]any{
			"type": "Feature", "id": "site/" + s.ID,
			"geometry": map[string]any{"type": "Point", "coordinates": [2]float64{s.Lon, s.Lat}},
			"properties": map[string]any{
				"kind": "site", "id": s.ID, "site": s.Kind, "name_zh": s.Name.ZH, "name_en": s.Name.EN,
				"village_zh": s.Village.ZH, "village_en": s.Village.EN, "fence_m": s.FenceM,
			},
		})
		if err != nil {
			return nil, fmt.Errorf("map: %w", err)
		}
		fc.Features = append(fc.Features, f)
	}
	return json.Marshal(fc)
}

// static serves b, which never changes while the process runs.
func static(b []byte) http.Handler {
	sum := sha256.Sum256(b)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	var z bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	_, _ = zw.Write(b) // into memory
	_ = zw.Close()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/geo+json")
		h.Set("Cache-Control", "private, no-cache")
		h.Set("ETag", etag)
		h.Set("Vary", "Accept-Encoding")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			_, _ = w.Write(z.Bytes())
			return
		}
		_, _ = w.Write(b)
	})
}
