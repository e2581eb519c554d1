package supervise

import (
	"sync"
	"time"
)

// A Probe goes once through a loop that others wait for, such as the one that makes readings durable.
type Probe struct {
	Name string
	// Send puts the probe at the loop's door and returns at once; back is called, by whomever, when it came out. An error says that
	// it could not be put there, and that the loop's owner answered: nobody waits.
	Send func(back func()) error
}

// A Pulse tells whether work goes on: whoever feeds a watchdog asks it before. Its methods may be called from any
// goroutine.
type Pulse struct {
	patience time.Duration
	probes   []*probing

	mu sync.Mutex
}

type probing struct {
	Probe
	since time.Time // when it was sent; zero while none is under way
}

// NewPulse returns a Pulse that calls a loop stuck when a probe isn't back after patience.
func NewPulse(patience time.Duration, probes ...Probe) *Pulse {
	p := &Pulse{patience: patience}
	for _, b := range probes {
		p.probes = append(p.probes, &probing{Probe: b})
	}
	return p
}

// Stuck sends a probe through each loop that has none, and returns the name of a loop from which one isn't back; empty when
// all go on. It doesn't wait.
func (p *Pulse) Stuck() (name string) {
	now := time.Now()
	for _, b := range p.probes {
		p.mu.Lock()
		since := b.since
		if since.IsZero() {
			b.since = now
		}
		p.mu.Unlock()
		switch {
		case !since.IsZero():
			if name == "" && now.Sub(since) >= p.patience {
				name = b.Name
			}
		case b.Send(func() { p.back(b) }) != nil:
			p.back(b)
		}
	}
	return name
}

func (p *Pulse) back(b *probing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.since = time.Time{}
}
