package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// A hint remembers where a read ended, so that the next one needs no search.
type hint struct {
	key  laneKey
	seq  uint64 // the next to read
	num  uint64 // of the segment
	off  int64
	prev [32]byte // hash of seq-1
}

// hints are the last places read, a ring.
type hints struct {
	ring [32]hint
	at   int
}

func (h *hints) put(v hint) {
	h.ring[h.at] = v
	h.at = (h.at + 1) % len(h.ring)
}

func (h *hints) get(k laneKey, seq, num uint64) (hint, bool) {
	for _, v := range h.ring {
		if v.key == k && v.seq == seq && v.num == num {
			return v, true
		}
	}
	return hint{}, false
}

// Read returns consecutive durable records of a lane of an epoch from seq on: at most limit records and about
// maxBytes of payload (one record at least), and the hash of the record before the first: zeros when that
// is seq 1 or when the record before is lost. Nothing there yet gives no records and no error. Where records are
// missing it begins at the next that is there.
func (s *Spool) Read(epoch frame.Epoch, lane telemetry.Lane, from uint64, limit, maxBytes int) ([]frame.Record, [32]byte, error) {
	if lane < telemetry.Command || lane > telemetry.Track {
		return nil, [32]byte{}, fmt.Errorf("spool: %v", lane)
	}
	q := query{spool: s, key: laneKey{epoch, lane}, from: max(from, 1), limit: limit, bytes: maxBytes}
	q.log, q.slot = place(lane)
	for _, g := range q.segments() {
		done, err := q.segment(&g)
		if err != nil {
			return nil, [32]byte{}, err
		}
		if done {
			break
		}
	}
	return q.recs, q.prev, nil
}

// query is one Read.
type query struct {
	spool     *Spool
	key       laneKey
	log, slot int
	from      uint64 // the next seq wanted
	limit     int
	bytes     int
	recs      []frame.Record
	prev      [32]byte
}

// segments returns copies of the segments that have records from q.from on.
func (q *query) segments() (out []segment) {
	q.spool.mu.Lock()
	defer q.spool.mu.Unlock()
	for _, g := range q.spool.segs {
		if g.epoch == q.key.epoch && g.log == q.log && g.next[q.slot] > q.from && g.first[q.slot] < g.next[q.slot] {
			out = append(out, *g)
		}
	}
	return out
}

// segment reads on in g; done says that the answer is complete.
func (q *query) segment(g *segment) (done bool, err error) {
	f, err := q.spool.fs.Open(q.spool.path(segmentName(g.log, g.num)))
	tw := q.spool.twin(g)
	defer tw.close()
	switch {
	case errors.Is(err, fs.ErrNotExist): // committed and let go meanwhile
		return len(q.recs) > 0, nil
	case err == nil:
		defer f.Close()
	case tw.open():
		f = tw.f
	default:
		return false, fmt.Errorf("spool: read: %w", err)
	}
	off, seen, hash := int64(headerSize), g.first[q.slot], [32]byte{}
	q.spool.mu.Lock()
	h, ok := q.spool.hints.get(q.key, q.from, g.num)
	q.spool.mu.Unlock()
	if ok {
		off, seen, hash = h.off, h.seq, h.prev
	} else {
		if hd, _, ok := readHead(f, g.size, g.num); ok && hd.num == g.num {
			hash = hd.prev[q.slot]
		}
	}
	w := newWalker(f, g.seed, off, g.end)
	w.twin, w.mended = tw, q.mended
	return q.walk(w, g, seen, hash), nil
}

// mended counts a record that only the mirror has.
func (q *query) mended(int64, *stored) {
	q.spool.mu.Lock()
	q.spool.counters["mended"]++
	q.spool.mu.Unlock()
}

// walk collects records of the lane. seen is the seq that is due and hash that of the record before it.
func (q *query) walk(w *walker, g *segment, seen uint64, hash [32]byte) (done bool) {
	var before frame.Record // the last of the lane before q.from; none when its seq is 0
	var kept []byte
	for {
		r, at, ok := w.next()
		if !ok {
			q.lost(g, seen, g.next[q.slot])
			break
		}
		if r.lane != q.key.lane || r.Seq < seen || r.Seq >= g.next[q.slot] {
			continue
		}
		if r.Seq > seen {
			q.lost(g, seen, r.Seq)
			hash, before.Seq = [32]byte{}, 0
			if len(q.recs) > 0 {
				return true
			}
		}
		seen = r.Seq + 1
		rec := r.Record
		if rec.Seq < q.from {
			kept = append(kept[:0], rec.Payload...)
			rec.Payload = kept
			before = rec
			continue
		}
		if len(q.recs) == 0 {
			if q.prev = hash; before.Seq > 0 {
				q.prev = before.Hash(q.key.epoch, q.key.lane)
			}
		} else if q.recs[len(q.recs)-1].Seq+1 != rec.Seq || q.bytes < len(rec.Payload) {
			q.remember(g, at)
			return true
		}
		rec.Payload = slices.Clone(rec.Payload)
		q.recs = append(q.recs, rec)
		q.bytes -= len(rec.Payload)
		q.from = rec.Seq + 1
		if len(q.recs) >= q.limit {
			q.remember(g, w.off)
			return true
		}
	}
	if len(q.recs) > 0 {
		q.remember(g, g.end)
	}
	return false
}

// remember notes that the next record of the lane is at off or behind it.
func (q *query) remember(g *segment, off int64) {
	last := &q.recs[len(q.recs)-1]
	h := hint{key: q.key, seq: q.from, num: g.num, off: off, prev: last.Hash(q.key.epoch, q.key.lane)}
	q.spool.mu.Lock()
	defer q.spool.mu.Unlock()
	q.spool.hints.put(h)
}

// lost notes that the seqs from first to next-1 should have been in g and weren't. What is missing between segments was
// committed and let go, or told of when the spool was opened.
func (q *query) lost(g *segment, first, next uint64) {
	first = max(first, g.first[q.slot])
	if first >= next {
		return
	}
	s := q.spool
	now := s.stamp().mono
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.segs, func(o *segment) bool { return o.num == g.num }) {
		return // let go while it was read: its file may be another segment now
	}
	if t, ok := s.markLost(q.key, frame.Range{From: first, To: next - 1}); ok && !s.closed {
		s.say(q.key.lane, frame.TypeTombstone, t)
		s.settle(q.key.epoch, q.log, s.ran(now))
		s.nudge()
	}
}
