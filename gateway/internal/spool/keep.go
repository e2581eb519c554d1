package spool

import (
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// expireEvery is how often the kept tail is looked through.
const expireEvery = time.Minute

// settle marks the segments of a log of an epoch of which nothing waits any more. They are kept on as a tail
// for a cloud that comes back older than it was. mu is held.
func (s *Spool) settle(epoch frame.Epoch, log int, now uint64) {
	news := false
	for _, g := range s.segs {
		if g.epoch == epoch && g.log == log && !g.live && !g.doomed && !g.settled && s.covered(g) {
			g.settled, g.since, news = true, now, true
		}
	}
	if news {
		s.dirty, s.expireNow = true, s.expireNow || s.opt.Keep < 0
		s.account()
	}
}

// covered reports whether nothing of g need be kept. mu is held.
func (s *Spool) covered(g *segment) bool {
	if g.unsure {
		return false
	}
	for slot, lane := range logLanes[g.log] {
		if g.first[slot] < g.next[slot] && !s.lane(laneKey{g.epoch, lane}).gone.covers(g.first[slot], g.next[slot]) {
			return false
		}
	}
	return true
}

// collect lets go of settled segments: those kept for long enough and, the oldest first, as many more as make
// up need bytes. It returns how many.
func (s *Spool) collect(now, need int64) int {
	s.mu.Lock()
	if need > 0 && s.opt.MaxBytes >= 16*moreSpares*s.opt.SegmentBytes/2 { // fewer cursors and folder syncs
		need = max(need, moreSpares*s.opt.SegmentBytes)
	}
	due := s.expireNow || now >= s.expireAt
	if !due && need <= 0 {
		s.mu.Unlock()
		return 0
	}
	ran, keep := s.ran(now), uint64(max(0, s.opt.Keep)/time.Second)
	if due {
		s.expireNow, s.expireAt = false, now+int64(expireEvery)
	}
	var dead []*segment
	opened := !slices.Contains(s.next[:], 1)
	last := map[int]uint64{} // the newest segment of each log
	for _, g := range s.segs {
		last[g.log] = g.num
	}
	var open [logs]frame.Epoch // epochs in which a segment without a footer stays: the one behind it bounds it
	for _, g := range s.segs {
		// Until the opening records are durable the last segments of the epoch before stay, for only they name it.
		free := g.settled && !g.doomed && open[g.log] != g.epoch && (opened || last[g.log] != g.num)
		if free && (due && ran >= g.since+keep || need > 0) {
			dead = append(dead, g)
			need -= g.size
		} else if !g.sealed {
			open[g.log] = g.epoch
		}
	}
	s.mu.Unlock()
	s.discard(dead)
	return len(dead)
}

// discard lets go of segment files, after the cursor that says that they need not be there.
func (s *Spool) discard(dead []*segment) {
	if len(dead) == 0 {
		return
	}
	s.saveCursor()
	s.mu.Lock()
	used := s.used
	var files []discarded
	for _, g := range dead {
		files = append(files, discarded{segmentName(g.log, g.num), g.num})
		used -= g.size
	}
	s.mu.Unlock()
	if err := s.main.discard(files, min(s.opt.spares()+moreSpares, int((s.opt.MaxBytes-used)/s.opt.SegmentBytes))); err != nil {
		s.log.Warn("segment not removed", "err", err, "n", len(files))
	}
	s.mirror.discard(dead)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return slices.Contains(dead, g) })
	s.spareCount = len(s.main.spares)
	for k := range s.lanes {
		if !s.knows(k.epoch) {
			delete(s.lanes, k)
			s.dirty = true
		}
	}
	s.account()
}

// Kept returns the lanes of which all is committed and that are still on the card in case the cloud comes back
// older than it was, the oldest epoch first. Lanes has all others.
func (s *Spool) Kept() []frame.LaneState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(true)
}

// Lanes returns what may be news to the cloud: every epoch of which something waits, the newest epoch of which nothing
// does, and all four lanes of the live epoch; the oldest epoch first.
func (s *Spool) Lanes() []frame.LaneState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(s.list(false), s.liveLanes()...)
}

// list returns the lanes of past epochs. mu is held.
func (s *Spool) list(kept bool) (out []frame.LaneState) {
	var newest frame.Epoch // settled
	for i := len(s.segs) - 1; i >= 0 && newest == 0; {
		epoch, settled := s.segs[i].epoch, true
		for ; i >= 0 && s.segs[i].epoch == epoch; i-- {
			settled = settled && s.segs[i].settled
		}
		if settled && epoch != s.epoch {
			newest = epoch
		}
	}
	for i := 0; i < len(s.segs); {
		j, settled := i, true
		for ; j < len(s.segs) && s.segs[j].epoch == s.segs[i].epoch; j++ {
			settled = settled && s.segs[j].settled
		}
		if epoch := s.segs[i].epoch; epoch != s.epoch && kept == (settled && epoch != newest) {
			out = s.lanesOf(out, s.segs[i:j])
		}
		i = j
	}
	return out
}

// lanesOf appends the lanes that segs, all of one epoch, have records of. mu is held.
func (s *Spool) lanesOf(out []frame.LaneState, segs []*segment) []frame.LaneState {
	for _, lane := range telemetry.Lanes {
		log, slot := place(lane)
		var first, next uint64
		for _, g := range segs {
			if g.log == log && g.first[slot] < g.next[slot] {
				if first == 0 {
					first = g.first[slot]
				}
				next = max(next, g.next[slot])
			}
		}
		if first != 0 {
			k := laneKey{segs[0].epoch, lane}
			out = append(out, frame.LaneState{Epoch: k.epoch, Lane: lane, First: first, Next: next, Acked: s.lane(k).acked})
		}
	}
	return out
}

// liveLanes returns the lanes of the live epoch. mu is held.
func (s *Spool) liveLanes() (out []frame.LaneState) {
	begin := slices.IndexFunc(s.segs, func(g *segment) bool { return g.epoch == s.epoch })
	for _, lane := range telemetry.Lanes {
		next := s.next[lane-1]
		st := frame.LaneState{Epoch: s.epoch, Lane: lane, First: next, Next: next, Acked: s.lane(laneKey{s.epoch, lane}).acked}
		log, slot := place(lane)
		for i := begin; i >= 0 && i < len(s.segs); i++ {
			if g := s.segs[i]; g.log == log && g.first[slot] < g.next[slot] {
				st.First = g.first[slot]
				break
			}
		}
		out = append(out, st)
	}
	return out
}

// lane returns the state of a lane, made when it is new. mu is held.
func (s *Spool) lane(k laneKey) *laneState {
	st := s.lanes[k]
	if st == nil {
		st = &laneState{}
		s.lanes[k] = st
	}
	return st
}

// Commit says that the cloud has committed ranges of a lane: what is in them need not be kept. Segments
// of which nothing must be kept go when they were kept for Options.Keep after that, or their room is needed.
func (s *Spool) Commit(epoch frame.Epoch, lane telemetry.Lane, rs []frame.Range) {
	if lane < telemetry.Command || lane > telemetry.Track {
		return
	}
	now := s.stamp().mono
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.knows(epoch) {
		return
	}
	log, slot := place(lane)
	var next uint64
	for _, g := range s.segs {
		if g.epoch == epoch && g.log == log {
			next = max(next, g.next[slot])
		}
	}
	st := s.lane(laneKey{epoch, lane})
	news := false
	for _, r := range rs {
		if r.From == 0 {
			r.From = 1
		}
		if r.To = min(r.To, next-1); next == 0 || r.From > r.To { // a seq not yet given can't be committed
			continue
		}
		if len(st.gone.missing(r)) > 0 {
			st.gone = st.gone.add(r)
			news = true
		}
		st.acked = max(st.acked, r.To)
	}
	if news {
		s.dirty = true
		s.settle(epoch, log, s.ran(now))
	}
}

func (s *Spool) knows(epoch frame.Epoch) bool {
	if epoch == s.epoch {
		return true
	}
	for _, g := range s.segs {
		if g.epoch == epoch {
			return true
		}
	}
	return false
}
