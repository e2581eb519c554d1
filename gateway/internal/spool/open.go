package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

const (
	lockName    = "lock"
	damagedEnd  = ".damaged"
	keptDamaged = 4 // set-aside files kept for somebody to look at
)

// Open opens the spool in dir, made when it isn't there, and starts a new epoch. It repairs what a
// crash left and reports what is lost. It fails only when the folder can't be made, read or locked, or opt is wrong.
func Open(fsys FS, dir string, opt Options) (*Spool, error) {
	if err := opt.defaults(); err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{
		fs: fsys, dir: dir, opt: opt, log: opt.Logger,
		wake: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		lanes: map[laneKey]*laneState{}, next: [4]uint64{1, 1, 1, 1},
		counters: map[string]uint64{},
	}
	s.openedAt = s.stamp().mono
	s.main = &volume{fs: fsys, dir: dir, size: opt.SegmentBytes, count: func(what string, n int64) {
		s.mu.Lock()
		s.counters[what] += uint64(n)
		s.mu.Unlock()
	}}
	var err error
	if s.lock, err = fsys.Lock(s.path(lockName)); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := s.open(); err != nil {
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Spool) open() error {
	names, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	settled, turning := s.loadCursor()
	r := recovery{Spool: s, settled: settled}
	s.mirror = s.newMirror()
	names = r.restoreMissing(names)
	r.load(names)
	r.settleEnds()
	r.reportGaps()
	r.dropEmpty()
	prev, ends := s.lastEpoch()
	if err := s.newEpoch(); err != nil {
		return err
	}
	for i := range r.reports {
		s.say(r.reports[i].lane, frame.TypeTombstone, r.reports[i].Tombstone)
	}
	for i, away := range turning {
		if away {
			s.say(telemetry.Lane(i+1), frame.TypeTombstone, frame.Tombstone{Epoch: prev, Reason: reasonUntold})
		}
	}
	s.own = append(s.openings(prev, ends), s.own...)
	r.keepTail()
	s.account()
	s.log.Info("spool open", "epoch", s.epoch.String(), "bytes", s.used, "n", len(s.segs))
	return nil
}

// newEpoch draws the epoch of this opening.
func (s *Spool) newEpoch() error {
	for {
		var b [8]byte
		if _, err := s.opt.Rand.Read(b[:]); err != nil {
			return fmt.Errorf("spool: random source: %w", err)
		}
		if e := frame.Epoch(binary.BigEndian.Uint64(b[:])); e != 0 && !s.knows(e) {
			s.epoch = e
			return nil
		}
	}
}

// openings are the first records of the epoch, one a lane.
func (s *Spool) openings(prev frame.Epoch, ends []frame.LaneEnd) []own {
	rest := s.own
	s.own = nil
	for _, lane := range telemetry.Lanes {
		s.say(lane, frame.TypeOpening, frame.Opening{Prev: prev, Ends: ends})
	}
	first := s.own
	s.own = rest
	return first
}

// lastEpoch returns the newest epoch that has a record, and its last durable seqs.
func (s *Spool) lastEpoch() (prev frame.Epoch, ends []frame.LaneEnd) {
	for _, g := range s.segs {
		if g.next != g.first {
			prev = g.epoch
		}
	}
	ends = []frame.LaneEnd{}
	for _, lane := range telemetry.Lanes {
		var last uint64
		log, slot := place(lane)
		for _, g := range s.segs {
			if g.epoch == prev && g.log == log {
				last = max(last, g.next[slot]-1)
			}
		}
		if st := s.lanes[laneKey{prev, lane}]; st != nil && len(st.gone) > 0 { // its last segment may be gone
			last = max(last, st.gone[len(st.gone)-1].To)
		}
		if prev != 0 {
			ends = append(ends, frame.LaneEnd{Lane: lane, Last: last})
		}
	}
	return prev, ends
}

// recovery is the state of one opening.
type recovery struct {
	*Spool
	aside   []*segment // log and num of what was set aside
	reports []report
	settled map[uint64]uint64 // as the cursor has it
}

// report is a loss to be told in a lane.
type report struct {
	lane telemetry.Lane
	frame.Tombstone
}

// load finds the segments and sets aside what is none.
func (r *recovery) load(names []string) {
	var damaged []string
	for _, name := range names {
		if num, ok := parseSpareName(name); ok {
			r.lastNum = max(r.lastNum, num)
			r.main.adopt(num)
			continue
		}
		if strings.HasSuffix(name, copyEnd) {
			_ = r.fs.Remove(r.path(name))
			continue
		}
		base, was := strings.CutSuffix(name, damagedEnd)
		log, num, ok := parseSegmentName(base)
		if !ok {
			continue
		}
		r.lastNum = max(r.lastNum, num)
		if was {
			damaged = append(damaged, name)
			continue
		}
		g, keep := r.loadSegment(log, num)
		if g == nil && log == logKeep && r.restored(num, keep) {
			g, keep = r.loadSegment(log, num)
		}
		switch {
		case g != nil:
			r.segs = append(r.segs, g)
		case keep:
			r.aside = append(r.aside, &segment{log: log, num: num})
			r.counters["set_aside"]++
			r.log.Error("segment set aside", "path", name)
			if err := r.fs.Rename(r.path(name), r.path(name+damagedEnd)); err != nil {
				r.log.Warn("segment not renamed", "err", err, "path", name)
			}
			damaged = append(damaged, name+damagedEnd)
		default:
			_ = r.fs.Remove(r.path(name))
		}
	}
	byNum := func(a, b *segment) int {
		if a.num < b.num {
			return -1
		}
		return 1
	}
	slices.SortFunc(r.segs, byNum)
	slices.SortFunc(r.aside, byNum)
	slices.Sort(damaged)
	for len(damaged) > keptDamaged {
		_ = r.fs.Remove(r.path(damaged[0]))
		damaged = damaged[1:]
	}
}

// loadSegment reads what a segment says of itself: its footer, else its header. When it says nothing
// keep tells whether it may have held records.
func (r *recovery) loadSegment(log int, num uint64) (g *segment, keep bool) {
	f, err := r.fs.Open(r.path(segmentName(log, num)))
	if err != nil {
		return nil, !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, true
	}
	h, ft, ok := readHead(f, size, num)
	if !ok || h.log != log || h.num != num {
		return nil, size > headerSize
	}
	g = &segment{log: log, num: num, epoch: h.epoch, seed: h.seed(), first: h.first, ended: ended{h.first, headerSize}, size: size, born: uint64(h.born)}
	if ft != nil {
		g.next, g.end, g.sealed = ft.next, ft.end, true
	}
	return g, false
}

// readHead returns what the segment file num of size bytes says of itself, and its footer when it has one. The
// footer repeats the header, so one of the two is enough. A footer of another number is of the file's life before.
func readHead(f File, size int64, num uint64) (h header, ft *footer, ok bool) {
	var b [footerSize]byte
	if size >= headerSize+footerSize {
		fill(f, b[:], size-footerSize)
		if t, ok := decodeFooter(b[:]); ok && t.end <= size-footerSize && t.num == num {
			return t.header, &t, true
		}
	}
	if size < headerSize {
		return h, nil, false
	}
	fill(f, b[:headerSize], 0)
	h, ok = decodeHeader(b[:headerSize])
	return h, nil, ok
}

// restoreMissing fetches from the mirror the segments that aren't in the folder, and returns all names. What the cursor
// knows to be settled isn't missed.
func (r *recovery) restoreMissing(names []string) []string {
	if !r.mirror.up() {
		return names
	}
	for _, num := range slices.Sorted(maps.Keys(r.mirror.have)) {
		name := segmentName(logKeep, num)
		if slices.Contains(names, name) {
			continue
		}
		h, ft, ok := r.mirror.read(num)
		if !ok || ft != nil && r.covered(&segment{log: logKeep, epoch: h.epoch, first: h.first, ended: ended{ft.next, ft.end}}) {
			r.mirror.discard([]*segment{{log: logKeep, num: num}})
			continue
		}
		if r.restored(num, false) {
			names = append(names, name)
		}
	}
	return names
}

// restored fetches a segment from the mirror; what there is of it in the folder is set aside first when keep says so.
func (r *recovery) restored(num uint64, keep bool) bool {
	if !r.mirror.up() {
		return false
	}
	if _, _, ok := r.mirror.read(num); !ok {
		return false
	}
	name := segmentName(logKeep, num)
	if keep {
		_ = r.fs.Rename(r.path(name), r.path(name+damagedEnd))
	}
	if err := r.mirror.restore(num); err != nil {
		r.log.Error("segment not restored", "err", err, "path", name)
		return false
	}
	r.counters["restored"]++
	r.log.Warn("segment restored from the mirror", "path", name)
	return true
}

// keepTail marks the segments of which nothing waits, since when the cursor says, else since now.
func (r *recovery) keepTail() {
	now := r.ranBefore
	for _, g := range r.segs {
		now = max(now, g.born)
	}
	r.ranBefore = now
	for _, g := range r.segs {
		if !r.covered(g) {
			continue
		}
		g.settled, g.since = true, now
		if at, ok := r.settled[g.num]; ok {
			g.since = at
		}
	}
	r.expireNow, r.spareCount = true, len(r.main.spares)
}

// lose notes seqs of a segment's lane as lost and has them reported, when they had to be kept.
func (r *recovery) lose(g *segment, slot int, lost frame.Range) {
	lane := logLanes[g.log][slot]
	if t, ok := r.markLost(laneKey{g.epoch, lane}, lost); ok {
		r.reports = append(r.reports, report{lane, t})
	}
}

// markLost notes seqs as lost and returns the tombstone that says so; ok is false when all of them
// need not be kept anyway. mu is held, or the spool isn't open yet.
func (s *Spool) markLost(k laneKey, lost frame.Range) (t frame.Tombstone, ok bool) {
	if lost.From > lost.To {
		return t, false
	}
	st := s.lane(k)
	miss := st.gone.missing(lost)
	if len(miss) == 0 {
		return t, false
	}
	st.gone = st.gone.add(lost)
	s.dirty = true
	s.counters["damaged"] += count(miss)
	s.log.Error("records lost to damage", "epoch", k.epoch.String(), "lane", k.lane.String(), "n", count(miss))
	return frame.Tombstone{Epoch: k.epoch, Ranges: miss, Count: count(miss), Reason: reasonDamaged}, true
}

// reportGaps tells what the segments that were set aside must have held, as far as their neighbours
// show it.
func (r *recovery) reportGaps() {
	for _, a := range r.aside {
		var before, after *segment
		for _, g := range r.segs {
			switch {
			case g.log != a.log:
			case g.num < a.num:
				before = g
			case after == nil:
				after = g
			}
		}
		for slot, lane := range logLanes[a.log] {
			switch {
			case after != nil && before != nil && before.epoch == after.epoch:
				r.lose(after, slot, frame.Range{From: before.next[slot], To: after.first[slot] - 1})
			case after != nil && after.first[slot] > 1:
				r.lose(after, slot, frame.Range{From: 1, To: after.first[slot] - 1})
			default: // nothing bounds it: say that something is lost
				t := frame.Tombstone{Reason: reasonDamaged}
				if before != nil {
					t.Epoch = before.epoch
				}
				r.reports = append(r.reports, report{lane, t})
			}
		}
	}
}

// dropEmpty removes segments that were made and never held a durable record.
func (r *recovery) dropEmpty() {
	r.segs = slices.DeleteFunc(r.segs, func(g *segment) bool {
		empty := g.next == g.first && !g.unsure
		if empty {
			_ = r.fs.Remove(r.path(segmentName(g.log, g.num)))
		}
		return empty
	})
}
