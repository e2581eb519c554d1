package spool

import (
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Health is how a spool is at one moment.
type Health struct {
	MaxBytes int64 // of Options
	Held     int64 // bytes of segments of which something waits for the cloud
	Kept     int64 // bytes of the kept tail, which goes when room is needed
	Spare    int64 // bytes of spares

	Waiting uint64        // records
	Oldest  time.Duration // since the oldest waiting record was made; 0 when none waits
	Thinned bool          // there is so little room that may-thin readings are thinned

	WrittenPerHour uint64 // bytes written by the spool in the last full hour; in the first one so far
	SyncsPerHour   uint64

	Damaged    uint64 // records known to be lost to damage, since the program started
	Mirrored   bool   // a mirror is wanted
	MirrorLost bool   // and isn't there
}

// Fill returns how full the spool is of what waits, 0 to 1.
func (h *Health) Fill() float64 { return float64(h.Held) / float64(max(1, h.MaxBytes)) }

// Health returns how the spool is. It reads one record of the card.
func (s *Spool) Health() Health {
	st := s.stamp()
	s.mu.Lock()
	h := Health{
		MaxBytes: s.opt.MaxBytes, Held: s.held(), Thinned: s.admission.tight, Damaged: s.counters["damaged"],
		Mirrored: s.mirror != nil, MirrorLost: s.mirror != nil && s.mirror.lost, Spare: int64(s.spareCount) * s.opt.SegmentBytes,
	}
	h.WrittenPerHour, h.SyncsPerHour = s.hour.rates(s.counters)
	var oldest *segment
	var at laneKey
	var seq uint64
	for _, g := range s.segs {
		if g.settled {
			h.Kept += g.size
			continue
		}
		for slot, lane := range logLanes[g.log] {
			k := laneKey{g.epoch, lane}
			miss := missing(s.lane(k).gone, g.first[slot], g.next[slot])
			h.Waiting += count(miss)
			if len(miss) > 0 && (oldest == nil || g.epoch == oldest.epoch && g.born < oldest.born) {
				oldest, at, seq = g, k, miss[0].From
			}
		}
	}
	var born uint64
	if oldest != nil {
		born = oldest.born
	}
	ran := s.ran(st.mono)
	s.mu.Unlock()
	if oldest != nil {
		h.Oldest = s.age(at, seq, st, time.Duration(max(ran, born)-born)*time.Second)
	}
	return h
}

// age returns how long ago a record was made: by the clock of this boot, else by two times that can be trusted, else
// as long as the spool has run since its segment was begun.
func (s *Spool) age(k laneKey, seq uint64, now stamp, born time.Duration) time.Duration {
	recs, _, err := s.Read(k.epoch, k.lane, seq, 1, 1)
	if err != nil || len(recs) == 0 {
		return born
	}
	switch r := &recs[0]; {
	case r.Boot == now.boot && r.Boot != frame.Boot{}:
		return time.Duration(max(0, now.mono-r.MonoNS))
	case r.Quality != telemetry.Unknown && now.q != telemetry.Unknown:
		return time.Duration(max(0, now.wall-r.WallMS)) * time.Millisecond
	}
	return born
}

// hour counts what was written in an hour.
type hour struct {
	began                  int64
	open                   bool
	written, syncs         uint64 // when it began
	lastWritten, lastSyncs uint64 // in the hour before
	full                   bool
}

func (h *hour) turn(now int64, counters map[string]uint64) {
	if h.open && now < h.began+int64(time.Hour) {
		return
	}
	w, n := writes(counters)
	if h.open {
		h.lastWritten, h.lastSyncs, h.full = w-h.written, n-h.syncs, true
	}
	h.began, h.open, h.written, h.syncs = now, true, w, n
}

func (h *hour) rates(counters map[string]uint64) (written, syncs uint64) {
	if h.full {
		return h.lastWritten, h.lastSyncs
	}
	w, n := writes(counters)
	return w - h.written, n - h.syncs
}

func writes(c map[string]uint64) (written, syncs uint64) {
	return c["written"] + c["mirror_written"], c["syncs"] + c["mirror_syncs"]
}
