package spool

import (
	"cmp"
	"slices"
	"sort"

	"yizhan/broker/frame"
)

// ranges is a set of seqs: ascending, merged.
type ranges []frame.Range

// add returns the set with all of r.
func (s ranges) add(r frame.Range) ranges {
	if r.From > r.To {
		return s
	}
	i := sort.Search(len(s), func(i int) bool { return s[i].To >= r.From || s[i].To+1 == r.From })
	j := i
	for ; j < len(s) && (s[j].From <= r.To || s[j].From == r.To+1); j++ {
		r.From, r.To = min(r.From, s[j].From), max(r.To, s[j].To)
	}
	return slices.Replace(s, i, j, r)
}

// missing returns the parts of r that are not in the set.
func (s ranges) missing(r frame.Range) (out []frame.Range) {
	for _, have := range s[sort.Search(len(s), func(i int) bool { return s[i].To >= r.From }):] {
		if have.From > r.To {
			break
		}
		if have.From > r.From {
			out = append(out, frame.Range{From: r.From, To: have.From - 1})
		}
		if r.From = have.To + 1; r.From == 0 || r.From > r.To {
			return out
		}
	}
	if r.From <= r.To {
		out = append(out, r)
	}
	return out
}

// covers reports whether every seq from first to next-1 is in the set.
func (s ranges) covers(first, next uint64) bool {
	return first >= next || len(s.missing(frame.Range{From: first, To: next - 1})) == 0
}

// coarse returns the set in at most n ranges: the smallest gaps are filled.
func (s ranges) coarse(n int) ranges {
	if len(s) <= n {
		return s
	}
	gaps := make([]int, 0, len(s)) // i is the gap before s[i]
	for i := 1; i < len(s); i++ {
		gaps = append(gaps, i)
	}
	slices.SortFunc(gaps, func(i, j int) int {
		return cmp.Or(cmp.Compare(s[j].From-s[j-1].To, s[i].From-s[i-1].To), cmp.Compare(i, j))
	})
	left := gaps[:n-1]
	slices.Sort(left)
	out := make(ranges, 0, n)
	from := 0
	for _, i := range append(left, len(s)) {
		out = append(out, frame.Range{From: s[from].From, To: s[i-1].To})
		from = i
	}
	return out
}

func count(rs []frame.Range) (n uint64) {
	for _, r := range rs {
		n += r.To - r.From + 1
	}
	return n
}
