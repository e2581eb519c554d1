package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// appender is the segment at the end of a log.
type appender struct {
	seg   *segment
	head  header
	f     File
	twin  File            // the mirror's copy; nil: none
	ready int64           // bytes before it were written before: a sync of a write there changes nothing else
	last  [2]frame.Record // the last durable record of each lane, for the hash in the next header
}

// ahead is how many zeros a small write puts behind itself in a segment that is written for the first time: the next
// ones then stay within what was written, and their syncs need not write the file's map.
const ahead = 256 << 10

// pending is a record on its way to a segment; its seq is given when it is written.
type pending struct {
	frame.Record
	lane telemetry.Lane
}

// say stages a record of the spool's own.
func (s *Spool) say(lane telemetry.Lane, typ frame.Type, body any) {
	s.own = append(s.own, s.word(lane, typ, body))
}

// word makes a record of the spool's own.
func (s *Spool) word(lane telemetry.Lane, typ frame.Type, body any) own {
	payload, err := json.Marshal(body)
	if err != nil {
		panic("BUG: spool: " + err.Error())
	}
	return own{frame.Entry{Lane: lane, Type: typ, Payload: payload}, s.stamp()}
}

// take unstages the spool's own records and as many groups as one commit writes.
func (s *Spool) take() ([]own, []group) {
	s.makeRoom()
	s.mu.Lock()
	defer s.mu.Unlock()
	var size int64
	n := 0
	for ; n < len(s.groups) && (n == 0 || size+s.groups[n].size.sum() <= batchBytes); n++ {
		size += s.groups[n].size.sum()
	}
	mine, groups := s.own, s.groups[:n:n]
	s.own, s.groups = nil, s.groups[n:]
	if len(s.groups) == 0 {
		s.groups, s.urgent = nil, false
	} else {
		s.urgent = true
	}
	return mine, groups
}

func pend(e *frame.Entry, st *stamp) pending {
	return pending{lane: e.Lane, Record: frame.Record{
		Type: e.Type, Quality: st.q, Boot: st.boot, MonoNS: st.mono, WallMS: st.wall, Payload: e.Payload,
	}}
}

// commit writes and syncs what is staged and tells those who wait.
func (s *Spool) commit() {
	mine, groups := s.take()
	var batch [logs][]pending
	put := func(e *frame.Entry, st *stamp) {
		log, _ := place(e.Lane)
		batch[log] = append(batch[log], pend(e, st))
	}
	for i := range mine {
		put(&mine[i].entry, &mine[i].stamp)
	}
	for i := range groups {
		for j := range groups[i].entries {
			put(&groups[i].entries[j], &groups[i].stamp)
		}
	}
	opening := s.active[logThin] == nil
	var errs [logs]error
	for log := range batch {
		errs[log] = s.write(log, batch[log])
	}
	if opening && errs[logThin] == nil && errors.Is(errs[logKeep], ErrFull) { // now it can be said of others that they go
		errs[logKeep] = s.write(logKeep, batch[logKeep])
	}
	s.book(mine, groups, errs)
	for i := range groups {
		var err error
		for j := range groups[i].entries {
			log, _ := place(groups[i].entries[j].Lane)
			err = errors.Join(err, errs[log])
			if err != nil {
				break
			}
		}
		groups[i].done(err)
	}
	if errs[logKeep] == nil || errs[logThin] == nil {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// book brings the books up to date after a batch.
func (s *Spool) book(mine []own, groups []group, errs [logs]error) {
	s.mu.Lock()
	var again []own
	for i := range mine {
		if log, _ := place(mine[i].entry.Lane); errs[log] != nil {
			again = append(again, mine[i])
		}
	}
	if len(again) > 0 {
		s.own = append(again, s.own...)
		s.retryAt = s.stamp().mono + int64(retryAfter)
	}
	for i := range groups {
		for log, n := range groups[i].size {
			s.staged[log] -= n
		}
		for j := range groups[i].entries {
			if log, _ := place(groups[i].entries[j].Lane); errs[log] != nil {
				s.counters["failed"]++
			}
		}
	}
	if len(s.groups) > 0 {
		s.since = s.groups[0].stamp.mono
	}
	s.counters["commits"]++
	s.mu.Unlock()
	if errs[logThin] == nil {
		s.bury()
	}
}

// write makes recs durable at the end of a log. A file that failed is never written again: what it
// was to hold is tried once more in a new one, and on a full card as often as something could go.
func (s *Spool) write(log int, recs []pending) error {
	if len(recs) == 0 {
		return nil
	}
	var err error
	for failed, freed := 0, 0; failed < 2; {
		if err = s.tryWrite(log, recs, false); err == nil {
			return nil
		}
		s.mu.Lock()
		s.counters["io_errors"]++
		s.mu.Unlock()
		s.log.Error("spool write failed", "err", err, "lane", logLanes[log][0].String(), "n", len(recs))
		if !errors.Is(err, unix.ENOSPC) {
			failed++
			continue
		}
		err = fmt.Errorf("%w: %w", ErrFull, err)
		if freed++; freed > maxFreed {
			return err
		}
		if !s.relieve() {
			return err
		}
	}
	return err
}

// tryWrite writes recs, in a new segment when the live one has no room. words may take what is kept for them.
func (s *Spool) tryWrite(log int, recs []pending, words bool) error {
	var size int64
	for i := range recs {
		size += recordSize(len(recs[i].Payload))
	}
	a, most := s.active[log], s.most(log)
	if words && a != nil && a.f != nil {
		most = a.seg.size - footerSize
	}
	if a == nil || a.f == nil || a.seg.end > headerSize && a.seg.end+size > most {
		last := words || log == logThin && a == nil || s.oldestThin() == nil
		next, err := s.make(log, last) // before the old one is sealed: on a full card that is all there is
		if errors.Is(err, errNamed) {
			s.abandon(log)
		}
		if err != nil {
			return err
		}
		s.seal(log, true)
		s.start(log, next)
		a = next
	}
	err := s.put(a, recs)
	if err != nil {
		s.abandon(log)
	}
	return err
}

// most is how far staged records may fill a segment of a log.
func (s *Spool) most(log int) int64 {
	most := s.opt.SegmentBytes - footerSize
	if log == logThin {
		most -= s.opt.told()
	}
	return most
}

// put writes recs behind the last ones of a segment and syncs it: one write, one flush.
func (s *Spool) put(a *appender, recs []pending) error {
	seg := a.seg
	next, buf := seg.next, s.buf[:0]
	for i := range recs {
		r := &recs[i]
		_, slot := place(r.lane)
		r.Seq = next[slot]
		next[slot]++
		buf = appendRecord(buf, seg.seed, r.lane, seg.end, &r.Record)
	}
	size := int64(len(buf))
	end, ready := seg.end+size, a.ready
	if end > ready {
		ready = end
		if zeros := min(ahead, s.opt.SegmentBytes-footerSize-end); size < ahead/2 && zeros > 0 {
			buf = append(buf, make([]byte, zeros)...)
			ready += zeros
		}
	}
	if s.buf = buf[:0]; cap(buf) > 2*ahead {
		s.buf = nil
	}
	name := segmentName(seg.log, seg.num)
	if err := s.main.write(a.f, buf, seg.end); err != nil {
		return fmt.Errorf("spool: write %s: %w", name, err)
	}
	if err := s.main.sync(a.f); err != nil {
		return fmt.Errorf("spool: sync %s: %w", name, err)
	}
	s.mirror.put(a, buf, seg.end)
	for i := range recs {
		_, slot := place(recs[i].lane)
		a.last[slot] = recs[i].Record
	}
	a.ready = ready
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.next, seg.end = next, end
	grown := max(seg.size, ready) - seg.size
	s.used += grown
	seg.size += grown
	s.slack[seg.log] = max(0, s.most(seg.log)-end)
	for slot, lane := range logLanes[seg.log] {
		s.next[lane-1] = next[slot]
	}
	s.counters["appended"] += uint64(len(recs))
	return nil
}

// make begins a new segment of a log, which start puts at its end. Its header is durable before anything else is
// in it, so a file without a whole header never held a record. It takes the last spare only when last is set.
func (s *Spool) make(log int, last bool) (*appender, error) {
	h := header{log: log, num: s.lastNum + 1, epoch: s.epoch}
	if err := s.incarnate(&h); err != nil {
		return nil, err
	}
	a := &appender{}
	if old := s.active[log]; old != nil {
		a.last = old.last
	}
	now := s.stamp().mono
	s.mu.Lock()
	h.born = uint32(s.ran(now))
	for slot, lane := range logLanes[log] {
		h.first[slot] = s.next[lane-1]
		if r := &a.last[slot]; r.Seq > 0 {
			h.prev[slot] = r.Hash(s.epoch, lane)
		}
	}
	s.mu.Unlock()
	s.lastNum++ // also when this fails: a name is never used twice
	head := h.encode()
	c, err := s.main.create(h.num, segmentName(log, h.num), head, last)
	if err != nil {
		return nil, err
	}
	a.head, a.f, a.ready = h, c.File, c.ready
	if log == logKeep {
		a.twin = s.mirror.create(h.num, head)
	}
	a.seg = &segment{
		log: log, num: h.num, epoch: h.epoch, seed: h.seed(), first: h.first, ended: ended{h.first, headerSize}, size: c.size,
		born: uint64(h.born), live: true,
	}
	return a, nil
}

// incarnate draws what seeds a segment's CRCs: never what seeded those in the file that it is made of.
func (s *Spool) incarnate(h *header) error {
	taken := func(v *volume) bool {
		old, used := v.seed()
		return used && h.seed() == old
	}
	for h.incarnation == 0 || taken(s.main) || s.mirror.up() && taken(s.mirror.vol) {
		var b [8]byte
		if _, err := s.opt.Rand.Read(b[:]); err != nil {
			return fmt.Errorf("spool: random source: %w", err)
		}
		h.incarnation = binary.LittleEndian.Uint64(b[:])
	}
	return nil
}

// start puts a new segment at the end of a log.
func (s *Spool) start(log int, a *appender) {
	s.active[log] = a
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs = append(s.segs, a.seg)
	s.account()
}

// seal ends the segment at the end of a log with a footer: at the end of a whole file when the segment is full, so that
// the file can be used again; else behind the records, and the rest of the file is given back.
func (s *Spool) seal(log int, full bool) {
	a := s.active[log]
	if a == nil || a.f == nil {
		return
	}
	at, gap := a.seg.end, int64(0)
	if whole := s.opt.SegmentBytes - footerSize; full && at <= whole && whole-at <= ahead {
		at, gap = whole, whole-at
	}
	ft := footer{header: a.head, next: a.seg.next, end: a.seg.end}
	end := append(make([]byte, gap, gap+footerSize), ft.encode()...) // zeros: nothing of the file's life before is left
	cut := gap == 0 && a.seg.size != at+footerSize
	var err error
	if cut {
		err = a.f.Truncate(at)
	}
	if err == nil {
		err = s.main.write(a.f, end, at-gap)
	}
	if err == nil {
		err = s.main.sync(a.f)
	}
	if err != nil {
		s.log.Warn("segment left without a footer", "err", err, "path", segmentName(log, a.seg.num))
	}
	s.mirror.seal(a, end, at-gap, cut)
	s.mu.Lock()
	a.seg.sealed = err == nil
	a.seg.size = at + footerSize
	s.mu.Unlock()
	s.abandon(log)
}

// abandon lets go of the file at the end of a log. The next write makes a new one.
func (s *Spool) abandon(log int) {
	a := s.active[log]
	if a == nil || a.f == nil {
		return
	}
	a.f.Close()
	if a.twin != nil {
		a.twin.Close()
	}
	s.active[log] = &appender{last: a.last}
	now := s.stamp().mono
	s.mu.Lock()
	defer s.mu.Unlock()
	a.seg.live = false
	s.account()
	s.settle(a.seg.epoch, log, s.ran(now))
}

// account adds up the sizes of the segments. mu is held.
func (s *Spool) account() {
	s.used, s.rest, s.slack = 0, 0, need{}
	for _, g := range s.segs {
		s.used += g.size
		switch {
		case g.live:
			s.slack[g.log] = max(0, s.most(g.log)-g.end)
		case !g.doomed && !g.stays && (g.settled || g.log == logThin):
			s.rest += g.size
		}
	}
	s.press()
}

// held returns the bytes of the segments of which something waits. mu is held.
func (s *Spool) held() (bytes int64) {
	for _, g := range s.segs {
		switch {
		case g.live:
			bytes += g.end
		case !g.settled:
			bytes += g.size
		}
	}
	return bytes
}
