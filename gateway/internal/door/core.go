package door

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"yizhan/devices/telemetry"
)

// The bounds of an opening.
const (
	Patience    = 30 * time.Second // for a pulsed door to move: as long as drivers explain an opening by a pulse
	WrongWithin = 6 * time.Second  // for another door: a driver watches the one for 3 s and then looks at all again
	Settle      = 5 * time.Second  // after a door was shut
	Remembered  = 64               // readings with an n of their device's
)

// A spot is a cell of a device.
type spot struct {
	device string
	cell   int
}

// An opening is a command under way, until its door is shut again or nobody waits for it any more.
type opening struct {
	op     string
	at     spot
	number uint64 // of its beginning: what is told of several is told in that order
	pulsed time.Duration
	sent   bool          // the lock may have been pulsed
	opened bool          // the door was seen open
	shut   time.Duration // when it was seen shut again
	over   bool          // it was
	wrong  map[int]bool  // doors that were told
}

// core decides. It has no goroutine, clock or lock; now is monotonic.
type core struct {
	begun    uint64
	bySpot   map[spot]*opening
	byOp     map[string]*opening
	open     map[spot]bool     // doors as they were told last
	told     map[string]string // op of a reading, by device and n
	lastTold []string          // of told, the oldest first

	followed, openedN, notOpened, wrongDoors uint64
}

func newCore() *core {
	return &core{bySpot: map[spot]*opening{}, byOp: map[string]*opening{}, open: map[spot]bool{}, told: map[string]string{}}
}

// A telling is a reading of a device to be made.
type telling struct {
	device string
	body   telemetry.Locker
}

// n names a telling for good.
func (t *telling) n() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", t.body.Op, t.body.Event, t.body.Cell.Or(0)))
	return fmt.Sprintf("door-%x", sum[:16])
}

func (o *opening) tell(event telemetry.CellEvent) telling {
	return telling{o.at.device, telemetry.Locker{Cell: telemetry.Some(o.at.cell), Event: event, Op: o.op}}
}

// accepted takes that a command is about to be carried out.
func (c *core) accepted(now time.Duration, op, device, cell string) []telling {
	n, err := strconv.Atoi(cell)
	if err != nil || n < 1 || n > 1024 || c.byOp[op] != nil {
		return nil
	}
	at := spot{device, n}
	out := c.give(now, c.bySpot[at])
	c.begun++
	c.followed++
	o := &opening{op: op, at: at, number: c.begun, wrong: map[int]bool{}}
	c.bySpot[at], c.byOp[op] = o, o
	return append(out, o.tell(telemetry.CellAccepted))
}

// pulsed takes that an opening's lock may have been pulsed.
func (c *core) pulsed(now time.Duration, op string) []telling {
	o := c.byOp[op]
	if o == nil || o.sent {
		return nil
	}
	o.sent, o.pulsed = true, now
	return []telling{o.tell(telemetry.CellPulseSent)}
}

// ended takes a command's outcome: one that was refused moved nothing, and of an unknown one nobody knows.
func (c *core) ended(now time.Duration, op string, outcome telemetry.Outcome) []telling {
	o := c.byOp[op]
	switch {
	case o == nil || o.opened:
		return nil
	case outcome == telemetry.Refused:
		c.forget(o)
		return nil
	}
	return c.pulsed(now, op)
}

// give gives an opening up: another one of the same cell begins.
func (c *core) give(now time.Duration, o *opening) []telling {
	if o == nil {
		return nil
	}
	c.forget(o)
	if !o.sent || o.opened {
		return nil
	}
	c.notOpened++
	t := o.tell(telemetry.CellNotOpened)
	t.body.WaitedS = telemetry.Some(int((now - o.pulsed) / time.Second))
	return []telling{t}
}

func (c *core) forget(o *opening) {
	delete(c.byOp, o.op)
	if c.bySpot[o.at] == o {
		delete(c.bySpot, o.at)
	}
}

// tick gives up what was waited for long enough.
func (c *core) tick(now time.Duration) (out []telling) {
	for _, o := range c.inOrder() {
		switch {
		case o.over && now-o.shut >= Settle:
			c.forget(o)
		case o.sent && !o.opened && now-o.pulsed >= Patience:
			out = append(out, c.give(now, o)...)
		}
	}
	return out
}

// inOrder are the openings, the oldest first.
func (c *core) inOrder() []*opening {
	out := make([]*opening, 0, len(c.byOp))
	for _, o := range c.byOp {
		out = append(out, o)
	}
	for i := 1; i < len(out); i++ {
		for j := i; j > 0 && out[j].number < out[j-1].number; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

// observe takes what a board tells of a door, with the reading's n, and returns it with its op; and what follows from it.
func (c *core) observe(now time.Duration, device, n string, l telemetry.Locker) (telemetry.Locker, []telling) {
	if l.Op != "" { // the cabinet's
		return l, c.others(spot{device, l.Cell.Or(0)}, &l)
	}
	key := ""
	if n != "" {
		key = device + "\x00" + n
		if op, again := c.told[key]; again {
			l.Op = op
			return l, nil
		}
	}
	at := spot{device, l.Cell.Or(0)}
	moved := c.saw(at, l.Event)
	var out []telling
	o := c.bySpot[at]
	switch {
	case o != nil && o.owns(now, l.Event):
		if !o.opened && (l.Event == telemetry.CellOpened || l.Event == telemetry.CellForced) {
			o.opened = true
			c.openedN++
			out = c.pulsed(now, o.op)
		}
		if o.opened && shuts(l.Event) && !o.over {
			o.over, o.shut = true, now
		}
		l.Op = o.op
	case moved:
		out = c.wrong(now, at, &l)
	}
	if key != "" && l.Op != "" {
		c.remember(key, l.Op)
	}
	return l, out
}

// others takes what a cabinet names as an opening of its own. A door that was waited for here too has moved all the same, and that is the end of
// what can be told of it.
func (c *core) others(at spot, l *telemetry.Locker) []telling {
	c.saw(at, l.Event)
	o := c.bySpot[at]
	if o == nil || !o.sent || o.opened || l.Event != telemetry.CellOpened && l.Event != telemetry.CellForced {
		return nil
	}
	c.forget(o)
	c.openedN++
	t := o.tell(l.Event)
	t.body.Occupied = l.Occupied
	return []telling{t}
}

// owns reports whether what a door tells comes of the opening.
func (o *opening) owns(now time.Duration, e telemetry.CellEvent) bool {
	switch {
	case e == telemetry.CellOpened:
		return !o.over
	case e == telemetry.CellForced:
		return o.sent && !o.opened
	case e == telemetry.CellJammed:
		return o.sent
	case shuts(e):
		return o.opened && (!o.over || now-o.shut < Settle)
	}
	return false
}

func shuts(e telemetry.CellEvent) bool {
	return e == telemetry.CellClosed || e == telemetry.CellDeposited || e == telemetry.CellEmptied
}

// saw keeps how a door was told, and reports whether it was shut before and is open now.
func (c *core) saw(at spot, e telemetry.CellEvent) (moved bool) {
	was, known := c.open[at]
	switch {
	case e == telemetry.CellOpened || e == telemetry.CellForced:
		c.open[at] = true
		return known && !was
	case shuts(e):
		c.open[at] = false
	}
	return false
}

// wrong tells of a door that opened while others were to, and didn't.
func (c *core) wrong(now time.Duration, at spot, l *telemetry.Locker) (out []telling) {
	for _, o := range c.inOrder() {
		switch {
		case o.at.device != at.device, o.at == at, o.opened, o.wrong[at.cell]:
			continue
		case o.sent && now-o.pulsed > WrongWithin, !o.sent && l.Event == telemetry.CellForced: // by somebody
			continue
		}
		o.wrong[at.cell] = true
		c.wrongDoors++
		t := o.tell(telemetry.CellWrongDoor)
		t.body.Cell, t.body.Deposit = telemetry.Some(at.cell), l.Deposit
		out = append(out, t)
	}
	return out
}

// remember keeps the op of a reading that its device may tell again.
func (c *core) remember(key, op string) {
	if len(c.lastTold) == Remembered {
		delete(c.told, c.lastTold[0])
		c.lastTold = c.lastTold[1:]
	}
	c.told[key] = op
	c.lastTold = append(c.lastTold, key)
}
