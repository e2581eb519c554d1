package lockerbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
)

// kept bounds the received bytes that no frame was found in yet.
const kept = 512

var errTimeout = errors.New("no reply")

type counters struct {
	framesOK, badChecksum, resync, timeouts, retries, late atomic.Uint64
	changes, echoes, pulses, jams, boardsLost, disagreed   atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "bad_checksum": c.badChecksum.Load(), "resync": c.resync.Load(),
		"timeouts": c.timeouts.Load(), "retries": c.retries.Load(), "late_replies": c.late.Load(),
		"changes": c.changes.Load(), "echoes": c.echoes.Load(), "pulses": c.pulses.Load(), "jams": c.jams.Load(),
		"boards_lost": c.boardsLost.Load(), "disagreed": c.disagreed.Load(),
	}
}

// A line has one owner and one outstanding request. A goroutine of its own only reads.
type line struct {
	port   port.Port
	family family
	cfg    Config
	counts *counters
	bad    *devices.BadFrames

	rx  chan []byte // closed when the port fails
	err error       // why; read after rx was closed

	buf     []byte
	skip    int          // leading bytes of buf that no frame begins at
	quiet   time.Time    // the line was busy until then
	changes []told       // unasked, in order
	echo    []byte       // what is to come back from the adapter first
	last    map[int]told // what a board told, where that counts only when it was read twice
}

// listen begins to read p. The returned function ends it and closes p.
func listen(p port.Port, cfg Config, counts *counters, bad *devices.BadFrames) (*line, func()) {
	l := &line{port: p, family: families[cfg.family()], cfg: cfg, counts: counts, bad: bad, rx: make(chan []byte), last: map[int]told{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.read(stop) })
	return l, func() {
		close(stop)
		_ = p.Close()
		wg.Wait()
	}
}

func (l *line) read(stop <-chan struct{}) {
	defer close(l.rx)
	var chunk [256]byte
	for {
		n, err := l.port.Read(chunk[:])
		if n > 0 {
			select {
			case l.rx <- bytes.Clone(chunk[:n]):
			case <-stop:
				return
			}
		}
		if err != nil {
			l.err = fmt.Errorf("read: %w", err)
			return
		}
	}
}

// ask sends q and returns its answer. The error is errTimeout, ctx's, or what broke the port.
func (l *line) ask(ctx context.Context, q request) (told, error) {
	if err := l.settle(ctx); err != nil {
		return told{}, err
	}
	return l.send(ctx, q)
}

// sure is ask for an answer that counts: where its check covers no states, one that differs from the last must come
// twice.
func (l *line) sure(ctx context.Context, q request) (told, error) {
	t, err := l.ask(ctx, q)
	if before, seen := l.last[q.board]; err != nil || !l.family.limits().twice || seen && t == before {
		return t, err
	}
	again, err := l.ask(ctx, q)
	switch {
	case err != nil:
		return told{}, err
	case again != t:
		l.counts.disagreed.Add(1)
		return told{}, errTimeout
	}
	l.last[q.board] = t
	return t, nil
}

// send is ask on a line that is settled.
func (l *line) send(ctx context.Context, q request) (told, error) {
	if l.cfg.Echo {
		l.echo = q.frame
		defer func() { l.echo = nil }()
	}
	if _, err := l.port.Write(q.frame); err != nil {
		return told{}, fmt.Errorf("write: %w", err)
	}
	l.quiet = time.Now()
	limit := l.cfg.Timeout
	switch {
	case q.quiet:
		limit = pulse
	case q.op == opOpen:
		limit += pulse // some boards answer when the pulse is over
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		if t, ok := l.scan(&q); ok {
			return t, nil
		}
		if err := l.receive(ctx, timer.C); err != nil {
			if err == errTimeout && !q.quiet {
				l.counts.timeouts.Add(1)
			}
			return told{}, err
		}
	}
}

// askAgain asks up to n times: for reads only.
func (l *line) askAgain(ctx context.Context, q request, n int) (t told, err error) {
	for i := range n {
		if i > 0 {
			l.counts.retries.Add(1)
		}
		if t, err = l.sure(ctx, q); err != errTimeout {
			return t, err
		}
	}
	return told{}, err
}

// settle waits until the line has been silent for the gap. What comes meanwhile is an unasked
// change or nothing.
func (l *line) settle(ctx context.Context) error {
	giveUp := time.Now().Add(l.cfg.Gap + l.cfg.Timeout)
	for {
		now := time.Now()
		if now.After(giveUp) {
			l.counts.timeouts.Add(1)
			return errTimeout // the line is never silent
		}
		var err error
		select {
		case chunk, ok := <-l.rx: // what came already is no answer to what is asked now
			err = l.feed(chunk, ok)
		default:
			timer := time.NewTimer(l.quiet.Add(l.cfg.Gap).Sub(now))
			err = l.receive(ctx, timer.C)
			timer.Stop()
		}
		switch {
		case err == nil:
			l.scan(nil)
		case err == errTimeout:
			l.discard(l.skip, "resync")
			l.discard(len(l.buf), "cut")
			return nil
		default:
			return err
		}
	}
}

// receive waits for bytes until the timer fires, which is errTimeout.
func (l *line) receive(ctx context.Context, timer <-chan time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case chunk, ok := <-l.rx:
		return l.feed(chunk, ok)
	case <-timer:
		return errTimeout
	}
}

// feed takes what came from rx.
func (l *line) feed(chunk []byte, ok bool) error {
	if !ok {
		return l.err
	}
	l.quiet = time.Now()
	l.buf = append(l.buf, chunk...)
	return nil
}

// scan takes frames from the front of buf until q's answer, which it returns.
func (l *line) scan(q *request) (told, bool) {
	for {
		b := l.buf[l.skip:]
		if n := len(l.echo); n > 0 && len(b) > 0 && bytes.HasPrefix(l.echo, b[:min(n, len(b))]) {
			if len(b) < n {
				return told{}, false
			}
			l.counts.echoes.Add(1)
			l.echo = nil
			l.take(n)
			continue
		}
		size, v, t := l.family.find(b, q)
		switch v {
		case more:
			if len(l.buf) > kept {
				l.discard(l.skip, "resync")
			}
			return told{}, false
		case foreign:
			l.skip++
		case badChecksum:
			l.counts.badChecksum.Add(1)
			l.bad.Add("bad_checksum", b[:size])
			l.skip++
		case reply:
			l.counts.framesOK.Add(1)
			l.take(size)
			return t, true
		case change:
			l.counts.framesOK.Add(1)
			l.counts.changes.Add(1)
			l.changes = append(l.changes, t)
			l.take(size)
		case late:
			l.counts.late.Add(1)
			l.take(size)
		}
	}
}

// take cuts the frame of size bytes that stands after skip off buf, skip included.
func (l *line) take(size int) {
	l.discard(l.skip, "resync")
	l.buf = append(l.buf[:0], l.buf[size:]...)
}

// discard throws away n bytes in front, and with them the knowledge of skip.
func (l *line) discard(n int, reason string) {
	if n > 0 {
		l.counts.resync.Add(uint64(n))
		l.bad.Add(reason, l.buf[:n])
	}
	l.buf = append(l.buf[:0], l.buf[n:]...)
	l.skip = 0
}
