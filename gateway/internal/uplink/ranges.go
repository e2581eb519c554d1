package uplink

import (
	"sort"

	"yizhan/broker/frame"
)

// ranges is a set of seqs: sorted, disjoint, never adjacent.
type ranges []frame.Range

// after returns the index of the first range that ends at or after seq.
func (r ranges) after(seq uint64) int {
	return sort.Search(len(r), func(i int) bool { return r[i].To >= seq })
}

// end returns the last seq of the range that holds seq.
func (r ranges) end(seq uint64) (uint64, bool) {
	if i := r.after(seq); i < len(r) && r[i].From <= seq {
		return r[i].To, true
	}
	return 0, false
}

// next returns the first seq of the set above seq.
func (r ranges) next(seq uint64) (uint64, bool) {
	if i := r.after(seq + 1); i < len(r) {
		return max(r[i].From, seq+1), true
	}
	return 0, false
}

// add puts from to to into the set.
func (r *ranges) add(from, to uint64) {
	if from == 0 || to < from {
		return
	}
	s := *r
	i := s.after(max(from, 2) - 1) // a range that ends right before from is merged too
	j := i
	for j < len(s) && s[j].From <= to+1 {
		from, to = min(from, s[j].From), max(to, s[j].To)
		j++
	}
	if i == j {
		s = append(s, frame.Range{})
		copy(s[i+1:], s[i:])
		s[i] = frame.Range{From: from, To: to}
		*r = s
		return
	}
	s[i] = frame.Range{From: from, To: to}
	*r = append(s[:i+1], s[j:]...)
}
