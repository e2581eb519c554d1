package state

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// holeCode is the alarm of records that no account covers.
const holeCode = "ledger_hole"

// maxSeq bounds what a board's word is taken for: a seq beyond it is nonsense.
const maxSeq = 1 << 62

const (
	listedLanes  = 1000 // lanes that a ledger lists
	listedRanges = 100  // ranges that an account lists
	toldRanges   = 10   // ranges that an alarm names
)

// books are all accounts of a gateway's records.
type books struct {
	gateway string
	said    map[laneKey]uint64 // the highest seq the board said it made
	heard   map[laneKey]heard  // the rows of accounts
	opened  map[frame.Epoch]int64
	kept    map[laneKey]spans // committed
	refused map[laneKey]int64
	gone    map[laneKey]spans // named by tombstones
	drops   map[laneKey][]county.Drop
}

// heard is a row of accounts.
type heard struct {
	last    uint64
	said    int64
	alarmed spans
}

// readBooks reads claims first and what covers them last: in between records may come to be covered,
// and none can come to be missing.
func readBooks(ctx context.Context, c conn, gateway string) (*books, error) {
	b := &books{
		gateway: gateway, said: map[laneKey]uint64{}, heard: map[laneKey]heard{}, opened: map[frame.Epoch]int64{},
		kept: map[laneKey]spans{}, refused: map[laneKey]int64{}, gone: map[laneKey]spans{}, drops: map[laneKey][]county.Drop{},
	}
	for _, read := range []func(context.Context, conn) error{b.readHeard, b.readOpenings, b.readTombstones, b.readKept} {
		if err := read(ctx, c); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func keyOf(epoch string, lane int64) (k laneKey, err error) {
	k.lane = telemetry.Lane(lane)
	return k, k.epoch.UnmarshalText([]byte(epoch))
}

func (b *books) readHeard(ctx context.Context, c conn) error {
	return c.each(ctx, func(scan func(...any) error) error {
		var epoch, alarmed string
		var lane, last int64
		var h heard
		if err := scan(&epoch, &lane, &last, &h.said, &alarmed); err != nil {
			return err
		}
		k, err := keyOf(epoch, lane)
		if err != nil {
			return err
		}
		if h.alarmed, err = parseSpans(alarmed); err != nil {
			return err
		}
		h.last = uint64(last)
		b.heard[k] = h
		if h.said != 0 {
			b.claim(k, h.last)
		}
		return nil
	}, "select epoch, lane, last, said_ms, alarmed from accounts where gateway = $1", b.gateway)
}

// claim takes the board's word that it made last records.
func (b *books) claim(k laneKey, last uint64) {
	if last < maxSeq && k.epoch != 0 && k.lane >= telemetry.Command && k.lane <= telemetry.Track {
		b.said[k] = max(b.said[k], last)
	}
}

func (b *books) readOpenings(ctx context.Context, c conn) error {
	return c.each(ctx, func(scan func(...any) error) error {
		var epoch, doc string
		var received int64
		if err := scan(&epoch, &doc, &received); err != nil {
			return err
		}
		k, err := keyOf(epoch, 0)
		if err != nil {
			return err
		}
		if old, ok := b.opened[k.epoch]; !ok || received < old {
			b.opened[k.epoch] = received
		}
		var o frame.Opening
		if json.Unmarshal([]byte(doc), &o) != nil {
			return nil // it names nothing; what the board said in hellos stays
		}
		for _, e := range o.Ends {
			b.claim(laneKey{o.Prev, e.Lane}, e.Last)
		}
		return nil
	}, "select epoch, doc, received_ms from openings where gateway = $1", b.gateway)
}

func (b *books) readTombstones(ctx context.Context, c conn) error {
	gone := map[laneKey][]frame.Range{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var epoch, of, text, reason string
		var lane, dropped int64
		if err := scan(&epoch, &lane, &of, &text, &dropped, &reason); err != nil {
			return err
		}
		k, err := keyOf(of, lane)
		if err == nil && k.epoch == 0 { // the board couldn't tell of which
			k, err = keyOf(epoch, lane)
		}
		if err != nil {
			return err
		}
		ranges, err := parseSpans(text)
		if err != nil {
			return err
		}
		gone[k] = append(gone[k], ranges...)
		b.drop(k, reason, uint64(dropped))
		return nil
	}, "select epoch, lane, of_epoch, ranges, dropped, reason from tombstones where gateway = $1 order by epoch, lane, seq", b.gateway)
	for k, rs := range gone {
		b.gone[k] = merged(rs)
		if n := len(b.gone[k]); n > 0 { // what went was made
			b.claim(k, b.gone[k][n-1].To)
		}
	}
	return err
}

func (b *books) drop(k laneKey, reason string, count uint64) {
	i := slices.IndexFunc(b.drops[k], func(d county.Drop) bool { return d.Reason == reason })
	if i < 0 {
		i = len(b.drops[k])
		b.drops[k] = append(b.drops[k], county.Drop{Reason: reason})
	}
	b.drops[k][i].Tombstones++
	b.drops[k][i].Count += count
}

func (b *books) readKept(ctx context.Context, c conn) error {
	return c.each(ctx, func(scan func(...any) error) error {
		var epoch, text string
		var lane, refused int64
		if err := scan(&epoch, &lane, &text, &refused); err != nil {
			return err
		}
		k, err := keyOf(epoch, lane)
		if err != nil {
			return err
		}
		b.refused[k] = refused
		b.kept[k], err = parseSpans(text)
		return err
	}, "select epoch, lane, spans, quarantined from ranges where gateway = $1", b.gateway)
}

// parts tells where the records of k are that the board said it made, when what it holds is as
// lanes say. A record that arrived although a tombstone names it is committed.
func (b *books) parts(k laneKey, lanes []frame.LaneState) (a county.Account, holes spans) {
	kept := b.kept[k].count()
	a.Quarantined = uint64(b.refused[k])
	last := b.said[k]
	if last == 0 {
		a.Newer = kept
		return a, nil
	}
	var card spans
	for _, l := range lanes {
		if l.Epoch == k.epoch && l.Lane == k.lane && l.Next > max(1, l.First) {
			card = card.add(max(1, l.First), l.Next-1)
		}
	}
	a.Produced = last
	missing := spans(b.kept[k].missing(1, last))
	a.Committed = last - missing.count()
	a.Newer = kept - a.Committed
	lost := b.gone[k].without(missing)
	a.Dropped = missing.count() - lost.count()
	holes = card.without(lost)
	a.Spooled, a.Unexplained = lost.count()-holes.count(), holes.count()
	return a, holes
}

// pending tells how many records of a lane, of any epoch, were on the board as lanes say and are not
// accounted for yet: a tombstone may be among them.
func (b *books) pending(lane telemetry.Lane, lanes []frame.LaneState) (n uint64) {
	for _, l := range lanes {
		if l.Lane == lane && l.Next > max(1, l.First) {
			k := laneKey{l.Epoch, l.Lane}
			n += b.gone[k].without(b.kept[k].missing(max(1, l.First), l.Next-1)).count()
		}
	}
	return n
}

// backlog returns how many records of lanes, as a board holds them, aren't committed.
func (b *books) backlog(lanes []frame.LaneState) (n int64) {
	for _, l := range lanes {
		if l.Next > max(1, l.First) {
			n += int64(spans(b.kept[laneKey{l.Epoch, l.Lane}].missing(max(1, l.First), l.Next-1)).count())
		}
	}
	return n
}

// listen takes what a board says in a hello, when it held before what before lists and holds now what lanes lists, and returns the rows
// of the accounts that changed and of the alarms. A hole is alarmed once nothing that could explain it is still to
// come: either the board holds no more of that lane, or the hole was there at the hello before
// and all that the board held then has arrived. When the store is older than it was, the board's next hello lists
// what it has kept beyond what it was told of: a hole is alarmed when it is still there then.
func (b *books) listen(before, said, lanes []frame.LaneState, received time.Time) (rows, alarms [][]any) {
	old := map[laneKey]spans{}
	if len(before) > 0 {
		for k := range b.said {
			_, old[k] = b.parts(k, before)
		}
	}
	back := b.back(lanes)
	changed := map[laneKey]bool{}
	for _, l := range said {
		k := laneKey{l.Epoch, l.Lane}
		h := b.heard[k]
		h.last, h.said = max(h.last, max(l.Next, 1)-1), ms(received)
		b.heard[k], changed[k] = h, true
		b.claim(k, h.last)
	}
	for _, k := range sortedKeys(b.said) {
		_, holes := b.parts(k, lanes)
		if len(holes) > 0 && b.pending(k.lane, lanes) > 0 {
			if b.pending(k.lane, before) > 0 {
				continue
			}
			holes = old[k].within(holes)
		} else if back {
			holes = old[k].within(holes)
		}
		h := b.heard[k]
		if holes = h.alarmed.without(holes); len(holes) == 0 {
			continue
		}
		alarms = append(alarms, b.alarm(k, holes, received))
		h.alarmed = merged(append(slices.Clone(h.alarmed), holes...))
		b.heard[k], changed[k] = h, true
	}
	for _, k := range sortedKeys(changed) {
		h := b.heard[k]
		rows = append(rows, []any{b.gateway, k.epoch.String(), int64(k.lane), int64(h.last), h.said, h.alarmed.String()})
	}
	return rows, alarms
}

// back reports whether the store has less of a lane than the board was once told.
func (b *books) back(lanes []frame.LaneState) bool {
	return slices.ContainsFunc(lanes, func(l frame.LaneState) bool {
		kept := b.kept[laneKey{l.Epoch, l.Lane}]
		return l.Acked > 0 && (len(kept) == 0 || kept[len(kept)-1].To < l.Acked)
	})
}

func (b *books) alarm(k laneKey, holes spans, received time.Time) []any {
	more := ""
	if len(holes) > toldRanges {
		more = " and more"
	}
	detail := fmt.Sprintf("epoch %v, lane %v: neither committed nor on the board nor dropped with a reason: %v%s (%d in all)",
		k.epoch, k.lane, holes[:min(len(holes), toldRanges)], more, holes.count())
	id := digest(holeCode, b.gateway, k.epoch.String(), k.lane.String(), holes.String())
	return []any{id, ms(received), b.gateway, "", holeCode, string(telemetry.Critical), detail}
}

func sortedKeys[V any](m map[laneKey]V) []laneKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b laneKey) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.lane, b.lane))
	})
}

// Ledger accounts for every record of a gateway: what the board said it made, and where that is.
func (s *Store) Ledger(ctx context.Context, gateway string) (county.Ledger, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	out := county.Ledger{Gateway: gateway, Lanes: []county.LaneAccount{}}
	c := s.db.reader()
	boards, err := readBoards(ctx, c, []string{gateway}, false)
	if err != nil {
		return out, false, classify(err)
	}
	row := boards[gateway]
	if row == nil {
		row = &board{}
		if s.registry.Load().gateway[gateway] == nil {
			return out, false, nil
		}
	}
	b, err := readBooks(ctx, c, gateway)
	if err != nil {
		return out, false, classify(err)
	}
	err = c.each(ctx, func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		out.Refused = uint64(n)
		return err
	}, "select count(*) from quarantine where gateway = $1", gateway)
	if err != nil {
		return out, false, classify(err)
	}
	b.ledger(&out, row.lanes)
	return out, true, nil
}

// ledger fills in the accounts, when what the board holds is as lanes say.
func (b *books) ledger(out *county.Ledger, lanes []frame.LaneState) {
	seen := map[laneKey]bool{}
	var said int64
	for k, h := range b.heard {
		said = max(said, h.said)
		if _, ok := b.opened[k.epoch]; !ok {
			b.opened[k.epoch] = h.said
		}
	}
	for _, m := range []func(func(laneKey) bool){maps.Keys(b.said), maps.Keys(b.heard), maps.Keys(b.kept), maps.Keys(b.drops)} {
		for k := range m {
			seen[k] = true
		}
	}
	if said != 0 {
		t := moment(said)
		out.Said = &t
	}
	for _, k := range sortedKeys(seen) {
		a := b.entry(k, lanes)
		out.Add(a.Account)
		out.Lanes = append(out.Lanes, a)
	}
	age := map[string]int64{}
	for e, t := range b.opened {
		age[e.String()] = t
	}
	slices.SortStableFunc(out.Lanes, func(x, y county.LaneAccount) int {
		return cmp.Or(cmp.Compare(oneIf(y.Unexplained > 0), oneIf(x.Unexplained > 0)), cmp.Compare(age[y.Epoch], age[x.Epoch]))
	})
	out.Omitted = max(0, len(out.Lanes)-listedLanes)
	out.Lanes = out.Lanes[:len(out.Lanes)-out.Omitted]
}

func (b *books) entry(k laneKey, lanes []frame.LaneState) county.LaneAccount {
	account, holes := b.parts(k, lanes)
	_, known := b.said[k]
	kept := b.kept[k]
	return county.LaneAccount{
		Epoch: k.epoch.String(), Lane: k.lane.String(), Known: known, Account: account,
		Ranges: append([]frame.Range{}, kept[max(0, len(kept)-listedRanges):]...),
		Holes:  append([]frame.Range{}, holes[:min(len(holes), listedRanges)]...),
		Drops:  append([]county.Drop{}, b.drops[k]...),
	}
}
