package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Exceptions answers what is not as it should be.
type Exceptions interface {
	Exceptions(ctx context.Context, f county.ExceptionFilter, after string, limit int) (items []county.Exception, next string, err error)
	Exception(ctx context.Context, id string) (county.Exception, bool, error)
	EndException(ctx context.Context, id string) (county.Exception, error)
}

func (a *API) exceptions(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "list-exception", Method: http.MethodGet, Path: Prefix + "/exceptions", Tags: []string{"exception"},
		Summary: "What is not as it should be, the newest discovery first",
	}, func(ctx context.Context, in *struct {
		Object string `query:"object" maxLength:"80" example:"parcel/YZ2600000001"`
		Class  string `query:"class" enum:"delay,loss,damage,misdelivery,data_error"`
		Cause  string `query:"cause" maxLength:"40" doc:"contradiction, bad_sequence, unmatched_address, held, count_differs, ..."`
		Open   bool   `query:"open" doc:"only those that haven't ended"`
		After  string `query:"after" maxLength:"200"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	},
	) (*answer[list[county.Exception]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		f := county.ExceptionFilter{Object: in.Object, Class: county.ExceptionClass(in.Class), Cause: in.Cause, Open: in.Open}
		items, next, err := a.cfg.Store.Exceptions(ctx, f, in.After, in.Limit)
		if errors.Is(err, a.cfg.Cursor) {
			return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "query.after", Message: "is no next of an answer", Value: in.After})
		}
		if err != nil {
			return nil, a.fail(ctx, "exception", err)
		}
		if items == nil {
			items = []county.Exception{}
		}
		return reply(list[county.Exception]{Items: items, Next: next}), nil
	})
	one(a, h, "/exceptions", "exception", "An exception", a.cfg.Store.Exception, func(x county.Exception, _ time.Time) county.Exception { return x })
	huma.Register(h, huma.Operation{
		OperationID: "end-exception", Method: http.MethodPost, Path: Prefix + "/exceptions/{id}/end", Tags: []string{"exception"},
		Summary: "End an exception that somebody reported; what evidence shows ends with the evidence", Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *byID) (*answer[county.Exception], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		x, err := a.cfg.Store.EndException(ctx, in.ID)
		if err != nil {
			return nil, a.refuse(ctx, "exception", err)
		}
		return reply(x), nil
	})
}
