package ingest

import (
	"sync"
	"time"
)

// creditValid is how long a credit is good for, and so how long a gateway counts as active.
const creditValid = time.Minute

// minCredit lets every gateway get on, however many there are.
const minCredit = 20

// activity counts the gateways that were acknowledged of late.
type activity struct {
	sync.Mutex
	last  map[string]time.Time
	swept time.Time
}

// seen notes gateway at now and returns how many are active.
func (a *activity) seen(gateway string, now time.Time) int {
	a.Lock()
	defer a.Unlock()
	if a.last == nil {
		a.last = map[string]time.Time{}
	}
	a.last[gateway] = now
	if now.Sub(a.swept) > creditValid/4 {
		a.swept = now
		for g, t := range a.last {
			if now.Sub(t) > creditValid {
				delete(a.last, g)
			}
		}
	}
	return len(a.last)
}

// credit is a gateway's share of the backlog that all may send, less while the queue is long.
func (in *Ingest) credit(gateway string) int {
	share := in.cfg.Credit / in.active.seen(gateway, in.cfg.Now())
	queue := in.queue(gateway)
	if free := cap(queue) - len(queue); free < cap(queue)/2 {
		share = share * 2 * free / cap(queue)
	}
	return max(share, minCredit)
}

// counters are named numbers.
type counters struct {
	sync.Mutex
	n map[string]uint64
}

func (c *counters) add(name string, n uint64) {
	if n == 0 {
		return
	}
	c.Lock()
	defer c.Unlock()
	if c.n == nil {
		c.n = map[string]uint64{}
	}
	c.n[name] += n
}

func (c *counters) snapshot() map[string]uint64 {
	c.Lock()
	defer c.Unlock()
	out := make(map[string]uint64, len(c.n))
	for k, v := range c.n {
		out[k] = v
	}
	return out
}
