package state

import (
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
