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
	seg  *segment
	head header
	f    File
	last [2]frame.Record // the last durable record of each lane, for the hash in the next header
}

// ahead is how many zeros a small write puts behind itself: the next small ones then stay within the
// file, and their syncs need not write its size.
const ahead = 32 << 10

// pending is a record on its way to a segment; its seq is given when it is written.
type pending struct {
	frame.Record
	lane telemetry.Lane
}

// say stages a record of the spool's own.
func (s *Spool) say(lane telemetry.Lane, typ frame.Type, body any) {
	payload, err := json.Marshal(body)
	if err != nil {
		panic("BUG: spool: " + err.Error())
	}
	s.own = append(s.own, own{frame.Entry{Lane: lane, Type: typ, Payload: payload}, s.stamp()})
}

// take unstages the spool's own records and as many groups as one commit writes.
func (s *Spool) take() ([]own, []group) {
	s.makeRoom()
	s.mu.Lock()
	defer s.mu.Unlock()
	var size int64
	n := 0
	for ; n < len(s.groups) && (n == 0 || size+s.groups[n].size <= batchBytes); n++ {
		size += s.groups[n].size
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
	var errs [logs]error
	for log := range batch {
		errs[log] = s.write(log, batch[log])
	}
	s.settle(mine, groups, errs)
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

// settle brings the books up to date after a batch.
func (s *Spool) settle(mine []own, groups []group, errs [logs]error) {
	now := s.stamp().mono
	s.mu.Lock()
	var again []own
	for i := range mine {
		if log, _ := place(mine[i].entry.Lane); errs[log] != nil {
			again = append(again, mine[i])
		}
	}
	if len(again) > 0 {
		s.own = append(again, s.own...)
		s.retryAt = now + int64(retryAfter)
	}
	for i := range groups {
		s.staged -= groups[i].size
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
// was to hold is tried once more in a new one.
func (s *Spool) write(log int, recs []pending) error {
	if len(recs) == 0 {
		return nil
	}
	var err error
	for range 2 {
		if err = s.tryWrite(log, recs); err == nil {
			return nil
		}
		s.mu.Lock()
		s.counters["io_errors"]++
		s.mu.Unlock()
		s.log.Error("spool write failed", "err", err, "lane", logLanes[log][0].String(), "n", len(recs))
		s.abandon(log)
		if errors.Is(err, unix.ENOSPC) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
			if !s.relieve() {
				return err
			}
		}
	}
	return err
}

func (s *Spool) tryWrite(log int, recs []pending) error {
	var size int64
	for i := range recs {
		size += recordSize(len(recs[i].Payload))
	}
	a := s.active[log]
	if a != nil && a.f == nil {
		a = nil
	}
	if a != nil && a.seg.end > headerSize && a.seg.end+size > s.opt.SegmentBytes {
		s.seal(log)
		a = nil
	}
	if a == nil {
		var err error
		if a, err = s.make(log); err != nil {
			return err
		}
	}
	seg := a.seg
	next, seed := seg.next, a.seg.seed
	buf := make([]byte, 0, size)
	for i := range recs {
		r := &recs[i]
		_, slot := place(r.lane)
		r.Seq = next[slot]
		next[slot]++
		buf = appendRecord(buf, seed, r.lane, seg.end, &r.Record)
	}
	file := max(seg.size, seg.end+size)
	if seg.end+size > seg.size && size < ahead/2 && file+ahead <= s.opt.SegmentBytes {
		file += ahead
		buf = append(buf, make([]byte, ahead)...)
	}
	if _, err := a.f.WriteAt(buf, seg.end); err != nil {
		return fmt.Errorf("spool: write %s: %w", segmentName(log, seg.num), err)
	}
	if err := a.f.Sync(); err != nil {
		return fmt.Errorf("spool: sync %s: %w", segmentName(log, seg.num), err)
	}
	for i := range recs {
		_, slot := place(recs[i].lane)
		a.last[slot] = recs[i].Record
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.next = next
	seg.end += size
	s.used += file - seg.size
	seg.size = file
	for slot, lane := range logLanes[log] {
		s.next[lane-1] = next[slot]
	}
	s.counters["appended"] += uint64(len(recs))
	s.counters["syncs"]++
	return nil
}

// make starts a new segment at the end of a log. Its header is durable before anything else is
// in it, so a file without a whole header never held a record.
func (s *Spool) make(log int) (*appender, error) {
	h := header{log: log, num: s.lastNum + 1, epoch: s.epoch}
	var b [8]byte
	if _, err := s.opt.Rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("spool: random source: %w", err)
	}
	h.incarnation = binary.LittleEndian.Uint64(b[:])
	a := &appender{}
	if old := s.active[log]; old != nil {
		a.last = old.last
	}
	s.mu.Lock()
	for slot, lane := range logLanes[log] {
		h.first[slot] = s.next[lane-1]
		if r := &a.last[slot]; r.Seq > 0 {
			h.prev[slot] = r.Hash(s.epoch, lane)
		}
	}
	s.mu.Unlock()
	s.lastNum++ // also when this fails: a name is never used twice
	name := s.path(segmentName(log, h.num))
	f, err := s.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if _, err = f.WriteAt(h.encode(), 0); err == nil {
		if err = f.Sync(); err == nil {
			err = s.fs.SyncDir(s.dir)
		}
	}
	if err != nil {
		f.Close()
		_ = s.fs.Remove(name) // what stays behind holds no record and goes at the next opening
		return nil, fmt.Errorf("spool: new %s: %w", segmentName(log, h.num), err)
	}
	a.head, a.f = h, f
	a.seg = &segment{log: log, num: h.num, epoch: h.epoch, seed: h.seed(), first: h.first, next: h.first, end: headerSize, size: headerSize, live: true}
	s.active[log] = a
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters["syncs"]++
	s.segs = append(s.segs, a.seg)
	s.account()
	return a, nil
}

// seal ends the segment at the end of a log with a footer.
func (s *Spool) seal(log int) {
	a := s.active[log]
	if a == nil || a.f == nil {
		return
	}
	ft := footer{header: a.head, next: a.seg.next, end: a.seg.end}
	err := a.f.Truncate(a.seg.end)
	if err == nil {
		_, err = a.f.WriteAt(ft.encode(), a.seg.end)
	}
	if err == nil {
		err = a.f.Sync()
	}
	if err != nil {
		s.log.Warn("segment left without a footer", "err", err, "path", segmentName(log, a.seg.num))
	}
	s.mu.Lock()
	a.seg.sealed = err == nil
	a.seg.size = a.seg.end + footerSize
	s.counters["syncs"]++
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
	s.active[log] = &appender{last: a.last}
	s.mu.Lock()
	a.seg.live = false
	s.account()
	s.mu.Unlock()
}

// account adds up the sizes of the segments. mu is held.
func (s *Spool) account() {
	s.used, s.thinRest = 0, 0
	for _, g := range s.segs {
		s.used += g.size
		if g.log == logThin && !g.live && !g.doomed {
			s.thinRest += g.size
		}
	}
}
