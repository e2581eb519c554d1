package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// saying is the body of a person's evidence.
type saying struct {
	Site    string `json:"site,omitempty"`
	Vehicle string `json:"vehicle,omitempty"`
	Locker  string `json:"locker,omitempty"`
	Cell    int    `json:"cell,omitempty"`
	Actor   string `json:"actor"`
	Reason  string `json:"reason,omitempty"`
	Channel string `json:"channel,omitempty"`
	Counted int    `json:"counted,omitempty"`
	Of      string `json:"of,omitempty"` // the evidence that is taken back
}

// ErrNoParcel says that there is no parcel with a waybill.
var ErrNoParcel = fmt.Errorf("waybill: %w", county.ErrAbsent)

// Say takes what people say of parcels, as evidence like a device's: each with the id that its client gave it, so
// that the same again is the same (ErrExists where it says something else). refused holds, by index, why one was not
// taken; its errors name the field.
func (s *Store) Say(ctx context.Context, said []county.Said) (parcels []county.Parcel, changes []county.Change, refused map[int]error, err error) {
	facts := 0
	err = s.update(ctx, "say", func(c conn) error {
		parcels, refused = nil, map[int]error{}
		w := s.newCommit(c, nil)
		var waybills []string
		for i := range said {
			e, err := w.sayingOf(&said[i])
			if err != nil {
				refused[i] = err
				continue
			}
			w.evidence[e.ID] = e
			waybills = append(waybills, said[i].Waybill)
		}
		rows, err := readParcels(ctx, c, "where "+c.words().in("waybill", "$1")+" order by waybill"+c.words().lock, c.words().list(waybills))
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for i := range rows {
			there[rows[i].Waybill.Waybill] = true
		}
		ids := map[string]int{}
		for i := range said {
			if refused[i] != nil {
				continue
			}
			id := personID(said[i].Waybill, said[i].ID)
			if ids[id] = i; !there[said[i].Waybill] {
				refused[i] = ErrNoParcel
				delete(w.evidence, id)
			}
		}
		if err := w.sameAgain(ctx, ids, refused); err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		rows, err = readParcels(ctx, c, "where "+c.words().in("waybill", "$1")+" order by waybill", c.words().list(waybills))
		for i := range rows {
			parcels = append(parcels, rows[i].Parcel)
		}
		changes, facts = w.changes, len(w.facts)
		return err
	})
	if err == nil && facts > 0 {
		s.wake()
	}
	return parcels, changes, refused, err
}

// settle puts the evidence of a commit that has no frames, and folds again what it is about.
func (c *commit) settle(ctx context.Context) error {
	for _, step := range []func(context.Context) error{c.putEvidence, c.foldContents, c.foldParcels, c.gatherChanges} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return tell(ctx, c.c, c.now, c.facts, false)
}

// sameAgain refuses what was said before in other words.
func (c *commit) sameAgain(ctx context.Context, ids map[string]int, refused map[int]error) error {
	list := make([]string, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	w := c.c.words()
	old, err := readEvidence(ctx, c.c, w.in("id", "$1"), w.list(list))
	for _, o := range old {
		n, ok := c.evidence[o.ID]
		if ok && (o.Step != n.Step || !o.At.Equal(n.At) || string(o.Body) != string(n.Body)) {
			refused[ids[o.ID]] = fmt.Errorf("id: %w with other content", ErrExists)
		}
		delete(c.evidence, o.ID)
	}
	return err
}

func personID(waybill, id string) string {
	h := sha256.Sum256([]byte("person\x00" + waybill + "\x00" + id))
	return "p" + hex.EncodeToString(h[:16])[1:]
}

// sayingOf makes evidence of what a person says.
func (c *commit) sayingOf(p *county.Said) (e county.Sighting, err error) {
	_, known := parcel.Words[p.Step]
	switch {
	case !waybillForm.MatchString(p.Waybill):
		return e, errors.New("waybill: must be 6 to 32 of A-Z, 0-9 and '-'")
	case !known:
		return e, fmt.Errorf("step: %.40q is no step that a person says", p.Step)
	case p.ID == "" || len(p.ID) > 64 || clean(p.ID) != p.ID:
		return e, errors.New("id: must be 1 to 64 characters")
	case p.Actor == "":
		return e, errors.New("actor: is absent")
	case p.At.IsZero() || p.At.After(c.now.Add(county.Ahead)):
		return e, errors.New("at: is absent, or later than now")
	case p.Site != "" && c.reg.siteKind[p.Site] == "":
		return e, fmt.Errorf("site: there is no %.40q", p.Site)
	case p.Vehicle != "" && c.reg.vehicle[p.Vehicle] == nil:
		return e, fmt.Errorf("vehicle: there is no %.40q", p.Vehicle)
	case p.Locker != "" && c.reg.locker[p.Locker] == nil:
		return e, fmt.Errorf("locker: there is no %.40q", p.Locker)
	case p.Step == "in_locker" && (p.Locker == "" || p.Cell < 1):
		return e, errors.New("locker: which locker, and which cell?")
	case p.Step == "loaded" && p.Vehicle == "":
		return e, errors.New("vehicle: which one?")
	case (p.Step == "at_outlet" || p.Step == "at_warehouse") && p.Site == "":
		return e, errors.New("site: which one?")
	}
	body, _ := json.Marshal(saying{Site: p.Site, Vehicle: p.Vehicle, Locker: p.Locker, Cell: p.Cell, Actor: clean(p.Actor), Reason: clean(p.Reason), Channel: clean(p.Channel)})
	thing := ""
	if p.Vehicle != "" {
		thing = "vehicle/" + p.Vehicle
	}
	return county.Sighting{
		ID: personID(p.Waybill, p.ID), Thing: thing, At: moment(ms(p.At)), TQ: telemetry.Cloud, Kind: parcel.KindPerson, Subject: "parcel/" + p.Waybill, Step: p.Step, Body: body,
	}, nil
}

// Expire completes parcels whose pick-up was long enough ago, at most limit, and returns how many. It puts the
// timer down as evidence of theirs.
func (s *Store) Expire(ctx context.Context, limit int) (n int, changes []county.Change, err error) {
	type taken struct{ waybill, evidence string }
	err = s.update(ctx, "expire", func(c conn) error {
		w := s.newCommit(c, nil)
		rows, err := readParcels(ctx, c, "where stage in ('picked_up', 'signed_for') and since_ms <= $1 order by since_ms limit $2", ms(w.now.Add(-parcel.CompleteAfter)), limit)
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		timelines, err := w.tell(ctx, rows)
		if err != nil {
			return err
		}
		for i := range timelines {
			t := &timelines[i]
			var last taken
			for j := range t.Evidence {
				if st := t.Evidence[j].Stage; st == county.PickedUp || st == county.SignedFor {
					last = taken{t.Waybill.Waybill, t.Evidence[j].ID}
				}
			}
			id := personID(last.waybill, "timer/"+last.evidence)
			w.evidence[id] = county.Sighting{
				ID: id, At: t.Since.Add(parcel.CompleteAfter), TQ: telemetry.Cloud, Kind: parcel.KindTimer, Subject: "parcel/" + last.waybill, Step: parcel.TimedOut, Body: []byte(last.evidence),
			}
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		changes = w.changes
		return nil
	})
	if err == nil && n > 0 {
		s.wake()
	}
	return n, changes, err
}

// Run looks so often for parcels to complete, and takes so many at once.
const (
	expireEvery  = time.Minute
	expireAtOnce = 500
)
