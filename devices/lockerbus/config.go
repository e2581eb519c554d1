package lockerbus

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/devices/port"
)

// The words of the settings.
const (
	XOR    = "8a80" // family
	KRCU12 = "kr-cu12"
	KRCU16 = "kr-cu16"
	KRCU24 = "kr-cu24"
	KRCU48 = "kr-cu48"

	LockedShort = "locked_short" // feedback: 11 is locked
	OpenShort   = "open_short"   // feedback: 11 is open
	Locked      = "locked"       // bitmap_one_means
	Open        = "open"
	None        = "none"         // occupancy
	SecondBoard = "second_board" // occupancy: item sensors on a board of their own
	Infrared    = "infrared"     // occupancy: item bits in the board's own answers
	Present     = "present"      // item_one_means
	Absent      = "absent"
)

// Config is one line with its boards.
type Config struct {
	Port   string `yaml:"port" strict:"required"`
	Family string `yaml:"family"` // 8a80 (default), kr-cu12, kr-cu16, kr-cu24, kr-cu48

	Feedback       string `yaml:"feedback"`         // locked_short or open_short; KERONG boards: locked_short unless set
	BitmapOneMeans string `yaml:"bitmap_one_means"` // locked or open; empty: as feedback says of 11
	Occupancy      string `yaml:"occupancy"`        // none (default), second_board or infrared
	ItemOneMeans   string `yaml:"item_one_means"`   // present (default) or absent
	Echo           bool   `yaml:"echo"`             // the adapter echoes what is sent

	ReadAllFunction int `yaml:"read_all_function"` // 0x33 (default), 0x99 on old boards

	Every     time.Duration `yaml:"every"`      // between reads of all doors; 500ms
	Timeout   time.Duration `yaml:"timeout"`    // for an answer; 400ms
	Gap       time.Duration `yaml:"gap"`        // of silence before a request; 50ms
	OpenAlarm time.Duration `yaml:"open_alarm"` // a door left open for longer; 10m

	Boards []Board `yaml:"boards" strict:"required"`
}

// Board is one lock board and the cells that it locks.
type Board struct {
	Board     int `yaml:"board" strict:"required"` // address: 1 to 32; KERONG boards: from 0
	Cells     int `yaml:"cells" strict:"required"` // locks in use, from lock 1
	FirstCell int `yaml:"first_cell"`              // number of lock 1's cell; 0: after the board before
	Doors     int `yaml:"doors"`                   // of the board; 0: the smallest that is sold and holds the cells
	ItemBoard int `yaml:"item_board"`              // address of the board with its item sensors, 0: none

	Feedback       string `yaml:"feedback"` // where one board's locks differ
	BitmapOneMeans string `yaml:"bitmap_one_means"`

	readOld bool // all doors are read with function 99
}

// open reports whether what was told means that a lock's door is open.
func (b *Board) open(t told, lock int) bool {
	means := b.BitmapOneMeans
	if t.lock != 0 {
		means = oneMeans(b.Feedback)
	}
	return t.doors.at(lock) == (means == Open)
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := port.Check(c.Port); err != nil {
		fail("port: %w", err)
	}
	f, known := families[c.family()]
	if !known {
		fail("family: %.40q is none of %s", c.Family, familyNames())
		f = xor{}
	}
	if c.Feedback == "" && c.family() == XOR {
		fail("feedback: must be %s or %s", LockedShort, OpenShort)
	}
	errs = append(errs,
		word("feedback", c.Feedback, LockedShort, OpenShort), word("bitmap_one_means", c.BitmapOneMeans, Locked, Open),
		word("occupancy", c.Occupancy, None, SecondBoard, Infrared), word("item_one_means", c.ItemOneMeans, Present, Absent),
		span("every", c.Every, 100*time.Millisecond, time.Minute), span("timeout", c.Timeout, 20*time.Millisecond, 5*time.Second),
		span("gap", c.Gap, time.Millisecond, time.Second), span("open_alarm", c.OpenAlarm, time.Second, 7*24*time.Hour))
	switch n := c.ReadAllFunction; {
	case n != 0 && n != fnRead && n != fnReadOld:
		fail("read_all_function: %#x is neither 0x33 nor 0x99", n)
	case n == fnReadOld && known && c.family() != XOR:
		fail("read_all_function: is of the family %s", XOR)
	}
	if c.Occupancy == Infrared && known && !f.limits().infrared {
		fail("occupancy: %s boards tell no items", c.family())
	}
	if len(c.Boards) == 0 {
		fail("boards: is empty")
	}
	return errors.Join(append(errs, c.validateBoards(f.limits()))...)
}

func (c Config) family() string { return cmp.Or(c.Family, XOR) }

// word reports a value that is none of those allowed; empty is left to the default.
func word(key, v string, allowed ...string) error {
	if v == "" || slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("%s: %.40q is none of %s", key, v, strings.Join(allowed, ", "))
}

func span(key string, v, lo, hi time.Duration) error {
	if v == 0 || v >= lo && v <= hi {
		return nil
	}
	return fmt.Errorf("%s: %v is outside %v to %v", key, v, lo, hi)
}

func (c Config) validateBoards(l limits) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	addresses := map[int]string{}
	claim := func(key string, addr int) {
		if addr < l.lowest || addr > l.highest {
			fail("%s: %d is outside %d to %d", key, addr, l.lowest, l.highest)
		} else if by, taken := addresses[addr]; taken {
			fail("%s: address %d is taken by %s", key, addr, by)
		} else {
			addresses[addr] = key
		}
	}
	cells := map[int]string{}
	items := false
	for i, b := range c.withDefaults().Boards {
		at := fmt.Sprintf("boards[%d]", i)
		own := c.Boards[i]
		errs = append(errs, word(at+".feedback", own.Feedback, LockedShort, OpenShort), word(at+".bitmap_one_means", own.BitmapOneMeans, Locked, Open))
		claim(at+".board", b.Board)
		if b.ItemBoard != 0 {
			items = true
			claim(at+".item_board", b.ItemBoard)
			if c.Occupancy != SecondBoard {
				fail("%s.item_board: needs occupancy: %s", at, SecondBoard)
			}
		}
		if b.Cells < 1 || b.Cells > l.locks {
			fail("%s.cells: %d is outside 1 to %d", at, b.Cells, l.locks)
			continue
		}
		switch most := max(l.locks, 56); {
		case len(l.sizes) == 1 && b.Doors != l.sizes[0]:
			fail("%s.doors: %d, and a %s has %d", at, b.Doors, c.family(), l.sizes[0])
		case b.Doors < b.Cells || b.Doors > most:
			fail("%s.doors: %d is outside %d to %d", at, b.Doors, b.Cells, most)
		}
		if b.FirstCell < 1 || b.FirstCell+b.Cells-1 > 1024 {
			fail("%s.first_cell: cells %d to %d are outside 1 to 1024", at, b.FirstCell, b.FirstCell+b.Cells-1)
			continue
		}
		for n := b.FirstCell; n < b.FirstCell+b.Cells; n++ {
			if by, taken := cells[n]; taken {
				fail("%s.first_cell: cell %d is on %s already", at, n, by)
				break
			}
			cells[n] = at
		}
	}
	if c.Occupancy == SecondBoard && !items && len(c.Boards) > 0 {
		fail("occupancy: %s, and no board has an item_board", SecondBoard)
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Every, 500*time.Millisecond)
	or(&c.Timeout, 400*time.Millisecond)
	or(&c.Gap, 50*time.Millisecond)
	or(&c.OpenAlarm, 10*time.Minute)
	if c.Feedback == "" && c.family() != XOR {
		c.Feedback = LockedShort
	}
	f, known := families[c.family()]
	if !known {
		f = xor{}
	}
	boards := make([]Board, len(c.Boards))
	next := 1
	for i, b := range c.Boards {
		if b.FirstCell == 0 {
			b.FirstCell = next
		}
		next = b.FirstCell + b.Cells
		if b.Doors == 0 {
			b.Doors = f.limits().size(b.Cells)
		}
		b.readOld = c.ReadAllFunction == fnReadOld
		if b.BitmapOneMeans == "" && b.Feedback == "" {
			b.BitmapOneMeans = c.BitmapOneMeans
		}
		if b.Feedback == "" {
			b.Feedback = c.Feedback
		}
		if b.BitmapOneMeans == "" {
			b.BitmapOneMeans = oneMeans(b.Feedback)
		}
		boards[i] = b
	}
	c.Boards = boards
	return c
}

// oneMeans is what 11, and so a bit of 1, says of a lock.
func oneMeans(feedback string) string {
	if feedback == OpenShort {
		return Open
	}
	return Locked
}
