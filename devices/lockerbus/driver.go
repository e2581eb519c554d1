package lockerbus

import (
	"context"
	"errors"
	"sync"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

const (
	attempts  = 3                // of a read, before its board is lost
	lostEvery = 5 * time.Second  // between reads of a lost board
	patience  = 15 * time.Second // without any answer, before the port is opened anew
)

var errSilent = errors.New("no board on the line answers")

// Driver owns one line of boards.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	counts counters

	// What is known of the boards outlives a Run. Touched by Run only.
	boards []*board
	pulsed time.Time // the last pulse on the line

	commands chan command
	mu       sync.Mutex
	running  chan struct{} // closed when Run ends; nil while it isn't running
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	d := &Driver{cfg: c.withDefaults(), env: env, commands: make(chan command)}
	for _, b := range d.cfg.Boards {
		d.boards = append(d.boards, newBoard(b, d.cfg.Occupancy))
	}
	return d, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run watches the boards and obeys commands until ctx ends, the port fails, or nothing answers
// for 15 s.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return err
	}
	l, hangUp := listen(p, d.cfg, &d.counts, &d.BadFrames)
	defer hangUp()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })() // a write that doesn't end
	defer d.available()()

	s := session{Driver: d, line: l, emit: emit, heard: time.Now()}
	err = s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// available lets commands in until the returned function is called.
func (d *Driver) available() func() {
	ended := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = ended
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running = nil
		close(ended)
	}
}

// A session is one Run.
type session struct {
	*Driver
	line  *line
	emit  devices.Emit
	out   []telemetry.Reading
	heard time.Time // an answer, last
}

func (s *session) run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for _, b := range s.boards {
		b.due, b.items.tried = true, time.Time{}
	}
	for {
		if err := s.pollDue(ctx); err != nil {
			return err
		}
		if time.Since(s.heard) > patience {
			return errSilent
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-s.commands:
			if err := s.obey(ctx, c); err != nil {
				return err
			}
		case chunk, ok := <-s.line.rx:
			if err := s.line.feed(chunk, ok); err != nil {
				return err
			}
			s.line.scan(nil)
		case <-tick.C:
			s.allDue()
		}
		s.hear()
		if err := s.tell(ctx); err != nil {
			return err
		}
	}
}

func (s *session) allDue() {
	for _, b := range s.boards {
		b.due = !b.doors.idle(time.Now())
	}
}

// pollDue reads the boards whose turn it is. A command waits for one board at most.
func (s *session) pollDue(ctx context.Context) error {
	for again := true; again; {
		again = false
		for _, b := range s.boards {
			if !b.due {
				continue
			}
			select {
			case c := <-s.commands:
				if err := s.obey(ctx, c); err != nil {
					return err
				}
			default:
			}
			b.due = false
			if err := s.poll(ctx, b); err != nil {
				return err
			}
			s.hear() // may make a board due
			if err := s.tell(ctx); err != nil {
				return err
			}
			again = true
		}
	}
	return nil
}

// poll reads a board's doors and items.
func (s *session) poll(ctx context.Context, b *board) error {
	t, ok, err := s.readBoard(ctx, b.Board, &b.doors)
	if !ok {
		return err
	}
	s.hear() // changes told before the answer are older than it
	items, sensed := t.items, t.sensed && s.cfg.Occupancy == Infrared
	if b.ItemBoard != 0 && !b.items.idle(time.Now()) {
		other := b.Board
		other.Board = b.ItemBoard
		var o told
		if o, sensed, err = s.readBoard(ctx, other, &b.items); err != nil {
			return err
		}
		items = o.doors
	}
	now := time.Now()
	for _, c := range b.cells {
		item := telemetry.Opt[bool]{}
		if sensed {
			item = telemetry.Some(items.at(c.lock) == (s.cfg.ItemOneMeans != Absent))
		}
		s.see(c, b.open(t, c.lock), item, now)
		if c.overdue(now, s.cfg.OpenAlarm) {
			s.out = append(s.out, alarm(s.env.Name, "door_open", telemetry.Minor, "cell %d", c.number))
		}
	}
	return nil
}

// readBoard reads all inputs of a board; ok is false when it doesn't answer.
func (s *session) readBoard(ctx context.Context, b Board, to *contact) (t told, ok bool, err error) {
	n := attempts
	if to.lost {
		n = 1
	}
	t, err = s.line.askAgain(ctx, s.line.family.ask(opReadAll, b, 0), n)
	to.tried = time.Now()
	switch {
	case err == nil:
		s.heard = to.tried
		if to.lost {
			to.lost = false
			s.counts.boardsLost.Add(^uint64(0))
			s.env.Log.Info("board back", "addr", b.Board)
		}
	case errors.Is(err, errTimeout):
		if !to.lost {
			to.lost = true
			s.counts.boardsLost.Add(1)
			s.env.Log.Warn("board lost", "addr", b.Board)
			s.out = append(s.out, alarm(s.env.Name, "board_lost", telemetry.Major, "board %d", b.Board))
		}
		return told{}, false, nil
	}
	return t, err == nil, err
}

// see keeps what was read of a cell and lines up what there is to tell.
func (s *session) see(c *cell, open bool, item telemetry.Opt[bool], now time.Time) {
	if event := c.see(open, item, now); event != "" {
		s.out = append(s.out, c.reading(s.env.Name, event))
	}
}

// hear takes the changes that boards told unasked. A door that opened is told at once; anything
// else is a reason to read the board now, doors and items together.
func (s *session) hear() {
	for _, t := range s.line.changes {
		for _, b := range s.boards {
			switch t.board {
			case b.Board.Board:
				s.heard = time.Now()
				c := b.at(t.lock)
				if c == nil || !c.known {
					b.due = true
					continue
				}
				switch open := b.open(t, t.lock); {
				case open || !b.sensed:
					s.see(c, open, telemetry.Opt[bool]{}, time.Now())
				default:
					b.due = true
				}
			case b.ItemBoard:
				b.due = true
			}
		}
	}
	s.line.changes = s.line.changes[:0]
}

// tell emits what was lined up.
func (s *session) tell(ctx context.Context) error {
	if len(s.out) == 0 {
		return nil
	}
	out := s.out
	s.out = nil
	return s.emit(ctx, out...)
}
