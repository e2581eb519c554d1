package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
)

// stepWithdrawn is the step of evidence that takes a partner's word back.
const stepWithdrawn = "withdrawn"

// partnerActor is who a partner's word is of; one token serves them all.
const partnerActor = "partner"

// tagSubjects are the subjects of evidence of a tag: as devices name it, and as partners do.
func (s *Store) tagSubjects(tag string) []string {
	if tag == "" {
		return nil
	}
	if s.opt.Link != nil {
		if l := s.opt.Link(tag); l != "" {
			return []string{"epc/" + tag, "link/" + l}
		}
	}
	return []string{"epc/" + tag}
}

// tagsOf are the tags that a partner's subject may be.
func (s *Store) tagsOf(subject string) []string {
	l, ok := strings.CutPrefix(subject, "link/")
	if !ok || s.opt.Tags == nil {
		return nil
	}
	return s.opt.Tags(l)
}

// heed makes evidence of what partners' events say that were just stored, and folds what they are about.
func (c *commit) heed(ctx context.Context, fresh []county.EPCISEvent) error {
	said := false
	for i := range fresh {
		said = said || len(fresh[i].Words) > 0
	}
	if !said {
		return nil
	}
	ours, err := c.echoes(ctx, fresh)
	if err != nil {
		return err
	}
	contents, err := c.contentsOf(ctx, fresh)
	if err != nil {
		return err
	}
	for i := range fresh {
		e := &fresh[i]
		if len(e.Words) == 0 || ours[e.Hash] {
			continue
		}
		if echo, err := c.tellsOurs(ctx, e); err != nil {
			return err
		} else if echo {
			continue
		}
		known := contents[e.ID]
		for _, w := range e.Words {
			if e.Declared.IsZero() {
				c.witness(c.partnerEvidence(e, &w, e.Digest, w.Step))
			}
			if known.wrong {
				for digest := range known.digests {
					c.witness(c.partnerEvidence(e, &w, digest, stepWithdrawn))
				}
			}
		}
	}
	return c.settle(ctx)
}

// partnerEvidence is a word as evidence, by the content that it is of; or the evidence that takes that back.
func (c *commit) partnerEvidence(e *county.EPCISEvent, w *county.PartnerWord, digest, step string) county.Sighting {
	at := e.At
	if limit := c.now; at.After(limit.Add(county.Ahead)) {
		at = limit
	}
	s := county.Sighting{ID: partnerID("word", digest, w.Subject), Subject: w.Subject, At: moment(ms(at)), TQ: w.TQ, Kind: parcel.KindPartner, Step: step}
	b := saying{Site: w.Site, Vehicle: w.Vehicle, Locker: w.Locker, Actor: partnerActor, Channel: "epcis"}
	switch {
	case step == stepWithdrawn:
		b = saying{Actor: partnerActor, Of: s.ID}
		s.ID = partnerID("wrong", digest, w.Subject)
	case w.Vehicle != "":
		s.Thing = "vehicle/" + w.Vehicle
	}
	s.Body, _ = json.Marshal(b) // strings always marshal
	return s
}

func partnerID(what, digest, subject string) string {
	h := sha256.Sum256([]byte("partner\x00" + what + "\x00" + digest + "\x00" + subject))
	return "q" + hex.EncodeToString(h[:16])[1:]
}

// withdrawn are the ids of evidence that other evidence takes back, with those of the latter.
func withdrawn(all []county.Sighting) (map[string]bool, error) {
	var wrong map[string]bool
	for i := range all {
		s := &all[i]
		if s.Kind != parcel.KindPartner || s.Step != stepWithdrawn {
			continue
		}
		var b saying
		if err := json.Unmarshal(s.Body, &b); err != nil {
			return nil, fmt.Errorf("evidence %s: %w", s.ID, err)
		}
		if wrong == nil {
			wrong = map[string]bool{}
		}
		wrong[s.ID], wrong[b.Of] = true, true
	}
	return wrong, nil
}

// echoes are the hash ids, of events, that ours have.
func (c *commit) echoes(ctx context.Context, events []county.EPCISEvent) (map[string]bool, error) {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = clean(events[i].Hash)
	}
	w := c.c.words()
	ours := map[string]bool{}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ours[id] = true
		return err
	}, "select id from epcis_events where key <> '' and "+w.in("id", "$1"), w.list(ids))
	return ours, err
}

// tellsOurs reports that an event tells a step that an event of ours tells of the same waybill at the same moment.
func (c *commit) tellsOurs(ctx context.Context, e *county.EPCISEvent) (yes bool, err error) {
	if e.Waybill == "" {
		return false, nil
	}
	err = c.c.each(ctx, func(scan func(...any) error) error { var n int64; yes = true; return scan(&n) },
		"select no from epcis_events where at_ms = $1 and biz_step = $2 and waybill = $3 and key <> '' limit 1", ms(e.At), clean(e.BizStep), clean(e.Waybill))
	return yes, err
}

// eventContents are the contents that stand under one event id, and whether it was declared wrong.
type eventContents struct {
	digests map[string]bool
	wrong   bool
}

func (c *commit) contentsOf(ctx context.Context, events []county.EPCISEvent) (map[string]eventContents, error) {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = clean(events[i].ID)
	}
	w := c.c.words()
	out := map[string]eventContents{}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id, digest string
		var declared int64
		if err := scan(&id, &digest, &declared); err != nil {
			return err
		}
		x, ok := out[id]
		if !ok {
			x.digests = map[string]bool{}
		}
		x.digests[digest] = true
		x.wrong = x.wrong || declared > 0
		out[id] = x
		return nil
	}, "select id, digest, declared_ms from epcis_events where "+w.in("id", "$1"), w.list(ids))
	return out, err
}
