package state

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/devices/telemetry"
)

// kindDoor is the kind of what a door did for an order: a second row of evidence, with the order as its subject and the cell as
// its thing, so that all of an order's is found at once.
const (
	kindDoor   telemetry.Kind = "door_step"
	doorSuffix                = "~"
)

func orderSubject(id string) string { return "command/" + id }

// nameDoors makes of what doors did the rows of the orders that they name. An order is kept before it leaves, so that it's known
// whenever its evidence comes; what names no order, or one of another gateway, is none's: a cabinet's own, or made up.
func (c *commit) nameDoors(ctx context.Context) error {
	named := map[string][]county.Sighting{} // by order
	for _, s := range c.evidence {
		if op := opOf(&s); op != "" {
			named[op] = append(named[op], s)
		}
	}
	if len(named) == 0 {
		return nil
	}
	w := c.c.words()
	return c.c.each(ctx, func(scan func(...any) error) error {
		var id, device string
		if err := scan(&id, &device); err != nil {
			return err
		}
		for _, s := range named[id] {
			if s.Gateway != boardOf(device) {
				continue
			}
			s.ID, s.Kind, s.Thing, s.Subject = s.ID+doorSuffix, kindDoor, s.Subject, orderSubject(id)
			c.witness(s)
		}
		return nil
	}, "select id, device from commands where "+w.in("id", "$1"), w.list(slices.Sorted(maps.Keys(named))))
}

// opOf is what a door's event says that it came of; empty where it says nothing.
func opOf(s *county.Sighting) string {
	if s.Kind != telemetry.KindLocker || !bytes.Contains(s.Body, []byte(`"op"`)) {
		return ""
	}
	l, err := telemetry.As[telemetry.Locker](telemetry.Reading{Body: s.Body})
	if err != nil {
		return ""
	}
	return clean(l.Op)
}

// tellOrders gives the orders of which something is new another version, and tells of those that open doors.
func (c *commit) tellOrders(ctx context.Context) error {
	if len(c.orders) == 0 {
		return nil
	}
	w := c.c.words()
	ids := w.list(slices.Sorted(maps.Keys(c.orders)))
	if _, err := c.c.exec(ctx, "update commands set version = version + 1 where "+w.in("id", "$1"), ids); err != nil {
		return err
	}
	all, err := readCommands(ctx, c.c, "where "+w.in("id", "$1")+" order by id", ids)
	for i := range all {
		if all[i].Action == openCell {
			c.changes = append(c.changes, county.Change{Kind: county.CommandChanged, ID: all[i].ID, Version: all[i].Version, Object: all[i]})
		}
	}
	return err
}

const openCell = "open_cell"

// addDoors adds to orders what doors did for them.
func addDoors(ctx context.Context, c conn, all []county.Command) error {
	at := map[string]int{}
	for i := range all {
		if all[i].Action == openCell {
			at[orderSubject(all[i].ID)] = i
		}
	}
	if len(at) == 0 {
		return nil
	}
	w := c.words()
	rows, err := readEvidence(ctx, c, w.in("subject", "$1")+inOrder, w.list(slices.Sorted(maps.Keys(at))))
	if err != nil {
		return err
	}
	events := map[string][]locker.Event{}
	for _, s := range rows {
		body, err := telemetry.As[telemetry.Locker](telemetry.Reading{Body: s.Body})
		if err != nil {
			return fmt.Errorf("evidence %s: %w", s.ID, err)
		}
		events[s.Subject] = append(events[s.Subject], locker.Event{Sighting: s, Locker: body})
	}
	for subject, of := range events {
		all[at[subject]].Door = locker.Truth(of)
	}
	return nil
}

// ordered marks the order that a row of evidence is of.
func (c *commit) ordered(s *county.Sighting) {
	if id, ok := strings.CutPrefix(s.Subject, "command/"); ok {
		c.orders[id] = true
	}
}
