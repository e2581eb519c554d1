package mqttlocker

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"yizhan/devices/telemetry"
)

const remembered = 256 // outcomes of commands

type outcome struct {
	outcome telemetry.Outcome
	detail  string
}

func refused(detail string) outcome { return outcome{telemetry.Refused, detail} }
func unknown(detail string) outcome { return outcome{telemetry.OutcomeUnknown, detail} }

// waiting is a command that was sent.
type waiting struct {
	id       string
	cell     int
	accepted bool         // the locker says that it was done
	pulsed   func()       // tells that the lock may have been pulsed, once
	done     chan outcome // of capacity 1
}

func (w *waiting) end(o outcome) {
	select {
	case w.done <- o:
	default:
	}
}

// Command opens a cell: action open_cell, args cell. See the package comment for the outcomes. An id that comes again gets
// the first outcome, and nothing is sent.
func (d *Driver) Command(ctx context.Context, c telemetry.CommandTo) telemetry.Result {
	o := d.do(ctx, c)
	return telemetry.Result{Command: c.ID, Outcome: o.outcome, Detail: o.detail}
}

func (d *Driver) do(ctx context.Context, c telemetry.CommandTo) outcome {
	if c.Action != "open_cell" || d.cfg.Command.Topic == "" {
		return refused("unknown_action")
	}
	cell, err := strconv.Atoi(c.Args["cell"])
	if err != nil || strconv.Itoa(cell) != c.Args["cell"] || cell < 1 || cell > d.cfg.Cells {
		return refused("bad_cell")
	}
	w, ended, o := d.begin(ctx, &c, cell)
	if w == nil {
		return o
	}
	o = d.send(ctx, w, ended)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = nil
	if o.outcome == telemetry.Refused && o.detail == "offline" {
		return o // nothing was sent: the same id may be tried again
	}
	if len(d.order) == remembered {
		delete(d.past, d.order[0])
		d.order = d.order[1:]
	}
	d.past[c.ID] = o
	d.order = append(d.order, c.ID)
	return o
}

// begin lets a command pass, or says why not.
func (d *Driver) begin(ctx context.Context, c *telemetry.CommandTo, cell int) (*waiting, <-chan struct{}, outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first, again := d.past[c.ID]
	switch {
	case again:
		return nil, nil, first
	case d.running == nil || d.env.LAN == nil:
		return nil, nil, refused("not_running")
	case d.waiting != nil || ctx.Err() != nil:
		return nil, nil, refused("busy")
	case !d.online:
		return nil, nil, refused("offline")
	case d.state.open(cell):
		return nil, nil, refused("already_open")
	}
	d.waiting = &waiting{id: c.ID, cell: cell, pulsed: sync.OnceFunc(c.Pulse), done: make(chan outcome, 1)}
	return d.waiting, d.running, outcome{}
}

// send publishes the command once and waits for what becomes of it until its deadline.
func (d *Driver) send(ctx context.Context, w *waiting, ended <-chan struct{}) outcome {
	now := time.Now()
	o := order{id: w.id, cell: w.cell, now: now, deadline: now.Add(d.cfg.AnswerWithin)}
	if d.cfg.ZeroBased {
		o.cell--
	}
	topic := strings.ReplaceAll(strings.ReplaceAll(d.cfg.Command.Topic, "{uid}", d.cfg.UID), "{cell}", strconv.Itoa(o.cell))
	if err := d.env.LAN.Publish(d.cfg.User, topic, d.cfg.Command.payload(o), d.cfg.AnswerWithin); err != nil {
		d.env.Log.Debug("command not sent", "n", w.id, "err", err)
		return refused("offline")
	}
	d.counts.commands.Add(1)
	timer := time.NewTimer(d.cfg.AnswerWithin)
	defer timer.Stop()
	select {
	case o := <-w.done:
		return o
	case <-timer.C:
	case <-ctx.Done():
	case <-ended:
		return d.abandon(w, "stopped")
	}
	return d.abandon(w, "no_reply")
}

// abandon gives a command up. One that wasn't answered may still lie in a buffer: it goes with the connection.
func (d *Driver) abandon(w *waiting, why string) outcome {
	d.mu.Lock()
	accepted := w.accepted
	d.mu.Unlock()
	select {
	case o := <-w.done: // at the last moment
		return o
	default:
	}
	if accepted {
		return unknown("not_opened")
	}
	w.pulsed()
	d.counts.unanswered.Add(1)
	d.env.LAN.HangUp(d.cfg.User)
	return unknown(why)
}

// settle takes what a message says about the command that waits. mu is held.
func (d *Driver) settle(m message, rs []telemetry.Reading) {
	w := d.waiting
	if a := m.answer; a != nil {
		d.counts.answers.Add(1)
		switch {
		case w == nil || a.command != w.id:
			d.counts.lateAnswers.Add(1)
		case a.refused:
			w.end(refused(strings.TrimSpace("locker_refused " + short(a.detail))))
		case a.failed:
			w.pulsed()
			w.end(unknown(strings.TrimSpace("locker_failed " + short(a.detail))))
		case a.done && d.cfg.Command.Confirm == Response:
			w.pulsed()
			w.end(outcome{telemetry.Done, "answered"})
		case a.done:
			w.pulsed()
			w.accepted = true
		}
		return
	}
	if w == nil || len(rs) == 0 {
		return
	}
	for _, c := range m.cells {
		switch {
		case c.cell != w.cell:
		case c.open.Or(false):
			w.pulsed()
			w.end(outcome{telemetry.Done, "opened"})
		case m.event == telemetry.CellJammed:
			w.pulsed()
			w.end(unknown("jammed"))
		}
	}
}

// short cuts what the locker says about itself.
func short(s string) string {
	if len(s) > 40 || !printable(strings.ReplaceAll(s, " ", "_")) {
		return ""
	}
	return s
}
