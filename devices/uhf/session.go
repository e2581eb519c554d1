package uhf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"yizhan/devices"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

const (
	tickEvery    = 200 * time.Millisecond
	frameGap     = 200 * time.Millisecond // a frame that pauses for longer isn't one
	helloTimeout = 250 * time.Millisecond
	askTimeout   = 500 * time.Millisecond
	roundTimeout = 3 * time.Second // without a frame; firmware that has a time limit uses 1 s or less
	pollSilence  = 1500 * time.Millisecond
	stall        = 1600 * time.Millisecond
	drainSilence = 60 * time.Millisecond
	drainLimit   = time.Second
	checkEvery   = 30 * time.Second
	stopGrace    = 500 * time.Millisecond
	attempts     = 3  // of a question or a setting, which may be repeated
	refusedLimit = 10 // rounds in a row
)

var errNoAnswer = errors.New("no answer")

// A session is one connection.
type session struct {
	d     *Driver
	p     port.Port
	emit  devices.Emit
	close func()

	fam  family
	in   frames
	m    message
	up   bool // set up: tags count and time passes
	quit bool // nothing is emitted any more

	want    byte // the command whose answer is waited for
	asking  bool
	replied bool
	reply   message
	round   bool // a round runs: its end is waited for
	antenna int  // of the round

	refusedRounds int  // in a row
	instead       bool // the other form of the round
	fail          error

	polling bool      // the module polls by itself
	checked time.Time // the settings were looked at
	heard   time.Time // a sound frame, last
	fed     time.Time // bytes came, last
	ticked  time.Time
	reads   []passage.Read
}

func newSession(d *Driver, p port.Port, emit devices.Emit) *session {
	now := time.Now()
	return &session{d: d, p: p, emit: emit, heard: now, fed: now}
}

// speak makes f the family of what comes from now on.
func (s *session) speak(f family) {
	s.fam = f
	s.in = frames{cut: f.cut, counts: &s.d.counts, reject: func(_ int64, raw []byte, reason string) { s.d.Add(reason, raw) }}
}

// hello asks who is there, in the words of f.
func (s *session) hello(ctx context.Context, f family) error {
	if err := s.p.Flush(); err != nil {
		return err
	}
	s.speak(f)
	first, ask := f.hello(s.d.cfg.address())
	if first != nil { // it may be polling still
		if err := s.send(first); err != nil {
			return err
		}
		if err := s.drain(ctx); err != nil {
			return err
		}
	}
	_, err := s.ask(ctx, ask, helloTimeout)
	return err
}

func (s *session) send(b []byte) error {
	_, err := s.p.Write(b)
	return err
}

// ask sends a command and waits for its answer, once. A refusal is a refusedError.
func (s *session) ask(ctx context.Context, r request, timeout time.Duration) ([]byte, error) {
	s.want, s.asking, s.replied = r.cmd, true, false
	defer func() { s.asking = false }()
	if err := s.send(r.frame); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(timeout); !s.replied; {
		if !time.Now().Before(deadline) {
			return nil, errNoAnswer
		}
		if err := s.step(ctx, deadline); err != nil {
			return nil, err
		}
	}
	if s.reply.kind == refused {
		s.d.counts.add(refusals, 1)
		return nil, &refusedError{refusalText(s.fam, s.reply.code)}
	}
	return s.reply.data, nil
}

// insist asks a question again that wasn't answered.
func (s *session) insist(ctx context.Context, r request) (data []byte, err error) {
	for range attempts {
		if data, err = s.ask(ctx, r, askTimeout); !errors.Is(err, errNoAnswer) {
			return data, err
		}
		s.d.counts.add(timeouts, 1)
	}
	return nil, err
}

// drain takes in what is still on its way, until the line is silent.
func (s *session) drain(ctx context.Context) error {
	began := time.Now()
	for until := began.Add(drainSilence); time.Now().Before(until) && time.Since(began) < drainLimit; {
		if err := s.step(ctx, until); err != nil {
			return err
		}
		if s.fed.After(began) {
			until = s.fed.Add(drainSilence)
		}
	}
	return nil
}

// step waits for bytes, at most until a deadline or the next tick, and handles the frames they complete.
func (s *session) step(ctx context.Context, deadline time.Time) error {
	if err := ctx.Err(); err != nil && !s.quit {
		return err
	}
	if tick := time.Now().Add(tickEvery); deadline.IsZero() || tick.Before(deadline) {
		deadline = tick
	}
	if err := s.p.SetReadDeadline(deadline); err != nil {
		return err
	}
	err := s.in.fill(s.p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read: %w", err)
	}
	now := time.Now()
	if err == nil {
		s.fed = now
	}
	s.reads = s.reads[:0]
	for {
		f, ok := s.in.next(now.Sub(s.fed) >= frameGap)
		if !ok {
			break
		}
		s.heard = now
		s.handle(now, f)
	}
	if s.quit {
		return nil
	}
	return s.tell(ctx, now)
}

// tell hands over what the reads and the time bring.
func (s *session) tell(ctx context.Context, now time.Time) error {
	d := s.d
	if len(s.reads) > 0 && s.up {
		d.teller.Reads(now, s.reads)
	}
	switch {
	case s.up && now.Sub(s.heard) >= stall:
		d.teller.Suspend(now) // until it is heard again nobody can tell who is gone
	case s.up && now.Sub(s.ticked) >= tickEvery:
		s.ticked = now
		d.teller.Tick(now)
		for _, c := range d.antenna.Tick(now) {
			d.teller.AntennaAlarm(c)
		}
	}
	if err := d.teller.Flush(ctx, s.emit); err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	s.heard = s.heard.Add(time.Since(now)) // while emit blocks nobody listens
	if silence := d.cfg.Silence; s.up && time.Since(s.heard) > silence {
		d.counts.add(timeouts, 1)
		return fmt.Errorf("no sound frame for %v", silence)
	}
	return s.fail
}

func (s *session) handle(now time.Time, f []byte) {
	d, m := s.d, &s.m
	if !s.fam.parse(f, m) {
		d.counts.add(badReport, 1)
		d.Add("bad_report", f)
		return
	}
	switch m.kind {
	case report:
		s.take(now, f)
		if m.done {
			s.over(now)
		}
	case alive:
		d.counts.add(heartbeats, 1)
	case answer, refused:
		switch {
		case s.asking && !s.replied && (m.cmd == s.want || m.kind == refused && m.cmd == 0):
			s.replied, s.reply = true, *m
			s.reply.data = append([]byte(nil), m.data...)
		case m.kind == refused && (s.round || s.polling && m.cmd == 0):
			d.counts.add(refusals, 1)
			s.refuse(now, m.code)
		default:
			d.counts.add(unexpected, 1)
		}
	}
}

// take keeps the tags of a report.
func (s *session) take(now time.Time, f []byte) {
	d := s.d
	if s.m.done && len(s.m.tags) == 0 {
		d.counts.add(emptyRounds, 1)
	}
	for i := range s.m.tags {
		t := &s.m.tags[i]
		switch {
		case d.crc.drop(t):
			d.counts.add(badTagCRC, 1)
			d.Add("bad_tag_crc", f)
			continue
		case len(t.epc) == 0:
			d.counts.add(emptyEPC, 1)
			continue
		}
		d.counts.add(tagReads, 1)
		n := d.known.Of(t.epc, t.iso)
		r := passage.Read{EPC: n.EPC, Hex: n.Hex, Antenna: t.antenna, RSSI: d.cfg.RSSI.dBm(s.fam, t), Raw: t.raw(), Count: 1, First: now, Last: now}
		if r.Antenna == 0 {
			r.Antenna = s.antenna
		}
		s.reads = append(s.reads, r)
	}
}

// over ends a round that went well.
func (s *session) over(now time.Time) {
	if !s.round && !s.polling {
		return
	}
	s.d.counts.add(rounds, 1)
	s.round, s.refusedRounds = false, 0
	s.hasAntenna(now, true)
}

// refuse ends a round that the module didn't run.
func (s *session) refuse(now time.Time, code byte) {
	s.round = false
	if code == s.fam.missing() {
		s.hasAntenna(now, false)
		return
	}
	if s.refusedRounds++; s.refusedRounds >= refusedLimit {
		s.fail = fmt.Errorf("the module doesn't read tags: %s", refusalText(s.fam, code))
	}
}

func (s *session) hasAntenna(now time.Time, ok bool) {
	if s.fam.missing() == 0 { // the family can't tell
		return
	}
	if c, due := s.d.antenna.Set(now, max(s.antenna, 1), ok); due {
		s.d.teller.AntennaAlarm(c)
	}
}

// alarm tells what a technician must look at.
func (s *session) alarm(code, detail string) {
	s.d.teller.Alarm(time.Now(), code, telemetry.Major, detail)
}
