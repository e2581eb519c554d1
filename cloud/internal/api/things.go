package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

const (
	maxPoints = 2000
	maxWindow = 31 * 24 * time.Hour
	window    = 30 * time.Minute
)

func (a *API) things(h huma.API) {
	s := a.cfg.Store
	all(a, h, "/vehicles", "vehicle", "All vehicles", s.Vehicles, county.Vehicle.Served)
	one(a, h, "/vehicles", "vehicle", "A vehicle and what is aboard", s.Vehicle, county.Vehicle.Served)
	all(a, h, "/lockers", "locker", "All parcel lockers", s.Lockers, county.Locker.Served)
	one(a, h, "/lockers", "locker", "A locker and its cells", s.Locker, county.Locker.Served)
	all(a, h, "/coldboxes", "coldbox", "All cold rooms and boxes", s.ColdBoxes, county.ColdBox.Served)
	one(a, h, "/coldboxes", "coldbox", "A cold room or box", s.ColdBox, county.ColdBox.Served)
	huma.Register(h, huma.Operation{
		OperationID: "track", Method: http.MethodGet, Path: Prefix + "/vehicles/{id}/track", Tags: []string{"vehicle"},
		Summary: "Where a vehicle was", Description: "A GeoJSON feature; times and speeds stand beside the coordinates, one each.",
	}, a.track)
	huma.Register(h, huma.Operation{
		OperationID: "climate", Method: http.MethodGet, Path: Prefix + "/coldboxes/{id}/climate", Tags: []string{"coldbox"},
		Summary: "What a cold box measured",
	}, a.climate)
}

type span struct {
	ID   string    `path:"id" pattern:"^[a-z0-9-]{1,32}$"`
	From time.Time `query:"from" doc:"default: 30 min before to"`
	To   time.Time `query:"to" doc:"default: now"`
}

// bounds fills in the defaults and checks the window.
func (s *span) bounds(now time.Time) error {
	if s.To.IsZero() {
		s.To = now
	}
	if s.From.IsZero() {
		s.From = s.To.Add(-window)
	}
	wrong := func(msg string, v any) error {
		return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "query.from", Message: msg, Value: v})
	}
	if !s.From.Before(s.To) {
		return wrong("is not before to", s.From)
	}
	if s.To.Sub(s.From) > maxWindow {
		return wrong("is more than 31 days before to", s.From)
	}
	return nil
}

// Track is a GeoJSON feature (RFC 7946, section 3.2).
type Track struct {
	Type       string          `json:"type" enum:"Feature"`
	Geometry   *Line           `json:"geometry"` // null where nothing is known
	Properties TrackProperties `json:"properties"`
}

// Line is a LineString, or a Point where there is one.
type Line struct {
	Type        string `json:"type" enum:"LineString,Point"`
	Coordinates any    `json:"coordinates"`
}

// TrackProperties go with the coordinates of a Track.
type TrackProperties struct {
	Vehicle  string      `json:"vehicle"`
	From     time.Time   `json:"from"`
	To       time.Time   `json:"to"`
	Times    []time.Time `json:"times"`
	SpeedMPS []*float64  `json:"speed_mps"`
}

func (a *API) track(ctx context.Context, in *span) (*answer[Track], error) {
	if err := in.bounds(a.cfg.Now()); err != nil {
		return nil, err
	}
	if _, err := find(ctx, a, "vehicle", in.ID, a.cfg.Store.Vehicle); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	fixes, err := a.cfg.History.Track(ctx, in.ID, in.From, in.To, maxPoints)
	if err != nil {
		return nil, a.fail(ctx, "track", err)
	}
	t := Track{Type: "Feature", Properties: TrackProperties{Vehicle: in.ID, From: in.From.UTC(), To: in.To.UTC(), Times: []time.Time{}, SpeedMPS: []*float64{}}}
	line := make([][2]float64, len(fixes))
	for i, f := range fixes {
		line[i] = [2]float64{f.Lon, f.Lat}
		t.Properties.Times = append(t.Properties.Times, f.At.UTC())
		t.Properties.SpeedMPS = append(t.Properties.SpeedMPS, f.SpeedMPS)
	}
	switch len(line) {
	case 0:
	case 1:
		t.Geometry = &Line{Type: "Point", Coordinates: line[0]}
	default:
		t.Geometry = &Line{Type: "LineString", Coordinates: line}
	}
	return reply(t), nil
}

func (a *API) climate(ctx context.Context, in *span) (*answer[list[Sample]], error) {
	if err := in.bounds(a.cfg.Now()); err != nil {
		return nil, err
	}
	if _, err := find(ctx, a, "coldbox", in.ID, a.cfg.Store.ColdBox); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	samples, err := a.cfg.History.Climate(ctx, in.ID, in.From, in.To, maxPoints)
	if err != nil {
		return nil, a.fail(ctx, "climate", err)
	}
	if samples == nil {
		samples = []Sample{}
	}
	return reply(list[Sample]{Items: samples}), nil
}
