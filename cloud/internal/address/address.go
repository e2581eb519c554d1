package address

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"yizhan/cloud/internal/county"
)

// Table is a county's places. It is safe for concurrent use.
type Table struct {
	names map[string]map[place]bool
	sizes []int // of names, in signs, the longest first
}

type place struct {
	site string
	rank int // the higher goes first among names of one length
}

// The ranks of names.
const (
	stem     = iota // a name without its ending
	township        //
	village         //
	listed          // what county.yaml says of places
)

var endings = []string{"街道", "社区", "村", "镇", "乡"}

// New makes the table of a county. Addresses lead to outlets only.
func New(r *county.Registry) *Table {
	t := &Table{names: map[string]map[place]bool{}}
	outlet := map[string]bool{}
	for i := range r.Sites {
		s := &r.Sites[i]
		if s.Kind != county.Outlet {
			continue
		}
		outlet[s.ID] = true
		for _, name := range []string{s.Village.ZH, s.Village.EN} {
			t.add(name, s.ID, village)
		}
		for _, name := range []string{s.Township.ZH, s.Township.EN} {
			t.add(name, s.ID, township)
		}
	}
	for _, p := range r.Places {
		for _, name := range p.Names {
			if outlet[p.Site] {
				t.add(name, p.Site, listed)
			}
		}
	}
	seen := map[int]bool{}
	for name := range t.names {
		seen[utf8.RuneCountInString(name)] = true
	}
	for n := maxName; n > 0; n-- {
		if seen[n] {
			t.sizes = append(t.sizes, n)
		}
	}
	return t
}

// maxName and maxAddress are how many signs are looked at.
const (
	maxName    = 64
	maxAddress = 256
)

func (t *Table) add(name, site string, rank int) {
	signs := fold(name)
	if n := len(signs); n < 2 || n > maxName {
		return
	}
	put := func(s string, rank int) {
		if t.names[s] == nil {
			t.names[s] = map[place]bool{}
		}
		t.names[s][place{site, rank}] = true
	}
	s := string(signs)
	put(s, rank)
	for _, e := range endings {
		if short, ok := strings.CutSuffix(s, e); ok && utf8.RuneCountInString(short) >= 2 {
			put(short, stem)
		}
	}
	for _, e := range []string{" village", " town", " township"} {
		if short, ok := strings.CutSuffix(strings.ToLower(strings.TrimSpace(name)), e); ok {
			put(string(fold(short)), stem)
		}
	}
}

// fold leaves letters, digits and signs, in small letters.
func fold(s string) []rune {
	var out []rune
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			out = append(out, unicode.ToLower(r))
		}
	}
	return out
}

// Site finds the outlet of an address. Village is looked at first: who names it means it. ok is false where no name is
// found, or where the best names belong to more outlets than one.
func (t *Table) Site(village, address string) (site string, ok bool) {
	if site, found, ok := t.find(village); found {
		return site, ok
	}
	site, _, ok = t.find(address)
	return site, ok
}

// find looks for the longest name in a text.
func (t *Table) find(text string) (site string, found, ok bool) {
	signs, starts, ends := words(text)
	for _, n := range t.sizes {
		best, sites := -1, map[string]bool{}
		for i := 0; i+n <= len(signs); i++ {
			places := t.names[string(signs[i:i+n])]
			if len(places) == 0 || !starts[i] || !ends[i+n-1] {
				continue
			}
			for p := range places {
				switch c := cmp.Compare(p.rank, best); {
				case c > 0:
					best, sites = p.rank, map[string]bool{p.site: true}
				case c == 0:
					sites[p.site] = true
				}
			}
		}
		if best < 0 {
			continue
		}
		for s := range sites {
			site = s
		}
		return site, true, len(sites) == 1
	}
	return "", false, false
}

// words are the signs of a text as fold leaves them, and where a name may start and end: within letters only at
// their ends, anywhere else between any two.
func words(text string) (signs []rune, starts, ends []bool) {
	gap := true // something was left out, or begins
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if gap = true; len(ends) > 0 {
				ends[len(ends)-1] = true
			}
			continue
		}
		if len(signs) == maxAddress {
			break
		}
		inside := len(signs) > 0 && !gap && latin(r) && latin(signs[len(signs)-1])
		if len(ends) > 0 && !inside {
			ends[len(ends)-1] = true
		}
		signs, starts, ends = append(signs, unicode.ToLower(r)), append(starts, !inside), append(ends, false)
		gap = false
	}
	if len(ends) > 0 {
		ends[len(ends)-1] = true
	}
	return signs, starts, ends
}

func latin(r rune) bool { return unicode.In(r, unicode.Latin) || unicode.IsDigit(r) }
