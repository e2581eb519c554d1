package lockerbus

import (
	"maps"
	"slices"
	"strings"
)

// A family is what the boards of one make say: pure functions over bytes. Everything else, the one
// request at a time, the one pulse, what is told, is the same for all.
type family interface {
	limits() limits
	// ask makes the request for an operation; lock is 0 for all.
	ask(o op, b Board, lock int) request
	// find looks at the start of b for an answer to q (nil: nothing is asked) or an unasked change. t holds
	// what a reply or a change tells.
	find(b []byte, q *request) (size int, v verdict, t told)
	// reader reads a capture of boards of so many doors.
	reader(doors int, counts *counters) reader
}

// A reader walks captured bytes, requests and answers alike.
type reader interface {
	// frame measures the frame at the start of b: 0 when more is needed, 1 and a reason when none begins there.
	frame(b []byte) (size int, reason string)
	// read says what a frame tells of doors; ok is false when that is nothing.
	read(f []byte) (t told, ok bool)
}

// limits are what the boards of a family can be.
type limits struct {
	lowest, highest int   // addresses
	locks           int   // of one board, at most
	sizes           []int // of the boards that are sold, ascending
	infrared        bool  // answers carry item bits
	twice           bool  // the check doesn't cover the states: a change counts when it was read twice
}

// size is the smallest board that holds so many cells.
func (l limits) size(cells int) int {
	for _, n := range l.sizes {
		if cells <= n {
			return n
		}
	}
	return cells
}

// The families, by the word in the config.
var families = map[string]family{
	XOR:    xor{},
	KRCU16: kerong{locks: 16, at: 2, status: 0x30, unlock: 0x31, answer: 0x35, states: 2, items: 2, others: map[byte][]int{0x32: {5}, 0x33: {5}, 0x37: {5, 7}, 0x38: {5, 7}, 0x39: {5, 6}}},
	KRCU24: kerong{locks: 24, at: 3, status: 0x50, unlock: 0x51, answer: 0x65, states: 3},
	KRCU48: kerong{locks: 48, at: 3, status: 0x60, unlock: 0x61, answer: 0x75, states: 6},
	KRCU12: kerong12{},
}

// Families lists the words of the setting family.
func Families() []string { return slices.Sorted(maps.Keys(families)) }

func familyNames() string { return strings.Join(Families(), ", ") }

// An op is something a board is asked to do.
type op int

const (
	opReadAll op = iota
	opReadOne
	opOpen
)

// A request is one frame to a board.
type request struct {
	op          op
	board, lock int // lock 0: all
	states      int // state bytes of an answer for all doors
	frame       []byte
	quiet       bool // not every board answers
}

// inputs are the contacts of a board, lock 1 in the lowest bit, as on the wire: what 1 means is a setting.
type inputs uint64

func (s inputs) at(lock int) bool { return s>>(lock-1)&1 == 1 }

// told is what one frame tells.
type told struct {
	board, lock  int // lock 0: all of them
	doors, items inputs
	sensed       bool // items are there
}

// A verdict says what stands at the start of received bytes.
type verdict int

const (
	more        verdict = iota // the beginning of a frame: read on
	reply                      // what the request asked for
	change                     // a door moved, told unasked
	late                       // an answer nobody waits for
	foreign                    // no frame begins here
	badChecksum                // a frame but for its check
)
