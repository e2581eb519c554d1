package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
)

const maxRows = 1000

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
	}, func(ctx context.Context, in *struct {
		Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	},
	) (*answer[county.Timeline], error) {
		t, err := find(ctx, a, "parcel", in.Waybill, a.cfg.Store.Timeline)
		if err != nil {
			return nil, err
		}
		if t.Evidence == nil {
			t.Evidence = []county.Evidence{}
		}
		return reply(t), nil
	})
	a.row = a.sch.Schema(reflectWaybill, true, "Waybill")
	huma.Register(h, huma.Operation{
		OperationID: "announce", Method: http.MethodPost, Path: Prefix + "/waybills", Tags: []string{"parcel"},
		Summary:          "Announce parcels: one, or a list",
		Description:      "Good rows pass; bad rows come back with their index and the field. 201: all passed; 200: some; 422: none. The same waybill again is no error.",
		SkipValidateBody: true, // row by row, below
		DefaultStatus:    http.StatusCreated,
	}, a.announce)
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

func (a *API) announce(ctx context.Context, in *struct{ Body rows }) (*announced, error) {
	var good []county.Waybill
	var index []int // of good, in the body
	var bad []Refused
	seen := map[string]int{}
	for i, raw := range in.Body {
		w, r := a.readRow(raw)
		if r == nil {
			if first, twice := seen[w.Waybill]; twice {
				r = &Refused{Field: "waybill", Reason: fmt.Sprintf("is that of row %d too", first)}
			}
		}
		if r != nil {
			r.Index = i
			bad = append(bad, *r)
			continue
		}
		seen[w.Waybill] = i
		good, index = append(good, w), append(index, i)
	}
	out := &announced{Status: http.StatusCreated}
	out.Body.Items = []county.Parcel{}
	if len(good) > 0 {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		created, refused, err := a.cfg.Store.PutWaybills(ctx, good, a.cfg.Now())
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
	slices.SortFunc(bad, func(x, y Refused) int { return x.Index - y.Index })
	out.Body.Refused = append([]Refused{}, bad...)
	switch {
	case len(bad) == len(in.Body):
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

// readRow checks one row: its shape by the schema that the OpenAPI document shows, then what a schema can't say.
func (a *API) readRow(raw json.RawMessage) (w county.Waybill, refused *Refused) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&v); err != nil {
		return w, &Refused{Reason: "is no JSON"}
	}
	if m, ok := v.(map[string]any); ok {
		for _, name := range a.sch.SchemaFromRef(a.row.Ref).Required {
			if _, ok := m[name]; !ok {
				return w, &Refused{Field: name, Reason: "is absent"}
			}
		}
	}
	var res huma.ValidateResult
	huma.Validate(a.sch, a.row, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &res)
	if len(res.Errors) > 0 {
		var detail *huma.ErrorDetail
		if errors.As(res.Errors[0], &detail) {
			return w, &Refused{Field: detail.Location, Reason: detail.Message}
		}
		return w, &Refused{Reason: res.Errors[0].Error()}
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, &Refused{Reason: "is no waybill"}
	}
	var ok bool
	if w.EPC, ok = tagName(w.EPC); !ok {
		return w, &Refused{Field: "epc", Reason: "is neither an EPC pure identity URI nor the hex of a tag"}
	}
	if !slices.ContainsFunc(a.cfg.Registry.Sites, func(s county.Site) bool { return s.ID == w.Site }) {
		return w, &Refused{Field: "site", Reason: "is no site of the county"}
	}
	if w.Locker == "" {
		return w, nil
	}
	i := slices.IndexFunc(a.cfg.Registry.Lockers, func(l county.Locker) bool { return l.ID == w.Locker })
	switch {
	case i < 0:
		return w, &Refused{Field: "locker", Reason: "is no locker of the county"}
	case a.cfg.Registry.Lockers[i].Site != w.Site:
		return w, &Refused{Field: "locker", Reason: "stands at site " + a.cfg.Registry.Lockers[i].Site + ", not where the parcel goes"}
	}
	return w, nil
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
	if _, known := reflectWaybill.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, name) }); ok && known {
		return name, rest
	}
	return "", err.Error()
}
