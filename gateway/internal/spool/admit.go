package spool

import (
	"math"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// What is admitted while the spool is nearly full, a device or probe; see doc.go.
const (
	tightAt  = 7 // eighths of what may be filled: from here on readings are thinned
	looseAt  = 6 // and from here on no more
	maxSeen  = 1024
	tellThin = time.Minute // between tombstones of what was thinned

	positionEvery = 30 * time.Second
	positionMoved = 200.0 // metres
	healthEvery   = 10 * time.Minute
	climateEvery  = 5 * time.Minute
	climateMoved  = 0.1 // degrees or per cent beyond what was admitted since
)

// Quarantine entries that are admitted at once, and one more each of these pauses: what floods in beyond them is counted.
const (
	floodBurst = 64
	floodPause = 10 * time.Second
)

// admission decides which entries are staged. What it turns away is acknowledged to its sender and told in tombstones
// without seqs.
type admission struct {
	tight  bool
	seen   map[seenKey]*seen
	turned [4]uint64 // thinned readings not told yet, by lane
	floods uint64    // quarantine entries not told yet
	toldAt int64
	marked [4]bool // the cursor on the card says that entries of a lane are turned away: before, none is
	wished [4]bool // and where it is to say so

	credit int64 // nanoseconds: a quarantine entry costs floodPause
	fillAt int64
}

type seenKey struct {
	device, part string
	kind         telemetry.Kind
}

// seen is what was admitted last.
type seen struct {
	mono      int64
	lat, lon  float64
	low, high float64
}

// admit returns those of entries that are staged. mu is held.
func (s *Spool) admit(entries []frame.Entry, mono int64) []frame.Entry {
	a := &s.admission
	for i := range entries {
		if s.turn(&entries[i], mono) {
			out := append([]frame.Entry(nil), entries[:i]...)
			s.turnedAway(&entries[i])
			for i++; i < len(entries); i++ {
				if s.turn(&entries[i], mono) {
					s.turnedAway(&entries[i])
				} else {
					out = append(out, entries[i])
				}
			}
			if a.toldAt == 0 {
				a.toldAt = mono
			}
			return out
		}
	}
	return entries
}

func (s *Spool) turn(e *frame.Entry, mono int64) (away bool) {
	a := &s.admission
	switch {
	case e.Type == frame.TypeQuarantine:
		away = !a.quarantine(mono)
	case e.Type == frame.TypeReading && !e.Lane.MustKeep() && a.tight:
		away = !a.wanted(e.Payload, mono)
	}
	if away && !a.marked[e.Lane-1] {
		a.wished[e.Lane-1] = true
		return false
	}
	return away
}

// mark has the cursor say that entries are turned away, before the first is: their number is told in tombstones a
// minute later, and a power cut in between must not make it a loss that nobody tells of.
func (s *Spool) mark() {
	s.mu.Lock()
	wished := s.admission.wished != [4]bool{}
	s.dirty = s.dirty || wished
	s.mu.Unlock()
	if wished {
		s.saveCursor()
	}
}

// turning tells of which lanes entries may be turned away and not be told of. mu is held.
func (s *Spool) turning() (lanes [4]bool) {
	a := &s.admission
	lanes = a.wished
	for i := range lanes {
		scarce := a.tight
		if telemetry.Lane(i+1) == telemetry.Command {
			scarce = a.fillAt != 0 && a.credit < int64(floodPause)
		}
		lanes[i] = lanes[i] || a.marked[i] && (scarce && !s.closed || a.toldAt != 0 || len(s.own) > 0)
	}
	return lanes
}

func (s *Spool) turnedAway(e *frame.Entry) {
	if e.Type == frame.TypeQuarantine {
		s.admission.floods++
		s.counters["flooded"]++
		return
	}
	s.admission.turned[e.Lane-1]++
	s.counters["thinned"]++
}

func (a *admission) quarantine(mono int64) bool {
	if a.fillAt == 0 {
		a.credit, a.fillAt = floodBurst*int64(floodPause), mono
	}
	a.credit = min(floodBurst*int64(floodPause), a.credit+max(0, mono-a.fillAt))
	a.fillAt = max(a.fillAt, mono)
	if a.credit < int64(floodPause) {
		return false
	}
	a.credit -= int64(floodPause)
	return true
}

// wanted reports whether a reading says something new while there is little room.
func (a *admission) wanted(payload []byte, mono int64) bool {
	good, bad := telemetry.Parse(payload, "", "")
	if len(bad) > 0 || len(good) != 1 {
		return true
	}
	r := &good[0]
	k := seenKey{device: r.Device, kind: r.Kind}
	var now seen
	now.mono = mono
	news := func(*seen) bool { return true }
	switch r.Kind {
	case telemetry.KindPosition:
		p, err := telemetry.As[telemetry.Position](*r)
		if err != nil {
			return true
		}
		now.lat, now.lon = p.Lat.Or(0), p.Lon.Or(0)
		news = func(o *seen) bool { return mono-o.mono >= int64(positionEvery) || far(o, &now) }
	case telemetry.KindHealth:
		news = func(o *seen) bool { return mono-o.mono >= int64(healthEvery) }
	case telemetry.KindClimate:
		c, err := telemetry.As[telemetry.Climate](*r)
		if err != nil {
			return true
		}
		v := c.TemperatureC.Or(c.HumidityPct.Or(math.Inf(1))) // a fault is news once
		k.part, now.low, now.high = c.Probe, v, v
		news = func(o *seen) bool {
			if mono-o.mono >= int64(climateEvery) {
				return true
			}
			beyond := v < o.low-climateMoved || v > o.high+climateMoved
			now.mono, now.low, now.high = o.mono, min(o.low, v), max(o.high, v)
			return beyond
		}
	default:
		return true
	}
	old := a.seen[k]
	if old != nil && !news(old) {
		return false
	}
	if old == nil && len(a.seen) >= maxSeen {
		return true
	}
	a.seen[k] = &now
	return true
}

// far reports whether two positions are apart: the earth is flat between two fixes.
func far(a, b *seen) bool {
	const degree = 111_320 // metres
	dy := (a.lat - b.lat) * degree
	dx := (a.lon - b.lon) * degree * math.Cos(a.lat*math.Pi/180)
	return math.Hypot(dx, dy) >= positionMoved
}

// press decides whether may-thin readings are thinned. mu is held.
func (s *Spool) press() {
	a := &s.admission
	may := s.opt.MaxBytes - s.opt.reserve()
	switch held := s.held(); {
	case !a.tight && held >= may/8*tightAt:
		a.tight, a.seen = true, map[seenKey]*seen{}
		s.log.Warn("spool nearly full, readings are thinned", "bytes", held)
	case a.tight && held < may/8*looseAt:
		a.tight, a.seen = false, nil
		s.log.Info("spool has room again", "bytes", held)
	}
}

// tellTurned stages what is to be told of entries that were turned away. mu is held.
func (s *Spool) tellTurned(mono int64, all bool) {
	a := &s.admission
	if a.toldAt == 0 || !all && mono < a.toldAt+int64(tellThin) {
		return
	}
	for i, n := range a.turned {
		if n > 0 {
			s.say(telemetry.Lane(i+1), frame.TypeTombstone, frame.Tombstone{Epoch: s.epoch, Count: n, Reason: reasonThinned})
		}
	}
	if a.floods > 0 {
		s.say(telemetry.Command, frame.TypeTombstone, frame.Tombstone{Epoch: s.epoch, Count: a.floods, Reason: reasonFlood})
	}
	a.turned, a.floods, a.toldAt = [4]uint64{}, 0, 0
}
