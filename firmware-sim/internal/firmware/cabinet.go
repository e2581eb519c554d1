package firmware

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Cabinet is a parcel locker with lock boards of the "8A/80 XOR" family on one RS-485 line: the
// board at Address switches the locks and reads the door contacts; where Items is not zero, a
// board at that address reads one item sensor a cell in the same way. Locks give feedback
// "closed when locked": state 11 is a locked door, and for the item board a cell with an item.
type Cabinet struct {
	Line    cable
	Address byte // of the board with locks and door contacts
	Items   byte // of the board with item sensors, 0 for none

	mu    sync.Mutex
	cells []cell
	next  chan struct{} // closed and replaced at each change
}

type cell struct {
	open, item, jammed bool
	pulses             int
	pulsed             time.Time // last
}

// Timings of the board and the doors.
const (
	turnaround = 8 * time.Millisecond   // between request and answer
	spring     = 120 * time.Millisecond // from the pulse's start until the door has sprung open
	boardGap   = 15 * time.Millisecond  // silence that ends a garbled frame
)

// NewCabinet makes a cabinet with all doors closed and all cells empty.
func NewCabinet(line cable, doors int, address, items byte) *Cabinet {
	return &Cabinet{Line: line, Address: address, Items: items, cells: make([]cell, doors), next: make(chan struct{})}
}

// Run answers requests until ctx ends or the line breaks.
func (c *Cabinet) Run(ctx context.Context) error {
	var in []byte
	took := func(b []byte) {
		in = append(in, b...)
		for len(in) >= 5 {
			n := requestLength(in)
			if n == 0 {
				in = in[1:]
				continue
			}
			c.handle(in[:n])
			in = in[n:]
		}
	}
	return pump(ctx, c.Line, boardGap, took, func() { in = in[:0] })
}

// requestLength is the length of the request at the front of b, 0 when there is none.
func requestLength(b []byte) int {
	if bcc(b[:4]) == b[4] {
		return 5
	}
	if b[0] == 0x8A && len(b) >= 6 && bcc(b[:5]) == b[5] {
		return 6 // a pulse of 1 to 9 s
	}
	return 0
}

func bcc(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}

func (c *Cabinet) handle(f []byte) {
	board, lock := f[1], int(f[2])
	if board != c.Address && (c.Items == 0 || board != c.Items) || lock > len(c.cells) {
		return
	}
	switch {
	case f[0] == 0x8A && f[3] == 0x11 && board == c.Address && lock > 0:
		c.pulse(lock)
		c.send(spring+60*time.Millisecond, func() []byte { return []byte{0x8A, board, byte(lock), c.state(board, lock)} })
	case f[0] == 0x8A && f[3] == 0x11 && board == c.Address: // all, one after the other; no answer
		for i := range c.cells {
			time.AfterFunc(time.Duration(i)*500*time.Millisecond, func() { c.pulse(i + 1) })
		}
	case f[0] == 0x80 && f[3] == 0x33 && lock > 0:
		c.send(turnaround, func() []byte { return []byte{0x80, board, byte(lock), c.state(board, lock)} })
	case f[0] == 0x80 && f[3] == 0x33:
		c.send(turnaround, func() []byte { return append(append([]byte{0x80, board}, c.bitmap(board)...), 0x33) })
	}
}

// send answers after a while with the bytes that are true then.
func (c *Cabinet) send(after time.Duration, frame func() []byte) {
	time.AfterFunc(after, func() {
		f := frame()
		_, _ = c.Line.Write(append(f, bcc(f)))
	})
}

// state is 11 for a locked door or an item in the cell, else 00.
func (c *Cabinet) state(board byte, lock int) byte {
	if c.one(board, lock) {
		return 0x11
	}
	return 0x00
}

func (c *Cabinet) one(board byte, lock int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if board == c.Address {
		return !c.cells[lock-1].open
	}
	return c.cells[lock-1].item
}

// bitmap is three bytes (four above 24 doors), doors 1 to 8 in the last, bit 0 the lowest door.
func (c *Cabinet) bitmap(board byte) []byte {
	size := 3
	if len(c.cells) > 24 {
		size = (len(c.cells) + 7) / 8
	}
	out := make([]byte, size)
	for lock := 1; lock <= len(c.cells); lock++ {
		if c.one(board, lock) {
			out[size-1-(lock-1)/8] |= 1 << ((lock - 1) % 8)
		}
	}
	return out
}

// pulse lets a relay go: the door springs open unless it is jammed.
func (c *Cabinet) pulse(lock int) {
	c.change(lock, func(d *cell) { d.pulses, d.pulsed = d.pulses+1, time.Now() })
	time.AfterFunc(spring, func() {
		c.change(lock, func(d *cell) { d.open = d.open || !d.jammed })
	})
}

func (c *Cabinet) change(lock int, f func(*cell)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.cells[lock-1])
	close(c.next)
	c.next = make(chan struct{})
}

// Doors is how many doors the cabinet has.
func (c *Cabinet) Doors() int { return len(c.cells) }

// AwaitPulse returns when a cell's lock has been pulsed n times at least, and when it was the last time.
func (c *Cabinet) AwaitPulse(ctx context.Context, lock, n int) (at time.Time, err error) {
	for {
		c.mu.Lock()
		pulses, at, next := c.cells[lock-1].pulses, c.cells[lock-1].pulsed, c.next
		c.mu.Unlock()
		if pulses >= n {
			return at, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return at, fmt.Errorf("cabinet: lock %d isn't pulsed: %w", lock, ctx.Err())
		}
	}
}

// AwaitOpen returns when a cell's door is open.
func (c *Cabinet) AwaitOpen(ctx context.Context, lock int) error {
	for {
		c.mu.Lock()
		open, next := c.cells[lock-1].open, c.next
		c.mu.Unlock()
		if open {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("cabinet: cell %d stays shut: %w", lock, ctx.Err())
		}
	}
}

// Put lays an item into a cell, or takes it out; hands reach in only while the door is open.
func (c *Cabinet) Put(lock int, item bool) error {
	var err error
	c.change(lock, func(d *cell) {
		if !d.open {
			err = fmt.Errorf("cabinet: cell %d is shut", lock)
			return
		}
		d.item = item
	})
	return err
}

// Stock lays items into cells before the day begins.
func (c *Cabinet) Stock(locks []int) {
	for _, lock := range locks {
		c.change(lock, func(d *cell) { d.item = true })
	}
}

// Shut closes a cell's door.
func (c *Cabinet) Shut(lock int) { c.change(lock, func(d *cell) { d.open = false }) }

// Force breaks a door open without a pulse.
func (c *Cabinet) Force(lock int) { c.change(lock, func(d *cell) { d.open = true }) }

// Jam makes a door stick shut when pulsed, or frees it.
func (c *Cabinet) Jam(lock int, stuck bool) { c.change(lock, func(d *cell) { d.jammed = stuck }) }

// Pulses is how often a cell's relay was pulsed.
func (c *Cabinet) Pulses(lock int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cells[lock-1].pulses
}
