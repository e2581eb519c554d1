package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

func (a *API) parcels(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "list-parcel", Method: http.MethodGet, Path: Prefix + "/parcels", Tags: []string{"parcel"},
		Summary: "Parcels, the newest change first",
	}, func(ctx context.Context, in *struct {
		Q     string `query:"q" maxLength:"80" doc:"begin or end of a waybill or of a tag's name"`
		After string `query:"after" maxLength:"200"`
		Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	},
	) (*answer[list[county.Parcel]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		items, next, err := a.cfg.Store.Parcels(ctx, strings.TrimSpace(in.Q), in.After, in.Limit)
		if errors.Is(err, a.cfg.Cursor) {
			return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "query.after", Message: "is no next of an answer", Value: in.After})
		}
		if err != nil {
			return nil, a.fail(ctx, "parcel", err)
		}
		if items == nil {
			items = []county.Parcel{}
		}
		return reply(list[county.Parcel]{Items: items, Next: next}), nil
	})
	huma.Register(h, huma.Operation{
		OperationID: "get-parcel", Method: http.MethodGet, Path: Prefix + "/parcels/{waybill}", Tags: []string{"parcel"},
		Summary: "A parcel with all evidence of it, in order",
	}, func(ctx context.Context, in *byWaybill) (*answer[county.Timeline], error) {
		t, err := find(ctx, a, "parcel", in.Waybill, a.cfg.Store.Timeline)
		if err != nil {
			return nil, err
		}
		if t.Evidence == nil {
			t.Evidence = []county.Evidence{}
		}
		return reply(t), nil
	})
}
