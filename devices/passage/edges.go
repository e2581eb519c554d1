package passage

import (
	"cmp"
	"slices"
	"time"
)

// Edges tells changes of two-valued things (antennas, inputs) without a storm: the first at
// once, further ones when the pause is over and only if the state is then another one.
type Edges struct {
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

// A Change is what is to be told.
type Change struct {
	ID int
	On bool
}

const maxEdges = 64

// NewEdges tells the first state of everything, unless quiet is set: then on needs no telling. held
// is called for each change that isn't told at once.
func NewEdges(pause time.Duration, quiet bool, held func()) *Edges {
	return &Edges{pause: pause, quiet: quiet, held: held, known: map[int]*edge{}}
}

// NewAntennaEdges tells lost antennas, at most one change of each in a minute.
func NewAntennaEdges(held func()) *Edges { return NewEdges(alarmPause, true, held) }

// Set takes a state in and returns the change to tell at once.
func (e *Edges) Set(now time.Time, id int, on bool) (Change, bool) {
	s := e.known[id]
	if s == nil {
		if len(e.known) >= maxEdges {
			e.held()
			return Change{}, false
		}
		s = &edge{told: e.quiet, sure: e.quiet}
		e.known[id] = s
	}
	s.on = on
	if now.Before(s.due) {
		if s.on != s.told {
			e.held()
		}
		return Change{}, false
	}
	return s.tell(now, id, e.pause)
}

func (s *edge) tell(now time.Time, id int, pause time.Duration) (Change, bool) {
	if s.sure && s.on == s.told {
		return Change{}, false
	}
	s.told, s.sure, s.due = s.on, true, now.Add(pause)
	return Change{id, s.on}, true
}

// Tick returns the states that differ from what was told, now that the pause is over.
func (e *Edges) Tick(now time.Time) (out []Change) {
	for id, s := range e.known {
		if now.Before(s.due) {
			continue
		}
		if c, ok := s.tell(now, id, e.pause); ok {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
