package jt808

import (
	"sync/atomic"
	"time"
)

// Bounds of messages in fragments.
const (
	maxFragments = 512              // of a message
	maxMessage   = 64 << 10         // bytes of a whole one
	maxOpen      = 4                // messages of a terminal at once
	maxAllOpen   = 16 << 20         // bytes of all terminals
	openFor      = 5 * time.Minute  // a message
	askAfter     = 3 * time.Second  // of no fragment
	askAgain     = 10 * time.Second // between requests for what is missing
	maxAsks      = 3
)

// An assembly is a message of which fragments are missing.
type assembly struct {
	head  header // of the fragment that came first
	first uint16 // serial of fragment 1
	parts [][]byte
	have  int
	size  int
	began time.Time
	due   time.Time // to ask for what is missing, or to give up
	asked int
}

// cost is what it counts for in the bound of all.
func (a *assembly) cost() int64 { return int64(a.size + 24*len(a.parts)) }

// missing returns the numbers of the fragments that didn't come.
func (a *assembly) missing() (numbers []uint16) {
	for i, p := range a.parts {
		if p == nil {
			numbers = append(numbers, uint16(i+1))
		}
	}
	return numbers
}

// serials returns the serials of all fragments.
func (a *assembly) serials() []uint16 {
	s := make([]uint16, len(a.parts))
	for i := range s {
		s[i] = a.first + uint16(i)
	}
	return s
}

// assemblies are the open messages of one terminal.
type assemblies struct {
	open []*assembly
	all  *atomic.Int64 // bytes of all terminals
}

// add takes a fragment. It returns the whole message when this was the last one; why is malformed for a fragment that
// can't be, and fragmentsLost when there is no room.
func (s *assemblies) add(h header, body []byte, now time.Time, count *counters) (whole []byte, acks []uint16, why counter) {
	if h.number == 0 || h.number > h.total || h.total > maxFragments {
		return nil, nil, malformed
	}
	count.add(fragments)
	a := s.find(h, now, count)
	part := &a.parts[h.number-1]
	if *part != nil {
		return nil, nil, framesOK // sent again
	}
	if a.size+len(body) > maxMessage || s.all.Load()+int64(len(body)) > maxAllOpen {
		s.drop(a)
		count.add(fragmentsLost)
		return nil, nil, fragmentsLost
	}
	*part = append(make([]byte, 0, len(body)), body...)
	a.have++
	a.size += len(body)
	s.all.Add(int64(len(body)))
	a.due = now.Add(askAfter)
	if a.have < len(a.parts) {
		return nil, nil, framesOK
	}
	for _, p := range a.parts {
		whole = append(whole, p...)
	}
	s.drop(a)
	return whole, a.serials(), framesOK
}

// find returns the message that a fragment belongs to. A message of the same id that never became whole gives way.
func (s *assemblies) find(h header, now time.Time, count *counters) *assembly {
	first := h.serial - (h.number - 1)
	for _, a := range s.open {
		if a.head.id != h.id {
			continue
		}
		if len(a.parts) == int(h.total) && (a.first == first || a.head.serial == h.serial) {
			return a
		}
		s.drop(a)
		count.add(fragmentsLost)
		break
	}
	if len(s.open) >= maxOpen {
		s.drop(s.open[0])
		count.add(fragmentsLost)
	}
	a := &assembly{head: h, first: first, parts: make([][]byte, h.total), began: now}
	s.all.Add(a.cost())
	s.open = append(s.open, a)
	return a
}

func (s *assemblies) drop(a *assembly) {
	for i, o := range s.open {
		if o == a {
			s.open = append(s.open[:i], s.open[i+1:]...)
			s.all.Add(-a.cost())
			return
		}
	}
}

// clear drops all.
func (s *assemblies) clear() {
	for len(s.open) > 0 {
		s.drop(s.open[0])
	}
}

// due returns when something has to be done about an open message; zero when never.
func (s *assemblies) due() (t time.Time) {
	for _, a := range s.open {
		if t.IsZero() || a.due.Before(t) {
			t = a.due
		}
	}
	return t
}

// overdue drops what is too old, and calls ask for what has waited for a fragment.
func (s *assemblies) overdue(now time.Time, count *counters, ask func(*assembly)) {
	for i := 0; i < len(s.open); {
		a := s.open[i]
		switch {
		case now.Sub(a.began) >= openFor:
			s.drop(a)
			count.add(fragmentsLost)
			continue
		case now.Before(a.due):
		case a.asked < maxAsks:
			a.asked++
			a.due = now.Add(askAgain)
			count.add(fragmentsAsked)
			ask(a)
		default:
			a.due = a.began.Add(openFor)
		}
		i++
	}
}
