package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// Faults are what is wrong with a device's wire.
type Faults struct {
	Noise     float64 // chance of foreign bytes before a piece that the device sends
	Cut       float64 // chance that a piece stops half-way, as when power browns out
	WrongBaud bool    // the device is set to another speed: what arrives, either way, is not what was sent
}

// spoil is what arrives of b.
func (f Faults) spoil(b []byte) []byte {
	if rand.Float64() < f.Cut && len(b) > 1 {
		b = b[:1+rand.IntN(len(b)-1)]
	}
	if f.WrongBaud {
		b = misread(b)
	}
	if rand.Float64() < f.Noise {
		noise := make([]byte, 1+rand.IntN(8))
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		b = append(noise, b...)
	}
	return b
}

// misread is what a UART makes of bytes that come at half its speed: each bit twice, a start bit too early, and of two
// bytes it sees one.
func misread(b []byte) []byte {
	out := make([]byte, 0, len(b)/2+1)
	for i := 0; i < len(b); i += 2 {
		c := byte(0)
		for bit := range 4 {
			if b[i]>>bit&1 == 1 {
				c |= 0b11 << (2 * bit)
			}
		}
		out = append(out, c<<1)
	}
	return out
}

// Faulty is a cable with faults.
type Faulty struct {
	*Line
	Faults
}

// Write sends what the faults leave of b.
func (f *Faulty) Write(b []byte) (int, error) {
	if _, err := f.Line.Write(f.spoil(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Read receives; only a wrong speed spoils that.
func (f *Faulty) Read(b []byte) (int, error) {
	n, err := f.Line.Read(b)
	if f.WrongBaud {
		n = copy(b, misread(b[:n]))
	}
	return n, err
}

// FaultyListener accepts connections with faults.
type FaultyListener struct {
	net.Listener
	Faults
}

// Accept waits for the next connection.
func (l FaultyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return faultyConn{conn, l.Faults}, nil
}

type faultyConn struct {
	net.Conn
	Faults
}

func (c faultyConn) Write(b []byte) (int, error) {
	if _, err := c.Conn.Write(c.spoil(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Share is a serial server: it gives the cable's far end to one TCP client at a time, until ctx ends.
func (l *Line) Share(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line: %w", err)
		}
		if err := l.join(ctx, conn); err != nil && ctx.Err() == nil {
			return fmt.Errorf("line: %w", err)
		}
	}
}

// join carries bytes between the cable's far end and a client, until either ends.
func (l *Line) join(ctx context.Context, conn net.Conn) error {
	if err := l.cable.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() {
		_ = conn.Close()
		_ = l.cable.SetReadDeadline(time.Unix(1, 0))
	})()
	g.Go(func() error {
		_, err := io.Copy(l.cable, conn)
		return errors.Join(errHungUp, err)
	})
	g.Go(func() error {
		_, err := io.Copy(conn, l.cable)
		return errors.Join(errHungUp, err)
	})
	if err := g.Wait(); errors.Is(err, os.ErrClosed) {
		return err // the cable itself
	}
	return nil
}

var errHungUp = errors.New("hung up")
