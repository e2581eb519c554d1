package lockerbus

import (
	"errors"
	"fmt"
	"time"

	"yizhan/devices/port"
)

// The words of the settings.
const (
	LockedShort = "locked_short" // feedback: 11 is locked
	OpenShort   = "open_short"   // feedback: 11 is open
	Locked      = "locked"       // bitmap_one_means
	Open        = "open"
	None        = "none"         // occupancy
	SecondBoard = "second_board" // occupancy: item sensors on a board of their own
	Present     = "present"      // item_one_means
	Absent      = "absent"
)

// Config is one line with its boards.
type Config struct {
	Port string `yaml:"port" strict:"required"`

	Feedback       string `yaml:"feedback" strict:"required"` // locked_short or open_short
	BitmapOneMeans string `yaml:"bitmap_one_means"`           // locked or open; empty: as feedback says of 11
	Occupancy      string `yaml:"occupancy"`                  // none (default) or second_board
	ItemOneMeans   string `yaml:"item_one_means"`             // present (default) or absent
	Echo           bool   `yaml:"echo"`                       // the adapter echoes what is sent

	ReadAllFunction int `yaml:"read_all_function"` // 0x33 (default), 0x99 on old boards

	Every     time.Duration `yaml:"every"`      // between reads of all doors; 500ms
	Timeout   time.Duration `yaml:"timeout"`    // for an answer; 400ms
	Gap       time.Duration `yaml:"gap"`        // of silence before a request; 50ms
	OpenAlarm time.Duration `yaml:"open_alarm"` // a door left open for longer; 10m

	Boards []Board `yaml:"boards" strict:"required"`
}

// Board is one lock board and the cells that it locks.
type Board struct {
	Board     int `yaml:"board" strict:"required"` // address, 1 to 32
	Cells     int `yaml:"cells" strict:"required"` // locks in use, from lock 1
	FirstCell int `yaml:"first_cell"`              // number of lock 1's cell; 0: after the board before
	Doors     int `yaml:"doors"`                   // of the board; 0: 24, 32 or 50
	ItemBoard int `yaml:"item_board"`              // address of the board with its item sensors, 0: none

	Feedback       string `yaml:"feedback"` // where one board's locks differ
	BitmapOneMeans string `yaml:"bitmap_one_means"`
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := port.Check(c.Port); err != nil {
		fail("port: %w", err)
	}
	if c.Feedback == "" {
		fail("feedback: must be %s or %s", LockedShort, OpenShort)
	}
	errs = append(errs,
		word("feedback", c.Feedback, LockedShort, OpenShort), word("bitmap_one_means", c.BitmapOneMeans, Locked, Open),
		word("occupancy", c.Occupancy, None, SecondBoard), word("item_one_means", c.ItemOneMeans, Present, Absent),
		span("every", c.Every, 100*time.Millisecond, time.Minute), span("timeout", c.Timeout, 20*time.Millisecond, 5*time.Second),
		span("gap", c.Gap, time.Millisecond, time.Second), span("open_alarm", c.OpenAlarm, time.Second, 7*24*time.Hour))
	if f := c.ReadAllFunction; f != 0 && f != fnRead && f != fnReadOld {
		fail("read_all_function: %#x is neither 0x33 nor 0x99", f)
	}
	if len(c.Boards) == 0 {
		fail("boards: is empty")
	}
	return errors.Join(append(errs, c.validateBoards())...)
}

// word reports a value that is none of the two; empty is left to the default.
func word(key, v, a, b string) error {
	if v == "" || v == a || v == b {
		return nil
	}
	return fmt.Errorf("%s: %.40q is neither %s nor %s", key, v, a, b)
}

func span(key string, v, lo, hi time.Duration) error {
	if v == 0 || v >= lo && v <= hi {
		return nil
	}
	return fmt.Errorf("%s: %v is outside %v to %v", key, v, lo, hi)
}

func (c Config) validateBoards() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	addresses := map[int]string{}
	claim := func(key string, addr int) {
		if addr < 1 || addr > maxBoard {
			fail("%s: %d is outside 1 to %d", key, addr, maxBoard)
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
		if b.Cells < 1 || b.Cells > maxLock {
			fail("%s.cells: %d is outside 1 to %d", at, b.Cells, maxLock)
			continue
		}
		if b.Doors < b.Cells || b.Doors > 56 {
			fail("%s.doors: %d is outside %d to 56", at, b.Doors, b.Cells)
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
	if c.ReadAllFunction == 0 {
		c.ReadAllFunction = fnRead
	}
	boards := make([]Board, len(c.Boards))
	next := 1
	for i, b := range c.Boards {
		if b.FirstCell == 0 {
			b.FirstCell = next
		}
		next = b.FirstCell + b.Cells
		if b.Doors == 0 {
			b.Doors = boardSize(b.Cells)
		}
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

// boardSize is the size of the usual board that holds so many cells.
func boardSize(cells int) int {
	switch {
	case cells <= 24:
		return 24
	case cells <= 32:
		return 32
	}
	return 50
}

// oneMeans is what 11, and so a bit of 1, says of a lock.
func oneMeans(feedback string) string {
	if feedback == OpenShort {
		return Open
	}
	return Locked
}

// openBy reports whether the state byte ss means an open door.
func openBy(feedback string, ss byte) bool { return (ss == short) == (feedback == OpenShort) }
