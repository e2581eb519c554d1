package state

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"yizhan/broker/frame"
)

// spans are the committed seqs of one lane of one epoch: ascending, neither overlapping nor adjacent.
type spans []frame.Range

// add merges from..to in.
func (s spans) add(from, to uint64) spans {
	i, _ := slices.BinarySearchFunc(s, from, func(r frame.Range, f uint64) int { // first range that ends at from-1 or later
		if r.To+1 < f {
			return -1
		}
		return 1
	})
	j := i
	for j < len(s) && s[j].From <= to+1 {
		from, to = min(from, s[j].From), max(to, s[j].To)
		j++
	}
	return slices.Replace(slices.Clone(s), i, j, frame.Range{From: from, To: to})
}

// missing lists what of from..to is not in s.
func (s spans) missing(from, to uint64) []frame.Range {
	var out []frame.Range
	for _, r := range s {
		if r.To < from {
			continue
		}
		if r.From > to {
			break
		}
		if r.From > from {
			out = append(out, frame.Range{From: from, To: r.From - 1})
		}
		from = r.To + 1
		if from > to {
			return out
		}
	}
	return append(out, frame.Range{From: from, To: to})
}

// count tells how many seqs s holds.
func (s spans) count() (n uint64) {
	for _, r := range s {
		n += r.To - r.From + 1
	}
	return n
}

// String writes s as it stands in the ledger: "1-41,43-50".
func (s spans) String() string {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, r.From, 10)
		b = append(b, '-')
		b = strconv.AppendUint(b, r.To, 10)
	}
	return string(b)
}

// parseSpans reads what String wrote.
func parseSpans(text string) (spans, error) {
	var s spans
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, _ := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return nil, err
		}
		b, err := strconv.ParseUint(to, 10, 64)
		if err != nil {
			return nil, err
		}
		s = append(s, frame.Range{From: a, To: b})
	}
	return s, nil
}

// merged is ranges in any order, overlapping or not, as spans; what is no range is left out.
func merged(ranges []frame.Range) spans {
	ranges = slices.DeleteFunc(slices.Clone(ranges), func(r frame.Range) bool { return r.From == 0 || r.From > r.To || r.To >= maxSeq })
	slices.SortFunc(ranges, func(a, b frame.Range) int { return cmp.Compare(a.From, b.From) })
	var s spans
	for _, r := range ranges {
		if n := len(s) - 1; n >= 0 && r.From <= s[n].To+1 {
			s[n].To = max(s[n].To, r.To)
		} else {
			s = append(s, r)
		}
	}
	return s
}

// without is what of ranges is not in s.
func (s spans) without(ranges []frame.Range) (out spans) {
	for _, r := range ranges {
		i, _ := slices.BinarySearchFunc(s, r.From, func(h frame.Range, from uint64) int { return cmp.Compare(h.To, from) })
		out = append(out, s[i:].missing(r.From, r.To)...)
	}
	return out
}

// within is what of ranges is in s.
func (s spans) within(ranges spans) (out spans) {
	return s.without(ranges).without(ranges)
}
