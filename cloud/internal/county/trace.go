package county

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mark is what one reading says of a thing at a moment, in a word: where a vehicle was, whether a box was out of its limits.
type Mark struct {
	At   int64  // Unix milliseconds
	Word string // without , = and *
}

// Trace is marks in order of time, one a millisecond. It is a set: which marks it holds doesn't depend on the order in which they
// were added, nor on how often.
type Trace []Mark

// Add puts a mark in its place; of two at one moment the greater word stays. It reports whether that changed t, whose
// array it may use.
func (t Trace) Add(m Mark) (Trace, bool) {
	if n := len(t); n == 0 || t[n-1].At < m.At {
		return append(t, m), true
	}
	i, found := slices.BinarySearchFunc(t, m.At, func(o Mark, at int64) int { return cmp.Compare(o.At, at) })
	switch {
	case !found:
		return slices.Insert(t, i, m), true
	case t[i].Word < m.Word:
		t[i] = m
		return t, true
	}
	return t, false
}

// String writes t: the first moment, then the steps from one to the next in milliseconds; *n behind a step that comes n times, and =word
// where the word is another than before. "1795248000000=wh,5000*11,4000=" is 65 s, the last of them outside.
func (t Trace) String() string {
	var b []byte
	at, word := int64(0), ""
	for i := 0; i < len(t); {
		if i > 0 {
			b = append(b, ',')
		}
		step, n := t[i].At-at, 1
		b = strconv.AppendInt(b, step, 10)
		if t[i].Word != word {
			b = append(append(b, '='), t[i].Word...)
		} else {
			for i+n < len(t) && t[i+n].Word == word && t[i+n].At-t[i+n-1].At == step {
				n++
			}
			if n > 1 {
				b = strconv.AppendInt(append(b, '*'), int64(n), 10)
			}
		}
		i += n
		at, word = t[i-1].At, t[i-1].Word
	}
	return string(b)
}

// maxTrace bounds what ParseTrace makes of a text.
const maxTrace = 1 << 20

// ParseTrace reads what String wrote.
func ParseTrace(text string) (Trace, error) {
	if text == "" {
		return nil, nil
	}
	t := make(Trace, 0, 64)
	at, word := int64(0), ""
	for part := range strings.SplitSeq(text, ",") {
		part, w, other := strings.Cut(part, "=")
		if other {
			word = w
		}
		part, times, many := strings.Cut(part, "*")
		step, err := strconv.ParseInt(part, 10, 64)
		n := 1
		if many && err == nil {
			n, err = strconv.Atoi(times)
		}
		if err != nil || n < 1 || len(t)+n > maxTrace || len(t) > 0 && step < 1 {
			return nil, fmt.Errorf("trace: %.40q is no step", part)
		}
		for range n {
			at += step
			t = append(t, Mark{at, word})
		}
	}
	return t, nil
}
