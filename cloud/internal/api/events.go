package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

type amendment struct {
	EPC       *string         `json:"epc,omitempty"`
	Site      *string         `json:"site,omitempty"`
	Locker    *string         `json:"locker,omitempty"`
	Handling  *string         `json:"handling,omitempty" enum:"ambient,chilled,frozen,fragile"`
	Size      *string         `json:"size,omitempty" enum:"s,m,l"`
	Consent   *county.Consent `json:"consent,omitempty" enum:"yes,no,unknown"`
	Wish      *county.Wish    `json:"wish,omitempty" enum:"locker,station,home" doc:"consent follows"`
	Hold      *bool           `json:"hold,omitempty"`
	Recipient *addressee      `json:"recipient,omitempty" doc:"whole; where no site is given with it, its address finds the outlet anew"`
}

func (a *API) amend(ctx context.Context, in *struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	Body    amendment
},
) (*answer[county.Parcel], error) {
	b := &in.Body
	am := county.Amendment{EPC: b.EPC, Site: b.Site, Locker: b.Locker, Handling: b.Handling, Size: b.Size, Consent: b.Consent, Wish: b.Wish, Hold: b.Hold, Actor: issuer}
	if b.EPC != nil {
		name, ok := tagName(*b.EPC)
		if !ok {
			return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.epc", Message: "is no tag"})
		}
		am.EPC = &name
	}
	if r := b.Recipient; r != nil {
		if am.PhoneHash = a.cfg.Persons.PhoneHash(r.Phone); am.PhoneHash == "" {
			return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.recipient.phone", Message: "is absent, or no phone number"})
		}
		am.Recipient = a.cfg.Persons.Seal(county.Recipient(*r))
		if b.Site == nil && (r.Village != "" || r.Address != "") {
			site, _ := a.cfg.Outlets.Site(r.Village, r.Address)
			am.Site = &site
		}
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p, changes, err := a.cfg.Store.Amend(ctx, in.Waybill, am)
	if err != nil {
		return nil, a.refuse(ctx, "waybill", err)
	}
	a.tell(changes)
	return reply(p), nil
}

func (a *API) cancel(ctx context.Context, in *struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	Body    struct {
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"nothing personal"`
	} `required:"false"`
},
) (*answer[county.Parcel], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p, changes, err := a.cfg.Store.Cancel(ctx, in.Waybill, issuer, in.Body.Reason)
	if err != nil {
		return nil, a.refuse(ctx, "waybill", err)
	}
	a.tell(changes)
	return reply(p), nil
}

type told struct {
	ID      string    `json:"id" minLength:"1" maxLength:"64" doc:"the client's own; the same again is the same event"`
	Step    string    `json:"step" enum:"at_warehouse,sorted,loaded,in_transit,at_outlet,in_locker,out_for_delivery,picked_up,signed_for,completed,returned,lost_closed,refused,damaged"`
	At      time.Time `json:"at" doc:"when it was so"`
	Site    string    `json:"site,omitempty" maxLength:"32"`
	Vehicle string    `json:"vehicle,omitempty" maxLength:"32"`
	Locker  string    `json:"locker,omitempty" maxLength:"32"`
	Cell    int       `json:"cell,omitempty" minimum:"1" maximum:"1024"`
	Reason  string    `json:"reason,omitempty" maxLength:"200" doc:"nothing personal"`
	Channel string    `json:"channel,omitempty" enum:"page,sms,api,upstream"`
}

func (a *API) say(ctx context.Context, in *struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	Body    told
},
) (*answer[county.Parcel], error) {
	b := &in.Body
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	parcels, changes, refused, err := a.cfg.Store.Say(ctx, []county.Said{{
		ID: b.ID, Waybill: in.Waybill, Step: b.Step, At: b.At, Site: b.Site, Vehicle: b.Vehicle, Locker: b.Locker, Cell: b.Cell,
		Reason: b.Reason, Channel: b.Channel, Actor: issuer,
	}})
	if err != nil {
		return nil, a.fail(ctx, "parcel", err)
	}
	if err := refused[0]; err != nil {
		return nil, a.refuse(ctx, "parcel", err)
	}
	a.tell(changes)
	if len(parcels) == 0 {
		return nil, huma.NewError(http.StatusNotFound, "no parcel has this waybill")
	}
	return reply(parcels[0]), nil
}
