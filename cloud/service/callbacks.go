package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"yizhan/cloud/internal/account"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/callback"
	"yizhan/cloud/internal/county"
)

// openCallbacks makes what calls other houses. Subscriptions of the configuration replace what the store has of theirs;
// one that is gone from it is ended.
func (s *Service) openCallbacks(ctx context.Context) error {
	set := &s.cfg.Callbacks
	file := cmp.Or(set.KeyFile, filepath.Join(filepath.Dir(s.cfg.TokenFile), "callback.key"))
	key, err := account.ReadToken(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = account.FreshToken(file, s.env.Rand)
	}
	if err != nil {
		return err
	}
	there, err := s.store.Subscriptions(ctx)
	if err != nil {
		return err
	}
	said := map[string]bool{}
	for _, sub := range set.Subscriptions {
		said[sub.ID] = true
		if err := s.store.PutSubscription(ctx, sub, "config"); err != nil {
			return err
		}
	}
	for _, sub := range there {
		if sub.Origin == "config" && !said[sub.ID] {
			if _, err := s.store.DropSubscription(ctx, sub.ID); err != nil {
				return err
			}
		}
	}
	s.caller = callback.New(callback.Options{
		Queue: s.store, Event: s.eventOf, Key: []byte(key), Source: "urn:yizhan:county", Private: set.Private || s.cfg.Demo, LateAfter: set.LateAfter,
		Now: s.env.Now, Log: s.env.Log,
	})
	return nil
}

// eventOf is the EPCIS event of a step.
func (s *Service) eventOf(ctx context.Context, key string, told county.StepTold) (data json.RawMessage, ok bool, err error) {
	e, ok, err := s.maker.Event(ctx, key, told)
	return json.RawMessage(e.Doc), ok, err
}

// calling is what the API's routes of callbacks are made of.
func (s *Service) calling() *api.Calling {
	return &api.Calling{Callbacks: s.store, Secret: s.caller.Secret, Private: s.cfg.Callbacks.Private || s.cfg.Demo}
}
