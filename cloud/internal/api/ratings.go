package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Ratings is where recipients' ratings are kept.
type Ratings interface {
	Ratings(ctx context.Context, since time.Time) ([]county.RatingMean, error)
}

func (a *API) ratings(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "list-rating", Method: http.MethodGet, Path: Prefix + "/ratings", Tags: []string{"rating"},
		Summary: "What recipients say of how their parcels came, by site, with how many they are",
	}, func(ctx context.Context, in *struct {
		Since time.Time `query:"since" doc:"absent: all"`
	},
	) (*answer[list[county.RatingMean]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		items, err := a.cfg.Store.Ratings(ctx, in.Since)
		if err != nil {
			return nil, a.fail(ctx, "rating", err)
		}
		if items == nil {
			items = []county.RatingMean{}
		}
		return reply(list[county.RatingMean]{Items: items}), nil
	})
}
