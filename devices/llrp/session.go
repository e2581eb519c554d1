package llrp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"yizhan/devices"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

const (
	greetTimeout    = 10 * time.Second
	responseTimeout = 8 * time.Second
	tickEvery       = 200 * time.Millisecond
	stopGrace       = 500 * time.Millisecond
	ourROSpec       = 1
)

// A refusedError says that the reader doesn't take a setting.
type refusedError struct{ err error }

// Error implements error.
func (e *refusedError) Error() string { return e.err.Error() }

// Unwrap returns the reader's words.
func (e *refusedError) Unwrap() error { return e.err }

// A session is one connection.
type session struct {
	d    *Driver
	p    port.Port
	emit devices.Emit
	in   frames
	id   uint32 // of the last request

	greeted bool // the reader took the connection
	started bool // the inventory was asked to start
	up      bool // it runs
	fail    error

	want    uint16 // the response waited for, 0: none
	reply   []byte
	replied bool
	heard   time.Time // the last message
	ticked  time.Time
	reads   []passage.Read
}

func newSession(d *Driver, p port.Port, emit devices.Emit) *session {
	s := &session{d: d, p: p, emit: emit}
	s.in = frames{counts: &d.counts, reject: func(_ int64, raw []byte, reason string) { d.Add(reason, raw) }}
	d.clock.heard = false
	return s
}

// start goes through LLRP 1.0.1, 18.1: nothing is sent before the reader has spoken.
func (s *session) start(ctx context.Context) error {
	if err := s.until(ctx, greetTimeout, func() bool { return s.greeted }); err != nil {
		return fmt.Errorf("connection attempt event: %w", err)
	}
	caps, err := s.ask(ctx, message(msgCapabilities, s.next(), func(w *builder) { w.u8(0) }), "get capabilities")
	if err != nil {
		return err
	}
	c := parseCapabilities(caps)
	radio, err := c.radio(s.d.cfg)
	if err != nil {
		return &refusedError{err}
	}
	antennas := s.d.cfg.antennaIDs()
	for _, a := range antennas {
		if c.antennas != 0 && a > c.antennas {
			return &refusedError{fmt.Errorf("antennas: the reader has %d, the config names antenna %d", c.antennas, a)}
		}
	}
	if _, err := s.ask(ctx, specMessage(msgDeleteROSpec, s.next(), 0), "delete rospecs"); err != nil {
		return err
	}
	inputs := make([]uint16, len(s.d.cfg.Inputs))
	for i, in := range s.d.cfg.Inputs {
		inputs[i] = uint16(in.Port)
	}
	events := []uint16{eventGPI, eventROSpec, eventBuffer, eventException, eventAntenna}
	keepalive := uint32(s.d.cfg.Keepalive.Milliseconds())
	if _, err := s.ask(ctx, setConfig(s.next(), keepalive, events, inputs), "set config"); err != nil {
		return refusal(err)
	}
	spec := roSpec{id: ourROSpec, antennas: antennas, memory: memoryPC, radio: radio}
	if _, err := s.ask(ctx, spec.add(s.next()), "add rospec"); err != nil {
		return refusal(err)
	}
	if _, err := s.ask(ctx, specMessage(msgEnableROSpec, s.next(), ourROSpec), "enable rospec"); err != nil {
		return err
	}
	s.started = true
	if _, err := s.ask(ctx, specMessage(msgStartROSpec, s.next(), ourROSpec), "start rospec"); err != nil {
		return err
	}
	s.up = true
	return nil
}

// refusal marks an error that the reader would answer with again.
func refusal(err error) error {
	var st *statusError
	if errors.As(err, &st) && st.code != deviceError {
		return &refusedError{err}
	}
	return err
}

// serve handles what comes until ctx ends or the connection fails. A reader that is silent for
// two and a half keepalives is gone.
func (s *session) serve(ctx context.Context) error {
	silence := s.d.cfg.Keepalive * 5 / 2
	for {
		if err := s.step(ctx); err != nil {
			return err
		}
		if time.Since(s.heard) > silence {
			s.d.counts.add(timeouts, 1)
			return fmt.Errorf("no message for %v", silence)
		}
	}
}

func (s *session) next() uint32 {
	s.id++
	return s.id
}

// ask sends a request and waits for its response.
func (s *session) ask(ctx context.Context, request []byte, what string) ([]byte, error) {
	typ := binary.BigEndian.Uint16(request) & 0x3ff
	s.want, s.replied, s.reply = typ+toResponse, false, nil
	defer func() { s.want = 0 }()
	err := s.send(request)
	if err == nil {
		err = s.until(ctx, responseTimeout, func() bool { return s.replied })
	}
	if err == nil {
		err = status(s.reply)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return s.reply, nil
}

func (s *session) send(b []byte) error {
	_, err := s.p.Write(b)
	return err
}

// until handles what comes until done.
func (s *session) until(ctx context.Context, timeout time.Duration, done func() bool) error {
	for deadline := time.Now().Add(timeout); !done(); {
		if !time.Now().Before(deadline) {
			s.d.counts.add(timeouts, 1)
			return fmt.Errorf("no answer within %v", timeout)
		}
		if err := s.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step waits for bytes, at most until the next tick, and handles the messages they complete.
func (s *session) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.p.SetReadDeadline(time.Now().Add(tickEvery)); err != nil {
		return err
	}
	if err := s.in.fill(s.p); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read: %w", err)
	}
	now := time.Now()
	for s.fail == nil {
		h, body, ok := s.in.next(false)
		if !ok {
			break
		}
		s.heard = now
		s.handle(now, h, body)
	}
	if s.fail == nil && s.in.junkSize > maxJunk {
		s.in.endJunk()
		s.fail = errGarbage
	}
	if s.up && now.Sub(s.ticked) >= tickEvery {
		s.ticked = now
		s.d.tick(now)
	}
	before := time.Now()
	if err := s.d.teller.Flush(ctx, s.emit); err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	s.heard = s.heard.Add(time.Since(before)) // while emit blocks nobody listens
	return s.fail
}

func (s *session) handle(now time.Time, h header, body []byte) {
	switch {
	case h.typ == msgReport:
		s.report(now, body)
	case h.typ == msgKeepalive:
		s.d.counts.add(keepalives, 1)
		if err := s.send(message(msgKeepaliveAck, h.id, nil)); err != nil {
			s.fail = fmt.Errorf("keepalive: %w", err)
		}
	case h.typ == msgEvent:
		s.event(now, body)
	case h.typ == msgError:
		s.d.counts.add(readerErrors, 1)
		err := status(body)
		s.d.env.Log.Debug("reader error", "err", err)
		if s.want != 0 && h.id == s.id {
			s.replied, s.reply = true, append([]byte(nil), body...)
		}
	case s.want != 0 && h.typ == s.want && h.id == s.id:
		s.replied, s.reply = true, append([]byte(nil), body...)
	default:
		s.d.counts.add(unexpected, 1)
	}
}

// report folds one RO_ACCESS_REPORT.
func (s *session) report(now time.Time, body []byte) {
	d := s.d
	s.reads = s.reads[:0]
	_ = eachTag(body, &d.counts, func(t *tagReport) error {
		n := d.known.Of(t.epc, t.iso())
		r := passage.Read{EPC: n.EPC, Hex: n.Hex, Antenna: t.antenna.Or(0), RSSI: t.rssi, Count: max(t.count.Or(1), 1)}
		d.clock.date(now, t, &r)
		if !r.Exact && t.lastUTC|t.firstUTC != 0 {
			d.counts.add(clockRefused, 1)
		}
		s.reads = append(s.reads, r)
		return nil
	}, func(raw []byte, reason string) { d.Add(reason, raw) })
	d.teller.Reads(now, s.reads)
}

// event handles a READER_EVENT_NOTIFICATION (LLRP 1.0.1, 16.2.7.6).
func (s *session) event(now time.Time, body []byte) {
	d := s.d
	d.counts.add(readerEvents, 1)
	data, _ := find(body, prmEventData)
	for p := (params{rest: data}); p.next(); {
		v := p.body
		switch {
		case p.typ == prmUTC && len(v) >= 8:
			if us := binary.BigEndian.Uint64(v); us < 1<<62 {
				d.clock.hear(now, time.UnixMicro(int64(us)))
			}
		case p.typ == prmAttempt && len(v) >= 2:
			s.attempt(binary.BigEndian.Uint16(v))
		case p.typ == prmConnClose:
			s.fail = errors.New("the reader closed the connection")
		case p.typ == prmROSpecEvent && len(v) >= 5:
			if v[0] == 1 && s.started && binary.BigEndian.Uint32(v[1:]) == ourROSpec {
				s.fail = errors.New("the reader ended its inventory")
			}
		case p.typ == prmAntennaEvent && len(v) >= 3:
			if c, ok := d.antenna.Set(now, int(binary.BigEndian.Uint16(v[1:])), v[0] != 0); ok {
				d.teller.AntennaAlarm(c)
			}
		case p.typ == prmGPIEvent && len(v) >= 3:
			if c, ok := d.input.Set(now, int(binary.BigEndian.Uint16(v)), v[2]&0x80 != 0); ok {
				d.door(c)
			}
		case p.typ == prmException && len(v) >= 2:
			n := min(int(binary.BigEndian.Uint16(v)), len(v)-2)
			d.teller.Alarm(now, "reader_exception", telemetry.Minor, legible(v[2:2+n]))
		case p.typ == prmOverflow:
			d.teller.Alarm(now, "reader_overflow", telemetry.Major, "the reader lost reads: its report buffer was full")
		}
	}
}

// attempt is the reader's answer to our connecting.
func (s *session) attempt(code uint16) {
	switch code {
	case 0:
		s.greeted = true
	case 1, 2:
		s.fail = fmt.Errorf("connection attempt status %d: %w", code, ErrBusy)
	case 4:
		// To the client that is connected: somebody else tried to connect.
		if !s.greeted {
			s.fail = fmt.Errorf("connection attempt status %d: %w", code, ErrBusy)
		}
	default:
		s.fail = errors.New("connection attempt status " + strconv.Itoa(int(code)))
	}
}

// stop leaves the reader quiet and free for the next client, as far as it answers in time:
// the port is closed when stopGrace is over.
func (s *session) stop() {
	for _, m := range [][]byte{
		specMessage(msgStopROSpec, s.next(), ourROSpec), specMessage(msgDisableROSpec, s.next(), ourROSpec),
		specMessage(msgDeleteROSpec, s.next(), ourROSpec), message(msgClose, s.next(), nil),
	} {
		if err := s.send(m); err != nil {
			return
		}
	}
	for deadline := time.Now().Add(stopGrace); time.Now().Before(deadline); {
		for {
			h, _, ok := s.in.next(false)
			if !ok {
				break
			}
			if h.typ == msgCloseResponse {
				return
			}
		}
		if s.p.SetReadDeadline(deadline) != nil || s.in.fill(s.p) != nil {
			return
		}
	}
}
