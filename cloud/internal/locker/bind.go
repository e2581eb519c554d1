package locker

import (
	"cmp"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

const (
	// Window is how long after a scan a deposit still belongs to it.
	Window = 60 * time.Second
	// Polled is how long after a door was shut a deposit may be told: boards are asked twice a second.
	Polled = time.Second
	// Reach is how far from a deposit the events lie that may decide which scan it gets. By the rule: the deposits
	// that a scan may go to lie within Window of it, and the longest way from one deposit over shared scans
	// is through two others.
	Reach = 5 * Window
)

// A Deposit is something that was put into a cell, and when the cell's door had been opened for it; Opened zero, or
// longer ago than Window, is not told.
type Deposit struct {
	county.Sighting
	Opened time.Time
}

// Door is when the deposit's door was opened and shut, as far as that is told.
func (d *Deposit) Door() (opened, shut time.Time) {
	shut = d.At.Add(-Polled)
	if d.Opened.IsZero() || d.At.Sub(d.Opened) > Window {
		return shut, shut
	}
	if shut.Before(d.Opened) {
		shut = d.Opened
	}
	return d.Opened, shut
}

// Bind tells which scan each deposit of one gateway belongs to, by the ids of both. The package comment has the rule.
// Of scans it needs the last ones at or before each deposit, its door's opening and its shutting.
func Bind(scans []county.Sighting, deposits []Deposit) map[string]string {
	b := &binder{scans: slices.Clone(scans), bound: map[string]string{}, taken: map[int]bool{}}
	slices.SortFunc(b.scans, county.Sighting.Compare)
	for i := range deposits {
		d := &deposits[i]
		c := candidate{Deposit: d}
		c.opened, c.shut = d.Door()
		c.first, c.inside, c.last = b.before(d, c.opened), b.before(d, c.shut), b.before(d, d.At)
		b.all = append(b.all, c)
	}
	b.claim()
	slices.SortFunc(b.all, func(x, y candidate) int { return x.Compare(y.Sighting) })
	b.each(func(c *candidate) int { // scanned, while all doors were shut, before its door was opened
		if c.first != none && b.free(c.first) {
			return c.first
		}
		return none
	})
	b.each(func(c *candidate) int { // scanned in front of its open door
		if c.inside != none && b.scans[c.inside].At.After(c.opened) {
			return c.inside
		}
		return none
	})
	b.each(func(c *candidate) int { return c.first }) // scanned in front of another one's open door
	b.each(func(c *candidate) int {                   // scanned a moment before it was told, and nothing else came of it
		if c.last != none && b.scans[c.last].At.After(c.shut) {
			return c.last
		}
		return none
	})
	return b.bound
}

const none = -1

type binder struct {
	scans []county.Sighting
	all   []candidate
	bound map[string]string
	taken map[int]bool
}

type candidate struct {
	*Deposit
	opened, shut        time.Time
	first, inside, last int // the last scan before the door was opened, before it was shut, before the deposit was told
}

// before finds the last scan at or before t, within the window of d.
func (b *binder) before(d *Deposit, t time.Time) int {
	i, _ := slices.BinarySearchFunc(b.scans, t, func(s county.Sighting, t time.Time) int {
		if s.At.After(t) {
			return 1
		}
		return -1
	})
	if i == 0 || d.At.Sub(b.scans[i-1].At) > Window {
		return none
	}
	return i - 1
}

// claim leaves a scan to the door that was opened first after it.
func (b *binder) claim() {
	slices.SortFunc(b.all, func(x, y candidate) int { return cmp.Or(x.opened.Compare(y.opened), x.Compare(y.Sighting)) })
	owned := map[int]bool{}
	for i := range b.all {
		c := &b.all[i]
		if owned[c.first] {
			c.first = none
			continue
		}
		owned[c.first] = c.first != none
	}
}

// free tells that a scan was made while no door was open through which something was put.
func (b *binder) free(scan int) bool {
	at := b.scans[scan].At
	return !slices.ContainsFunc(b.all, func(c candidate) bool {
		return c.opened.Before(at) && !at.After(c.shut) && c.At.Sub(at) <= Window
	})
}

// each gives the deposits that have no scan yet, in their order, the one that they ask for, where it isn't taken.
func (b *binder) each(ask func(*candidate) int) {
	for i := range b.all {
		c := &b.all[i]
		if _, has := b.bound[c.ID]; has {
			continue
		}
		if s := ask(c); s != none && !b.taken[s] {
			b.bound[c.ID], b.taken[s] = b.scans[s].ID, true
		}
	}
}
