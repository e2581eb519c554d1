package firmware

import (
	"context"
	"fmt"
	"time"
)

// Sent is what the network took, the oldest first.
func (m *Modem) Sent() []SMS {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]SMS(nil), m.sent...)
}

// Text puts the parts of the messages to a number together, each message once.
func (m *Modem) Text(to string) string {
	var out string
	for _, s := range m.Sent() {
		if s.To == to && !s.Reused {
			out += s.Text
		}
	}
	return out
}

// AwaitSent returns when the network has taken n messages.
func (m *Modem) AwaitSent(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		have, changed := len(m.sent), m.changed
		m.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("modem: %d of %d messages: %w", have, n, ctx.Err())
		}
	}
}

// SetSIM puts in a SIM that says READY or SIM PIN, or takes it out.
func (m *Modem) SetSIM(says string) { m.with(func() { m.sim = says }) }

// SetNetwork sets the registration (1 home, 5 roaming, 2 searching, 3 denied) and the signal quality (0 to 31, 99 not known).
func (m *Modem) SetNetwork(stat, csq int) { m.with(func() { m.stat, m.csq = stat, csq }) }

// Refuse makes the network refuse the next messages, each with a final result such as "+CMS ERROR: 42".
func (m *Modem) Refuse(results ...string) { m.with(func() { m.errors = append(m.errors, results...) }) }

// LosePrompts keeps the next n prompts back.
func (m *Modem) LosePrompts(n int) { m.with(func() { m.noAsk = n }) }

// LoseResults keeps the final results of the next n messages back, though the network takes them.
func (m *Modem) LoseResults(n int) { m.with(func() { m.noEnd = n }) }

// SetFate is the status that later status reports tell: 0 delivered, 0x30 still trying, 0x46 given up.
func (m *Modem) SetFate(status byte) { m.with(func() { m.fate = status }) }

// BrownOut lets the power fail for a moment: settings are lost, and with them a message that was on its way.
func (m *Modem) BrownOut() { m.with(m.restart) }

// Ring is an incoming call.
func (m *Modem) Ring() { m.with(func() { m.end("RING") }) }

// Receive brings a message from the network.
func (m *Modem) Receive(from, text string) {
	pdu, n := deliverPDU(from, text, time.Now())
	m.with(func() { m.tell(m.cnmi[1] == 2, "+CMT", stored{length: n, pdu: pdu}) })
}

// Acks is how often a direct message was acknowledged.
func (m *Modem) Acks() int { return m.count(func() int { return m.acks }) }

// Resets is how often a reset was asked for.
func (m *Modem) Resets() int { return m.count(func() int { return m.resets }) }

// Stored is how many messages are on the SIM.
func (m *Modem) Stored() int { return m.count(func() int { return len(m.store) }) }

func (m *Modem) with(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *Modem) count(f func() int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}
