package uplink

import "time"

// What may be under way: packed bytes, a second's worth of the measured rate, more where the way alone takes long.
const (
	minWindow   = 4 << 10
	maxWindow   = 1 << 20
	firstWindow = 16 << 10
	memory      = 5 * time.Second // twice this long a rate is remembered
	leastTime   = time.Second     // of the rate
	mostTime    = 3 * time.Second
	queueTime   = 500 * time.Millisecond // above twice the way

	besides      = 130         // bytes of a frame's header and signature
	leastRecords = 32          // of a frame, for what is besides them is paid too
	drains       = time.Second // after a frame of the backlog the link counts as shared
)

// pace measures what the link carries and shares it between live records and the backlog. While both wait, live
// records have three quarters and the backlog the rest; while only one does, it has more, but the backlog never more
// than half: a live record must not wait longer behind it.
type pace struct {
	window    int
	live      int // packed bytes unacknowledged
	backlog   int
	delivered int           // packed bytes acknowledged since the connect
	at        time.Time     // when the last of them were, or when the first frame of a burst was sent
	rates     [2]int        // the best bytes a second, of this while and the one before
	way       time.Duration // from a frame to its ack when nothing is before it, the shortest since the connect
	held      bool          // the window held something back in this while
	packed    float64       // bytes a record, lately, without what a frame takes besides
	began     time.Time
	pressed   time.Time // live records last found no room
	shared    time.Time // the backlog last had something to send
}

func newPace(now time.Time) pace { return pace{window: firstWindow, packed: 40, began: now} }

func (p *pace) underway() int { return p.live + p.backlog }

// roomLive reports whether another live frame may be under way.
func (p *pace) roomLive(now time.Time) bool {
	limit := p.window
	if now.Sub(p.shared) < drains {
		limit -= limit / 4
	}
	if p.live < limit {
		return true
	}
	p.held, p.pressed = true, now
	return false
}

// roomBacklog is the same for the backlog.
func (p *pace) roomBacklog(now time.Time) bool {
	p.shared = now
	limit := p.window / 2
	if now.Sub(p.pressed) < drains {
		limit = p.window / 4
	}
	if p.backlog < limit {
		return true
	}
	p.held = true
	return false
}

// records is how many records a frame may hold: at most a quarter of a window of them, so that what comes behind them
// doesn't wait long on a slow link.
func (p *pace) records() int {
	return max(leastRecords, min(MaxRecords, int(float64(p.window/4-besides)/p.packed)))
}

func (p *pace) sent(ch *chunk) {
	if p.underway() == 0 {
		p.at = ch.sent
	}
	ch.before, ch.since = p.delivered, p.at
	if ch.live {
		p.live += ch.bytes
	} else {
		p.backlog += ch.bytes
	}
	p.packed += (float64(max(ch.bytes-besides, 1))/float64(ch.To-ch.From+1) - p.packed) / 8
}

// gone notes that a frame is no longer under way.
func (p *pace) gone(ch *chunk) {
	if ch.live {
		p.live -= ch.bytes
	} else {
		p.backlog -= ch.bytes
	}
}

// acked measures the link by what was acknowledged since the ack before the frame: acks may come in groups. All that now was must
// have been counted as delivered before.
func (p *pace) acked(now time.Time, ch *chunk) {
	if way := max(now.Sub(ch.sent), time.Millisecond); p.way == 0 || way < p.way {
		p.way = way
	}
	p.at = now
	took := max(now.Sub(ch.since), time.Millisecond)
	p.rates[0] = max(p.rates[0], int(float64(p.delivered-ch.before)/took.Seconds()))
	p.set()
}

// turn forgets rates that are old, but for times in which little was sent: they say nothing.
func (p *pace) turn(now time.Time) {
	if now.Sub(p.began) < memory {
		return
	}
	if p.held && p.rates[0] > 0 {
		if p.rates[0] < p.rates[1]*9/10 { // slower by itself, or because the way became longer than it was
			p.way += p.way / 4
		}
		p.rates = [2]int{0, p.rates[0]}
		p.set()
	}
	p.held, p.began = false, now
}

func (p *pace) set() {
	if best := max(p.rates[0], p.rates[1]); best > 0 {
		hold := max(leastTime, min(2*p.way+queueTime, mostTime))
		p.window = max(minWindow, min(int(float64(best)*hold.Seconds()), maxWindow))
	}
}
