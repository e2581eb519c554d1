package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// The steps of evidence of containers. What is in what is folded from them and from the scans at packing benches, and
// kept in contents: an item is in one container at a time.
const (
	packed   = "packed"   // of an item; the container is the thing
	unpacked = "unpacked" //
	broken   = "broken"   // of a container: from then on nothing is in it
	counted  = "counted"  // of a container: so many were in it at a hand-over
)

// packWithin is how long after a container's code was scanned at a bench what is scanned there goes into it.
const packWithin = 15 * time.Minute

// PutContainer keeps a bag or cage, the tag it bears, and its barcode as scanners tell it; both may be empty.
func (s *Store) PutContainer(ctx context.Context, b county.Container) error {
	name, err := tagName(b.EPC)
	if err != nil {
		return err
	}
	switch {
	case !telemetry.ValidID(b.ID):
		return fmt.Errorf("id: %.40q is not 1 to 32 of a-z, 0-9 and '-'", b.ID)
	case b.Kind != "bag" && b.Kind != "cage":
		return fmt.Errorf("kind: %.20q is neither bag nor cage", b.Kind)
	}
	code := scanned(b.Code)
	return s.update(ctx, "container", func(c conn) error {
		w := s.newCommit(c, nil)
		other := ""
		err := c.each(ctx, func(scan func(...any) error) error { return scan(&other) }, "select id from containers where code <> '' and code = $1 and id <> $2", code, b.ID)
		if err != nil {
			return err
		}
		if other != "" {
			return refusal{fmt.Errorf("code: %q is that of %q", b.Code, other)}
		}
		if err := c.put(ctx, containersTable, [][]any{{b.ID, b.Kind, name, code}}); err != nil {
			return err
		}
		if code != "" { // it may have been scanned before it was known
			if w.benches, err = readEvidence(ctx, c, "subject = $1 and kind = 'scan' and thing >= 'bench/' and thing < 'bench0'", "scan/"+code); err != nil {
				return err
			}
		}
		if err := w.markContents(ctx, []string{b.ID}); err != nil {
			return err
		}
		return w.settle(ctx)
	})
}

// Pack says that items (waybills or containers) are in a container from at on; they leave whatever they were in. The
// same again changes nothing, and the order in which it is told makes no difference.
func (s *Store) Pack(ctx context.Context, container string, items []string, at time.Time, actor string) ([]county.Change, error) {
	return s.sayBox(ctx, container, packed, items, at, saying{Actor: actor})
}

// Unpack says that items are no longer in a container from at on.
func (s *Store) Unpack(ctx context.Context, container string, items []string, at time.Time, actor string) ([]county.Change, error) {
	return s.sayBox(ctx, container, unpacked, items, at, saying{Actor: actor})
}

// Break says that a container broke: from at on nothing is in it any more.
func (s *Store) Break(ctx context.Context, container string, at time.Time, actor, reason string) ([]county.Change, error) {
	return s.sayBox(ctx, container, broken, nil, at, saying{Actor: actor, Reason: reason})
}

// Count says how many were in a container when it was handed over at a site; another number than what was packed
// is an exception.
func (s *Store) Count(ctx context.Context, container string, n int, at time.Time, site, actor string) ([]county.Change, error) {
	return s.sayBox(ctx, container, counted, nil, at, saying{Actor: actor, Site: site, Counted: n})
}

// ErrNoContainer says that there is no container of an id.
var ErrNoContainer = fmt.Errorf("container: %w", county.ErrAbsent)

func (s *Store) sayBox(ctx context.Context, container, step string, items []string, at time.Time, b saying) (changes []county.Change, err error) {
	facts := 0
	err = s.update(ctx, "contents", func(c conn) error {
		w := s.newCommit(c, nil)
		n := 0
		err := c.each(ctx, func(scan func(...any) error) error { return scan(&n) }, "select count(*) from containers where id = $1", clean(container))
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal{ErrNoContainer}
		}
		body, _ := json.Marshal(b) // strings and numbers always marshal
		subjects := []string{"container/" + container}
		if step == packed || step == unpacked {
			subjects = nil
			for _, item := range items {
				if item == container || item == "" || clean(item) != item {
					return refusal{errors.New("items: a container can't hold itself, nor nothing")}
				}
				subjects = append(subjects, "item/"+item)
			}
		}
		for _, subject := range subjects {
			sum := sha256.Sum256([]byte(strings.Join([]string{"box", container, step, subject, at.UTC().Format(time.RFC3339Nano)}, "\x00")))
			w.witness(county.Sighting{
				ID: hex.EncodeToString(sum[:16]), At: moment(ms(at)), TQ: telemetry.Cloud, Kind: parcel.KindPerson, Subject: subject, Step: step, Thing: "container/" + container, Body: body,
			})
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		changes, facts = w.changes, len(w.facts)
		return nil
	})
	if err == nil && facts > 0 {
		s.wake()
	}
	return changes, err
}

// A spell is a row of contents: an item was in a container from since to until, or still is.
type spell struct {
	container, item string
	since, until    int64
}

// foldContents finds again what items were in, where there is fresh evidence of it, and marks the parcels concerned.
func (c *commit) foldContents(ctx context.Context) error {
	if err := c.benchItems(ctx); err != nil {
		return err
	}
	if err := c.brokenItems(ctx); err != nil {
		return err
	}
	if len(c.items) > 0 {
		items := slices.Sorted(maps.Keys(c.items))
		if err := c.lockItems(ctx, items); err != nil {
			return err
		}
		changed, err := c.respell(ctx, items)
		if err != nil {
			return err
		}
		for _, item := range changed {
			c.parcels[item] = true
		}
		if err := c.markContents(ctx, changed); err != nil {
			return err
		}
	}
	return c.recount(ctx)
}

// benchItems marks what was scanned at a bench soon after a container's code was.
func (c *commit) benchItems(ctx context.Context) error {
	for i := range c.benches {
		s := &c.benches[i]
		err := c.c.each(ctx, func(scan func(...any) error) error {
			var subject string
			err := scan(&subject)
			c.items[strings.TrimPrefix(subject, "scan/")] = true
			return err
		}, "select subject from evidence where device = $1 and at_ms between $2 and $3 and kind = 'scan' and thing >= 'bench/' and thing < 'bench0'",
			s.Device, ms(s.At), ms(s.At.Add(packWithin)))
		if err != nil {
			return err
		}
	}
	return nil
}

// brokenItems marks what ever was in containers of which there is something new.
func (c *commit) brokenItems(ctx context.Context) error {
	if len(c.boxes) == 0 {
		return nil
	}
	w := c.c.words()
	return c.c.each(ctx, func(scan func(...any) error) error {
		var item string
		err := scan(&item)
		c.items[item] = true
		return err
	}, "select distinct item from contents where "+w.in("container", "$1"), w.list(slices.Sorted(maps.Keys(c.boxes))))
}

// lockItems locks the rows of items, so that of two who pack the same the second sees what the first did.
func (c *commit) lockItems(ctx context.Context, items []string) error {
	w := c.c.words()
	for _, q := range []string{"select waybill from parcels where " + w.in("waybill", "$1") + " order by waybill", "select id from containers where " + w.in("id", "$1") + " order by id"} {
		if err := c.c.each(ctx, func(func(...any) error) error { return nil }, q+w.lock, w.list(items)); err != nil {
			return err
		}
	}
	return nil
}

// respell writes the spells of items as their evidence says, and returns the items of which they changed.
func (c *commit) respell(ctx context.Context, items []string) (changed []string, err error) {
	moves, err := c.moves(ctx, items)
	if err != nil {
		return nil, err
	}
	w := c.c.words()
	old := map[string][]spell{}
	err = c.c.each(ctx, func(scan func(...any) error) error {
		var s spell
		err := scan(&s.container, &s.item, &s.since, &s.until)
		old[s.item] = append(old[s.item], s)
		return err
	}, "select container, item, since_ms, until_ms from contents where "+w.in("item", "$1")+" order by since_ms, container", w.list(items))
	if err != nil {
		return nil, err
	}
	var rows [][]any
	fresh := map[string][]spell{}
	for _, item := range items {
		now := spells(item, moves[item])
		fresh[item] = now
		if slices.Equal(now, old[item]) {
			continue
		}
		changed = append(changed, item)
		if _, err := c.c.exec(ctx, "delete from contents where item = $1", item); err != nil {
			return nil, err
		}
		for _, s := range append(old[item], now...) {
			c.boxes[s.container] = true
		}
		for _, s := range now {
			rows = append(rows, []any{s.container, s.item, s.since, s.until})
		}
	}
	if err := c.tellContents(ctx, changed, old, fresh); err != nil {
		return nil, err
	}
	return changed, c.c.put(ctx, contentsTable, rows)
}

// A move is an item put into a container, or taken out of it.
type move struct {
	county.Sighting
	container string
	in        bool
}

// moves reads what evidence tells of items' ins and outs: people's, scans at benches, and breaks.
func (c *commit) moves(ctx context.Context, items []string) (map[string][]move, error) {
	w := c.c.words()
	subjects := make([]string, 0, 2*len(items))
	for _, item := range items {
		subjects = append(subjects, "item/"+item, "scan/"+item)
	}
	all, err := readEvidence(ctx, c.c, w.in("subject", "$1")+" and (kind = 'person' or kind = 'scan' and thing >= 'bench/' and thing < 'bench0')"+inOrder, w.list(subjects))
	if err != nil {
		return nil, err
	}
	codes := map[string]bool{}
	err = c.c.each(ctx, func(scan func(...any) error) error {
		var code string
		err := scan(&code)
		codes[code] = true
		return err
	}, "select code from containers where code <> '' and "+w.in("code", "$1"), w.list(items))
	if err != nil {
		return nil, err
	}
	out := map[string][]move{}
	boxes := map[string][]string{} // container -> items
	add := func(item string, m move) {
		out[item] = append(out[item], m)
		if m.in {
			boxes[m.container] = append(boxes[m.container], item)
		}
	}
	for i := range all {
		s := &all[i]
		_, item, _ := strings.Cut(s.Subject, "/")
		if s.Kind == telemetry.KindScan {
			if codes[item] {
				continue // it opens a container, and is in none
			}
			box, err := c.openBox(ctx, s)
			if err != nil {
				return nil, err
			}
			if box != "" && box != item {
				add(item, move{*s, box, true})
			}
			continue
		}
		_, box := cutThing(s.Thing)
		add(item, move{*s, box, s.Step == packed})
	}
	ids := make([]string, 0, len(boxes))
	for _, id := range slices.Sorted(maps.Keys(boxes)) {
		ids = append(ids, "container/"+id)
	}
	breaks, err := readEvidence(ctx, c.c, w.in("subject", "$1")+" and kind = 'person' and step = '"+broken+"'", w.list(ids))
	for i := range breaks {
		_, box := cutThing(breaks[i].Subject)
		seen := map[string]bool{}
		for _, item := range boxes[box] {
			if !seen[item] {
				seen[item] = true
				out[item] = append(out[item], move{breaks[i], box, false})
			}
		}
	}
	return out, err
}

// openBox is the container whose code was scanned last before a scan at the same bench, and not too long ago.
func (c *commit) openBox(ctx context.Context, s *county.Sighting) (box string, err error) {
	err = c.c.each(ctx, func(scan func(...any) error) error { return scan(&box) },
		`select b.id from evidence e join containers b on b.code <> '' and b.code = substr(e.subject, 6) where e.device = $1 and e.at_ms between $2 and $3
			and e.kind = 'scan' and e.thing >= 'bench/' and e.thing < 'bench0' and (e.at_ms, e.gateway, e.epoch, e.lane, e.seq, e.id) < ($3, $4, $5, $6, $7, $8)
			order by e.at_ms desc, e.gateway desc, e.epoch desc, e.lane desc, e.seq desc, e.id desc limit 1`,
		s.Device, ms(s.At.Add(-packWithin)), ms(s.At), s.Gateway, s.Epoch, int64(s.Lane), int64(s.Seq), s.ID)
	return box, err
}

// spells folds an item's moves, in the total order.
func spells(item string, moves []move) (out []spell) {
	slices.SortFunc(moves, func(a, b move) int { return a.Compare(b.Sighting) })
	for i := range moves {
		m := &moves[i]
		at := ms(m.At)
		open := len(out) > 0 && out[len(out)-1].until == 0
		if open {
			last := &out[len(out)-1]
			if m.in == (last.container == m.container) {
				continue // in it already, or out of what it wasn't in
			}
			last.until = at
			if last.until == last.since {
				out = out[:len(out)-1]
			}
		}
		if m.in {
			out = append(out, spell{m.container, item, at, 0})
		}
	}
	return out
}

// recount compares the counts at hand-overs with what was in the containers, and opens or ends their exceptions.
func (c *commit) recount(ctx context.Context) error {
	if len(c.boxes) == 0 {
		return nil
	}
	w := c.c.words()
	for _, box := range slices.Sorted(maps.Keys(c.boxes)) {
		counts, err := readEvidence(ctx, c.c, "subject = $1 and kind = 'person' and step = '"+counted+"'"+inOrder, "container/"+box)
		if err != nil || len(counts) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		var found []county.Exception
		for i := range counts {
			x, err := c.compare(ctx, box, &counts[i])
			if err != nil {
				return err
			}
			if x != nil {
				found = append(found, *x)
			}
		}
		open, err := readExceptions(ctx, c.c, "object = $1 and ended_ms = 0 and cause = 'count_differs'"+w.lock, "container/"+box)
		if err != nil {
			return err
		}
		ids := ""
		for i := range open {
			ids += open[i].ID + ","
		}
		c.find(ids, found)
	}
	return c.putExceptions(ctx)
}

// compare is the exception of a count that isn't what the container held then; nil where it is.
func (c *commit) compare(ctx context.Context, box string, s *county.Sighting) (*county.Exception, error) {
	var b saying
	if err := json.Unmarshal(s.Body, &b); err != nil {
		return nil, fmt.Errorf("evidence %s: %w", s.ID, err)
	}
	held := 0
	err := c.c.each(ctx, func(scan func(...any) error) error { return scan(&held) },
		"select count(*) from contents where container = $1 and since_ms <= $2 and (until_ms = 0 or until_ms > $2)", box, ms(s.At))
	if err != nil || held == b.Counted {
		return nil, err
	}
	class := county.DataError
	if b.Counted < held {
		class = county.Loss
	}
	x := county.Exception{
		Class: class, Cause: "count_differs", Object: "container/" + box, Evidence: []string{s.ID}, Source: "staff",
		Detail: fmt.Sprintf("%d counted, %d packed", b.Counted, held),
	}
	x.ID = county.ExceptionID(x.Class, x.Cause, x.Object, s.ID)
	return &x, nil
}
