package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
)

// maxRows is the most waybills of one request.
const maxRows = 1000

// Waybills takes in waybills and what people do with them. Errors of single waybills begin with the field they are
// about; county.ErrAbsent, ErrClosed and ErrTaken are among them.
type Waybills interface {
	Announce(ctx context.Context, all []county.Intake, now time.Time) (created []county.Parcel, refused map[int]error, err error)
	Amend(ctx context.Context, waybill string, a county.Amendment) (county.Parcel, []county.Change, error)
	Cancel(ctx context.Context, waybill, actor, reason string) (county.Parcel, []county.Change, error)
	Say(ctx context.Context, said []county.Said) (parcels []county.Parcel, changes []county.Change, refused map[int]error, err error)
	Amended(ctx context.Context, waybill string) ([]county.Amended, error)
}

// Persons seals what is a person's.
type Persons interface {
	Seal(r county.Recipient) []byte
	PhoneHash(phone string) string
}

// Outlets finds the outlet of an address.
type Outlets interface {
	Site(village, address string) (site string, ok bool)
}

// announcement is a row of an announcement.
type announcement struct {
	county.Waybill
	Recipient *county.Recipient `json:"recipient"`
	Pieces    int               `json:"pieces"`
}

func (a *API) waybills(h huma.API) {
	a.row = a.sch.Schema(reflectWaybill, true, "Intake")
	huma.Register(h, huma.Operation{
		OperationID: "announce", Method: http.MethodPost, Path: Prefix + "/waybills", Tags: []string{"parcel"},
		Summary: "Announce parcels: one, a list, or a CSV file",
		Description: "Good rows pass; bad rows come back with their index and the field. 201: all passed; 200: some; 422: none. The same waybill again is no error. " +
			"Where no site is given the address finds the outlet; one that matches none is an exception until somebody corrects it. " +
			"CSV: a header in English or Chinese, UTF-8 or GB18030.",
		MaxBodyBytes:     1 << 20,
		SkipValidateBody: true, // row by row, below
		DefaultStatus:    http.StatusCreated,
		RequestBody:      announceBody(a.sch),
	}, a.announce)
	huma.Register(h, huma.Operation{
		OperationID: "amend", Method: http.MethodPatch, Path: Prefix + "/waybills/{waybill}", Tags: []string{"parcel"},
		Summary: "Change an address, a hold, a consent; what is absent stays", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.amend)
	huma.Register(h, huma.Operation{
		OperationID: "amended", Method: http.MethodGet, Path: Prefix + "/waybills/{waybill}/history", Tags: []string{"parcel"},
		Summary: "What a waybill was before each change",
	}, func(ctx context.Context, in *byWaybill) (*answer[list[county.Amended]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		all, err := a.cfg.Store.Amended(ctx, in.Waybill)
		if err != nil {
			return nil, a.fail(ctx, "waybill", err)
		}
		return reply(list[county.Amended]{Items: all}), nil
	})
	huma.Register(h, huma.Operation{
		OperationID: "cancel", Method: http.MethodPost, Path: Prefix + "/waybills/{waybill}/cancel", Tags: []string{"parcel"},
		Summary:     "Take a waybill back",
		Description: "A parcel that hasn't left the warehouse is returned; one that has is held. 409: it is with its recipient, or closed.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, a.cancel)
	huma.Register(h, huma.Operation{
		OperationID: "say", Method: http.MethodPost, Path: Prefix + "/parcels/{waybill}/events", Tags: []string{"parcel"},
		Summary:     "Tell what happened to a parcel, as a person",
		Description: "Evidence like a device's. The same id again is the same event; a step that doesn't follow is taken and flagged. 409: the id was taken by another event.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, a.say)
}

type byWaybill struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
}

// Refused is a row that was not taken.
type Refused struct {
	Index  int    `json:"index"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

type announced struct {
	Status int
	Body   struct {
		Items   []county.Parcel `json:"items" doc:"the parcels as they are now"`
		Refused []Refused       `json:"refused"`
	}
}

func (a *API) announce(ctx context.Context, in *struct {
	ContentType string `header:"Content-Type"`
	RawBody     []byte
},
) (*announced, error) {
	body, err := readRows(in.ContentType, in.RawBody)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	var good []county.Intake
	var index []int // of good, in the body
	var bad []Refused
	seen := map[string]int{}
	for i, raw := range body {
		all, r := a.readRow(raw)
		for _, w := range all {
			if first, twice := seen[w.Waybill.Waybill]; twice && r == nil {
				r = &Refused{Field: "waybill", Reason: fmt.Sprintf("is that of row %d too", first)}
			}
		}
		if r != nil {
			r.Index = i
			bad = append(bad, *r)
			continue
		}
		for _, w := range all {
			seen[w.Waybill.Waybill] = i
			good, index = append(good, w), append(index, i)
		}
	}
	out := &announced{Status: http.StatusCreated}
	out.Body.Items = []county.Parcel{}
	if len(good) > 0 {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		created, refused, err := a.cfg.Store.Announce(ctx, good, a.cfg.Now())
		if err != nil {
			return nil, a.fail(ctx, "waybill", err)
		}
		for i, err := range refused {
			field, reason := fieldOf(err)
			bad = append(bad, Refused{Index: index[i], Field: field, Reason: reason})
		}
		out.Body.Items = append(out.Body.Items, created...)
		if a.cfg.Created != nil && len(created) > 0 {
			a.cfg.Created(created)
		}
	}
	slices.SortStableFunc(bad, func(x, y Refused) int { return x.Index - y.Index })
	out.Body.Refused = append([]Refused{}, bad...)
	switch {
	case len(out.Body.Items) == 0:
		return nil, nonePassed(bad)
	case len(bad) > 0:
		out.Status = http.StatusOK
	}
	return out, nil
}

func nonePassed(bad []Refused) error {
	details := make([]error, len(bad))
	for i, r := range bad {
		at := fmt.Sprintf("body[%d]", r.Index)
		if r.Field != "" {
			at += "." + r.Field
		}
		details[i] = &huma.ErrorDetail{Location: at, Message: r.Reason}
	}
	return huma.Error422UnprocessableEntity("no row passed", details...)
}

// readRow checks one row: its shape by the schema that the OpenAPI document shows, then what a schema can't say. A
// row of more pieces becomes as many.
func (a *API) readRow(raw json.RawMessage) (all []county.Intake, refused *Refused) {
	var v any
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&v); err != nil {
		return nil, &Refused{Reason: "is no JSON"}
	}
	if m, ok := v.(map[string]any); ok {
		for _, name := range a.sch.SchemaFromRef(a.row.Ref).Required {
			if _, ok := m[name]; !ok {
				return nil, &Refused{Field: name, Reason: "is absent"}
			}
		}
	}
	var res huma.ValidateResult
	huma.Validate(a.sch, a.row, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &res)
	if len(res.Errors) > 0 {
		var detail *huma.ErrorDetail
		if errors.As(res.Errors[0], &detail) {
			return nil, &Refused{Field: detail.Location, Reason: detail.Message}
		}
		return nil, &Refused{Reason: res.Errors[0].Error()}
	}
	var w announcement
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, &Refused{Reason: "is no waybill"}
	}
	var ok bool
	if w.EPC, ok = tagName(w.EPC); !ok {
		return nil, &Refused{Field: "epc", Reason: "is neither an EPC pure identity URI nor the hex of a tag"}
	}
	in, refused := a.readRecipient(&w)
	if refused == nil {
		refused = a.readSite(&in.Waybill)
	}
	if refused != nil {
		return nil, refused
	}
	return pieces(in, w.Pieces)
}

// readRecipient seals who a parcel is for, and finds the outlet of an address where no site is given.
func (a *API) readRecipient(w *announcement) (in county.Intake, refused *Refused) {
	in.Waybill = w.Waybill
	r := w.Recipient
	if r == nil {
		if w.Site == "" {
			return in, &Refused{Field: "site", Reason: "is absent, and so is an address to find it by"}
		}
		return in, nil
	}
	if in.PhoneHash = a.cfg.Persons.PhoneHash(r.Phone); in.PhoneHash == "" {
		return in, &Refused{Field: "recipient.phone", Reason: "is absent, or no phone number"}
	}
	if in.Site == "" {
		if r.Village == "" && r.Address == "" {
			return in, &Refused{Field: "recipient.village", Reason: "is absent, and so are site and address"}
		}
		in.Site, _ = a.cfg.Outlets.Site(r.Village, r.Address)
	}
	in.Recipient = a.cfg.Persons.Seal(*r)
	return in, nil
}

func (a *API) readSite(w *county.Waybill) *Refused {
	if w.Site != "" && !slices.ContainsFunc(a.cfg.Registry.Sites, func(s county.Site) bool { return s.ID == w.Site }) {
		return &Refused{Field: "site", Reason: "is no site of the county"}
	}
	if w.Locker == "" {
		return nil
	}
	i := slices.IndexFunc(a.cfg.Registry.Lockers, func(l county.Locker) bool { return l.ID == w.Locker })
	switch {
	case i < 0:
		return &Refused{Field: "locker", Reason: "is no locker of the county"}
	case a.cfg.Registry.Lockers[i].Site != w.Site:
		return &Refused{Field: "locker", Reason: "stands at site " + a.cfg.Registry.Lockers[i].Site + ", not where the parcel goes"}
	}
	return nil
}

// pieces makes n parcels of one order.
func pieces(in county.Intake, n int) ([]county.Intake, *Refused) {
	if n <= 1 {
		return []county.Intake{in}, nil
	}
	if in.EPC != "" {
		return nil, &Refused{Field: "epc", Reason: "one tag can't be on several parcels"}
	}
	id := in.Waybill.Waybill
	if in.Order == "" {
		in.Order = id
	}
	var all []county.Intake
	for i := range n {
		in.Waybill.Waybill = fmt.Sprintf("%s-%d", id, i+1)
		if len(in.Waybill.Waybill) > 32 {
			return nil, &Refused{Field: "waybill", Reason: "is too long for so many pieces"}
		}
		all = append(all, in)
	}
	return all, nil
}

// tagName is how readers name the tag s: its URI, or its hex where it is no GS1 tag.
func tagName(s string) (name string, ok bool) {
	if s == "" {
		return "", true
	}
	if strings.HasPrefix(s, "urn:") {
		e, err := epc.FromURI(s)
		if err != nil {
			return "", false
		}
		return e.URI(), true
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 2 || len(b) > 62 || len(b)%2 != 0 { // whole words of an EPC bank
		return "", false
	}
	name, _ = epc.Name(b, false)
	return name, true
}

// fieldOf takes an error of the store apart, which begins with the field it is about.
func fieldOf(err error) (field, reason string) {
	name, rest, ok := strings.Cut(err.Error(), ": ")
	for _, t := range []reflect.Type{reflectWaybill, reflect.TypeFor[county.Said](), reflect.TypeFor[county.Container]()} {
		if _, known := t.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, name) }); ok && known {
			return name, rest
		}
	}
	return "", err.Error()
}

// refuse answers an error of the store about one thing.
func (a *API) refuse(ctx context.Context, what string, err error) error {
	switch {
	case errors.Is(err, county.ErrAbsent):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, county.ErrClosed), errors.Is(err, county.ErrTaken):
		return huma.Error409Conflict(err.Error())
	}
	if field, reason := fieldOf(err); field != "" {
		return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body." + field, Message: reason})
	}
	return a.fail(ctx, what, err)
}

// tell hands changes to whoever looks.
func (a *API) tell(changes []county.Change) {
	if a.cfg.Changed != nil && len(changes) > 0 {
		a.cfg.Changed(changes)
	}
}

// issuer is who asks; rooms that know people will say more.
const issuer = "token"
