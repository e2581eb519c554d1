package lockerbus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"yizhan/devices/telemetry"
)

const (
	pulse   = 300 * time.Millisecond // how long a lock is powered
	spacing = 300 * time.Millisecond // between pulses: they share a supply
	confirm = 200 * time.Millisecond // between reads of a pulsed door
	opening = 3 * time.Second        // for a pulsed door to open
)

// A command that Run has to obey.
type command struct {
	ctx    context.Context
	cell   *cell
	pulsed func()       // tells that the pulse leaves
	answer chan outcome // of capacity 1
}

type outcome struct {
	outcome telemetry.Outcome
	detail  string
}

// Command opens a cell: action open_cell, args cell. See the package comment for the outcomes.
func (d *Driver) Command(ctx context.Context, c telemetry.CommandTo) telemetry.Result {
	o := d.do(ctx, c)
	return telemetry.Result{Command: c.ID, Outcome: o.outcome, Detail: o.detail}
}

func refused(detail string) outcome { return outcome{telemetry.Refused, detail} }
func unknown(detail string) outcome { return outcome{telemetry.OutcomeUnknown, detail} }

func (d *Driver) do(ctx context.Context, c telemetry.CommandTo) outcome {
	if c.Action != "open_cell" {
		return refused("unknown_action")
	}
	target := d.cell(c.Args["cell"])
	if target == nil {
		return refused("bad_cell")
	}
	d.mu.Lock()
	ended := d.running
	d.mu.Unlock()
	if ended == nil {
		return refused("not_running")
	}
	cmd := command{ctx, target, c.Pulse, make(chan outcome, 1)}
	select {
	case d.commands <- cmd:
		return <-cmd.answer // Run answers what it took, within the time of a few reads
	case <-ended:
		return refused("not_running")
	case <-ctx.Done():
		return refused("busy")
	}
}

// cell finds a cell by its number as text. The cells' identity doesn't change after New.
func (d *Driver) cell(text string) *cell {
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text {
		return nil
	}
	for _, b := range d.boards {
		if n >= b.FirstCell && n < b.FirstCell+b.Cells {
			return b.cells[n-b.FirstCell]
		}
	}
	return nil
}

// obey opens a cell and answers. Its error ends Run.
func (s *session) obey(ctx context.Context, c command) error {
	o, err := s.open(ctx, c)
	c.answer <- o
	if err != nil {
		return err
	}
	return s.tell(ctx)
}

// open reads the door, pulses once, and watches the door. Whatever fails after the pulse leaves
// the outcome unknown, and nothing pulses again.
func (s *session) open(ctx context.Context, c command) (outcome, error) {
	switch open, err := s.readDoor(ctx, c.cell, attempts); {
	case errors.Is(err, errTimeout):
		return refused("no_reply"), nil
	case err != nil:
		return refused("not_running"), err
	case open:
		return refused("already_open"), nil
	}
	if err := s.pause(ctx, time.Until(s.pulsed.Add(spacing))); err != nil {
		return refused("not_running"), err
	}
	if c.ctx.Err() != nil {
		return refused("busy"), nil
	}
	sent, err := s.pulse(ctx, c)
	switch {
	case err != nil && !errors.Is(err, errTimeout):
		if !sent {
			return refused("not_running"), err
		}
		return unknown("stopped"), err
	case !sent:
		return refused("no_reply"), nil // the line was never silent
	}
	return s.watch(ctx, c.cell)
}

// pulse sends the one open frame. sent tells whether it may have reached the board.
func (s *session) pulse(ctx context.Context, cmd command) (sent bool, err error) {
	if err := s.line.settle(ctx); err != nil {
		return false, err
	}
	c := cmd.cell
	s.pulsed = time.Now()
	c.pulsed = s.pulsed
	s.counts.pulses.Add(1)
	cmd.pulsed()
	_, err = s.line.send(ctx, s.line.family.ask(opOpen, c.board.Board, c.lock)) // the answer proves nothing
	return true, err
}

// watch reads a pulsed door until it is open or its time is over.
func (s *session) watch(ctx context.Context, c *cell) (outcome, error) {
	for until := s.pulsed.Add(opening); ; {
		last := !time.Now().Before(until)
		n := 1
		if last {
			n = attempts
		}
		open, err := s.readDoor(ctx, c, n)
		switch {
		case err != nil && !errors.Is(err, errTimeout):
			return unknown("stopped"), err
		case open || c.open: // read, or told unasked
			return outcome{telemetry.Done, "opened"}, nil
		case last && err != nil:
			return unknown("no_reply"), nil
		case last:
			s.counts.jams.Add(1)
			s.out = append(s.out, c.reading(s.env.Name, telemetry.CellJammed))
			return unknown("jammed"), nil
		}
		if err := s.pause(ctx, confirm); err != nil {
			return unknown("stopped"), err
		}
	}
}

// readDoor reads one door and keeps what it tells.
func (s *session) readDoor(ctx context.Context, c *cell, n int) (open bool, err error) {
	t, err := s.line.askAgain(ctx, s.line.family.ask(opReadOne, c.board.Board, c.lock), n)
	s.hear()
	if err != nil {
		return false, err
	}
	s.heard = time.Now()
	open = c.board.open(t, c.lock)
	switch {
	case !c.known || !open && c.open && c.board.sensed:
		c.board.due = true // told together with the items
	default:
		s.see(c, open, telemetry.Opt[bool]{}, time.Now())
	}
	return open, nil
}

// pause lets d pass and listens meanwhile.
func (s *session) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		switch err := s.line.receive(ctx, timer.C); err {
		case nil:
			s.line.scan(nil)
			s.hear()
		case errTimeout:
			return nil
		default:
			return err
		}
	}
}
