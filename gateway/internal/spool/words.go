package spool

import (
	"cmp"
	"encoding/json"
	"slices"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// maxTold bounds the ranges of one tombstone. Where there are more the smallest gaps between them are told as well: what is in a gap
// is with the cloud, or told of already.
const maxTold = 64

// A telling gathers tombstones: all of one lane, epoch and reason become one.
type telling struct {
	of    map[toldKey]*frame.Tombstone
	order []toldKey
}

type toldKey struct {
	lane   telemetry.Lane
	epoch  frame.Epoch
	reason string
}

// add takes a tombstone. What was told before doesn't count again.
func (t *telling) add(lane telemetry.Lane, ts frame.Tombstone) {
	k := toldKey{lane, ts.Epoch, ts.Reason}
	sum := t.of[k]
	if sum == nil {
		if t.of == nil {
			t.of = map[toldKey]*frame.Tombstone{}
		}
		sum = &frame.Tombstone{Epoch: ts.Epoch, Reason: ts.Reason}
		t.of[k] = sum
		t.order = append(t.order, k)
	}
	known, again := ranges(sum.Ranges), uint64(0)
	for _, r := range ts.Ranges {
		if r.From <= r.To {
			again += r.To - r.From + 1 - count(known.missing(r))
			known = known.add(r)
		}
	}
	sum.Ranges = known
	sum.Count += ts.Count - min(ts.Count, again)
}

// tell returns the records that say it.
func (t *telling) tell(s *Spool) (out []own) {
	for _, k := range t.order {
		ts := t.of[k]
		ts.Ranges = ranges(ts.Ranges).coarse(s.opt.ranges())
		out = append(out, s.word(k.lane, frame.TypeTombstone, ts))
	}
	return out
}

// words returns what must be said before g can go: a tombstone for each lane that loses records, the tombstones that are
// among them, and what is left of its climate readings, as far as half of g has room for that. dropped is how many
// records go, left how many readings are left. ok is false where g is mostly tombstones of other epochs: then it stays.
func (s *Spool) words(g *segment) (words []own, dropped, left uint64, ok bool) {
	s.mu.Lock()
	var gone [2]ranges
	for slot, lane := range logLanes[g.log] {
		gone[slot] = slices.Clone(s.lane(laneKey{g.epoch, lane}).gone)
	}
	s.mu.Unlock()
	var t telling
	for slot, lane := range logLanes[g.log] {
		if miss := missing(gone[slot], g.first[slot], g.next[slot]); len(miss) > 0 {
			t.add(lane, frame.Tombstone{Epoch: g.epoch, Ranges: miss, Count: count(miss), Reason: reasonFull})
			dropped += count(miss)
		}
	}
	sum := s.salvage(g, gone, &t)
	words = t.tell(s)
	size := sizeOf(words)
	if size > s.opt.SegmentBytes/2 {
		return nil, 0, 0, false
	}
	rest := sum.entries(min(s.opt.SegmentBytes, g.size)/2 - size)
	return append(words, rest...), dropped, uint64(len(rest)), true
}

// salvage reads what is told on of a doomed segment: tombstones that the cloud doesn't have, and what its climate readings were.
func (s *Spool) salvage(g *segment, gone [2]ranges, t *telling) (sum summary) {
	if s.covers(g, gone) {
		return sum
	}
	f, err := s.fs.Open(s.path(segmentName(g.log, g.num)))
	if err != nil {
		return sum
	}
	defer f.Close()
	w := newWalker(f, g.seed, headerSize, g.end)
	for r, _, ok := w.next(); ok; r, _, ok = w.next() {
		_, slot := place(r.lane)
		if gone[slot].covers(r.Seq, r.Seq+1) {
			continue
		}
		switch r.Type {
		case frame.TypeTombstone:
			var ts frame.Tombstone
			if json.Unmarshal(r.Payload, &ts) == nil {
				ts.Epoch = cmp.Or(ts.Epoch, g.epoch) // it was told there of an epoch that nobody knows
				t.add(r.lane, ts)
			}
		case frame.TypeReading:
			sum.add(&r)
		}
	}
	return sum
}

func (s *Spool) covers(g *segment, gone [2]ranges) bool {
	return gone[0].covers(g.first[0], g.next[0]) && gone[1].covers(g.first[1], g.next[1])
}

func missing(gone ranges, first, next uint64) []frame.Range {
	if first >= next {
		return nil
	}
	return gone.missing(frame.Range{From: first, To: next - 1})
}

func sizeOf(words []own) (n int64) {
	for i := range words {
		n += recordSize(len(words[i].entry.Payload))
	}
	return n
}

// stage has the next batch say words too. Tombstones that wait already take up those among them. mu is held.
func (s *Spool) stage(words []own) {
	var t telling
	var first, last []own
	for i, o := range slices.Concat(s.own, words) {
		var ts frame.Tombstone
		switch {
		case o.entry.Type == frame.TypeTombstone && json.Unmarshal(o.entry.Payload, &ts) == nil:
			t.add(o.entry.Lane, ts)
		case i < len(s.own):
			first = append(first, o)
		default:
			last = append(last, o)
		}
	}
	s.own = slices.Concat(first, t.tell(s), last)
}

// relieve frees a segment for a log on a card that has no room: one of the kept tail, else the oldest may-thin one, after what
// is to be said of it is durable.
func (s *Spool) relieve() bool {
	if s.collect(s.stamp().mono, s.opt.SegmentBytes) > 0 {
		return true
	}
	for g := s.oldestThin(); g != nil; g = s.oldestThin() {
		words, dropped, left, ok := s.words(g)
		if !ok {
			s.leave(g)
			continue
		}
		if !s.confess(words) {
			return false
		}
		s.mu.Lock()
		s.drop(g, dropped, left)
		s.forgo(g)
		s.mu.Unlock()
		s.discard([]*segment{g})
		if len(s.main.spares) < held { // before another program takes what became free
			s.lastNum++
			_ = s.main.reserve(s.lastNum)
		}
		return true
	}
	return false
}

// confess makes words durable in the live may-thin segment, which has room for them, else in a new one, for which the last
// spare is held. It reports whether it did.
func (s *Spool) confess(words []own) bool {
	if len(words) == 0 {
		return true
	}
	if s.next[telemetry.Condition-1] == 1 || s.next[telemetry.Track-1] == 1 { // the openings come first
		return false
	}
	recs := make([]pending, 0, len(words))
	for i := range words {
		recs = append(recs, pend(&words[i].entry, &words[i].stamp))
	}
	for range 2 {
		err := s.tryWrite(logThin, recs, true)
		if err == nil {
			return true
		}
		s.log.Error("spool write failed", "err", err, "lane", logLanes[logThin][0].String(), "n", len(recs))
		s.mu.Lock()
		s.counters["io_errors"]++
		s.mu.Unlock()
	}
	return false
}

// leave has a segment stay. mu is not held.
func (s *Spool) leave(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.stays = true
	s.account()
}
