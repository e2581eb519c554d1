package spool

import (
	"time"

	"yizhan/broker/frame"
)

// settleEvery is how long a card that refused to seal a segment is left alone.
const settleEvery = 10 * time.Second

// settleEnds finds where the segments without a footer end, cuts them there and seals them.
func (r *recovery) settleEnds() {
	for _, g := range r.segs {
		if g.sealed {
			continue
		}
		if err := r.settleEnd(g); err != nil {
			r.log.Warn("segment not sealed", "err", err, "path", segmentName(g.log, g.num))
		}
	}
}

// settleEnd seals g behind its last record. Where the card refuses that, the records of the last write don't count yet: a process that
// was killed may have left them in the kernel's memory only. Where it can't even be opened, none counts yet.
func (r *recovery) settleEnd(g *segment) error {
	f, h, err := r.openEnd(g)
	if err != nil {
		g.unsure = true
		return err
	}
	defer f.Close()
	t := r.endOf(f, g, &h)
	for slot := range t.next {
		for _, lost := range t.lost[slot] {
			lost.To = min(lost.To, t.next[slot]-1)
			r.lose(g, slot, lost)
		}
	}
	if cut := g.size - t.end; cut > 0 {
		r.counters["torn_bytes"] += uint64(cut)
	}
	if g.ended = t.ended; t.end == headerSize {
		g.size = t.end
		return nil // goes as a whole
	}
	if err = r.sealEnd(f, g, &h, &t, t.end); err != nil {
		g.ended, g.unsure = t.known, t.known != t.ended
	}
	return err
}

// openEnd opens a segment without a footer and reads its header.
func (s *Spool) openEnd(g *segment) (File, header, error) {
	f, err := s.fs.Open(s.path(segmentName(g.log, g.num)))
	if err != nil {
		return nil, header{}, err
	}
	var b [headerSize]byte
	fill(f, b[:], 0)
	h, ok := decodeHeader(b[:])
	if !ok {
		f.Close()
		return nil, header{}, errRecord
	}
	return f, h, nil
}

// endOf finds the end of g, which the first record of the segment behind it bounds.
func (s *Spool) endOf(f File, g *segment, h *header) tail {
	t := s.scan(f, g, h)
	if behind := s.behind(g); behind != nil { // what is before it was synced before it was made
		for slot := range t.next {
			t.next[slot] = min(t.next[slot], max(behind.first[slot], g.first[slot]))
		}
		t.known = t.ended
	}
	return t
}

// behind returns the next segment of the same log and epoch.
func (s *Spool) behind(g *segment) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.segs {
		if o.log == g.log && o.num > g.num {
			if o.epoch == g.epoch {
				return o
			}
			return nil
		}
	}
	return nil
}

// sealEnd makes t the end of g, a segment without a footer: its bytes from from on are written again.
func (s *Spool) sealEnd(f File, g *segment, h *header, t *tail, from int64) error {
	end := make([]byte, t.end-from, t.end-from+footerSize)
	if n, err := f.ReadAt(end, from); n < len(end) {
		return err
	}
	ft := footer{header: *h, next: t.next, end: t.end}
	if err := f.Truncate(t.end); err != nil {
		return err
	}
	if err := s.main.write(f, append(end, ft.encode()...), from); err != nil {
		return err
	}
	if err := s.main.sync(f); err != nil {
		return err
	}
	g.sealed, g.size = true, t.end+footerSize
	return nil
}

// resettle tries again what settleEnd could not do, a while after it was tried last.
func (s *Spool) resettle(now int64) {
	if now < s.settleAt {
		return
	}
	s.settleAt = now + int64(settleEvery)
	for _, g := range s.unsure() {
		err := s.resettleEnd(g)
		s.mu.Lock()
		if err != nil {
			s.counters["io_errors"]++
		}
		s.account()
		s.mu.Unlock()
		if err != nil {
			s.log.Warn("segment not sealed", "err", err, "path", segmentName(g.log, g.num))
			continue
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *Spool) unsure() (out []*segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		if g.unsure {
			out = append(out, g)
		}
	}
	return out
}

// resettleEnd writes the last records of g again, for the sync that failed may have made the kernel forget that they aren't on the
// card, and counts them.
func (s *Spool) resettleEnd(g *segment) error {
	f, h, err := s.openEnd(g)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	whole := *g // as it is on the card now
	whole.size = size
	t := s.endOf(f, &whole, &h)
	if t.end > headerSize {
		err = s.sealEnd(f, &whole, &h, &t, g.end)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot, lane := range logLanes[g.log] {
		for _, lost := range t.lost[slot] {
			lost.To = min(lost.To, t.next[slot]-1)
			if ts, ok := s.markLost(laneKey{g.epoch, lane}, lost); ok {
				s.say(lane, frame.TypeTombstone, ts)
			}
		}
	}
	g.ended, g.size, g.sealed, g.unsure = t.ended, whole.size, whole.sealed, false
	return nil
}

// scan finds the records of an unsealed segment. Those that only the mirror has are written to their places.
func (s *Spool) scan(f File, g *segment, h *header) tail {
	w := newWalker(f, g.seed, headerSize, g.size)
	if w.twin = s.twin(g); w.twin.open() {
		defer w.twin.close()
		if size, err := w.twin.f.Size(); err == nil {
			w.end = max(w.end, size)
		}
	}
	var mended []stored
	var at []int64
	w.mended = func(off int64, rec *stored) {
		mended, at = append(mended, *rec), append(at, off)
	}
	t := scan(w, h)
	for i := range mended {
		m := &mended[i]
		if err := s.main.write(f, appendRecord(nil, g.seed, m.lane, m.synced, &m.Record), at[i]); err != nil {
			s.log.Warn("segment not mended", "err", err, "path", segmentName(g.log, g.num))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters["mended"] += uint64(len(mended))
	return t
}

// ended is where the records of a segment end.
type ended struct {
	next [2]uint64
	end  int64
}

// tail is what a scan of a segment without a footer found.
type tail struct {
	ended
	known ended // of this it is known that it was synced
	lost  [2][]frame.Range
}

// scan walks a segment that was never sealed, from its header on, and finds where the records
// end. Bytes that are no record are damage when a later record was written after they were
// synced; else they begin the torn tail, and nothing behind them counts.
func scan(w *walker, h *header) tail {
	size := w.end
	start := ended{h.first, headerSize}
	sure := tail{ended: start, known: start}
	now, open := sure, int64(-1) // open: offset of bytes not yet known to be damage
	for {
		before := w.off
		r, off, ok := w.next()
		if (w.torn || !ok) && open < 0 && before < size {
			open = before
		}
		if !ok {
			return sure
		}
		log, slot := place(r.lane)
		if log != h.log || r.Seq < now.next[slot] {
			continue
		}
		if r.synced >= now.end {
			now.known = now.ended
		}
		if r.Seq > now.next[slot] {
			now.lost[slot] = append(now.lost[slot], frame.Range{From: now.next[slot], To: r.Seq - 1})
		}
		now.next[slot] = r.Seq + 1
		now.end = off + int64(r.size)
		if open >= 0 && r.synced > open {
			open = -1
		}
		if open < 0 {
			sure = now
		}
	}
}
