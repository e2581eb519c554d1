package state

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"yizhan/broker/frame"
)

// ErrNoKey says that no key of a gateway is known to verify with.
var ErrNoKey = errors.New("no key of this gateway is known")

// maxBreaks is how many breaks an audit lists.
const maxBreaks = 1000

// Audit is what verifying the archive of a gateway found.
type Audit struct {
	Keys, Lanes     int
	Frames, Records uint64 // read and, but for Breaks, sound
	Pruned          uint64 // records that went by age
	Checkpoints     int    // signed frames that stay of them
	Unlinked        uint64 // frames that name no record before theirs although it is there: signed, and not chained
	Broken          int
	Breaks          []Break // the first of them
}

// Break is a place where the archive isn't what the gateway signed and the store committed.
type Break struct {
	Epoch  frame.Epoch
	Lane   string
	Seq    uint64
	Reason string
}

// audit verifies one lane after the other.
type audit struct {
	out    Audit
	s      *Store
	dec    *frame.Decoder
	keys   []ed25519.PublicKey
	kept   map[laneKey]spans // committed
	pruned map[laneKey]spans
	marks  map[laneKey][]byte // frames of checkpoints
	poison map[laneKey][][]byte

	key    laneKey
	seen   spans // seqs of this lane that were read
	hashes []([32]byte)
	base   uint64 // hashes[0] is of this seq
}

// Verify reads the archive of a gateway from the first frame of each lane to the last: each must bear the signature of a
// key that the gateway's certificate had, continue the record before it, and be about what its row says; and
// every committed record must be there, in quarantine, or pruned.
func (s *Store) Verify(ctx context.Context, gateway string) (Audit, error) {
	a := &audit{s: s, kept: map[laneKey]spans{}, pruned: map[laneKey]spans{}, marks: map[laneKey][]byte{}, poison: map[laneKey][][]byte{}}
	var err error
	if a.dec, err = s.decoder(); err != nil {
		return a.out, err
	}
	defer s.decoders.Put(a.dec)
	c := s.db.reader()
	if err := a.prepare(ctx, c, gateway); err != nil {
		return a.out, classify(err)
	}
	for _, k := range sortedKeys(a.kept) {
		if err := a.lane(ctx, c, gateway, k); err != nil {
			return a.out, classify(err)
		}
	}
	return a.out, nil
}

func (a *audit) prepare(ctx context.Context, c conn, gateway string) error {
	err := c.each(ctx, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		key, err := hex.DecodeString(text)
		a.keys = append(a.keys, key)
		return err
	}, "select key from gateway_keys where gateway = $1 order by since_ms, key", gateway)
	if err != nil {
		return err
	}
	if a.out.Keys = len(a.keys); a.out.Keys == 0 {
		return ErrNoKey
	}
	if a.kept, err = readSpans(ctx, c, gateway); err != nil {
		return err
	}
	points, err := readCheckpoints(ctx, c, " where gateway = $1", gateway)
	if err != nil {
		return err
	}
	for _, p := range points {
		k, err := keyOf(p.epoch, p.lane)
		if err != nil {
			return err
		}
		a.pruned[k], a.marks[k] = p.pruned, p.body
		a.kept[k] = merged(slices.Concat(a.kept[k], p.pruned))
		a.out.Pruned += a.pruned[k].count()
		a.out.Checkpoints++
	}
	if err := a.rowsOnly(ctx, c, gateway); err != nil {
		return err
	}
	return c.each(ctx, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		if h, err := frame.ReadHeader(raw); err == nil {
			k := laneKey{h.Epoch, h.Lane}
			a.poison[k] = append(a.poison[k], raw)
		}
		return nil
	}, "select raw from quarantine where gateway = $1 and source = 'ingest' and reason like 'poison: %' order by first_ms", gateway)
}

// rowsOnly adds lanes of which the archive has frames and the ledger nothing.
func (a *audit) rowsOnly(ctx context.Context, c conn, gateway string) error {
	return c.each(ctx, func(scan func(...any) error) error {
		var epoch string
		var lane int64
		if err := scan(&epoch, &lane); err != nil {
			return err
		}
		k, err := keyOf(epoch, lane)
		if _, known := a.kept[k]; err == nil && !known {
			a.kept[k] = nil
		}
		return err
	}, "select distinct epoch, lane from frames where gateway = $1", gateway)
}

// lane verifies one lane: the frames that stand outside of the archive are read where their seqs stand in it.
func (a *audit) lane(ctx context.Context, c conn, gateway string, k laneKey) error {
	a.key, a.seen, a.hashes, a.base = k, nil, nil, 0
	a.out.Lanes++
	apart := a.poison[k]
	if m := a.marks[k]; m != nil {
		apart = append(slices.Clone(apart), m)
	}
	firsts := map[int]uint64{}
	for i := range apart {
		h, _ := frame.ReadHeader(apart[i]) // one that can't be read is reported by frame
		firsts[i] = h.First
	}
	due := func(before uint64) {
		for i := range apart {
			if f, waits := firsts[i]; waits && f < before {
				delete(firsts, i)
				a.frame(gateway, apart[i], f, 0)
			}
		}
	}
	err := c.each(ctx, func(scan func(...any) error) error {
		var first, last int64
		var raw []byte
		if err := scan(&first, &last, &raw); err != nil {
			return err
		}
		due(uint64(first))
		a.frame(gateway, raw, uint64(first), uint64(last))
		return nil
	}, "select first, last, body from frames where gateway = $1 and epoch = $2 and lane = $3 order by first, last, no", gateway, k.epoch.String(), int64(k.lane))
	if err != nil {
		return err
	}
	due(maxSeq)
	for _, r := range merged(slices.Concat(a.seen, a.pruned[k])).without(a.kept[k]) {
		a.broken(r.From, fmt.Sprintf("committed, and no frame of the archive has it: %d records from here", r.To-r.From+1))
	}
	return nil
}

func (a *audit) broken(seq uint64, reason string) {
	a.out.Broken++
	if len(a.out.Breaks) < maxBreaks {
		a.out.Breaks = append(a.out.Breaks, Break{Epoch: a.key.epoch, Lane: a.key.lane.String(), Seq: seq, Reason: reason})
	}
}

// frame verifies one frame, whose row says first and last (0: it has none), against those before it.
func (a *audit) frame(gateway string, raw []byte, first, last uint64) {
	h, err := frame.ReadHeader(raw)
	if err != nil {
		a.broken(first, err.Error())
		return
	}
	if h.Gateway != gateway || h.Epoch != a.key.epoch || h.Lane != a.key.lane || h.First != first || last != 0 && h.Last() != last {
		a.broken(first, fmt.Sprintf("out of its place: the frame is %s, epoch %v, lane %v, records %d to %d", h.Gateway, h.Epoch, h.Lane, h.First, h.Last()))
		return
	}
	if !slices.ContainsFunc(a.keys, func(k ed25519.PublicKey) bool { return h.Verify(k) == nil }) {
		a.broken(first, frame.ErrSignature.Error())
		return
	}
	f, err := a.dec.Records(&h)
	if err != nil {
		a.broken(first, err.Error())
		return
	}
	a.out.Frames++
	a.out.Records += uint64(len(f.Records))
	switch prev, ok := a.hashOf(first - 1); {
	case ok && f.Prev == [32]byte{}:
		a.out.Unlinked++ // a board may have lost the record before, as ingest grants it
	case ok && prev != f.Prev:
		a.broken(first, fmt.Sprintf("the chain breaks: record %d has another hash than this frame continues", first-1))
	}
	for i := range f.Records {
		r := &f.Records[i]
		sum := r.Hash(f.Epoch, f.Lane)
		if old, ok := a.hashOf(r.Seq); ok {
			if old != sum {
				a.broken(r.Seq, "two frames have it with different contents")
			}
			continue
		}
		a.keep(r.Seq, sum)
	}
	a.seen = merged(append(a.seen, frame.Range{From: first, To: h.Last()}))
}

func (a *audit) hashOf(seq uint64) (sum [32]byte, ok bool) {
	if seq < a.base || seq-a.base >= uint64(len(a.hashes)) || len(a.hashes) == 0 {
		return sum, false
	}
	return a.hashes[seq-a.base], true
}

// keep remembers the hash of a record behind all others, as far back as frames may overlap.
func (a *audit) keep(seq uint64, sum [32]byte) {
	if next := a.base + uint64(len(a.hashes)); len(a.hashes) == 0 || seq != next {
		if seq < next && len(a.hashes) > 0 {
			return
		}
		a.hashes, a.base = a.hashes[:0], seq
	}
	if len(a.hashes) >= 4*frame.MaxRecords {
		n := copy(a.hashes, a.hashes[len(a.hashes)-2*frame.MaxRecords:])
		a.base += uint64(len(a.hashes) - n)
		a.hashes = a.hashes[:n]
	}
	a.hashes = append(a.hashes, sum)
}
