package modbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
)

// attempts is how often a block is asked for before its unit counts as lost.
const attempts = 3

// kept bounds the bytes that are looked at for one reply.
const kept = 512

var errTimeout = errors.New("no reply")

// A line has one owner and one outstanding request.
type line struct {
	port    port.Port
	framing framing
	silence time.Duration
	timeout time.Duration
	counts  *counters
	bad     *devices.BadFrames

	transaction uint16
	owed        map[byte]debt // by unit
	buf         []byte
}

// A debt is a reply that may still come although nobody waits for it any more.
type debt struct {
	q     request
	until time.Time
}

func newLine(p port.Port, c Config, counts *counters, bad *devices.BadFrames) *line {
	l := &line{port: p, framing: rtu{}, silence: c.Silence, timeout: c.Timeout, counts: counts, bad: bad, owed: map[byte]debt{}}
	if c.Framing == "tcp" {
		l.framing = tcp{}
	}
	return l
}

// read asks for one block, up to n times. Its error is errTimeout, an Exception, or what broke
// the port.
func (l *line) read(ctx context.Context, q request, n int) ([]uint16, error) {
	for i := 0; ; i++ {
		regs, err := l.once(ctx, q)
		var no Exception
		switch {
		case err == nil:
			if i > 0 {
				l.owe(q)
			}
			return regs, nil
		case errors.Is(err, errTimeout):
			l.counts.timeouts.Add(1)
			l.owe(q)
		case errors.As(err, &no):
			l.counts.exceptions.Add(1)
			if !no.passing() {
				return nil, err
			}
		default:
			return nil, err
		}
		if i+1 >= n {
			return nil, err
		}
		l.counts.retries.Add(1)
	}
}

func (l *line) owe(q request) {
	l.owed[q.unit] = debt{q, time.Now().Add(l.timeout)}
}

func (l *line) once(ctx context.Context, q request) ([]uint16, error) {
	if err := l.settle(q); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.transaction++
	if _, err := l.port.Write(l.framing.appendRequest(nil, q, l.transaction)); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return l.reply(q)
}

// settle waits until q may be sent: until the line was silent for the interval, and until no
// reply to something else can come from q's unit. What arrives is thrown away.
func (l *line) settle(q request) error {
	if err := l.port.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if l.silence == 0 { // TCP: transactions tell replies apart
		return nil
	}
	now := time.Now()
	until := now.Add(l.silence)
	if d, ok := l.owed[q.unit]; ok && d.q != q && d.until.After(until) {
		until = d.until
	}
	giveUp := until.Add(l.timeout)
	for {
		n, err := l.receive(until)
		switch {
		case errors.Is(err, errTimeout):
			return nil
		case err != nil:
			return err
		}
		l.skipped(l.buf[len(l.buf)-n:], "stray")
		l.buf = l.buf[:0]
		now := time.Now()
		if now.After(giveUp) {
			return fmt.Errorf("%w: the line is never silent", errTimeout)
		}
		if next := now.Add(l.silence); next.After(until) {
			until = next
		}
	}
}

// receive appends what comes until the deadline; errTimeout when nothing did.
func (l *line) receive(until time.Time) (int, error) {
	if err := l.port.SetReadDeadline(until); err != nil {
		return 0, fmt.Errorf("read deadline: %w", err)
	}
	var chunk [256]byte
	n, err := l.port.Read(chunk[:])
	l.buf = append(l.buf, chunk[:n]...)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, errTimeout
	default:
		return 0, fmt.Errorf("read: %w", err)
	}
}

// reply looks for q's reply in what arrives, at every byte.
func (l *line) reply(q request) ([]uint16, error) {
	until := time.Now().Add(l.timeout)
	l.buf = l.buf[:0]
	at, skip := 0, 0 // looked at up to at, of which the last skip bytes were foreign
	for {
		size, pdu, v := l.framing.find(l.buf[at:], q, l.transaction)
		if v != foreign && v != badChecksum && skip > 0 && v != more {
			l.skipped(l.buf[at-skip:at], "resync")
			skip = 0
		}
		switch v {
		case whole:
			l.counts.framesOK.Add(1)
			return registers(pdu)
		case late:
			l.counts.late.Add(1)
			at += size
		case badChecksum:
			l.counts.badChecksum.Add(1)
			l.bad.Add("bad_checksum", l.buf[at:at+size])
			at, skip = at+1, skip+1
		case foreign:
			at, skip = at+1, skip+1
		case more:
			err := errTimeout
			if time.Now().Before(until) && len(l.buf) < kept {
				_, err = l.receive(until)
			}
			if err != nil {
				l.skipped(l.buf[at-skip:], "no_reply")
				return nil, err
			}
		}
	}
}

// skipped counts bytes that no frame was found in, and keeps them.
func (l *line) skipped(b []byte, reason string) {
	if len(b) == 0 {
		return
	}
	l.counts.resync.Add(uint64(len(b)))
	l.bad.Add(reason, b)
	if isText(b) {
		l.counts.textReports.Add(1)
	}
}

// isText reports whether b looks like a sensor's text output rather than noise.
func isText(b []byte) bool {
	if len(b) < 6 {
		return false
	}
	printable := 0
	for _, c := range b {
		if c >= 0x20 && c < 0x7F || c == '\r' || c == '\n' {
			printable++
		}
	}
	return printable*10 >= len(b)*9
}
