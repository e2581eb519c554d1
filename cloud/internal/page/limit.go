package page

import (
	"cmp"
	"sync"
	"time"
)

const (
	freeMisses  = 10          // of one address, a minute
	maxAddrs    = 4096        // remembered; the whole table is forgotten when it is full
	missWindow  = time.Minute // in which they count
	hardMissing = 1000        // of all addresses, a minute
)

// misses counts tokens that were no good, by address.
type misses struct {
	mu    sync.Mutex
	since time.Time
	all   int
	by    map[string]int
	most  int // of one address; freeMisses where it is 0
}

// miss counts one and reports whether there were too many.
func (m *misses) miss(addr string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil || now.Sub(m.since) >= missWindow || now.Before(m.since) || len(m.by) >= maxAddrs {
		m.since, m.all, m.by = now, 0, map[string]int{}
	}
	m.all++
	m.by[addr]++
	return m.by[addr] > cmp.Or(m.most, freeMisses) || m.all > hardMissing
}
