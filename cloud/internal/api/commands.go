package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

func (a *API) commands(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "order", Method: http.MethodPost, Path: Prefix + "/commands", Tags: []string{"command"},
		Summary:       "Order something of a device",
		Description:   "202: stored and on its way; ask for its outcome. At most once: the same id again is the same order. Give an id of your own to be able to ask again after a lost answer.",
		DefaultStatus: http.StatusAccepted,
	}, a.order)
	huma.Register(h, huma.Operation{
		OperationID: "get-command", Method: http.MethodGet, Path: Prefix + "/commands/{id}", Tags: []string{"command"},
		Summary: "An order and what became of it",
	}, func(ctx context.Context, in *struct {
		ID string `path:"id" pattern:"^[A-Za-z0-9_.-]{1,56}$"`
	},
	) (*answer[county.Command], error) {
		c, err := find(ctx, a, "command", in.ID, a.cfg.Store.Command)
		if err != nil {
			return nil, err
		}
		return reply(a.cfg.Desk.Shown(c)), nil
	})
	huma.Register(h, huma.Operation{
		OperationID: "list-command", Method: http.MethodGet, Path: Prefix + "/commands", Tags: []string{"command"},
		Summary: "The latest orders, with what doors did for them",
	}, func(ctx context.Context, in *struct {
		Device string `query:"device" pattern:"^([a-z0-9-]{1,32}/[a-z0-9-]{1,32})?$" doc:"of this device only" example:"lk-qingshi-1/board"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	},
	) (*answer[list[county.Command]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		items, err := a.cfg.Store.Commands(ctx, in.Device, in.Limit)
		if err != nil {
			return nil, a.fail(ctx, "command", err)
		}
		out := list[county.Command]{Items: make([]county.Command, len(items))}
		for i, c := range items {
			out.Items[i] = a.cfg.Desk.Shown(c)
		}
		return reply(out), nil
	})
}

type order struct {
	Body struct {
		ID     string            `json:"id,omitempty" pattern:"^[A-Za-z0-9_.-]{8,56}$" doc:"yours, or one is made"`
		Device string            `json:"device" pattern:"^[a-z0-9-]{1,32}/[a-z0-9-]{1,32}$" example:"lk-qingshi-1/board"`
		Action string            `json:"action" enum:"open_cell,identify,restart"`
		Args   map[string]string `json:"args,omitempty" maxProperties:"8" example:"{\"cell\":\"7\"}"`
	}
}

func (a *API) order(ctx context.Context, in *order) (*answer[county.Command], error) {
	b := in.Body
	wrong := func(field, msg string, v any) error {
		return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body." + field, Message: msg, Value: v})
	}
	if b.Action == "open_cell" {
		n, err := strconv.Atoi(b.Args["cell"])
		if err != nil || strconv.Itoa(n) != b.Args["cell"] {
			return nil, wrong("args.cell", "must be the number of a cell, as a string", b.Args["cell"])
		}
		cells, bound := a.cells(b.Device)
		switch {
		case !bound:
			return nil, wrong("device", "is no lock board", b.Device)
		case n < 1 || n > cells:
			return nil, wrong("args.cell", "must be 1 to "+strconv.Itoa(cells), b.Args["cell"])
		}
	}
	if _, bound := a.cfg.Registry.Bindings[b.Device]; !bound {
		return nil, wrong("device", "is bound to nothing", b.Device)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c, err := a.cfg.Desk.Issue(ctx, county.Command{ID: b.ID, Issuer: "token", Device: b.Device, Action: b.Action, Args: b.Args})
	switch {
	case errors.Is(err, a.cfg.Conflict):
		return nil, huma.Error409Conflict("body.id: " + err.Error())
	case errors.Is(err, a.cfg.Busy):
		return nil, huma.Error503ServiceUnavailable(err.Error())
	case err != nil:
		return nil, a.fail(ctx, "command", err)
	}
	return reply(c), nil
}

// cells is how many cells the locker behind a lock board has.
func (a *API) cells(device string) (n int, bound bool) {
	id, ok := strings.CutPrefix(a.cfg.Registry.Bindings[device], "locker/")
	if !ok {
		return 0, false
	}
	for _, l := range a.cfg.Registry.Lockers {
		if l.ID == id {
			return len(l.Cells), true
		}
	}
	return 0, false
}
