package passage

import (
	"time"

	"yizhan/devices/telemetry"
)

type state uint8

const (
	candidate state = iota // seen too seldom to have arrived
	present
	departed // remembered, in case it shakes at the edge of the field
)

// A presence is one tag in one zone. Durations are times on the fold's clock.
type presence struct {
	key        key
	epc        string
	prev, next *presence
	round      uint64

	state   state
	recent  [maxMinReads]time.Duration // the last reads, a ring
	n       int                        // reads since it came
	began   time.Duration              // first read
	seen    time.Duration              // last read
	left    time.Duration              // when it departed
	silence time.Duration              // what makes it depart

	first, last               time.Time // on the clock of the reads
	firstAntenna, lastAntenna int
	strongest                 telemetry.Opt[float64]
	inexact                   bool

	legs    [2]leg            // by the outer, by the inner antennas
	crossed telemetry.Passage // the last crossing told
}

// A leg is what one side of a portal saw.
type leg struct {
	reads       int
	antenna     int           // that saw the tag last
	seen        time.Duration // on the fold's clock
	first, last time.Time     // on the clock of the reads
	strongest   telemetry.Opt[float64]
	peak        time.Time // of the strongest read
}

func (p *presence) read(r *Read, t time.Duration, side int) {
	if p.n == 0 {
		p.began, p.inexact = t, false
		p.first, p.last = r.First, r.Last
		p.firstAntenna, p.lastAntenna = r.Antenna, r.Antenna
		p.strongest = telemetry.Opt[float64]{}
	}
	for range min(max(r.Count, 1), maxMinReads) {
		copy(p.recent[1:], p.recent[:])
		p.recent[0] = t
	}
	p.n += max(r.Count, 1)
	p.seen = t
	p.inexact = p.inexact || !r.Exact
	if r.First.Before(p.first) {
		p.first, p.firstAntenna = r.First, r.Antenna
	}
	if r.Last.After(p.last) {
		p.last, p.lastAntenna = r.Last, r.Antenna
	}
	if stronger(r.RSSI, p.strongest) {
		p.strongest = r.RSSI
	}
	if side >= 0 {
		p.legs[side].read(r, t)
	}
}

func (l *leg) read(r *Read, t time.Duration) {
	if l.reads == 0 {
		l.first, l.last, l.antenna = r.First, r.Last, r.Antenna
	}
	l.reads += max(r.Count, 1)
	l.seen = t
	if r.First.Before(l.first) {
		l.first = r.First
	}
	if r.Last.After(l.last) {
		l.last, l.antenna = r.Last, r.Antenna
	}
	if stronger(r.RSSI, l.strongest) {
		l.strongest, l.peak = r.RSSI, r.First
	}
}

func stronger(a, than telemetry.Opt[float64]) bool {
	v, ok := a.Get()
	w, had := than.Get()
	return ok && (!had || v > w)
}

// enough reports whether the reads make an arrival: MinReads of them within Window.
func (p *presence) enough(t time.Duration, cfg Config) bool {
	return p.n >= cfg.MinReads && t-p.recent[cfg.MinReads-1] <= cfg.Window
}

// leave makes p ready to come again.
func (p *presence) leave(t time.Duration) {
	p.state, p.left = departed, t
	p.forget()
}

// forget lets the next read be the first.
func (p *presence) forget() {
	p.n = 0
	p.legs = [2]leg{}
}

func (p *presence) event(what telemetry.Passage, antenna int, at time.Time, age time.Duration) Event {
	tag := telemetry.Tag{
		EPC: p.epc, EPCHex: p.key.hex, RSSIDBm: p.strongest, Reads: telemetry.Some(p.n),
		FirstSeen: p.first, LastSeen: p.last, Passage: what,
	}
	if antenna != 0 {
		tag.Antenna = telemetry.Some(antenna)
	}
	return Event{Tag: tag, At: at, Age: age, Exact: !p.inexact}
}

// direction compares what the two sides saw: in when outer came first and inner last.
func direction(outer, inner *leg, margin time.Duration) telemetry.Passage {
	if outer.reads == 0 || inner.reads == 0 {
		return ""
	}
	first := order(outer.first, inner.first, margin)
	last := order(outer.last, inner.last, margin)
	way := first
	if first == 0 {
		way = last
	}
	agree := first == last
	if first == 0 || last == 0 { // a draw: the strongest reads decide
		agree = outer.strongest.Known() && inner.strongest.Known() && order(outer.peak, inner.peak, margin) == way
	}
	switch {
	case !agree || way == 0:
		return ""
	case way > 0:
		return telemetry.In
	}
	return telemetry.Out
}

// order is 1 when a was clearly before b, -1 when clearly after, else 0.
func order(a, b time.Time, margin time.Duration) int {
	switch d := b.Sub(a); {
	case d > margin:
		return 1
	case d < -margin:
		return -1
	}
	return 0
}

func (p *presence) insert(before *presence) {
	p.prev, p.next = before.prev, before
	p.prev.next, p.next.prev = p, p
}

func (p *presence) remove() {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}
