package spool

import (
	"encoding/json"
	"slices"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Reasons of tombstones.
const (
	reasonFull    = "lane_full"
	reasonDamaged = "segment_damaged"
)

// makeRoom dooms the oldest may-thin segments until what is staged fits. Their tombstones are
// part of the next batch; they are unlinked when that is durable.
func (s *Spool) makeRoom() {
	if s.shortBy() > 0 {
		s.collect()
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
	need := s.used + min(s.staged, batchBytes)
	for i := range s.own {
		need += recordSize(len(s.own[i].entry.Payload))
	}
	for _, g := range s.segs {
		if g.doomed {
			need -= g.size
		}
	}
	return need - (s.opt.MaxBytes - s.opt.reserve())
}

func (s *Spool) oldestThin() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		if g.log == logThin && !g.live && !g.doomed {
			return g
		}
	}
	return nil
}

// doom stages what must be said before g can go: a tombstone for each lane that loses records, and
// the tombstones that are among them.
func (s *Spool) doom(g *segment) {
	var old []stored
	if f, err := s.fs.Open(s.path(segmentName(g.log, g.num))); err == nil {
		w := newWalker(f, g.seed, headerSize, g.end)
		for r, _, ok := w.next(); ok; r, _, ok = w.next() {
			if r.Type == frame.TypeTombstone {
				r.Payload = slices.Clone(r.Payload)
				old = append(old, r)
			}
		}
		f.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.doomed = true
	for slot, lane := range logLanes[g.log] {
		gone := s.lane(laneKey{g.epoch, lane}).gone
		if miss := missing(gone, g.first[slot], g.next[slot]); len(miss) > 0 {
			s.say(lane, frame.TypeTombstone, frame.Tombstone{Epoch: g.epoch, Ranges: miss, Count: count(miss), Reason: reasonFull})
			s.counters["dropped"] += count(miss)
		}
		for i := range old {
			if r := &old[i]; r.lane == lane && !gone.covers(r.Seq, r.Seq+1) {
				s.own = append(s.own, own{frame.Entry{Lane: lane, Type: r.Type, Payload: r.Payload}, s.stamp()})
			}
		}
	}
	s.account()
	s.log.Warn("spool full, oldest segment dropped", "path", segmentName(g.log, g.num), "epoch", g.epoch.String())
}

func missing(gone ranges, first, next uint64) []frame.Range {
	if first >= next {
		return nil
	}
	return gone.missing(frame.Range{From: first, To: next - 1})
}

// bury unlinks the doomed segments.
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
	s.unlink(dead)
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

// relieve frees space on a card that has none: first what is committed, then the oldest may-thin
// segment, whose tombstones follow as soon as there is room for them.
func (s *Spool) relieve() bool {
	if s.collect() > 0 {
		return true
	}
	g := s.oldestThin()
	if g == nil {
		return false
	}
	s.doom(g)
	s.bury()
	return true
}

// collect unlinks the segments of which nothing must be kept, and returns how many. Until the opening
// records are durable the last segments of the epoch before stay, for only they name it.
func (s *Spool) collect() int {
	s.mu.Lock()
	opened := !slices.Contains(s.next[:], 1)
	var dead []*segment
	var open [logs]frame.Epoch // epochs in which a segment without a footer stays: the one behind it bounds it
	for i, g := range s.segs {
		last := !slices.ContainsFunc(s.segs[i+1:], func(o *segment) bool { return o.log == g.log })
		free := !g.live && !g.doomed && open[g.log] != g.epoch && (opened || !last)
		for slot, lane := range logLanes[g.log] {
			free = free && s.lane(laneKey{g.epoch, lane}).gone.covers(g.first[slot], g.next[slot])
		}
		if free {
			dead = append(dead, g)
		} else if !g.sealed {
			open[g.log] = g.epoch
		}
	}
	s.mu.Unlock()
	s.unlink(dead)
	return len(dead)
}

// unlink removes segment files, after the cursor that says that they need not be there.
func (s *Spool) unlink(dead []*segment) {
	if len(dead) == 0 {
		return
	}
	s.saveCursor()
	for _, g := range dead {
		if err := s.fs.Remove(s.path(segmentName(g.log, g.num))); err != nil {
			s.log.Warn("segment not removed", "err", err, "path", segmentName(g.log, g.num))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return slices.Contains(dead, g) })
	for k := range s.lanes {
		if !s.knows(k.epoch) {
			delete(s.lanes, k)
			s.dirty = true
		}
	}
	s.account()
}

const (
	cursorName = "cursor"
	cursorTemp = "cursor.new"
)

// cursorLane is one entry of the cursor file.
type cursorLane struct {
	Epoch frame.Epoch    `json:"epoch"`
	Lane  telemetry.Lane `json:"lane"`
	Acked uint64         `json:"acked"`
	Gone  ranges         `json:"gone"` // need not be kept: committed, dropped, lost
}

// saveCursor writes the cursor when it has changed. A failure costs a resend.
func (s *Spool) saveCursor() {
	now := s.stamp().mono
	s.mu.Lock()
	if !s.dirty {
		s.mu.Unlock()
		return
	}
	var lanes []cursorLane
	for k, st := range s.lanes {
		if len(st.gone) > 0 {
			lanes = append(lanes, cursorLane{Epoch: k.epoch, Lane: k.lane, Acked: st.acked, Gone: slices.Clone(st.gone)})
		}
	}
	s.dirty = false
	s.mu.Unlock()
	slices.SortFunc(lanes, func(a, b cursorLane) int {
		if a.Epoch != b.Epoch {
			if a.Epoch < b.Epoch {
				return -1
			}
			return 1
		}
		return int(a.Lane) - int(b.Lane)
	})
	b, err := json.Marshal(lanes)
	if err != nil {
		panic("BUG: spool: " + err.Error())
	}
	if err := s.replace(b); err != nil {
		s.log.Warn("spool cursor not saved", "err", err)
		s.mu.Lock()
		s.dirty = true
		s.counters["io_errors"]++
		s.mu.Unlock()
	}
	s.savedAt = now
}

func (s *Spool) replace(b []byte) error {
	_ = s.fs.Remove(s.path(cursorTemp))
	f, err := s.fs.Create(s.path(cursorTemp))
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	f.Close()
	if err != nil {
		return err
	}
	if err := s.fs.Rename(s.path(cursorTemp), s.path(cursorName)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// loadCursor reads the cursor; without a good one everything is sent again.
func (s *Spool) loadCursor() {
	f, err := s.fs.Open(s.path(cursorName))
	if err != nil {
		return
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > 16<<20 {
		return
	}
	b := make([]byte, size)
	fill(f, b, 0)
	var lanes []cursorLane
	if err := json.Unmarshal(b, &lanes); err != nil {
		s.log.Warn("spool cursor unreadable, everything will be sent again", "err", err)
		return
	}
	for _, l := range lanes {
		st := s.lane(laneKey{l.Epoch, l.Lane})
		st.acked = l.Acked
		for _, r := range l.Gone {
			st.gone = st.gone.add(r)
		}
	}
}
