package service

import (
	"context"
	"errors"
	"mime"
	"time"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/run"
)

// running is what the API's routes of runs are made of.
func (s *Service) running() (*api.Running, error) {
	zone, err := time.LoadLocation(s.registry.Timezone)
	if err != nil {
		return nil, err
	}
	places := run.Places{Sites: s.registry.Sites, Vehicles: s.registry.Vehicles}
	return &api.Running{Recipients: s.masked, Store: s.store, Zone: zone, MaxBytes: run.MaxBytes, Read: func(contentType string, body []byte, day time.Time) ([]county.Run, []api.RunFault, int, error) {
		var got run.Imported
		switch kind, _, _ := mime.ParseMediaType(contentType); kind {
		case "text/csv":
			got = run.CSV(body, day.Format(time.DateOnly), places)
		case "application/zip", "application/x-zip-compressed", "application/octet-stream":
			got = run.GTFS(body, day, places)
		default:
			return nil, nil, 0, errors.New("send text/csv, or a GTFS feed as application/zip")
		}
		faults := make([]api.RunFault, len(got.Faults))
		for i, f := range got.Faults {
			faults[i] = api.RunFault(f)
		}
		return got.Runs, faults, got.More, nil
	}}, nil
}

// masked are the recipients of parcels, as far as a courier may see them.
func (s *Service) masked(ctx context.Context, waybills []string) (map[string]county.Recipient, error) {
	sealed, err := s.store.Recipients(ctx, waybills)
	if err != nil {
		return nil, err
	}
	who := people{s.store, s.persons}
	out := make(map[string]county.Recipient, len(sealed))
	for waybill, b := range sealed {
		if r, err := who.Unseal(b); err == nil { // what can't be opened is nobody known
			out[waybill] = who.Mask(r)
		}
	}
	return out, nil
}
