package cabinet

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Now is the time of a step: since the core was made, and by the clock as far as that is known.
type Now struct {
	Mono time.Duration
	Wall time.Time
	TQ   telemetry.Quality
}

// An Effect is one thing that a step wants done. Effects are done in order, and what follows a Write only if it is durable.
type Effect struct {
	Write *change
	Keep  []byte // the list of what is expected, as it came
	Open  *Opening
	Show  *devices.Screen
	Tell  telemetry.Body // of a reading of the locker
	N     string         // of that reading
}

// Opening is a door to be opened, once, and not later than Until.
type Opening struct {
	Op    string
	Cell  int
	Until time.Duration // as Now.Mono
}

// The bounds of a step.
const (
	pulseWithin = 5 * time.Second  // after a code or a scan
	reopenFor   = 3 * time.Minute  // after a parcel was taken out
	signedOn    = 10 * time.Minute // a courier, after their last scan
	screenFor   = 10 * time.Second
	saveEvery   = time.Hour       // of running time, while there are wrong tries
	nextCells   = 3               // that are tried for one parcel
	wrongFor    = 3 * time.Second // after a driver has watched a door in vain, for it to see which one moved instead
)

// Core decides. It has no goroutine, clock, card or lock; one caller at a time.
type Core struct {
	cells  []*cell // cell n is at n-1
	tries  tries
	offset time.Duration // running time at Mono 0
	dated  bool          // the time that the board was off is in it
	saved  time.Duration // running time of the last tries written

	key    *pickup.Key
	expect *pickup.Expect
	parcel map[string]pickup.Expected
	barred map[string]bool // blocked deposits
	broken bool            // the log can't be read

	busy       string        // the op that is being opened
	missed     string        // the op whose door wasn't seen open, until missedEnd
	missedEnd  time.Duration // of Now.Mono
	tried      int           // cells that were tried for its parcel
	focus      int           // the courier's cell
	courier    string
	courierEnd time.Duration // of running time
	screenEnd  time.Duration // of running time; 0: it shows ready

	guesses [4][32]byte // the last wrong ones, as a keyed hash of this run
	guess   int
	salt    [16]byte
	alarms  []time.Duration // of refusals, of the last hour

	rand   io.Reader
	counts counts
}

// counts are the counters of the package comment.
type counts struct {
	entries, wrong, waits, scans, refused, opened, unopened, deposits, pickups, wrongDoors, unwritten uint64
}

// newCore goes on from what the log says. outcome tells what became of an op.
func newCore(b *book, sizes []pickup.Size, outcome func(string) (telemetry.Result, bool), rand io.Reader) *Core {
	c := &Core{rand: rand, broken: b.lost != nil, tries: b.tries, parcel: map[string]pickup.Expected{}, barred: map[string]bool{}}
	_, _ = io.ReadFull(rand, c.salt[:])
	c.offset = time.Duration(b.tries.RanMS) * time.Millisecond
	c.saved = c.offset
	for i, size := range sizes {
		x, known := b.cells[i+1]
		if !known {
			x = cell{No: i + 1}
		}
		x.size = size
		if x.Next == "" || x.idle() { // a restored card has ids that were used since
			x.Next = c.newID("d-")
		}
		if x.Op != nil {
			o := *x.Op
			o.recovered = true
			x.Op = &o
			if r, told := outcome(o.ID); told && r.Outcome == telemetry.Refused { // nothing happened
				x.Op = nil
			}
		}
		c.cells = append(c.cells, &x)
		b.put(write(&x).Write)
	}
	return c
}

func (c *Core) newID(prefix string) string {
	var b [8]byte
	if _, err := io.ReadFull(c.rand, b[:]); err != nil {
		panic("BUG: cabinet: no random source: " + err.Error())
	}
	return prefix + hex.EncodeToString(b[:])
}

// ran is the running time.
func (c *Core) ran(now Now) time.Duration {
	if !c.dated && believed(now.TQ) {
		c.dated = true
		if t := &c.tries; t.WallMS != 0 {
			slept := now.Wall.Sub(time.UnixMilli(t.WallMS)) - now.Mono
			c.offset += min(max(0, slept), day)
		}
	}
	return c.offset + now.Mono
}

// believed reports whether a clock is right enough to shorten a wait: a battery-backed one may have been set by anybody.
func believed(q telemetry.Quality) bool {
	return q == telemetry.GNSS || q == telemetry.NTP || q == telemetry.Cloud
}

func (c *Core) at(no int) *cell {
	if no < 1 || no > len(c.cells) {
		return nil
	}
	return c.cells[no-1]
}

// write is the effect that keeps cells. The log gets copies: a step may change them before they are written.
func write(cells ...*cell) Effect {
	ch := &change{}
	for _, x := range cells {
		y := *x
		if y.Op != nil {
			o := *y.Op
			y.Op = &o
		}
		ch.Cells = append(ch.Cells, y)
	}
	return Effect{Write: ch}
}

func (c *Core) writeTries(now Now) Effect {
	ran := c.ran(now)
	c.tries.forget(ran)
	c.tries.RanMS, c.tries.WallMS = ran.Milliseconds(), 0
	if believed(now.TQ) {
		c.tries.WallMS = now.Wall.UnixMilli()
	}
	c.saved = ran
	t := c.tries
	return Effect{Write: &change{Tries: &t}}
}

func (c *Core) show(now Now, word string, cell int, wait time.Duration) Effect {
	c.screenEnd = c.ran(now) + screenFor
	return Effect{Show: &devices.Screen{Word: word, Cell: cell, Wait: wait}}
}

// Entry takes what was typed.
func (c *Core) Entry(now Now, keys string) []Effect {
	c.counts.entries++
	switch keys {
	case "*":
		return c.cancel(now)
	case "0":
		return c.another(now)
	}
	no, code, ok := split(keys)
	if !ok {
		return []Effect{c.show(now, "cell_and_code", 0, 0)}
	}
	return c.code(now, no, code)
}

// split takes 3#483920 or 3483920 apart.
func split(keys string) (cell int, code string, ok bool) {
	no, code, found := strings.Cut(keys, "#")
	if !found {
		if len(keys) <= pickup.Digits {
			return 0, "", false
		}
		no, code = keys[:len(keys)-pickup.Digits], keys[len(keys)-pickup.Digits:]
	}
	cell, err := strconv.Atoi(no)
	return cell, code, err == nil && len(no) <= 4 && pickup.ValidCode(code)
}

// Scan takes what the locker's scanner read.
func (c *Core) Scan(now Now, text string) []Effect {
	c.counts.scans++
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, pickup.TicketPrefix):
		return c.ticket(now, text)
	case strings.HasPrefix(text, pickup.BadgePrefix):
		return c.badge(now, text)
	case pickup.Secret(text):
		return []Effect{c.show(now, "wrong", 0, 0)}
	}
	return c.waybill(now, strings.ToUpper(text))
}

// begin opens a cell for an op: the intent first.
func (c *Core) begin(now Now, x *cell, o op, word string) []Effect {
	o.ID = c.newID("k-")
	x.Op, c.busy = &o, o.ID
	c.counts.opened++
	return []Effect{
		write(x),
		{Open: &Opening{Op: o.ID, Cell: x.No, Until: now.Mono + pulseWithin}},
		c.show(now, word, x.No, 0),
		{Tell: telemetry.Locker{Cell: telemetry.Some(x.No), Event: telemetry.CellAccepted, Deposit: o.Deposit, Waybill: o.Waybill, Op: o.ID, By: o.By}, N: "cab-" + o.ID},
	}
}

// Unwritten takes that the intent of an op couldn't be written: nothing is opened.
func (c *Core) Unwritten(now Now, id string) []Effect {
	c.counts.unwritten++
	x := c.ending(id)
	if x == nil {
		return nil
	}
	x.Op = nil
	return []Effect{c.show(now, "out_of_order", 0, 0), write(x)}
}

// ending takes an op off the relay and finds its cell; nil when its door is shut again already.
func (c *Core) ending(id string) *cell {
	if c.busy == id {
		c.busy = ""
	}
	for _, x := range c.cells {
		if x.Op != nil && x.Op.ID == id {
			return x
		}
	}
	return nil
}

// Outcome takes what became of an opening.
func (c *Core) Outcome(now Now, r telemetry.Result) []Effect {
	x := c.ending(r.Command)
	if x == nil {
		return nil
	}
	o := x.Op
	switch r.Outcome {
	case telemetry.Done:
		if o.seen {
			return nil
		}
		o.seen = true
		return []Effect{c.asks(now, x)}
	case telemetry.Refused:
		x.Op = nil
		c.counts.unopened++
		if r.Detail == "already_open" {
			x.open = telemetry.Some(true)
		}
		return append([]Effect{write(x)}, c.instead(now, x, o, r.Detail)...)
	}
	if o.seen { // its door was told open all the same
		return nil
	}
	c.counts.unopened++
	x.Op, x.Fault = nil, true
	c.missed, c.missedEnd = o.ID, now.Mono+wrongFor
	sent := telemetry.Locker{Cell: telemetry.Some(x.No), Event: telemetry.CellPulseSent, Deposit: o.Deposit, Waybill: o.Waybill, Op: o.ID, By: o.By}
	return append([]Effect{write(x), {Tell: sent, N: "cab-" + o.ID + "-sent"}}, c.instead(now, x, o, r.Detail)...)
}

// instead says what comes when a cell wasn't opened: for a courier the next cell.
func (c *Core) instead(now Now, x *cell, o *op, why string) []Effect {
	jammed := why == "jammed" || why == "already_open" || why == "not_opened"
	if o.Kind == putIn && jammed && c.tried < nextCells {
		if y := c.free(now, x.size, x.No); y != nil {
			c.tried++
			c.focus = y.No
			return c.begin(now, y, op{Kind: putIn, By: o.By, Deposit: y.Next, Waybill: o.Waybill, Courier: o.Courier}, "next_cell")
		}
	}
	if why == "already_open" {
		return []Effect{c.show(now, "stands_open", x.No, 0)}
	}
	word := "try_again"
	if jammed || x.Fault {
		word = "jammed"
	}
	return []Effect{c.show(now, word, x.No, 0)}
}

// asks says what to do at an open door.
func (c *Core) asks(now Now, x *cell) Effect {
	if x.Op.Kind == putIn {
		return c.show(now, "put", x.No, 0)
	}
	return c.show(now, "take", x.No, 0)
}

// Key takes the locker's key.
func (c *Core) Key(k *pickup.Key) { c.key = k }

// Tick lets time pass.
func (c *Core) Tick(now Now) []Effect {
	ran := c.ran(now)
	var out []Effect
	if c.screenEnd != 0 && ran >= c.screenEnd && c.busy == "" {
		out = append(out, c.rest(now))
	}
	for _, x := range c.cells {
		if x.ReopenMS != 0 && ran.Milliseconds() >= x.ReopenMS { // a start doesn't begin it anew
			x.ReopenMS = 0
			out = append(out, write(x))
		}
	}
	if c.courier != "" && ran >= c.courierEnd {
		c.courier = ""
	}
	if len(c.tries.WrongMS) > 0 && ran-c.saved >= saveEvery {
		out = append(out, c.writeTries(now))
	}
	return out
}

// rest is what is shown when nobody does anything: a door that somebody left open, or ready.
func (c *Core) rest(now Now) Effect {
	for _, x := range c.cells {
		if x.Op != nil && x.Op.seen && x.open.Or(false) {
			return c.show(now, "close_door", x.No, 0)
		}
	}
	ready := c.show(now, "ready", 0, 0)
	c.screenEnd = 0
	return ready
}

// known reports whether the same wrong guess was just made: it tells nobody anything new.
func (c *Core) known(cell int, code string) bool {
	sum := sha256.Sum256(append(c.salt[:], strconv.Itoa(cell)+"#"+code...))
	for _, g := range c.guesses {
		if g == sum {
			return true
		}
	}
	c.guesses[c.guess%len(c.guesses)] = sum
	c.guess++
	return false
}
