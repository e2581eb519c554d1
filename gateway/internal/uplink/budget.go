package uplink

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	block       = 1 << 20          // bytes counted ahead with one write to the card
	believed    = 10 * time.Minute // for so long a clock must tell of another month
	monthsKept  = 4
	monthLayout = "2006-01"
)

// The levels at which a budget is told of, in percent.
var levels = [...]int{80, 100}

// month is what was sent and received in one.
type month struct {
	Month string `json:"month"`          // 2026-11; empty before any time was known
	Bytes int64  `json:"bytes"`          // at least what was counted
	Told  int    `json:"told,omitempty"` // the highest level told of
}

// Budget counts the bytes of a calendar month (UTC). Its count survives restarts and power cuts with one write a
// MiB: what stands on the card is at most a MiB more than was used, never less. It is a step function and not
// safe for concurrent use.
//
// The month is by the best time that is known, and a clock that steps by years doesn't start a new one before it has told of it
// for ten minutes; when it steps back, the month that is right goes on where it was.
type Budget struct {
	limit  int64 // 0: none
	file   File
	log    *slog.Logger
	months []month // the current one last
	kept   int64   // of the current one on the card
	next   string  // another month that a clock tells of
	since  int64   // CLOCK_BOOTTIME when it began to
}

// NewBudget reads what was counted; limit is the bytes of a month, 0 none. A file that can't be read counts as empty.
func NewBudget(limit int64, file File, log *slog.Logger) *Budget {
	b := &Budget{limit: limit, file: file, log: log}
	text, err := file.Read()
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &b.months)
	}
	if err != nil {
		log.Error("traffic not read", "err", err)
		b.months = nil
	}
	b.months = slices.DeleteFunc(b.months, func(m month) bool { return m.Bytes < 0 })
	if len(b.months) == 0 {
		b.months = []month{{}}
	}
	b.kept = b.now().Bytes
	return b
}

func (b *Budget) now() *month { return &b.months[len(b.months)-1] }

// Add counts n bytes at a time, zero when it isn't known, and a monotonic time in nanoseconds. It returns the levels in percent that
// are reached by it and were not before in this month.
func (b *Budget) Add(at time.Time, mono int64, n int64) (reached []int) {
	b.turn(at, mono)
	m := b.now()
	m.Bytes += n
	for _, l := range levels {
		if b.limit > 0 && l > m.Told && m.Bytes >= b.limit/100*int64(l) {
			m.Told = l
			reached = append(reached, l)
		}
	}
	if m.Bytes > b.kept || len(reached) > 0 {
		b.keep(block)
	}
	return reached
}

// turn begins a month, or goes on with one, that the clock has told of for long enough.
func (b *Budget) turn(at time.Time, mono int64) {
	name := ""
	if !at.IsZero() {
		name = at.UTC().Format(monthLayout)
	}
	m := b.now()
	switch {
	case name == "" || name == m.Month:
		b.next = ""
		return
	case m.Month == "": // the first time that is known: what was used before is of this month
		m.Month = name
		b.keep(block)
		return
	case name != b.next:
		b.next, b.since = name, mono
		return
	case mono-b.since < int64(believed):
		return
	}
	b.next = ""
	i := slices.IndexFunc(b.months, func(m month) bool { return m.Month == name })
	if i >= 0 {
		m := b.months[i]
		b.months = append(slices.Delete(b.months, i, i+1), m)
	} else {
		b.months = append(b.months, month{Month: name})
	}
	b.months = b.months[max(0, len(b.months)-monthsKept):]
	b.keep(block)
}

// keep writes the count, ahead by some bytes. A card that fails stops no connection.
func (b *Budget) keep(ahead int64) {
	m := b.now()
	exact := m.Bytes
	m.Bytes += ahead
	b.kept = m.Bytes
	text, err := json.Marshal(b.months)
	m.Bytes = exact
	if err == nil {
		err = b.file.Replace(text)
	}
	if err != nil {
		b.log.Error("traffic not kept", "err", err)
	}
}

// Close keeps the exact count.
func (b *Budget) Close() { b.keep(0) }

// Over reports whether the month's bytes are used up.
func (b *Budget) Over() bool { return b.limit > 0 && b.now().Bytes >= b.limit }

// Traffic is how much of the data budget is used.
type Traffic struct {
	Month string // UTC, 2026-11; empty while no time is known
	Bytes int64  // sent and received in it
	Limit int64  // 0: none
}

// Traffic returns the count of the current month.
func (b *Budget) Traffic() Traffic {
	return Traffic{Month: b.now().Month, Bytes: b.now().Bytes, Limit: b.limit}
}

// detail is what an alarm says.
func (t Traffic) detail(level int) string {
	return fmt.Sprintf("%d %% of %d MiB used in %s", level, t.Limit>>20, t.Month)
}
