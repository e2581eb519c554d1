package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// Callbacks keeps who is called back, and what they are told.
type Callbacks interface {
	Subscriptions(ctx context.Context) ([]county.Subscriber, error)
	PutSubscription(ctx context.Context, s channels.Subscription, origin string) error
	DropSubscription(ctx context.Context, id string) (found bool, err error)
	CallbackCounts(ctx context.Context) ([]county.CallbackCount, error)
	CallbackQueue
}

// CallbackQueue is what waits for a subscriber, and what people decide about it.
type CallbackQueue interface {
	Callbacks(ctx context.Context, id, status string, before int64, limit int) ([]county.Callback, error)
	DecideCallback(ctx context.Context, id string, seq int64, skip bool) (found bool, err error)
	ReplayCallbacks(ctx context.Context, id string, from int64) (made int, found bool, err error)
}

// Calling is what the routes of callbacks are made of.
type Calling struct {
	Callbacks Callbacks
	Secret    func(id string) string // what a subscriber verifies signatures with
	Private   bool                   // addresses of this network may be called
}

type subscribers struct {
	Items  []county.Subscriber    `json:"items"`
	Next   string                 `json:"next" doc:"always empty"`
	Counts []county.CallbackCount `json:"counts"`
}

type bySubscription struct {
	ID string `path:"id" pattern:"^[a-z0-9-]{1,24}$"`
}

type subscribed struct {
	channels.Subscription
	Secret string `json:"secret" doc:"for webhook-signature; told here only, and the same again for the same id"`
}

func (a *API) callbacks(h huma.API) {
	if a.cfg.Calling == nil {
		return
	}
	op := func(id, method, path, summary, more string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: Prefix + "/callbacks" + path, Tags: []string{"callback"}, Summary: summary, Description: more, DefaultStatus: status}
	}
	huma.Register(h, op("list-subscriptions", http.MethodGet, "", "Who is called back, and how much waits", "", http.StatusOK), a.listSubscriptions)
	huma.Register(h, op("put-subscription", http.MethodPut, "/{id}", "Subscribe, or change a subscription",
		"A new subscriber is told what happens from now on; a replay tells what was before. One of the configuration can't be changed here.", http.StatusOK), a.putSubscription)
	huma.Register(h, op("drop-subscription", http.MethodDelete, "/{id}", "End a subscription, and forget what waits for it", "", http.StatusNoContent), a.dropSubscription)
	huma.Register(h, op("list-callbacks", http.MethodGet, "/{id}/queue", "What a subscriber was told and is to be told, the newest first", "", http.StatusOK), a.listCallbacks)
	huma.Register(h, op("decide-callback", http.MethodPost, "/{id}/queue/{seq}/{word}", "retry tries one at once, skip never again: what comes after it of the same parcel then goes on", "", http.StatusNoContent), a.decideCallback)
	huma.Register(h, op("replay-callbacks", http.MethodPost, "/{id}/replay", "Tell everything from a number on once more, with the ids it had", "", http.StatusOK), a.replayCallbacks)
}

func (a *API) listSubscriptions(ctx context.Context, _ *none) (*answer[subscribers], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c := a.cfg.Calling.Callbacks
	items, err := c.Subscriptions(ctx)
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	counts, err := c.CallbackCounts(ctx)
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	return reply(subscribers{Items: items, Counts: counts}), nil
}

// configured refuses to touch a subscription of the configuration.
func (a *API) configured(ctx context.Context, id string) error {
	items, err := a.cfg.Calling.Callbacks.Subscriptions(ctx)
	if err != nil {
		return a.fail(ctx, "callback", err)
	}
	for _, s := range items {
		if s.ID == id && s.Origin == "config" {
			return huma.Error409Conflict("the configuration says what " + id + " is told")
		}
	}
	return nil
}

func (a *API) putSubscription(ctx context.Context, in *struct {
	ID   string `path:"id" pattern:"^[a-z0-9-]{1,24}$"`
	Body struct {
		URL    string   `json:"url" maxLength:"500" format:"uri"`
		Events []string `json:"events,omitempty" enum:"step,retracted,waybill,exception,due" doc:"empty: all"`
		Stages []string `json:"stages,omitempty" maxItems:"20" doc:"of steps: those that led to one of these; empty: all"`
		Sites  []string `json:"sites,omitempty" maxItems:"500" doc:"of steps: parcels that go there; empty: all"`
		Paused bool     `json:"paused,omitempty" doc:"facts queue up, and nothing is sent"`
	}
},
) (*answer[subscribed], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s := channels.Subscription{ID: in.ID, URL: in.Body.URL, Events: in.Body.Events, Stages: in.Body.Stages, Sites: in.Body.Sites, Paused: in.Body.Paused}
	var wrong []error
	s.Validate(a.cfg.Calling.Private, func(field, format string, args ...any) {
		wrong = append(wrong, &huma.ErrorDetail{Location: "body." + field, Message: fmt.Sprintf(format, args...)})
	})
	if len(wrong) > 0 {
		return nil, huma.Error422UnprocessableEntity("the subscription is wrong", wrong...)
	}
	if err := a.configured(ctx, in.ID); err != nil {
		return nil, err
	}
	if err := a.cfg.Calling.Callbacks.PutSubscription(ctx, s, "api"); err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	return reply(subscribed{s, a.cfg.Calling.Secret(in.ID)}), nil
}

func (a *API) dropSubscription(ctx context.Context, in *bySubscription) (*none, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := a.configured(ctx, in.ID); err != nil {
		return nil, err
	}
	found, err := a.cfg.Calling.Callbacks.DropSubscription(ctx, in.ID)
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	if !found {
		return nil, huma.Error404NotFound("no subscription has the id " + in.ID)
	}
	return nil, nil
}

func (a *API) listCallbacks(ctx context.Context, in *struct {
	ID     string `path:"id" pattern:"^[a-z0-9-]{1,24}$"`
	Status string `query:"status" enum:"waiting,done,failed,skipped"`
	After  int64  `query:"after" minimum:"1" doc:"the next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
},
) (*answer[list[county.Callback]], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	items, err := a.cfg.Calling.Callbacks.Callbacks(ctx, in.ID, in.Status, in.After, in.Limit)
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	out := list[county.Callback]{Items: items}
	if len(items) == in.Limit {
		out.Next = fmt.Sprintf("%d", items[len(items)-1].Seq)
	}
	return reply(out), nil
}

func (a *API) decideCallback(ctx context.Context, in *struct {
	ID   string `path:"id" pattern:"^[a-z0-9-]{1,24}$"`
	Seq  int64  `path:"seq" minimum:"1"`
	Word string `path:"word" enum:"retry,skip"`
},
) (*none, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	found, err := a.cfg.Calling.Callbacks.DecideCallback(ctx, in.ID, in.Seq, in.Word == "skip")
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	if !found {
		return nil, huma.Error404NotFound(fmt.Sprintf("nothing with the number %d waits for %s", in.Seq, in.ID))
	}
	return nil, nil
}

func (a *API) replayCallbacks(ctx context.Context, in *struct {
	ID   string `path:"id" pattern:"^[a-z0-9-]{1,24}$"`
	Body struct {
		From int64 `json:"from" minimum:"1" doc:"the sequence of the first to be told"`
	}
},
) (*answer[struct {
	Queued int `json:"queued"`
}], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	made, found, err := a.cfg.Calling.Callbacks.ReplayCallbacks(ctx, in.ID, in.Body.From)
	if err != nil {
		return nil, a.fail(ctx, "callback", err)
	}
	if !found {
		return nil, huma.Error404NotFound("no subscription has the id " + in.ID)
	}
	var out answer[struct {
		Queued int `json:"queued"`
	}]
	out.Body.Queued = made
	return &out, nil
}
