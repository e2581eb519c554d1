package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Containers keeps bags and cages and what is in them.
type Containers interface {
	PutContainer(ctx context.Context, b county.Container) error
	Container(ctx context.Context, id string) (county.Held, bool, error)
	Containers(ctx context.Context, after string, limit int) ([]county.Container, error)
	Pack(ctx context.Context, container string, items []string, at time.Time, actor string) ([]county.Change, error)
	Unpack(ctx context.Context, container string, items []string, at time.Time, actor string) ([]county.Change, error)
	Break(ctx context.Context, container string, at time.Time, actor, reason string) ([]county.Change, error)
	Count(ctx context.Context, container string, n int, at time.Time, site, actor string) ([]county.Change, error)
}

type move struct {
	Items []string  `json:"items" minItems:"1" maxItems:"1000" doc:"waybills, or ids of containers"`
	At    time.Time `json:"at,omitempty" doc:"when it was; absent is now"`
}

func (a *API) containers(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "list-container", Method: http.MethodGet, Path: Prefix + "/containers", Tags: []string{"container"}, Summary: "Bags and cages",
	}, func(ctx context.Context, in *struct {
		After string `query:"after" maxLength:"32"`
		Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	},
	) (*answer[list[county.Container]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		all, err := a.cfg.Store.Containers(ctx, in.After, in.Limit)
		if err != nil {
			return nil, a.fail(ctx, "container", err)
		}
		out := list[county.Container]{Items: all}
		if len(all) == in.Limit {
			out.Next = all[len(all)-1].ID
		}
		return reply(out), nil
	})
	one(a, h, "/containers", "container", "A bag or cage with what is and was in it", a.cfg.Store.Container, func(c county.Held, _ time.Time) county.Held { return c })
	huma.Register(h, huma.Operation{
		OperationID: "put-container", Method: http.MethodPut, Path: Prefix + "/containers/{id}", Tags: []string{"container"},
		Summary: "Keep a bag or cage with its tag (a GRAI, say) and its barcode",
	}, func(ctx context.Context, in *struct {
		ID   string `path:"id" pattern:"^[a-z0-9-]{1,32}$" example:"bag-7"`
		Body struct {
			Kind string `json:"kind" enum:"bag,cage"`
			EPC  string `json:"epc,omitempty" maxLength:"200"`
			Code string `json:"code,omitempty" maxLength:"128"`
		}
	},
	) (*answer[county.Held], error) {
		name, ok := tagName(in.Body.EPC)
		if !ok {
			return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.epc", Message: "is no tag"})
		}
		return a.boxed(ctx, in.ID, func(ctx context.Context) ([]county.Change, error) {
			return nil, a.cfg.Store.PutContainer(ctx, county.Container{ID: in.ID, Kind: in.Body.Kind, EPC: name, Code: in.Body.Code})
		})
	})
	a.moves(h)
}

// moves are what happens to containers.
func (a *API) moves(h huma.API) {
	type moving struct {
		ID   string `path:"id" pattern:"^[a-z0-9-]{1,32}$" example:"bag-7"`
		Body move
	}
	post := func(word, summary string) huma.Operation {
		return huma.Operation{
			OperationID: word + "-container", Method: http.MethodPost, Path: Prefix + "/containers/{id}/" + word, Tags: []string{"container"}, Summary: summary,
			Errors: []int{http.StatusNotFound},
		}
	}
	huma.Register(h, post("pack", "Items are in it from then on"), func(ctx context.Context, in *moving) (*answer[county.Held], error) {
		return a.boxed(ctx, in.ID, func(ctx context.Context) ([]county.Change, error) {
			return a.cfg.Store.Pack(ctx, in.ID, in.Body.Items, a.orNow(in.Body.At), issuer)
		})
	})
	huma.Register(h, post("unpack", "Items are no longer in it"), func(ctx context.Context, in *moving) (*answer[county.Held], error) {
		return a.boxed(ctx, in.ID, func(ctx context.Context) ([]county.Change, error) {
			return a.cfg.Store.Unpack(ctx, in.ID, in.Body.Items, a.orNow(in.Body.At), issuer)
		})
	})
	huma.Register(h, post("break", "It broke: nothing is in it any more"), func(ctx context.Context, in *struct {
		ID   string `path:"id" pattern:"^[a-z0-9-]{1,32}$" example:"bag-7"`
		Body struct {
			At     time.Time `json:"at,omitempty"`
			Reason string    `json:"reason,omitempty" maxLength:"200"`
		}
	},
	) (*answer[county.Held], error) {
		return a.boxed(ctx, in.ID, func(ctx context.Context) ([]county.Change, error) {
			return a.cfg.Store.Break(ctx, in.ID, a.orNow(in.Body.At), issuer, in.Body.Reason)
		})
	})
	huma.Register(h, post("count", "So many were in it at a hand-over; another number than was packed is an exception"), func(ctx context.Context, in *struct {
		ID   string `path:"id" pattern:"^[a-z0-9-]{1,32}$" example:"bag-7"`
		Body struct {
			Counted int       `json:"counted" minimum:"0" maximum:"100000"`
			At      time.Time `json:"at,omitempty"`
			Site    string    `json:"site,omitempty" maxLength:"32"`
		}
	},
	) (*answer[county.Held], error) {
		return a.boxed(ctx, in.ID, func(ctx context.Context) ([]county.Change, error) {
			return a.cfg.Store.Count(ctx, in.ID, in.Body.Counted, a.orNow(in.Body.At), in.Body.Site, issuer)
		})
	})
}

func (a *API) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return a.cfg.Now()
	}
	return t
}

// boxed does something to a container and answers with it as it is then.
func (a *API) boxed(ctx context.Context, id string, do func(context.Context) ([]county.Change, error)) (*answer[county.Held], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	changes, err := do(ctx)
	if err != nil {
		return nil, a.refuse(ctx, "container", err)
	}
	a.tell(changes)
	b, err := find(ctx, a, "container", id, a.cfg.Store.Container)
	if err != nil {
		return nil, err
	}
	return reply(b), nil
}
