package jt808

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"yizhan/devices/telemetry"
)

const (
	readBytes    = 2 << 10  // of a read: a long frame, or a chatty minute
	backlogBytes = 16 << 10 // while a terminal sends what it kept
	keepBytes    = 4 << 10  // of acknowledgements, between reads
	keepReadings = 8
	maxEmit      = 256 // readings handed over at once
	writeWithin  = 10 * time.Second
	missedBeats  = 3
)

// A conn is one connection. Its goroutine reads, decodes, emits and acknowledges; commands only write.
type conn struct {
	*server
	net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the terminal is given back
	framer framer
	opened time.Time
	heard  time.Time // the last byte

	terminal *terminal     // nil before login
	head     header        // of the login: number and version to answer in
	reg      *registration // to be told at the login
	strikes  int
	hangUp   bool

	// What a read brought, until it is durable.
	rs    []telemetry.Reading
	out   []byte // acknowledgements
	told  []report
	edges edges    // of the terminal, with rs
	after []func() // answers to commands

	mu     sync.Mutex // of writes and what follows
	serial uint16     // of the next message to the terminal
	asked  *question  // by a command
}

// attend serves a connection to its end. Its error is one of emit: all else is the terminal's own affair.
func (s *server) attend(ctx context.Context, nc net.Conn) error {
	now := time.Now()
	c := &conn{server: s, Conn: nc, done: make(chan struct{}), opened: now, heard: now}
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer nc.Close()
	defer c.cancel()
	defer context.AfterFunc(c.ctx, func() { nc.Close() })()
	defer c.leave()
	c.framer = framer{take: c.frame, count: &s.count, reject: func(why counter, _ int64, raw []byte) {
		s.BadFrames.Add(counterNames[why], raw)
	}}
	return c.listen()
}

// leave gives the terminal back, for another connection to take.
func (c *conn) leave() {
	if c.terminal != nil {
		c.release(c.terminal)
	}
	close(c.done)
}

func (c *conn) listen() error {
	buf := make([]byte, readBytes)
	for {
		if err := c.SetReadDeadline(c.deadline()); err != nil {
			return nil
		}
		n, broken := c.Read(buf)
		if n > 0 {
			c.heard = time.Now()
			c.framer.feed(buf[:n])
		}
		if errors.Is(broken, os.ErrDeadlineExceeded) {
			broken = nil
			c.askFragments(time.Now())
			if !time.Now().Before(c.silentUntil()) {
				c.count.add(timeouts)
				c.hangUp = true
			}
		}
		if err := c.settle(); err != nil {
			return err
		}
		if broken != nil || c.hangUp || c.ctx.Err() != nil {
			return nil
		}
		switch {
		case n == len(buf) && n < backlogBytes:
			buf = make([]byte, backlogBytes)
		case n < readBytes && len(buf) > readBytes:
			buf = make([]byte, readBytes)
		}
	}
}

// silentUntil is when the connection ends unless it is heard: before login it is whatever comes.
func (c *conn) silentUntil() time.Time {
	if c.terminal == nil {
		return c.opened.Add(c.cfg.LoginWithin)
	}
	return c.heard.Add(missedBeats * c.cfg.Heartbeat)
}

// deadline is when the next thing is due that no byte brings.
func (c *conn) deadline() time.Time {
	until := c.silentUntil()
	if c.terminal != nil {
		if due := c.terminal.parts.due(); !due.IsZero() && due.Before(until) {
			return due
		}
	}
	return until
}

// askFragments asks for the fragments that are overdue.
func (c *conn) askFragments(now time.Time) {
	if c.terminal == nil {
		return
	}
	c.terminal.parts.overdue(now, &c.count, func(a *assembly) {
		c.out = c.head.appendMessage(c.out, askFragments, c.nextSerial(), missing(a.first, a.missing()))
	})
}

// settle hands over the readings of a read and, when they are durable, acknowledges what brought them. Its error is
// one of emit that isn't the end of the connection.
func (c *conn) settle() error {
	for rest := c.rs; len(rest) > 0; {
		n := min(len(rest), maxEmit)
		if err := c.emit(c.ctx, rest[:n:n]...); err != nil {
			if c.ctx.Err() != nil {
				return nil
			}
			return err
		}
		rest = rest[n:]
		c.heard = time.Now() // while emit waited nobody listened
	}
	if t := c.terminal; t != nil {
		t.edges = c.edges
		for _, r := range c.told {
			t.remember(r)
		}
	}
	if len(c.out) > 0 && c.write(c.out) != nil {
		c.hangUp = true
	}
	for _, answer := range c.after {
		answer()
	}
	if clear(c.rs); cap(c.rs) > keepReadings {
		c.rs = nil
	}
	if cap(c.out) > keepBytes {
		c.out = nil
	}
	c.rs, c.out, c.told, c.after = c.rs[:0], c.out[:0], c.told[:0], nil
	return nil
}

// write sends frames. A terminal that doesn't read loses its connection.
func (c *conn) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.SetWriteDeadline(time.Now().Add(writeWithin))
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		c.count.add(writesFailed)
		c.cancel()
	}
	return err
}

func (c *conn) nextSerial() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.serial
	c.serial++
	return n
}
