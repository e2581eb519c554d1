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

// A board is the row of a gateway.
type board struct {
	id        string
	version   int64
	received  int64
	software  string
	clock     county.Clock
	epochs    int64
	committed int64
	backlog   int64
	lanes     []frame.LaneState // of the last hello
	voices    voices
	changed   bool
}

// lockBoards locks the rows of all gateways of the group in order, and makes those that are new.
func (c *commit) lockBoards(ctx context.Context) error {
	ids := map[string]bool{}
	for i := range c.arrivals {
		ids[c.arrivals[i].Frame.Gateway] = true
	}
	var err error
	c.boards, err = lockBoards(ctx, c.c, slices.Sorted(maps.Keys(ids)))
	return err
}

func lockBoards(ctx context.Context, c conn, ids []string) (map[string]*board, error) {
	boards, err := readBoards(ctx, c, ids, true)
	if err != nil || len(boards) == len(ids) {
		return boards, err
	}
	var rows [][]any
	for _, id := range ids {
		if boards[id] == nil {
			rows = append(rows, (&board{id: id}).row())
		}
	}
	if err := c.put(ctx, newGatewaysTable, rows); err != nil {
		return nil, err
	}
	return readBoards(ctx, c, ids, true)
}

const boardColumns = "id, version, received_ms, software, boot, mono_ns, mono_ms, epochs, committed, backlog, lanes, voices"

// readBoards reads gateways by id; all of them where ids is nil.
func readBoards(ctx context.Context, c conn, ids []string, lock bool) (map[string]*board, error) {
	w := c.words()
	q, args := "select "+boardColumns+" from gateways", []any(nil)
	if ids != nil {
		q, args = q+" where "+w.in("id", "$1"), []any{w.list(ids)}
	}
	q += " order by id"
	if lock {
		q += w.lock
	}
	boards := map[string]*board{}
	err := c.each(ctx, func(scan func(...any) error) error {
		b := &board{}
		var boot, lanes, voices string
		var monoMS int64
		if err := scan(&b.id, &b.version, &b.received, &b.software, &boot, &b.clock.MonoNS, &monoMS, &b.epochs, &b.committed, &b.backlog, &lanes, &voices); err != nil {
			return err
		}
		b.clock.Received = moment(monoMS)
		boards[b.id] = b
		if boot != "" {
			if err := b.clock.Boot.UnmarshalText([]byte(boot)); err != nil {
				return err
			}
		}
		if voices != "" {
			if err := json.Unmarshal([]byte(voices), &b.voices); err != nil {
				return err
			}
		}
		if lanes != "" {
			return json.Unmarshal([]byte(lanes), &b.lanes)
		}
		return nil
	}, q, args...)
	return boards, err
}

func (b *board) row() []any {
	boot, lanes, voices := "", "", ""
	if !b.clock.Received.IsZero() {
		boot = b.clock.Boot.String()
	}
	if len(b.lanes) > 0 {
		j, _ := json.Marshal(b.lanes) // numbers and words always marshal
		lanes = string(j)
	}
	if len(b.voices) > 0 {
		j, _ := json.Marshal(b.voices) // numbers and words always marshal
		voices = string(j)
	}
	return []any{b.id, b.version, b.received, b.software, boot, b.clock.MonoNS, ms(b.clock.Received), b.epochs, b.committed, b.backlog, lanes, voices}
}

// heard notes a frame: when the gateway last spoke, how far its clock is, and what it holds less.
func (b *board) heard(a *county.Arrival, l *lane, v *county.Verdict) {
	b.changed = true
	b.received = max(b.received, ms(a.Received))
	b.committed += int64(v.Fresh)
	last := &a.Frame.Records[len(a.Frame.Records)-1]
	b.voices.hear(last.Boot, last.MonoNS, a.Received)
	if b.clock.Received.IsZero() || b.clock.Boot == last.Boot && last.MonoNS > b.clock.MonoNS {
		b.clock = county.Clock{Boot: last.Boot, MonoNS: last.MonoNS, Received: a.Received}
	}
	for _, s := range b.lanes {
		if s.Epoch == l.epoch && s.Lane == l.lane {
			for _, r := range l.spans.missing(a.Frame.First(), a.Frame.Last()) {
				if r.From < s.Next {
					b.backlog = max(0, b.backlog-int64(min(r.To, s.Next-1)-r.From+1))
				}
			}
		}
	}
}

func (c *commit) putBoards(ctx context.Context) error {
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(c.boards)) {
		if b := c.boards[id]; b.changed {
			b.version++
			rows = append(rows, b.row())
			c.changes = append(c.changes, county.Change{Kind: county.GatewayChanged, ID: id, Version: b.version, Object: c.reg.gatewayOf(b)})
		}
	}
	return c.c.put(ctx, gatewaysTable, rows)
}

// gatewayOf is a board as the API shows it.
func (p *places) gatewayOf(b *board) county.Gateway {
	g := county.Gateway{ID: b.id}
	if known := p.gateway[b.id]; known != nil {
		g = *known
	}
	if b.received != 0 {
		t := moment(b.received)
		g.LastFrame = &t
	}
	g.Version, g.Epochs, g.Committed, g.Backlog, g.Revision = b.software, int(b.epochs), uint64(b.committed), uint64(b.backlog), b.version
	if !b.clock.Received.IsZero() {
		g.Boot = b.clock.Boot.String()
	}
	return g
}

// Hello takes what a gateway says after it connected: the anchor of its clock, its software and
// what it holds. It answers with the committed ranges of every lane that the hello lists, and
// alarms what no account of the ledger covers. One that a newer one has overtaken tells what the board had made, and
// nothing of what it holds and where its clock is now.
func (s *Store) Hello(ctx context.Context, gateway string, h *frame.Hello, received time.Time) (acks []frame.Ack, changes []county.Change, err error) {
	err = s.update(ctx, "hello", func(c conn) error {
		acks, changes = nil, nil
		boards, err := lockBoards(ctx, c, []string{gateway})
		if err != nil {
			return err
		}
		b := boards[gateway]
		books, err := readBooks(ctx, c, gateway)
		if err != nil {
			return err
		}
		before, holds := b.lanes, h.Lanes
		if b.voices.overtook(b.clock.Boot, h, received) {
			holds = before
		} else {
			b.clock = county.Clock{Boot: h.Boot, MonoNS: h.MonoNS, Received: received}
			b.software = clean(h.Version)
			b.voices.say(h, received)
		}
		rows, alarms := books.listen(before, h.Lanes, holds, received)
		b.backlog, b.lanes = books.backlog(holds), holds
		for _, l := range h.Lanes {
			acks = append(acks, frame.Ack{Epoch: l.Epoch, Lane: l.Lane, Ranges: books.kept[laneKey{l.Epoch, l.Lane}]})
		}
		b.received = max(b.received, ms(received))
		b.version++
		changes = []county.Change{{Kind: county.GatewayChanged, ID: gateway, Version: b.version, Object: s.registry.Load().gatewayOf(b)}}
		began := received.Add(-time.Duration(h.MonoNS))
		if err := putBoots(ctx, c, map[bootKey]boot{{gateway, h.Boot}: {ms(began), ms(received)}}); err != nil {
			return err
		}
		if err := c.put(ctx, accountsTable, rows); err != nil {
			return err
		}
		if err := c.put(ctx, alarmsTable, alarms); err != nil {
			return err
		}
		return c.put(ctx, gatewaysTable, [][]any{b.row()})
	})
	return acks, changes, err
}

type laneKey struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

// readSpans reads the whole ledger of a gateway.
func readSpans(ctx context.Context, c conn, gateway string) (map[laneKey]spans, error) {
	out := map[laneKey]spans{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var epoch, text string
		var lane int64
		if err := scan(&epoch, &lane, &text); err != nil {
			return err
		}
		var k laneKey
		if err := k.epoch.UnmarshalText([]byte(epoch)); err != nil {
			return err
		}
		k.lane = telemetry.Lane(lane)
		var err error
		out[k], err = parseSpans(text)
		return err
	}, "select epoch, lane, spans from ranges where gateway = $1", gateway)
	return out, err
}

// Ranges returns all committed ranges of a lane.
func (s *Store) Ranges(ctx context.Context, gateway string, epoch frame.Epoch, l telemetry.Lane) ([]frame.Range, error) {
	all, err := readSpans(ctx, s.db.reader(), gateway)
	return all[laneKey{epoch, l}], classify(err)
}

// GatewayClock returns the anchor of a gateway's clock: at monoNS of boot something of it was received.
func (s *Store) GatewayClock(ctx context.Context, gateway string) (boot frame.Boot, monoNS int64, received time.Time, ok bool, err error) {
	boards, err := readBoards(ctx, s.db.reader(), []string{gateway}, false)
	b := boards[gateway]
	if err != nil || b == nil || b.clock.Received.IsZero() {
		return boot, 0, received, false, classify(err)
	}
	return b.clock.Boot, b.clock.MonoNS, b.clock.Received, true, nil
}
