package spool

import (
	"encoding/json"
	"slices"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

const (
	cursorName = "cursor"
	cursorTemp = "cursor.new"
)

// cursor is the cursor file. A missing or old one costs a resend, and the kept tail begins anew to be kept.
type cursor struct {
	RanS    uint64          `json:"ran_s"`   // seconds that the spool has run, over all openings
	Lanes   []cursorLane    `json:"lanes"`   //
	Settled []cursorSettled `json:"settled"` // segments of the kept tail
	Turning [4]bool         `json:"turning"` // lanes of which entries are turned away, and told of later
}

type cursorLane struct {
	Epoch frame.Epoch    `json:"epoch"`
	Lane  telemetry.Lane `json:"lane"`
	Acked uint64         `json:"acked"`
	Gone  ranges         `json:"gone"` // need not be kept: committed, dropped, lost
}

type cursorSettled struct {
	Num  uint64 `json:"num"`
	RanS uint64 `json:"ran_s"` // when nothing of it waited any more
}

// saveCursor writes the cursor when it has changed.
func (s *Spool) saveCursor() {
	now := s.stamp().mono
	s.mu.Lock()
	if !s.dirty {
		s.mu.Unlock()
		return
	}
	c := cursor{RanS: s.ran(now), Lanes: []cursorLane{}, Settled: []cursorSettled{}}
	for k, st := range s.lanes {
		if len(st.gone) > 0 {
			c.Lanes = append(c.Lanes, cursorLane{Epoch: k.epoch, Lane: k.lane, Acked: st.acked, Gone: slices.Clone(st.gone)})
		}
	}
	for _, g := range s.segs {
		if g.settled {
			c.Settled = append(c.Settled, cursorSettled{Num: g.num, RanS: g.since})
		}
	}
	c.Turning = s.turning()
	s.admission.wished = [4]bool{}
	s.dirty = false
	s.mu.Unlock()
	slices.SortFunc(c.Lanes, func(a, b cursorLane) int {
		if a.Epoch != b.Epoch {
			if a.Epoch < b.Epoch {
				return -1
			}
			return 1
		}
		return int(a.Lane) - int(b.Lane)
	})
	b, err := json.Marshal(c)
	if err != nil {
		panic("BUG: spool: " + err.Error())
	}
	if err := s.replace(b); err != nil {
		s.log.Warn("spool cursor not saved", "err", err)
		s.mu.Lock()
		s.dirty = true
		s.counters["io_errors"]++
		s.mu.Unlock()
	} else {
		s.mu.Lock()
		s.admission.marked = c.Turning
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
	if err = s.main.write(f, b, 0); err == nil {
		err = s.main.sync(f)
	}
	f.Close()
	if err != nil {
		return err
	}
	if err := s.fs.Rename(s.path(cursorTemp), s.path(cursorName)); err != nil {
		return err
	}
	return s.main.syncDir()
}

// loadCursor reads the cursor; without a good one everything is offered again.
func (s *Spool) loadCursor() (settled map[uint64]uint64, turning [4]bool) {
	settled = map[uint64]uint64{}
	f, err := s.fs.Open(s.path(cursorName))
	if err != nil {
		return settled, turning
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > 16<<20 {
		return settled, turning
	}
	b := make([]byte, size)
	fill(f, b, 0)
	var c cursor
	if size > 0 && b[0] == '[' { // as releases before the kept tail wrote it
		err = json.Unmarshal(b, &c.Lanes)
	} else {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		s.log.Warn("spool cursor unreadable, everything will be offered again", "err", err)
		return settled, turning
	}
	s.ranBefore, turning = c.RanS, c.Turning
	for _, l := range c.Lanes {
		st := s.lane(laneKey{l.Epoch, l.Lane})
		st.acked = l.Acked
		for _, r := range l.Gone {
			st.gone = st.gone.add(r)
		}
	}
	for _, g := range c.Settled {
		settled[g.Num] = min(g.RanS, c.RanS)
	}
	return settled, turning
}

// ran returns the seconds that the spool has run, over all openings. It goes on only while the spool is open, whatever
// clocks say: what is kept for 14 days of it is kept for at least 14 days.
func (s *Spool) ran(mono int64) uint64 {
	return s.ranBefore + uint64(max(0, mono-s.openedAt))/1e9
}
