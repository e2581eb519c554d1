package state

import (
	"context"
	"maps"
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Fixes and climates that nothing dates move nothing. They are put by, boot by boot, and taken as if they came dated when something tells
// when the boot was: a record of it that knew the time, a hello, its neighbours.

// datedAtOnce is how many of a boot are taken in one transaction.
const datedAtOnce = 5000

var (
	undatedTable      = newTable("undated", 5, "gateway, boot, epoch, lane n, seq n, mono_ns n, received_ms n, body", "nothing")
	undatedBootsTable = newTable("undated_boots", 3, "gateway, boot, epoch", "nothing")
)

// putBy keeps a reading that isn't dated until it is.
func (c *commit) putBy(a *county.Arrival, rec *frame.Record, r *telemetry.Reading, d county.Dated) {
	if d.TQ != telemetry.Unknown || d.Future || r.Kind != telemetry.KindPosition && r.Kind != telemetry.KindClimate {
		return
	}
	f := a.Frame
	c.undated = append(c.undated, []any{
		f.Gateway, rec.Boot.String(), f.Epoch.String(), int64(f.Lane), int64(rec.Seq), rec.MonoNS, ms(a.Received), clean(string(r.AppendJSON(nil))),
	})
}

// A darkBoot is a boot in an epoch of which there are readings put by.
type darkBoot struct {
	gateway string
	epoch   frame.Epoch
	boot    frame.Boot
}

// dateUndated takes what was put by of the boots that can be dated now, and puts by what came undated.
func (c *commit) dateUndated(ctx context.Context) error {
	if err := c.putUndated(ctx); err != nil {
		return err
	}
	gateways := map[string]bool{}
	for i := range c.arrivals {
		gateways[c.arrivals[i].Frame.Gateway] = true
	}
	w := c.c.words()
	var dark []darkBoot
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var b darkBoot
		var boot, epoch string
		if err := scan(&b.gateway, &boot, &epoch); err != nil {
			return err
		}
		k, err := keyOf(epoch, 0)
		if err != nil {
			return err
		}
		b.epoch = k.epoch
		dark = append(dark, b)
		return dark[len(dark)-1].boot.UnmarshalText([]byte(boot))
	}, "select gateway, boot, epoch from undated_boots where "+w.in("gateway", "$1")+" order by gateway, boot, epoch", w.list(slices.Sorted(maps.Keys(gateways))))
	if err != nil {
		return err
	}
	for i := range dark {
		if err := c.dateBoot(ctx, &dark[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) putUndated(ctx context.Context) error {
	if len(c.undated) == 0 {
		return nil
	}
	boots := map[[3]string]bool{}
	var heads [][]any
	for _, row := range c.undated {
		k := [3]string{row[0].(string), row[1].(string), row[2].(string)}
		if !boots[k] {
			boots[k] = true
			heads = append(heads, []any{k[0], k[1], k[2]})
		}
	}
	if err := c.c.put(ctx, undatedBootsTable, heads); err != nil {
		return err
	}
	rows := c.undated
	c.undated = nil
	return c.c.put(ctx, undatedTable, rows)
}

// dateBoot takes what was put by of a boot, where it can be dated.
func (c *commit) dateBoot(ctx context.Context, b *darkBoot) error {
	if c.times[b.gateway] == nil {
		t, err := c.timeline(ctx, b.gateway)
		if err != nil {
			return err
		}
		c.times[b.gateway] = t
	}
	probe := telemetry.Reading{Kind: telemetry.KindClimate}
	if d := c.date(&county.Arrival{Frame: &frame.Frame{Gateway: b.gateway, Epoch: b.epoch}, Received: c.now}, &frame.Record{Boot: b.boot}, &probe); d.TQ == telemetry.Unknown {
		return nil
	}
	n := 0
	err := c.c.each(ctx, func(scan func(...any) error) error {
		n++
		var lane, received int64
		var body string
		rec := frame.Record{Type: frame.TypeReading, Quality: telemetry.Unknown, Boot: b.boot}
		if err := scan(&lane, &rec.Seq, &rec.MonoNS, &received, &body); err != nil {
			return err
		}
		good, _ := telemetry.Parse([]byte(body), "", "")
		for i := range good {
			a := county.Arrival{Frame: &frame.Frame{Gateway: b.gateway, Epoch: b.epoch, Lane: telemetry.Lane(lane)}, Received: moment(received)}
			c.dated(&a, &rec, &good[i])
		}
		return nil
	}, "select lane, seq, mono_ns, received_ms, body from undated where gateway = $1 and boot = $2 and epoch = $3 order by lane, seq limit $4", b.gateway, b.boot.String(), b.epoch.String(), int64(datedAtOnce))
	if err != nil {
		return err
	}
	where := " where gateway = $1 and boot = $2 and epoch = $3"
	if n < datedAtOnce {
		if _, err := c.c.exec(ctx, "delete from undated_boots"+where, b.gateway, b.boot.String(), b.epoch.String()); err != nil {
			return err
		}
		_, err = c.c.exec(ctx, "delete from undated"+where, b.gateway, b.boot.String(), b.epoch.String())
		return err
	}
	_, err = c.c.exec(ctx, "delete from undated"+where+" and (lane, seq) in (select lane, seq from undated"+where+" order by lane, seq limit $4)", b.gateway, b.boot.String(), b.epoch.String(), int64(datedAtOnce))
	return err
}

// dated takes a reading that was put by and is dated now.
func (c *commit) dated(a *county.Arrival, rec *frame.Record, r *telemetry.Reading) {
	d := c.date(a, rec, r)
	if d.TQ == telemetry.Unknown || d.Future {
		return
	}
	device := a.Frame.Gateway + "/" + r.Device
	c.keepLatest(device, a, r, d)
	switch kind, id := cutThing(c.reg.thing(device, d.At.UnixMilli())); {
	case kind == "vehicle" && r.Kind == telemetry.KindPosition:
		c.fix(id, &county.Sight{Reading: *r}, d)
	case kind == "coldbox" && r.Kind == telemetry.KindClimate:
		c.climate(id, r, d)
	}
}

// pruneUndated forgets what was never dated, and rides of which nothing changes any more.
func pruneUndated(ctx context.Context, c conn, now time.Time) error {
	oldest := ms(now.Add(-trackDays * day))
	for _, q := range []string{"delete from undated where received_ms < $1", "delete from rides where until_ms < $1"} {
		if _, err := c.exec(ctx, q, oldest); err != nil {
			return err
		}
	}
	_, err := c.exec(ctx, "delete from undated_boots where not exists (select 1 from undated u where u.gateway = undated_boots.gateway and u.boot = undated_boots.boot and u.epoch = undated_boots.epoch)")
	return err
}
