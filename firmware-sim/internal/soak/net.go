package soak

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// message is one on its way between a board and the cloud.
type message struct {
	due     time.Duration
	serial  int
	up      bool
	gateway string
	board   *board // the sender of one that goes up; of one that goes down, who gets it
	what    string
	payload []byte
}

var errNobody = errors.New("not connected")

// post puts a message on its way, or loses it, or doubles it.
func (w *world) post(m message) {
	if w.chance(w.plan.lose) {
		w.count("lost message")
		w.trace.note(w.now, "lost %s %s %s", m.gateway, m.what, brief(m.payload))
		return
	}
	n := 1
	if w.chance(w.plan.double) {
		w.count("doubled message")
		n = 2
	}
	for range n {
		w.serial++
		m.serial, m.due = w.serial, w.now+time.Duration(w.rng.Int64N(int64(200*time.Millisecond)))
		if w.chance(w.plan.delay) {
			w.count("delayed message")
			most := []time.Duration{2 * time.Second, 40 * time.Second, time.Hour}[w.rng.IntN(3)]
			m.due += time.Duration(w.rng.Int64N(int64(most)))
		}
		w.mail = append(w.mail, m)
	}
}

// send is how the cloud sends on down/{gateway}/{what}: to the connection that was made last.
func (w *world) send(gateway, what string, payload []byte) error {
	b := w.sessions[gateway]
	if b == nil {
		return errNobody
	}
	w.ordered(what, payload)
	w.post(message{gateway: gateway, board: b, what: what, payload: slices.Clone(payload)})
	return nil
}

// deliver hands over what is due.
func (w *world) deliver() {
	slices.SortFunc(w.mail, func(a, b message) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.serial, b.serial)) })
	var late []message
	for len(w.mail) > 0 && w.mail[0].due <= w.now {
		m := w.mail[0]
		w.mail = w.mail[1:]
		switch {
		case !m.up:
			if m.board.core == nil || !m.board.linked {
				continue
			}
			w.trace.note(w.now, "%s hears %s %s", m.board.name, m.what, brief(m.payload))
			m.board.core.Take(m.board.uptime(), m.what, m.payload)
		case !w.cloud.take(&m):
			m.due = w.now + time.Second
			late = append(late, m)
		}
	}
	w.mail = append(w.mail, late...)
}

// wipe forgets what the broker holds, and its connections.
func (w *world) wipe() {
	w.mail = nil
	for _, b := range w.boards {
		b.hangUp()
	}
	clear(w.sessions)
}
