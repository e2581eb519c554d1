package broker

import (
	"sync"
	"time"
)

// acks is a client's publishes that aren't acknowledged yet, in the order of their arrival. A PUBACK leaves when
// its publish and all before it are done (MQTT-4.6.0-2).
type acks struct {
	ready chan struct{} // the first is done
	room  chan struct{} // some left

	mu    sync.Mutex
	queue []slot
	first uint64 // number of the first in queue
	bytes int
	pace  pace
}

// pace finds out how many publishes a client sends before it waits for an acknowledgement, which MQTT 3.1.1
// doesn't tell. A client that fell silent, and goes on as soon as it is answered, was waiting.
type pace struct {
	published time.Time // the last publish
	drained   time.Time // when the last PUBACK that was due left
	round     int       // publishes since then
	window    int       // 0: not known to wait
}

const (
	silence = 30 * time.Millisecond // before the answer, at least
	atOnce  = 10 * time.Millisecond // after it, at most
)

// publish notes a publish; first says that no other waits.
func (p *pace) publish(first bool, now time.Time) {
	if first {
		switch soon := p.round > 0 && now.Sub(p.drained) <= atOnce; {
		case !soon:
			p.window = 0
		case p.window == 0 && p.drained.Sub(p.published) >= silence:
			p.window = p.round
		}
		p.round = 0
	}
	p.round++
	p.published = now
}

// slot is one publish.
type slot struct {
	id    uint16
	bytes int
	done  bool
}

func newAcks() *acks { return &acks{ready: make(chan struct{}, 1), room: make(chan struct{}, 1)} }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin queues a publish and returns its number; false when there are too many, or too many bytes of them.
func (a *acks) begin(id uint16, bytes int, limit *Limits) (number uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.queue); n >= limit.Unacked || n > 0 && a.bytes+bytes > limit.UnackedBytes {
		return 0, false
	}
	a.pace.publish(len(a.queue) == 0, time.Now())
	a.queue = append(a.queue, slot{id: id, bytes: bytes})
	a.bytes += bytes
	return a.first + uint64(len(a.queue)-1), true
}

// full reports whether the next publish may have to wait, or isn't going to come before an answer.
func (a *acks) full(limit *Limits) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) >= limit.Unacked || a.bytes >= limit.UnackedBytes || a.pace.window > 0 && len(a.queue) >= a.pace.window
}

// finish marks a publish as done.
func (a *acks) finish(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue[number-a.first].done = true
	if number == a.first {
		signal(a.ready)
	}
}

// take removes what is done from the front and appends its PUBACKs to b. The same bytes are a
// success in MQTT 3.1.1 and 5.
func (a *acks) take(b []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for ; n < len(a.queue) && a.queue[n].done; n++ {
		s := &a.queue[n]
		b = append(b, 0x40, 2, byte(s.id>>8), byte(s.id))
		a.bytes -= s.bytes
	}
	if n > 0 {
		a.first += uint64(n)
		if a.queue = append(a.queue[:0], a.queue[n:]...); len(a.queue) == 0 {
			a.pace.drained = time.Now()
		}
		signal(a.room)
	}
	return b
}

// writeAcks writes PUBACKs as they become due until the connection ends. Nobody else waits for this
// client.
func (c *conn) writeAcks() {
	var b []byte
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.acks.ready:
		}
		if b = c.acks.take(b[:0]); len(b) > 0 {
			if _, err := c.Write(b); err != nil {
				return
			}
			c.guard.count.add(nAcks, len(b)/4)
		}
	}
}
