package passage

import (
	"cmp"
	"slices"
	"time"

	"yizhan/devices/telemetry"
)

// Read is what a reader says about a tag: one read or several that it summed up.
type Read struct {
	EPC     string // name of the tag
	Hex     string // its bits: what tells tags apart
	Antenna int    // 0: the reader didn't say
	RSSI    telemetry.Opt[float64]
	Raw     telemetry.Opt[int] // the reader's own figure behind RSSI, where a formula of the config made RSSI of it
	Count   int                // reads summed up, at least 1
	First   time.Time
	Last    time.Time
	Exact   bool // First and Last are of the reader's clock, not of the moment of receipt
}

// Event is one passage.
type Event struct {
	Tag   telemetry.Tag
	At    time.Time     // when it happened, on the clock of the reads
	Age   time.Duration // how long ago that was, on the caller's clock
	Exact bool          // all reads behind it were exact
}

// Counts are the counters of a Fold.
type Counts struct {
	Tracked, Arrived, Departed, Crossed, Weak, Fleeting, Evicted, Repeated uint64
}

// Fold folds the reads of one reader. It is used by one goroutine.
type Fold struct {
	cfg   Config
	spots map[int]spot

	start  time.Time
	lost   time.Duration // time that didn't pass because the fold was suspended
	halted time.Time     // zero unless suspended

	tags    map[key]*presence
	list    presence // ring head: least recently seen first
	free    *presence
	round   uint64
	touched []*presence
	counts  Counts
}

type key struct {
	hex  string
	zone int
}

// New makes a Fold of a valid config.
func New(cfg Config, antennas []Antenna) *Fold {
	f := &Fold{cfg: cfg.WithDefaults(), spots: spots(antennas), tags: map[key]*presence{}}
	f.list.prev, f.list.next = &f.list, &f.list
	return f
}

// Counts returns the counters.
func (f *Fold) Counts() Counts {
	c := f.counts
	c.Tracked = uint64(len(f.tags))
	return c
}

// Suspend lets time stand still from now on; Add, Tick or Resume let it go on.
func (f *Fold) Suspend(now time.Time) {
	if f.start.IsZero() {
		f.start = now
	}
	if f.halted.IsZero() {
		f.halted = now
	}
}

// Resume lets time go on.
func (f *Fold) Resume(now time.Time) {
	if !f.halted.IsZero() {
		f.lost += max(now.Sub(f.halted), 0)
		f.halted = time.Time{}
	}
}

// clock returns how much time has passed.
func (f *Fold) clock(now time.Time) time.Duration {
	f.Resume(now)
	if f.start.IsZero() {
		f.start = now
	}
	return now.Sub(f.start) - f.lost
}

// Add folds the reads of one report and appends what they mean to dst. It reorders reads.
func (f *Fold) Add(dst []Event, now time.Time, reads []Read) []Event {
	t := f.clock(now)
	slices.SortFunc(reads, compare)
	f.round++
	f.touched = f.touched[:0]
	for i := range reads {
		r := &reads[i]
		if v, ok := r.RSSI.Get(); ok && f.cfg.MinRSSI != 0 && v < f.cfg.MinRSSI {
			f.counts.Weak++
			continue
		}
		s, ok := f.spots[r.Antenna]
		if !ok {
			s = spot{zone: r.Antenna, side: -1}
		}
		var p *presence
		dst, p = f.find(dst, t, key{r.Hex, s.zone}, r)
		if p.state != present && t-p.seen > f.cfg.Window {
			p.forget()
		}
		p.read(r, t, s.side)
		f.touch(p)
	}
	for _, p := range f.touched {
		if f.tags[p.key] == p { // not evicted meanwhile
			dst = f.judge(dst, t, p)
		}
	}
	return dst
}

func compare(a, b Read) int {
	return cmp.Or(cmp.Compare(a.Hex, b.Hex), cmp.Compare(a.Antenna, b.Antenna),
		a.First.Compare(b.First), a.Last.Compare(b.Last),
		cmp.Compare(a.RSSI.Or(0), b.RSSI.Or(0)), cmp.Compare(a.Count, b.Count))
}

// Tick appends to dst what the silence since the last reads means. Call it a few times a second.
func (f *Fold) Tick(dst []Event, now time.Time) []Event {
	t := f.clock(now)
	for p := f.list.next; p != &f.list; {
		next := p.next
		if t-p.seen < min(f.cfg.Window, f.cfg.Silence) {
			break // all others were seen later
		}
		dst = f.expire(dst, t, p)
		p = next
	}
	return dst
}

func (f *Fold) expire(dst []Event, t time.Duration, p *presence) []Event {
	switch p.state {
	case candidate:
		if t-p.seen > f.cfg.Window {
			f.counts.Fleeting++
			f.drop(p)
		}
	case present:
		if t-p.seen >= f.cfg.Silence {
			dst = f.settle(dst, t, p)
			p.legs = [2]leg{}
		}
		if t-p.seen >= p.silence {
			dst = f.depart(dst, t, p)
		}
	case departed:
		if t-p.left >= f.cfg.MaxSilence {
			f.drop(p)
		}
	}
	return dst
}

// judge decides what the reads of this round made of p.
func (f *Fold) judge(dst []Event, t time.Duration, p *presence) []Event {
	if p.state != present {
		if !p.enough(t, f.cfg) {
			return dst
		}
		if p.state == departed {
			p.silence = min(2*p.silence, f.cfg.MaxSilence)
		}
		p.state = present
		f.counts.Arrived++
		return append(dst, p.event(telemetry.Arrive, p.firstAntenna, p.first, t-p.began))
	}
	for side := range p.legs {
		here, there := &p.legs[side], &p.legs[1-side]
		if here.reads > 0 && there.reads > 0 && here.seen == t && t-there.seen >= f.cfg.Silence {
			dst = f.settle(dst, t, p)
			*there = leg{}
			here.strongest = telemetry.Opt[float64]{}
		}
	}
	return dst
}

// settle tells a crossing when the two sides agree on one.
func (f *Fold) settle(dst []Event, t time.Duration, p *presence) []Event {
	way := direction(&p.legs[0], &p.legs[1], f.cfg.Margin)
	if way == "" {
		return dst
	}
	if way == p.crossed {
		f.counts.Repeated++
		return dst
	}
	from, to := &p.legs[0], &p.legs[1]
	if way == telemetry.Out {
		from, to = to, from
	}
	p.crossed = way
	p.silence = f.cfg.Silence
	f.counts.Crossed++
	return append(dst, p.event(way, to.antenna, from.last, t-from.seen))
}

// depart tells that p is gone and remembers it for a while.
func (f *Fold) depart(dst []Event, t time.Duration, p *presence) []Event {
	dst = append(dst, p.event(telemetry.Depart, p.lastAntenna, p.last, t-p.seen))
	f.counts.Departed++
	p.leave(t)
	return dst
}

// find returns the presence of k, a new one if need be, and makes room for it.
func (f *Fold) find(dst []Event, t time.Duration, k key, r *Read) ([]Event, *presence) {
	if p := f.tags[k]; p != nil {
		return dst, p
	}
	if len(f.tags) >= f.cfg.MaxTags {
		oldest := f.list.next
		if oldest.state == present {
			dst = f.settle(dst, t, oldest)
			dst = f.depart(dst, t, oldest)
			f.counts.Evicted++
		}
		f.drop(oldest)
	}
	p := f.free
	if p != nil {
		f.free = p.next
	} else {
		p = new(presence)
	}
	*p = presence{key: k, epc: r.EPC, silence: f.cfg.Silence}
	f.tags[k] = p
	p.insert(&f.list)
	return dst, p
}

// touch makes p the most recently seen one and has it judged once.
func (f *Fold) touch(p *presence) {
	p.remove()
	p.insert(&f.list)
	if p.round != f.round {
		p.round = f.round
		f.touched = append(f.touched, p)
	}
}

func (f *Fold) drop(p *presence) {
	delete(f.tags, p.key)
	p.remove()
	*p = presence{next: f.free}
	f.free = p
}
