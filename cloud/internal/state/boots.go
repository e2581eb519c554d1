package state

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// A boot is what is known of one run of a board's kernel: that it had begun at start, and still ran at last.
type boot struct{ start, last int64 }

type bootKey struct {
	gateway string
	boot    frame.Boot
}

// timeline is the boots of a gateway in their order, as far as openings tell it.
type timeline struct {
	boots map[frame.Boot]boot
	of    map[frame.Epoch]frame.Boot
	prev  map[frame.Epoch]frame.Epoch
	next  map[frame.Epoch]frame.Epoch
}

// readClocks notes what the records of a group tell of their boots: their gateway knew the time when they were made. Where a
// record of it has no clock at all, all that is known of a gateway's boots is read.
func (c *commit) readClocks(ctx context.Context) error {
	needed := map[string]bool{}
	for i := range c.arrivals {
		f := c.arrivals[i].Frame
		for n := range f.Records {
			r := &f.Records[n]
			switch {
			case r.Type == frame.TypeOpening:
				c.epochs[f.Gateway] = append(c.epochs[f.Gateway], opening{f.Epoch, r.Boot, r.Payload})
			case r.WallMS > 0 && (r.Quality == telemetry.GNSS || r.Quality == telemetry.NTP || r.Quality == telemetry.Cloud):
				c.ran(bootKey{f.Gateway, r.Boot}, boot{r.WallMS - r.MonoNS/int64(time.Millisecond), r.WallMS})
			case r.Type == frame.TypeReading && r.Boot != c.boards[f.Gateway].clock.Boot && c.arrivals[i].Sights[n].Reading.At.IsZero():
				needed[f.Gateway] = true
			}
		}
	}
	for gateway := range needed {
		t, err := c.timeline(ctx, gateway)
		if err != nil {
			return err
		}
		c.times[gateway] = t
	}
	return putBoots(ctx, c.c, c.boots)
}

// An opening is the first record of an epoch in a lane.
type opening struct {
	epoch frame.Epoch
	boot  frame.Boot
	doc   []byte
}

// ran notes a moment of a boot.
func (c *commit) ran(k bootKey, b boot) {
	if old, ok := c.boots[k]; ok {
		b = b.merge(old)
	}
	c.boots[k] = b
}

// merge is what two know: of all that is told the earliest start and the latest moment count, in whatever order it comes.
func (b boot) merge(o boot) boot { return boot{min(b.start, o.start), max(b.last, o.last)} }

// putBoots merges what was noted with what was known. The rows of the gateways are locked.
func putBoots(ctx context.Context, c conn, noted map[bootKey]boot) error {
	gateways, names := map[string]bool{}, map[string]bool{}
	for k := range noted {
		gateways[k.gateway], names[k.boot.String()] = true, true
	}
	if len(noted) == 0 {
		return nil
	}
	known, err := readBoots(ctx, c, slices.Sorted(maps.Keys(gateways)), slices.Sorted(maps.Keys(names)))
	if err != nil {
		return err
	}
	var rows [][]any
	for k, b := range noted {
		old, ok := known[k]
		if ok {
			b = b.merge(old)
		}
		if !ok || b != old {
			rows = append(rows, []any{k.gateway, k.boot.String(), b.start, b.last})
		}
	}
	slices.SortFunc(rows, func(a, b []any) int {
		return slices.Compare([]string{a[0].(string), a[1].(string)}, []string{b[0].(string), b[1].(string)})
	})
	return c.put(ctx, bootsTable, rows)
}

// readBoots reads boots of gateways: those named, or all where names is nil.
func readBoots(ctx context.Context, c conn, gateways, names []string) (map[bootKey]boot, error) {
	w := c.words()
	q, args := "select gateway, boot, start_ms, last_ms from boots where "+w.in("gateway", "$1"), []any{w.list(gateways)}
	if names != nil {
		q, args = q+" and "+w.in("boot", "$2"), append(args, w.list(names))
	}
	out := map[bootKey]boot{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var k bootKey
		var name string
		var b boot
		if err := scan(&k.gateway, &name, &b.start, &b.last); err != nil {
			return err
		}
		err := k.boot.UnmarshalText([]byte(name))
		out[k] = b
		return err
	}, q, args...)
	return out, err
}

// timeline reads the boots of a gateway.
func (c *commit) timeline(ctx context.Context, gateway string) (*timeline, error) {
	t := &timeline{map[frame.Boot]boot{}, map[frame.Epoch]frame.Boot{}, map[frame.Epoch]frame.Epoch{}, map[frame.Epoch]frame.Epoch{}}
	known, err := readBoots(ctx, c.c, []string{gateway}, nil)
	if err != nil {
		return nil, err
	}
	for _, of := range []map[bootKey]boot{known, c.boots} {
		for k, b := range of {
			if k.gateway != gateway {
				continue
			}
			if old, ok := t.boots[k.boot]; ok {
				b = b.merge(old)
			}
			t.boots[k.boot] = b
		}
	}
	for _, o := range c.epochs[gateway] {
		t.open(o)
	}
	return t, c.c.each(ctx, func(scan func(...any) error) error {
		var epoch, doc, name string
		if err := scan(&epoch, &doc, &name); err != nil {
			return err
		}
		k, err := keyOf(epoch, 0)
		if err != nil {
			return err
		}
		o := opening{epoch: k.epoch, doc: []byte(doc)}
		if err := o.boot.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		t.open(o)
		return nil
	}, "select epoch, doc, boot from openings where gateway = $1 and boot <> ''", gateway)
}

// open takes an opening.
func (t *timeline) open(o opening) {
	t.of[o.epoch] = o.boot
	var says frame.Opening
	if json.Unmarshal(o.doc, &says) == nil && says.Prev != 0 {
		t.prev[o.epoch], t.next[says.Prev] = says.Prev, o.epoch
	}
}

// between returns what bounds the boot of an epoch: when the boot before it last ran, and when the one behind it had
// begun; zero times where nothing tells.
func (t *timeline) between(epoch frame.Epoch, of frame.Boot) (b county.Bounds) {
	walk := func(step map[frame.Epoch]frame.Epoch) (boot, bool) {
		e, ok := step[epoch]
		for range len(t.of) {
			if known, is := t.boots[t.of[e]]; ok && is && t.of[e] != of {
				return known, true
			}
			if e, ok = step[e]; !ok {
				break
			}
		}
		return boot{}, false
	}
	if before, ok := walk(t.prev); ok {
		b.From = moment(before.last)
	}
	if behind, ok := walk(t.next); ok {
		b.To = moment(behind.start)
	}
	return b
}

// date dates a reading.
func (c *commit) date(a *county.Arrival, rec *frame.Record, r *telemetry.Reading) county.Dated {
	clock := c.boards[a.Frame.Gateway].clock
	d := county.Date(r, rec, a.Received, clock)
	t := c.times[a.Frame.Gateway]
	if d.TQ != telemetry.Unknown || t == nil {
		return d
	}
	if b, ok := t.boots[rec.Boot]; ok {
		return d.Since(moment(b.start), rec)
	}
	b := t.between(a.Frame.Epoch, rec.Boot)
	if b.To.IsZero() && clock.Boot != rec.Boot && !clock.Received.IsZero() { // the boot that runs now came later
		b.To = clock.Received.Add(-time.Duration(clock.MonoNS))
	}
	return d.Between(b, rec)
}
