package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Bounds of what a phone sends at once.
const (
	maxActs  = 100
	maxPhoto = 400 << 10 // bytes
	maxSync  = 6 << 20
	oldest   = 30 * 24 * time.Hour // an act that is older than that is a clock's mistake
)

// noted is an act as a phone sends it.
type noted struct {
	ID        string         `json:"id" pattern:"^[A-Za-z0-9-]{8,56}$" doc:"a UUID of the phone's making; the same again is the same act"`
	Kind      county.ActKind `json:"kind" enum:"sign_on,sign_off,load,unload,pack,unpack,deposit,to_door,hand_over,refuse,count"`
	Actor     string         `json:"actor" pattern:"^[A-Za-z0-9-]{1,32}$" doc:"the badge of who did it; no name"`
	At        time.Time      `json:"at" doc:"when it was done"`
	Of        string         `json:"of,omitempty" maxLength:"32" doc:"the waybill; of a count: the container, if it was one's"`
	Site      string         `json:"site,omitempty" maxLength:"32"`
	Run       string         `json:"run,omitempty" maxLength:"64"`
	Day       string         `json:"day,omitempty" maxLength:"10"`
	Vehicle   string         `json:"vehicle,omitempty" maxLength:"32"`
	Container string         `json:"container,omitempty" maxLength:"32"`
	Locker    string         `json:"locker,omitempty" maxLength:"32"`
	Cell      int            `json:"cell,omitempty" minimum:"1" maximum:"1024"`
	N         int            `json:"n,omitempty" minimum:"0" maximum:"100000"`
	Expected  *int           `json:"expected,omitempty" minimum:"0" maximum:"100000"`
	Reason    string         `json:"reason,omitempty" maxLength:"200" doc:"nothing personal"`
	Photo     []byte         `json:"photo,omitempty" doc:"JPEG, PNG or WebP, at most 400 KiB" contentEncoding:"base64"`
}

// Verdict is what became of an act.
type Verdict struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"taken,already,refused" doc:"already: it was taken before"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason,omitempty"`
}

type verdicts struct {
	Items []Verdict `json:"items" doc:"one for each act, in their order"`
	Time  time.Time `json:"time" doc:"the server's clock"`
}

func (a *API) acts(h huma.API, op func(id, method, path, summary string) huma.Operation) {
	sync := op("sync-acts", http.MethodPost, "/run/acts", "Tell what was done, as a phone noted it, perhaps hours ago")
	sync.Description = "Each act is taken once, by its id, however often it is sent; a refused one isn't kept. 503: none of those without an answer is lost to the phone, send again."
	sync.MaxBodyBytes, sync.DefaultStatus = maxSync, http.StatusOK
	huma.Register(h, sync, a.syncActs)
	huma.Register(h, op("list-acts", http.MethodGet, "/run/acts", "What was done, the latest first"), func(ctx context.Context, in *struct {
		Site  string `query:"site" pattern:"^[a-z0-9-]{1,32}$"`
		Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	},
	) (*answer[list[county.Act]], error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		items, err := a.cfg.Running.Store.Acts(ctx, in.Site, in.Limit)
		if err != nil {
			return nil, a.fail(ctx, "act", err)
		}
		if items == nil {
			items = []county.Act{}
		}
		return reply(list[county.Act]{Items: items}), nil
	})
	huma.Register(h, op("photo", http.MethodGet, "/run/photos/{id}", "The photo of an act"), a.photo)
}

func (a *API) photo(ctx context.Context, in *struct {
	ID string `path:"id" pattern:"^[A-Za-z0-9-]{1,56}$"`
},
) (*printed, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	mime, body, ok, err := a.cfg.Running.Store.Photo(ctx, in.ID)
	if err != nil {
		return nil, a.fail(ctx, "photo", err)
	}
	if !ok {
		return nil, huma.Error404NotFound("no act with a photo has the id " + in.ID)
	}
	return &printed{Type: mime, Disposition: "inline", Body: body}, nil
}

// syncing is a batch on its way through.
type syncing struct {
	acts  []noted
	docs  []county.Act
	mimes []string
	out   []Verdict
	now   time.Time
}

func (s *syncing) refuse(i int, field, reason string) {
	s.out[i] = Verdict{ID: s.acts[i].ID, Status: "refused", Field: field, Reason: reason}
}

func (s *syncing) refused(i int) bool { return s.out[i].Status == "refused" }

// syncActs does what was done: first its effects, each idempotent by the act's id, then the act itself. Who dies in between is asked again.
func (a *API) syncActs(ctx context.Context, in *struct {
	Body struct {
		Acts []noted `json:"acts" minItems:"1" maxItems:"100"`
	}
},
) (*answer[verdicts], error) {
	s := &syncing{acts: in.Body.Acts, out: make([]Verdict, len(in.Body.Acts)), now: a.cfg.Now()}
	seen := map[string]bool{}
	for i := range s.acts {
		x := &s.acts[i]
		s.docs = append(s.docs, x.doc())
		s.mimes = append(s.mimes, "")
		if field, reason := a.wrongAct(x, s.now); reason != "" {
			s.refuse(i, field, reason)
		} else if seen[x.ID] {
			s.refuse(i, "id", "is twice in the batch")
		}
		seen[x.ID] = true
		if len(x.Photo) > 0 {
			s.mimes[i] = http.DetectContentType(x.Photo)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	for _, step := range []func(context.Context, *syncing) error{a.sayActs, a.boxActs, a.keepActs} {
		if err := step(ctx, s); err != nil {
			return nil, a.fail(ctx, "act", err)
		}
	}
	return reply(verdicts{Items: s.out, Time: a.cfg.Now().UTC()}), nil
}

func (x *noted) doc() county.Act {
	return county.Act{
		ID: x.ID, Kind: x.Kind, Actor: x.Actor, At: x.At.UTC(), Of: x.Of, Site: x.Site, Run: x.Run, Day: x.Day, Vehicle: x.Vehicle, Container: x.Container,
		Locker: x.Locker, Cell: x.Cell, N: x.N, Expected: x.Expected, Reason: x.Reason, Photo: len(x.Photo) > 0,
	}
}

// wrongAct tells what an act lacks.
func (a *API) wrongAct(x *noted, now time.Time) (field, reason string) {
	site := slices.ContainsFunc(a.cfg.Registry.Sites, func(s county.Site) bool { return s.ID == x.Site })
	switch {
	case x.At.After(now.Add(county.Ahead)):
		return "at", "is later than now: the phone's clock is wrong"
	case x.At.Before(now.Add(-oldest)):
		return "at", "is more than 30 days ago"
	case x.Site != "" && !site:
		return "site", "is no site of the county"
	case len(x.Photo) > maxPhoto:
		return "photo", "is larger than 400 KiB"
	case len(x.Photo) > 0 && !slices.Contains([]string{"image/jpeg", "image/png", "image/webp"}, http.DetectContentType(x.Photo)):
		return "photo", "is no JPEG, PNG or WebP"
	}
	lacks := func(name, value string) bool {
		if value == "" && reason == "" {
			field, reason = name, "is absent"
		}
		return value == ""
	}
	switch x.Kind {
	case county.ActSignOn, county.ActSignOff, county.ActCount:
		lacks("site", x.Site)
	case county.ActLoad:
		_ = lacks("of", x.Of) || lacks("vehicle", x.Vehicle)
	case county.ActUnload:
		_ = lacks("of", x.Of) || lacks("site", x.Site)
	case county.ActPack, county.ActUnpack:
		_ = lacks("of", x.Of) || lacks("container", x.Container)
	case county.ActRefuse:
		_ = lacks("of", x.Of) || lacks("reason", x.Reason)
	case county.ActDeposit:
		if x.Cell == 0 {
			return "cell", "is absent"
		}
		_ = lacks("of", x.Of) || lacks("locker", x.Locker)
	case county.ActDoor, county.ActHand:
		lacks("of", x.Of)
	}
	return field, reason
}

// said is what an act says of a parcel.
func (a *API) said(x *noted) (county.Said, bool) {
	s := county.Said{ID: x.ID, Waybill: x.Of, At: x.At, Site: x.Site, Reason: x.Reason, Channel: "page", Actor: "run/" + x.Actor}
	switch x.Kind {
	case county.ActLoad:
		s.Step, s.Vehicle = "loaded", x.Vehicle
	case county.ActUnload:
		s.Step = "at_outlet"
		if i := slices.IndexFunc(a.cfg.Registry.Sites, func(s county.Site) bool { return s.ID == x.Site }); a.cfg.Registry.Sites[i].Kind == county.Warehouse {
			s.Step = "at_warehouse"
		}
	case county.ActDeposit:
		s.Step, s.Locker, s.Cell = "in_locker", x.Locker, x.Cell
	case county.ActDoor:
		s.Step, s.Vehicle = "out_for_delivery", x.Vehicle
	case county.ActHand:
		s.Step = "signed_for"
	case county.ActRefuse:
		s.Step = "refused"
	default:
		return s, false
	}
	return s, true
}

// sayActs tells what acts say of parcels, in one transaction.
func (a *API) sayActs(ctx context.Context, s *syncing) error {
	var all []county.Said
	var index []int
	for i := range s.acts {
		if said, ok := a.saidOf(s, i); ok {
			all, index = append(all, said), append(index, i)
		}
	}
	if len(all) == 0 {
		return nil
	}
	_, changes, refused, err := a.cfg.Store.Say(ctx, all)
	if err != nil {
		return err
	}
	for j, err := range refused {
		field, reason := fieldOf(err)
		if field == "waybill" {
			field = "of"
		}
		s.refuse(index[j], field, reason)
	}
	a.tell(changes)
	return nil
}

func (a *API) saidOf(s *syncing, i int) (county.Said, bool) {
	if s.refused(i) {
		return county.Said{}, false
	}
	return a.said(&s.acts[i])
}

// boxActs does what acts do to containers, and reports counts that differ.
func (a *API) boxActs(ctx context.Context, s *syncing) error {
	for i := range s.acts {
		if s.refused(i) {
			continue
		}
		x := &s.acts[i]
		var changes []county.Change
		var err error
		switch {
		case x.Kind == county.ActPack:
			changes, err = a.cfg.Store.Pack(ctx, x.Container, []string{x.Of}, x.At, "run/"+x.Actor)
		case x.Kind == county.ActUnpack:
			changes, err = a.cfg.Store.Unpack(ctx, x.Container, []string{x.Of}, x.At, "run/"+x.Actor)
		case x.Kind == county.ActCount && x.Of != "":
			changes, err = a.cfg.Store.Count(ctx, x.Of, x.N, x.At, x.Site, "run/"+x.Actor)
		case x.Kind == county.ActCount && x.Expected != nil && *x.Expected != x.N:
			_, err = a.cfg.Running.Store.Report(ctx, county.Exception{
				Class: county.Loss, Cause: "count_differs", Object: "run/" + x.Day + "/" + x.Run, Evidence: []string{x.ID}, Source: "staff",
				Detail: fmt.Sprintf("at %s %d were counted, %d are on the manifest", x.Site, x.N, *x.Expected),
			})
		}
		switch {
		case errors.Is(err, county.ErrAbsent):
			s.refuse(i, "container", "there is none of that id")
		case err != nil:
			return err
		}
		a.tell(changes)
	}
	return nil
}

// keepActs keeps the acts themselves.
func (a *API) keepActs(ctx context.Context, s *syncing) error {
	for i := range s.acts {
		if s.refused(i) {
			continue
		}
		fresh, err := a.cfg.Running.Store.PutAct(ctx, s.docs[i], s.mimes[i], s.acts[i].Photo)
		switch {
		case errors.Is(err, county.ErrTaken):
			s.refuse(i, "id", "is another act's")
			continue
		case err != nil:
			return err
		}
		s.out[i] = Verdict{ID: s.acts[i].ID, Status: "already"}
		if fresh {
			s.out[i].Status = "taken"
		}
	}
	return nil
}
