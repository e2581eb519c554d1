package spool

import "yizhan/broker/frame"

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
	if short := s.shortBy(); short > 0 {
		s.collect(s.stamp().mono, short)
	}
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
		if g.log == logThin && !g.live && !g.doomed && !g.unsure && !g.stays {
			return g
		}
	}
	return nil
}

// doom stages what must be said before g can go. It reports false when g stays.
func (s *Spool) doom(g *segment) bool {
	words, dropped, left, ok := s.words(g)
	if !ok {
		s.leave(g)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.doomed = true
	s.stage(words)
	s.drop(g, dropped, left)
	s.account()
	return true
}

// drop notes that g goes. mu is held.
func (s *Spool) drop(g *segment, dropped, left uint64) {
	s.counters["dropped"] += dropped
	s.counters["summaries"] += left
	s.log.Warn("spool full, oldest segment dropped", "path", segmentName(g.log, g.num), "epoch", g.epoch.String())
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
