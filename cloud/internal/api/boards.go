package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

func (a *API) boards(h huma.API) {
	s := a.cfg.Store
	all(a, h, "/gateways", "gateway", "All boards", s.Gateways, county.Gateway.Served)
	one(a, h, "/gateways", "gateway", "A board", s.Gateway, county.Gateway.Served)
	huma.Register(h, huma.Operation{
		OperationID: "ledger", Method: http.MethodGet, Path: Prefix + "/gateways/{id}/ledger", Tags: []string{"gateway"},
		Summary:     "Where every record of a board is",
		Description: "By epoch and lane: produced = committed + spooled + dropped + unexplained. What no account covers is alarmed as ledger_hole.",
	}, func(ctx context.Context, in *byID) (*answer[county.Ledger], error) {
		l, err := find(ctx, a, "gateway", in.ID, s.Ledger)
		if err != nil {
			return nil, err
		}
		return reply(l), nil
	})
	all(a, h, "/devices", "device", "All devices, bound or not", s.Devices, county.Device.Served)
	huma.Register(h, huma.Operation{
		OperationID: "get-device", Method: http.MethodGet, Path: Prefix + "/devices/{gateway}/{device}", Tags: []string{"device"},
		Summary: "A device and the last it said, by kind",
	}, func(ctx context.Context, in *struct {
		Gateway string `path:"gateway" pattern:"^[a-z0-9-]{1,32}$" example:"van-03"`
		Device  string `path:"device" pattern:"^[a-z0-9-]{1,32}$" example:"gps"`
	},
	) (*answer[county.Device], error) {
		d, err := find(ctx, a, "device", in.Gateway+"/"+in.Device, s.Device)
		if err != nil {
			return nil, err
		}
		return reply(d.Served(a.cfg.Now())), nil
	})
}
