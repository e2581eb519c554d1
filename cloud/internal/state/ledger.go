package state

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// A lane is a row of the ledger, locked by this transaction.
type lane struct {
	id      string
	gateway string
	epoch   frame.Epoch
	lane    telemetry.Lane
	spans   spans
	records int64
	reads   int64
	tip     uint64 // the last record of the frame that reached furthest
	tipHash []byte
	refused int64 // of records, those that are in quarantine
	changed bool
	group   []*county.Arrival // taken in this transaction: not in the archive yet
}

func laneID(f *frame.Frame) string {
	return fmt.Sprintf("%s/%v/%d", f.Gateway, f.Epoch, f.Lane)
}

// lockLanes locks the ledger rows of all arrivals in key order, and makes those that are new.
func (c *commit) lockLanes(ctx context.Context) error {
	c.lanes = map[string]*lane{}
	for i := range c.arrivals {
		f := c.arrivals[i].Frame
		id := laneID(f)
		if c.lanes[id] == nil {
			c.lanes[id] = &lane{id: id, gateway: f.Gateway, epoch: f.Epoch, lane: f.Lane}
		}
	}
	ids := slices.Sorted(maps.Keys(c.lanes))
	found, err := c.readLanes(ctx, ids)
	if err != nil || len(found) == len(ids) {
		return err
	}
	var rows [][]any
	var fresh []string
	for _, id := range ids {
		if !found[id] {
			rows = append(rows, c.lanes[id].row())
			fresh = append(fresh, id)
		}
	}
	if err := c.countEpochs(ctx, fresh); err != nil {
		return err
	}
	if err := c.c.put(ctx, newLanesTable, rows); err != nil {
		return err
	}
	_, err = c.readLanes(ctx, fresh) // another worker may have made and filled them
	return err
}

func (c *commit) readLanes(ctx context.Context, ids []string) (map[string]bool, error) {
	found := map[string]bool{}
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id, text string
		var records, reads, tip, refused int64
		var hash []byte
		if err := scan(&id, &text, &records, &reads, &tip, &hash, &refused); err != nil {
			return err
		}
		s, err := parseSpans(text)
		if err != nil {
			return fmt.Errorf("ranges %s: %w", id, err)
		}
		l := c.lanes[id]
		l.spans, l.records, l.reads, l.tip, l.tipHash, l.refused = s, records, reads, uint64(tip), hash, refused
		found[id] = true
		return nil
	}, "select id, spans, records, readings, tip, tip_hash, quarantined from ranges where "+w.in("id", "$1")+" order by id"+w.lock, w.list(ids))
	return found, err
}

// countEpochs adds the epochs of new lanes to their gateways' count.
func (c *commit) countEpochs(ctx context.Context, fresh []string) error {
	known := map[string]bool{}
	w := c.c.words()
	gateways := map[string]bool{}
	for _, id := range fresh {
		gateways[c.lanes[id].gateway] = true
	}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var g, e string
		err := scan(&g, &e)
		known[g+"/"+e] = true
		return err
	}, "select distinct gateway, epoch from ranges where "+w.in("gateway", "$1"), w.list(slices.Sorted(maps.Keys(gateways))))
	if err != nil {
		return err
	}
	for _, id := range fresh {
		l := c.lanes[id]
		key := l.gateway + "/" + l.epoch.String()
		if !known[key] {
			known[key] = true
			c.boards[l.gateway].epochs++
		}
	}
	return nil
}

func (l *lane) row() []any {
	hash := l.tipHash
	if hash == nil {
		hash = []byte{}
	}
	return []any{l.id, l.gateway, l.epoch.String(), int64(l.lane), l.spans.String(), l.records, l.reads, int64(l.tip), hash, l.refused}
}

// forked tells whether a frame contradicts what is committed: a record of it that is covered
// has other content, or the record before it has another hash.
func (c *commit) forked(ctx context.Context, l *lane, a *county.Arrival) (string, error) {
	f := a.Frame
	if f.Prev != [32]byte{} && l.tip == f.First()-1 && l.tip != 0 && !bytes.Equal(l.tipHash, f.Prev[:]) {
		return fmt.Sprintf("fork: record %d was committed with another hash than the frame continues", l.tip), nil
	}
	fresh := uint64(0)
	for _, r := range l.spans.missing(f.First(), f.Last()) {
		fresh += r.To - r.From + 1
	}
	if fresh == uint64(len(f.Records)) {
		return "", nil
	}
	others := make([]*frame.Frame, 0, len(l.group))
	for _, g := range l.group {
		others = append(others, g.Frame)
	}
	archived, err := c.archived(ctx, f)
	if err != nil {
		return "", err
	}
	for _, o := range append(others, archived...) {
		for i := range f.Records {
			r := &f.Records[i]
			if r.Seq < o.First() || r.Seq > o.Last() {
				continue
			}
			if !equal(r, &o.Records[r.Seq-o.First()]) {
				return fmt.Sprintf("fork: record %d was committed with another hash", r.Seq), nil
			}
		}
	}
	return "", nil
}

func equal(a, b *frame.Record) bool {
	return a.Type == b.Type && a.Quality == b.Quality && a.Boot == b.Boot && a.MonoNS == b.MonoNS && a.WallMS == b.WallMS && bytes.Equal(a.Payload, b.Payload)
}

// archived reads the frames of the archive that overlap f.
func (c *commit) archived(ctx context.Context, f *frame.Frame) (out []*frame.Frame, err error) {
	dec, err := c.s.decoder()
	if err != nil {
		return nil, err
	}
	defer c.s.decoders.Put(dec)
	err = c.c.each(ctx, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		old, err := dec.Decode(raw)
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		out = append(out, old)
		return nil
	}, "select body from frames where gateway = $1 and epoch = $2 and lane = $3 and first between $4 and $5 and last >= $6 order by first limit 64",
		f.Gateway, f.Epoch.String(), int64(f.Lane), max(0, int64(f.First())-frame.MaxRecords), int64(f.Last()), int64(f.First()))
	return out, err
}
