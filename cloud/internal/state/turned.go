package state

import (
	"context"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// alarmRefused is the code of a cabinet's alarm that it let a parcel not in; its detail is a word why, a space, and the waybill.
const alarmRefused = "deposit_refused"

// turnedAway tells which parcel a cabinet let not in, and why. ok is false for other alarms, and where somebody at the locker had to sign
// on or to wait only.
func turnedAway(a telemetry.Alarm) (waybill, why string, ok bool) {
	if a.Code != alarmRefused {
		return "", "", false
	}
	why, waybill, _ = strings.Cut(a.Detail, " ")
	_, ok = parcel.TurnedFor[why]
	return waybill, why, ok && waybillForm.MatchString(waybill)
}

// turnedAway adds that a cabinet let a parcel not in.
func (g *gathering) turnedAway(t told, s *county.Sighting) {
	a, err := telemetry.As[telemetry.Alarm](telemetry.Reading{Body: s.Body})
	if err != nil {
		return // it was one when it was kept
	}
	e := parcel.Event{Sighting: *s, Step: parcel.TurnedAway, Site: g.reg.siteOf[s.Gateway]}
	e.Locker, _ = lockerOf(s)
	_, e.Reason, _ = turnedAway(a)
	g.events[t.parcel] = append(g.events[t.parcel], e)
}

// lockerOf is the locker that a piece of evidence was told by.
func lockerOf(s *county.Sighting) (id string, ok bool) {
	kind, id := cutThing(s.Thing)
	if kind != "locker" {
		return "", false
	}
	return id, true
}

// turnedStrangers opens exceptions of what lockers let not in and nobody announced. Their announcement takes them over; known are
// those that were announced.
func (c *commit) turnedStrangers(known []parcelRow) {
	there := make(map[string]bool, len(known))
	for i := range known {
		there[known[i].Waybill.Waybill] = true
	}
	for i := range c.turned {
		s := &c.turned[i]
		_, waybill := cutThing(s.Subject)
		a, err := telemetry.As[telemetry.Alarm](telemetry.Reading{Body: s.Body})
		if there[waybill] || err != nil {
			continue
		}
		_, why, _ := turnedAway(a)
		id, _ := lockerOf(s)
		x := parcel.TurnedAwayFrom(waybill, id, why)
		if _, twice := c.opened[x.ID]; !twice {
			x.Evidence = []string{s.ID}
			c.opened[x.ID] = x
		}
	}
}

// wrongBefore are the ids of the open exceptions of parcels before they were announced, each followed by ','.
func (c *commit) wrongBefore(ctx context.Context, waybills []string) (map[string]string, error) {
	if len(waybills) == 0 {
		return nil, nil
	}
	objects := make([]string, len(waybills))
	for i, w := range waybills {
		objects[i] = "parcel/" + w
	}
	wrong := map[string]string{}
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id, object string
		err := scan(&id, &object)
		wrong[strings.TrimPrefix(object, "parcel/")] += id + ","
		return err
	}, "select id, object from exceptions where "+w.in("object", "$1")+" and ended_ms = 0 order by id", w.list(objects))
	return wrong, err
}
