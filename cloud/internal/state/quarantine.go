package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
)

// maxRefused is how much input of one gateway is kept in quarantine; more is not kept. A frame that was
// entered in the ledger is kept beyond it.
const maxRefused = 1000

// Quarantine keeps refused input, each once: input that comes again is counted.
func (s *Store) Quarantine(ctx context.Context, refused []county.Refusal) error {
	return s.update(ctx, "quarantine", func(c conn) error { return quarantine(ctx, c, refused, maxRefused) })
}

func quarantine(ctx context.Context, c conn, refused []county.Refusal, most int) error {
	for _, r := range refused {
		raw := r.Raw[:min(len(r.Raw), frame.MaxFrame)]
		if raw == nil {
			raw = []byte{}
		}
		id := digest(r.Gateway, r.Source, r.Reason, string(raw))
		_, err := c.exec(ctx, `insert into quarantine (id, gateway, source, reason, told, first_ms, last_ms, raw) 
			select $1, $2, $3, $4, 1, $5, $5, $6 where (select count(*) from quarantine where gateway = $2) < $7
			on conflict (id) do update set told = quarantine.told + 1, last_ms = excluded.last_ms`,
			id, clean(r.Gateway), clean(r.Source), clean(r.Reason), ms(r.Received), raw, most)
		if err != nil {
			return err
		}
	}
	return nil
}

// Poison keeps a frame that Commit can't take in quarantine, whole, and enters its records in the
// ledger: they are kept, so the gateway may let them go.
func (s *Store) Poison(ctx context.Context, a county.Arrival, reason string) (v county.Verdict, err error) {
	if err := s.makeDays(ctx, []county.Arrival{a}); err != nil {
		return v, err
	}
	err = s.update(ctx, "poison", func(c conn) error {
		w := s.newCommit(c, []county.Arrival{a})
		f := a.Frame
		if err := w.lockBoards(ctx); err != nil {
			return err
		}
		if err := w.lockLanes(ctx); err != nil {
			return err
		}
		l := w.lanes[laneID(f)]
		v = county.Verdict{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane}
		for _, r := range l.spans.missing(f.First(), f.Last()) {
			v.Fresh += int(r.To - r.From + 1)
		}
		l.refused += int64(v.Fresh)
		w.enter(l, &w.arrivals[0], &v)
		v.Ranges = l.spans
		w.frames = nil // history would trip over it too
		kept := []county.Refusal{{Gateway: f.Gateway, Source: "ingest", Reason: "poison: " + reason, Raw: a.Raw, Received: a.Received}}
		if err := quarantine(ctx, c, kept, math.MaxInt32); err != nil {
			return err
		}
		for _, step := range []func(context.Context) error{w.putLedger, w.putBoards, w.putArchive} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return v, err
}

// digest is a key made of parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
