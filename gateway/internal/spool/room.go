package spool

import (
	"slices"

	"yizhan/broker/frame"
)

// Reasons of tombstones.
const (
	reasonFull    = "lane_full"
	reasonDamaged = "segment_damaged"
	reasonThinned = "thinned"
	reasonFlood   = "quarantine_flood"
	reasonUntold  = "thinned_untold"
)

// A need is bytes of records by log.
type need [logs]int64

func (n need) sum() int64 { return n[logKeep] + n[logThin] }

// growth returns what the files must grow by to hold n more: the live segments have some room. mu is held.
func (s *Spool) growth(n need) (bytes int64) {
	for log, more := range n {
		if more -= s.slack[log]; more > 0 {
			whole := s.opt.SegmentBytes - headerSize - footerSize
			bytes += (more + whole - 1) / whole * s.opt.SegmentBytes
		}
	}
	return bytes
}

// makeRoom lets go of the kept tail, and then dooms the oldest may-thin segments, until what is staged fits. What is to be
// said of doomed ones is part of the next batch; they go when that is durable.
func (s *Spool) makeRoom() {
	s.collect(s.shortBy())
	for s.shortBy() > 0 {
		g := s.oldestThin()
		if g == nil {
			return
		}
		s.doom(g)
	}
}

// shortBy returns how many bytes are missing for the next batch.
func (s *Spool) shortBy() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n need
	for log, staged := range s.staged {
		n[log] = min(staged, batchBytes)
	}
	for i := range s.own {
		log, _ := place(s.own[i].entry.Lane)
		n[log] += recordSize(len(s.own[i].entry.Payload))
	}
	short := s.used + s.growth(n) - (s.opt.MaxBytes - s.opt.reserve())
	for _, g := range s.segs {
		if g.doomed {
			short -= g.size
		}
	}
	return short
}

func (s *Spool) oldestThin() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		if g.log == logThin && !g.live && !g.doomed && !g.unsure {
			return g
		}
	}
	return nil
}

// doom stages what must be said before g can go: what is left of its climate readings, a tombstone for each lane that
// loses records, and the tombstones that are among them.
func (s *Spool) doom(g *segment) {
	s.mu.Lock()
	var gone [2]ranges
	for slot, lane := range logLanes[g.log] {
		gone[slot] = slices.Clone(s.lane(laneKey{g.epoch, lane}).gone)
	}
	s.mu.Unlock()
	old, left := s.salvage(g, gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.doomed = true
	for slot, lane := range logLanes[g.log] {
		if miss := missing(gone[slot], g.first[slot], g.next[slot]); len(miss) > 0 {
			s.say(lane, frame.TypeTombstone, frame.Tombstone{Epoch: g.epoch, Ranges: miss, Count: count(miss), Reason: reasonFull})
			s.counters["dropped"] += count(miss)
		}
	}
	s.own = append(s.own, old...)
	s.own = append(s.own, left...)
	s.counters["summaries"] += uint64(len(left))
	s.account()
	s.log.Warn("spool full, oldest segment dropped", "path", segmentName(g.log, g.num), "epoch", g.epoch.String())
}

// salvage reads what is told on of a doomed segment: tombstones that the cloud doesn't have, and summaries.
func (s *Spool) salvage(g *segment, gone [2]ranges) (old, left []own) {
	if s.covers(g, gone) {
		return nil, nil
	}
	f, err := s.fs.Open(s.path(segmentName(g.log, g.num)))
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	var sum summary
	w := newWalker(f, g.seed, headerSize, g.end)
	for r, _, ok := w.next(); ok; r, _, ok = w.next() {
		_, slot := place(r.lane)
		if gone[slot].covers(r.Seq, r.Seq+1) {
			continue
		}
		switch r.Type {
		case frame.TypeTombstone:
			e := frame.Entry{Lane: r.lane, Type: r.Type, Payload: slices.Clone(r.Payload)}
			old = append(old, own{e, s.stamp()})
		case frame.TypeReading:
			sum.add(&r)
		}
	}
	return old, sum.entries()
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

// bury lets the doomed segments go.
func (s *Spool) bury() {
	s.mu.Lock()
	var dead []*segment
	for _, g := range s.segs {
		if g.doomed {
			dead = append(dead, g)
			s.forgo(g)
		}
	}
	s.mu.Unlock()
	s.discard(dead)
}

// forgo marks all of g as not to be kept. mu is held.
func (s *Spool) forgo(g *segment) {
	for slot, lane := range logLanes[g.log] {
		if g.first[slot] < g.next[slot] {
			st := s.lane(laneKey{g.epoch, lane})
			st.gone = st.gone.add(frame.Range{From: g.first[slot], To: g.next[slot] - 1})
			s.dirty = true
		}
	}
}

// relieve frees a segment on a card that has no room: one of the kept tail, else the oldest may-thin one, after what
// is to be said of it is durable in the room that the live segment has for that.
func (s *Spool) relieve() bool {
	if s.collect(s.opt.SegmentBytes) > 0 {
		return true
	}
	g := s.oldestThin()
	if g == nil {
		return false
	}
	s.doom(g)
	s.confess()
	s.bury()
	return true
}

// confess writes what the spool has to say into the live may-thin segment, which has room left for it. Where
// there is no such room what was to be said waits until there is some: then only a power cut in between
// can make a loss that isn't told.
func (s *Spool) confess() {
	a := s.active[logThin]
	if a == nil || a.f == nil {
		return
	}
	s.mu.Lock()
	var mine, rest []own
	var size int64
	for _, o := range s.own {
		n := recordSize(len(o.entry.Payload))
		if log, _ := place(o.entry.Lane); log == logThin && a.seg.end+size+n <= a.seg.size-footerSize {
			mine = append(mine, o)
			size += n
		} else {
			rest = append(rest, o)
		}
	}
	s.own = rest
	s.mu.Unlock()
	if len(mine) == 0 {
		return
	}
	recs := make([]pending, 0, len(mine))
	for i := range mine {
		recs = append(recs, pend(&mine[i].entry, &mine[i].stamp))
	}
	if err := s.put(a, recs); err != nil {
		s.abandon(logThin)
		s.mu.Lock()
		s.counters["io_errors"]++
		s.own = append(mine, s.own...)
		s.mu.Unlock()
	}
}

// refill takes room for spares, one at a time: they are what goes on when others' files fill the card.
func (s *Spool) refill(now int64) {
	if now < s.refillAt || len(s.main.spares) >= s.opt.spares() {
		return
	}
	s.mu.Lock()
	room := s.used+int64(len(s.main.spares)+1)*s.opt.SegmentBytes <= s.opt.MaxBytes
	s.mu.Unlock()
	if !room {
		s.refillAt = now + int64(refillPause)
		return
	}
	s.lastNum++
	if err := s.main.reserve(s.lastNum); err != nil {
		s.refillAt = now + int64(refillPause)
	}
	s.mu.Lock()
	s.spareCount = len(s.main.spares)
	s.mu.Unlock()
}
