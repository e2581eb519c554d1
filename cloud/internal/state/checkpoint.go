package state

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"slices"

	"yizhan/broker/frame"
)

// NoteKey keeps the key that a gateway's certificate has, so that the archive can be verified when the board is gone.
func (s *Store) NoteKey(ctx context.Context, gateway string, key ed25519.PublicKey) error {
	return s.update(ctx, "key", func(c conn) error {
		return c.put(ctx, keysTable, [][]any{{gateway, hex.EncodeToString(key), ms(s.opt.Now())}})
	})
}

// A checkpoint is what stays of pruned frames of a lane.
type checkpoint struct {
	laneCols
	pruned []frame.Range
	frames int64
	last   int64
	body   []byte
}

// laneCols is a lane of an epoch of a gateway, as columns have it.
type laneCols struct {
	gateway, epoch string
	lane           int64
}

// keepCheckpoints notes what of the archive's table from (or the part of it that where says) is about to go, in
// the transaction in which it goes: the seqs, and for each lane the signed frame that reaches furthest.
func keepCheckpoints(ctx context.Context, c conn, from, where string, args ...any) error {
	var all []*checkpoint // in the order of their keys
	err := c.each(ctx, func(scan func(...any) error) error {
		var id laneCols
		var first, last int64
		if err := scan(&id.gateway, &id.epoch, &id.lane, &first, &last); err != nil {
			return err
		}
		n := len(all) - 1
		if n < 0 || all[n].laneCols != id {
			all = append(all, &checkpoint{laneCols: id})
			n++
		}
		p := all[n]
		p.frames++
		p.last = max(p.last, last)
		if i := len(p.pruned) - 1; i >= 0 && uint64(first) <= p.pruned[i].To+1 {
			p.pruned[i].To = max(p.pruned[i].To, uint64(last))
		} else {
			p.pruned = append(p.pruned, frame.Range{From: uint64(first), To: uint64(last)})
		}
		return nil
	}, "select gateway, epoch, lane, first, last from "+from+where+" order by gateway, epoch, lane, first", args...)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := p.fold(ctx, c, from); err != nil {
			return err
		}
		row := []any{p.gateway, p.epoch, p.lane, spans(p.pruned).String(), p.frames, p.last, p.body}
		if err := c.put(ctx, checkpointsTable, [][]any{row}); err != nil {
			return err
		}
	}
	return nil
}

// fold adds the checkpoint that is there already, and takes the frame that reaches further.
func (p *checkpoint) fold(ctx context.Context, c conn, from string) error {
	old, err := readCheckpoints(ctx, c, " where gateway = $1 and epoch = $2 and lane = $3", p.gateway, p.epoch, p.lane)
	if err != nil {
		return err
	}
	for _, o := range old {
		p.pruned = merged(slices.Concat(o.pruned, p.pruned))
		p.frames += o.frames
		if o.last >= p.last {
			p.last, p.body = o.last, o.body
			return nil
		}
	}
	return c.each(ctx, func(scan func(...any) error) error { return scan(&p.body) },
		"select body from "+from+" where gateway = $1 and epoch = $2 and lane = $3 and last = $4 order by no limit 1", p.gateway, p.epoch, p.lane, p.last)
}

func readCheckpoints(ctx context.Context, c conn, where string, args ...any) (out []*checkpoint, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		p := &checkpoint{}
		var text string
		err := scan(&p.gateway, &p.epoch, &p.lane, &text, &p.frames, &p.last, &p.body)
		if err != nil {
			return err
		}
		p.pruned, err = parseSpans(text)
		out = append(out, p)
		return err
	}, "select gateway, epoch, lane, spans, frames, last, body from checkpoints"+where, args...)
	return out, err
}
