package cabinet

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

var (
	errIO  = errors.New("input/output error")
	master = []byte(strings.Repeat("m", pickup.KeyBytes))
)

// disk is a file in memory that fails, or loses its power, when it is told to.
type disk struct {
	b     []byte
	after int // writes that succeed; -1 all
	half  bool
}

func (d *disk) Read() ([]byte, error) { return append([]byte(nil), d.b...), nil }

func (d *disk) may() bool {
	if d.after == 0 {
		return false
	}
	d.after--
	return true
}

func (d *disk) Append(p []byte) error {
	if !d.may() {
		if d.half {
			d.b = append(d.b, p[:len(p)/2]...)
		}
		return errIO
	}
	d.b = append(d.b, p...)
	return nil
}

func (d *disk) Replace(p []byte) error {
	if !d.may() {
		return errIO
	}
	d.b = append([]byte(nil), p...)
	return nil
}

// A stand is a cabinet with doors, a card and a relay, driven one step at a time: no goroutines, so that it replays.
type stand struct {
	t       testing.TB
	sensors bool
	disk    *disk
	book    *book
	core    *Core
	key     pickup.Key
	rng     *rand.Rand
	mono    time.Duration // since the start
	wall    time.Time     // zero: unknown
	tq      telemetry.Quality
	sizes   []pickup.Size

	doors  []door
	pulses map[string]int // of each op
	cells  map[string]int
	done   map[string]telemetry.Result // the command log
	asked  []Opening                   // the relay's queue
	words  []string
	told   []telemetry.Body
	board  []telemetry.Locker // as the spool got them
	kept   []byte             // the list

	crash func()                       // called where the power may go
	saw   func(telemetry.Locker)       // each of the board's readings
	sees  func(o Opening, pulsed bool) // each opening that the relay takes
}

// hook is a place where the power may go.
func (s *stand) hook() {
	if s.crash != nil {
		s.crash()
	}
}

type door struct{ open, item, jammed, told, toldItem, known bool }

func newStand(t testing.TB, seed uint64, sizes ...pickup.Size) *stand {
	s := &stand{
		t: t, sensors: true, disk: &disk{after: -1}, sizes: sizes, doors: make([]door, len(sizes)+1), pulses: map[string]int{}, cells: map[string]int{},
		done: map[string]telemetry.Result{}, rng: rand.New(rand.NewPCG(seed, 1)), wall: time.Date(2027, 1, 1, 8, 0, 0, 0, time.UTC), tq: telemetry.NTP,
		key: pickup.Key{Locker: "lk-a", Generation: 1, Secret: pickup.LockerKey(master, "lk-a", 1)},
	}
	s.start()
	return s
}

type source struct{ *rand.Rand }

func (r source) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

var _ io.Reader = source{}

// start powers the board on: the card is what is left.
func (s *stand) start() {
	s.book = openBook(s.disk)
	s.asked, s.mono = nil, 0
	s.core = newCore(s.book, s.sizes, func(id string) (telemetry.Result, bool) {
		r, ok := s.done[id]
		return r, ok
	}, source{s.rng})
	s.book.broken = s.book.compact()
	k := s.key
	s.core.Key(&k)
	if s.kept != nil {
		e, err := pickup.ParseExpect(s.kept)
		require.NoError(s.t, err)
		s.core.take(e)
	}
	for i := range s.doors {
		s.doors[i].known = false
	}
	s.look()
}

func (s *stand) now() Now {
	n := Now{Mono: s.mono, Wall: s.wall, TQ: s.tq}
	if s.wall.IsZero() {
		n.TQ = telemetry.Unknown
	}
	return n
}

func (s *stand) pass(d time.Duration) {
	s.mono += d
	if !s.wall.IsZero() {
		s.wall = s.wall.Add(d)
	}
	s.do(s.core.Tick(s.now()))
}

// do does effects as the shell does.
func (s *stand) do(fx []Effect) {
	for i := range fx {
		switch e := &fx[i]; {
		case e.Write != nil:
			s.hook()
			err := s.book.write(e.Write)
			s.hook()
			if err == nil {
				continue
			}
			for _, r := range fx[i+1:] {
				if r.Open != nil {
					s.do(s.core.Unwritten(s.now(), r.Open.Op))
				}
			}
			return
		case e.Show != nil:
			s.words = append(s.words, strings.TrimSuffix(fmt.Sprint(e.Show.Word, " ", e.Show.Cell), " 0"))
		case e.Tell != nil:
			s.told = append(s.told, e.Tell)
		case e.Keep != nil:
			s.kept = e.Keep
		case e.Open != nil:
			s.asked = append(s.asked, *e.Open)
		}
	}
}

// relay lets the command path act on what it was asked for.
func (s *stand) relay() {
	for len(s.asked) > 0 {
		s.relayOne()
	}
}

func (s *stand) relayOne() {
	o := s.asked[0]
	s.asked = s.asked[1:]
	r := telemetry.Result{Command: o.Op, Outcome: telemetry.Refused, Detail: "stale"}
	d := &s.doors[o.Cell]
	s.hook()
	switch _, again := s.done[o.Op]; {
	case again:
		r.Detail = "repeated"
	case s.mono > o.Until:
	case d.open:
		r.Detail = "already_open"
	default:
		s.done[o.Op] = telemetry.Result{Command: o.Op, Outcome: telemetry.OutcomeUnknown, Detail: "interrupted"} // its intent
		s.hook()
		s.pulse(o.Op, o.Cell)
		s.hook()
		r.Outcome, r.Detail = telemetry.Done, "opened"
		if d.jammed {
			r.Outcome, r.Detail = telemetry.OutcomeUnknown, "jammed"
		}
	}
	if s.sees != nil {
		s.sees(o, r.Detail == "opened" || r.Detail == "jammed")
	}
	s.done[o.Op] = r
	s.hook()
	s.look()
	s.do(s.core.Outcome(s.now(), r))
}

// pulse drives the lock.
func (s *stand) pulse(op string, cell int) {
	s.pulses[op]++
	s.cells[op] = cell
	s.doors[cell].open = s.doors[cell].open || !s.doors[cell].jammed
}

// look has the board tell what has changed, in the way of lockerbus.
func (s *stand) look() {
	for i := 1; i < len(s.doors); i++ {
		d := &s.doors[i]
		event := telemetry.CellEvent("")
		switch {
		case !d.known && d.open, d.known && d.open && !d.told:
			event = telemetry.CellOpened
		case !d.known:
			event = telemetry.CellClosed
		case d.told && !d.open || !d.open && s.sensors && d.item != d.toldItem:
			event = telemetry.CellClosed
			if s.sensors && d.item != d.toldItem {
				event = map[bool]telemetry.CellEvent{true: telemetry.CellDeposited, false: telemetry.CellEmptied}[d.item]
			}
		}
		if event == "" {
			continue
		}
		l := telemetry.Locker{Cell: telemetry.Some(i), Event: event}
		if s.sensors && !d.open {
			l.Occupied = telemetry.Some(d.item)
			d.toldItem = d.item
		} else if s.sensors && d.known {
			l.Occupied = telemetry.Some(d.toldItem)
		}
		d.known, d.told = true, d.open
		s.says(l)
	}
}

// says has the board tell an event; the same told again is the same.
func (s *stand) says(l telemetry.Locker) telemetry.Locker {
	got, fx := s.core.Door(s.now(), l)
	s.board = append(s.board, got)
	if s.saw != nil {
		s.saw(got)
	}
	s.hook()
	s.do(fx)
	return got
}

func (s *stand) shut(cell int, item bool) {
	s.doors[cell].open, s.doors[cell].item = false, item
	s.look()
}

func (s *stand) types(keys string) string {
	s.do(s.core.Entry(s.now(), keys))
	s.relay()
	return s.word()
}

func (s *stand) scans(text string) string {
	s.do(s.core.Scan(s.now(), text))
	s.relay()
	return s.word()
}

func (s *stand) word() string { return s.words[len(s.words)-1] }

func (s *stand) expects(text string) {
	fx, err := s.core.Expect([]byte(text))
	require.NoError(s.t, err)
	s.do(fx)
}

// code is what the recipient of what lies in a cell was sent.
func (s *stand) code(cell, n int) string {
	require.NotNil(s.t, s.core.at(cell).Deposit, "cell %d is empty", cell)
	return fmt.Sprintf("%d#%s", cell, pickup.Code(s.key.Secret, s.core.at(cell).Deposit.ID, n))
}

func (s *stand) last() telemetry.Locker { return s.board[len(s.board)-1] }

func (s *stand) allPulses() (n int) {
	for _, k := range s.pulses {
		n += k
	}
	return n
}

// wrongFor is a code that isn't one of the cell's.
func (s *stand) wrongFor(cell int, i int) string {
	for ; ; i++ {
		code := fmt.Sprintf("%06d", i%1_000_000)
		if x := s.core.at(cell); x.Deposit != nil {
			if _, _, ok := pickup.Match(s.key.Secret, code, x.Deposit.ID); ok {
				continue
			}
		}
		return fmt.Sprintf("%d#%s", cell, code)
	}
}

const list = `{"series":"a","version":1,"parcels":[
	{"waybill":"YL000100001","size":"s","consent":"yes"},{"waybill":"YL000100002","size":"m","consent":"yes"},
	{"waybill":"YL000100003","size":"s","consent":"no"},{"waybill":"YL000100004","size":"s","consent":"unknown"},
	{"waybill":"YL000100005","size":"xl","consent":"yes"},{"waybill":"YL000100006","size":"s","consent":"yes","handling":"frozen"},
	{"waybill":"YL000100007","size":"s","consent":"yes"},{"waybill":"YL000100008","size":"s","consent":"yes"}]}`
