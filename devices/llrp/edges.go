package llrp

import (
	"cmp"
	"slices"
	"time"
)

// edges tells changes of two-valued things (antennas, inputs) without a storm: the first at
// once, further ones when the pause is over and only if the state is then another one.
type edges struct {
	pause time.Duration
	quiet bool // on is how things are: nobody needs to be told of it at first
	known map[int]*edge
	held  func() // a change that was not told at once
}

type edge struct {
	on, told bool
	sure     bool // told holds
	due      time.Time
}

// A change is what is to be told.
type change struct {
	id int
	on bool
}

const maxEdges = 64

// set takes a state in and returns the change to tell at once.
func (e *edges) set(now time.Time, id int, on bool) (change, bool) {
	s := e.known[id]
	if s == nil {
		if len(e.known) >= maxEdges {
			e.held()
			return change{}, false
		}
		if e.known == nil {
			e.known = make(map[int]*edge)
		}
		s = &edge{told: e.quiet, sure: e.quiet}
		e.known[id] = s
	}
	s.on = on
	if now.Before(s.due) {
		if s.on != s.told {
			e.held()
		}
		return change{}, false
	}
	return s.tell(now, id, e.pause)
}

func (s *edge) tell(now time.Time, id int, pause time.Duration) (change, bool) {
	if s.sure && s.on == s.told {
		return change{}, false
	}
	s.told, s.sure, s.due = s.on, true, now.Add(pause)
	return change{id, s.on}, true
}

// tick returns the states that differ from what was told, now that the pause is over.
func (e *edges) tick(now time.Time) (out []change) {
	for id, s := range e.known {
		if now.Before(s.due) {
			continue
		}
		if c, ok := s.tell(now, id, e.pause); ok {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b change) int { return cmp.Compare(a.id, b.id) })
	return out
}
