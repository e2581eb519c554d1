package firmware

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Module is a serial UHF RFID module of one of the four families of the Chinese market: bb7e
// (MagicRF and its like, which poll by themselves), a0 (Impinj R2000 boards), lenadr (UHFReader18 and
// 288) and swct. It comes from the factory set to the American band.
type Module struct {
	Line  cable
	Baud  int           // the speed it is set to; any where zero
	Ports int           // antenna ports
	Round time.Duration // one inventory round, 50 ms where zero

	wire dialect

	mu       sync.Mutex
	tags     map[tagAt]int8 // dBm
	unseated map[int]bool   // ports whose cable is off
	state    moduleState
	boots    int
	mute     bool
}

// moduleState is what a module forgets when its supply breaks down.
type moduleState struct {
	region  string // in the family's own bytes
	power   byte
	centi   uint16 // power of bb7e, in hundredths of a dBm
	antenna int    // from 0
	rounds  int    // to go, of bb7e's own polling
	mode    byte   // of swct
}

// A dialect is one family's bytes.
type dialect interface {
	factory() moduleState
	// frame finds a command at the front of b: how many bytes to take off, 0 to wait for more.
	frame(b []byte) (used int, cmd byte, data []byte, ok bool)
	// answer is what the module m, which is locked, sends.
	answer(m *Module, cmd byte, data []byte) [][]byte
}

// NewModule makes a module of a family: bb7e, a0, lenadr or swct.
func NewModule(line cable, family string, ports int) (*Module, error) {
	d, ok := map[string]dialect{"bb7e": magic{}, "a0": r2000{}, "lenadr": reader18{}, "swct": swReader{}}[family]
	if !ok {
		return nil, fmt.Errorf("module: no family %q", family)
	}
	return &Module{Line: line, Ports: ports, wire: d, state: d.factory(), tags: map[tagAt]int8{}, unseated: map[int]bool{}}, nil
}

// Enter puts a tag into the field of an antenna (from 1), where it is read with dBm.
func (m *Module) Enter(epc [12]byte, antenna int, dBm int8) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tags[tagAt{epc, antenna}] = dBm
}

// Leave takes a tag out of the field of an antenna.
func (m *Module) Leave(epc [12]byte, antenna int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tags, tagAt{epc, antenna})
}

// Unseat takes an antenna's cable off, or puts it back.
func (m *Module) Unseat(antenna int, off bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unseated[antenna] = off
}

// BrownOut breaks the supply down for a moment: the module forgets its settings and what it did.
func (m *Module) BrownOut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.brownOut()
}

func (m *Module) brownOut() {
	m.state = m.wire.factory()
	m.boots++
}

// Mute makes the module silent, as one that hangs, or frees it.
func (m *Module) Mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = on
}

// Region is the band that the module is set to, in its family's own bytes; Power in dBm.
func (m *Module) Region() (region []byte, power float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.centi != 0 {
		return []byte(m.state.region), float64(m.state.centi) / 100
	}
	return []byte(m.state.region), float64(m.state.power)
}

// Polling reports whether the module transmits by itself.
func (m *Module) Polling() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.rounds > 0
}

// Run answers commands and polls until ctx ends or the line breaks.
func (m *Module) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var in []byte
		return pump(ctx, m.Line, 50*time.Millisecond, func(b []byte) { in = m.took(append(in, b...)) }, func() { in = in[:0] })
	})
	g.Go(func() error {
		round := m.Round
		if round <= 0 {
			round = 50 * time.Millisecond
		}
		tick := time.NewTicker(round)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				m.send(m.poll())
			}
		}
	})
	return g.Wait()
}

// took obeys the commands in b and returns what is left.
func (m *Module) took(b []byte) []byte {
	if !m.hears() {
		m.send([][]byte{{0x00, 0xE0, 0xFC}}) // what its start bits look like at another speed
		return nil
	}
	for len(b) > 0 {
		used, cmd, data, ok := m.wire.frame(b)
		if used == 0 {
			break
		}
		if ok {
			m.mu.Lock()
			out := m.wire.answer(m, cmd, data)
			if m.mute {
				out = nil
			}
			m.mu.Unlock()
			m.send(out)
		}
		b = b[used:]
	}
	return b
}

// hears reports whether the gateway speaks at the module's speed.
func (m *Module) hears() bool {
	l, ok := m.Line.(interface{ Speed() int })
	return m.Baud == 0 || !ok || l.Speed() == m.Baud
}

func (m *Module) send(frames [][]byte) {
	for _, f := range frames {
		_, _ = m.Line.Write(f)
	}
}

// poll is one round of bb7e's own.
func (m *Module) poll() (out [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.rounds == 0 || m.mute {
		return nil
	}
	m.state.rounds--
	return magic{}.round(m)
}

// inField lists the tags of an antenna's field, in a fixed order.
func (m *Module) inField(antenna int) (out []seen) {
	for t, dBm := range m.tags {
		if t.antenna == antenna {
			out = append(out, seen{t, dBm})
		}
	}
	sort.Slice(out, func(i, j int) bool { return string(out[i].epc[:]) < string(out[j].epc[:]) })
	return out
}
