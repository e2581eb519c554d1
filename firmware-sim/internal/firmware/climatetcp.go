package firmware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// The MBAP header of Modbus TCP: transaction, protocol 0, length of what follows, unit.
const (
	mbapHead  = 6
	maxMBAP   = 254              // unit and PDU
	noAnswer  = 11               // exception: the addressed unit didn't answer
	idleLimit = 10 * time.Minute // a client that says nothing is hung up on
)

// Serve is the unit with an Ethernet socket: Modbus TCP, several clients, until ctx ends.
func (c *Climate) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				return errors.Join(fmt.Errorf("climate: %w", err), g.Wait())
			}
			return g.Wait()
		}
		g.Go(func() error {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer conn.Close()
			c.converse(conn)
			return nil
		})
	}
}

// converse answers one client until it hangs up or says what is no Modbus.
func (c *Climate) converse(conn net.Conn) {
	var head [mbapHead]byte
	for {
		if conn.SetDeadline(time.Now().Add(idleLimit)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint16(head[4:])
		if head[2] != 0 || head[3] != 0 || n < 2 || n > maxMBAP {
			return
		}
		f := make([]byte, n)
		if _, err := io.ReadFull(conn, f); err != nil {
			return
		}
		answer := []byte{f[0], f[1] | 0x80, noAnswer}
		if f[0] == c.Address {
			answer = c.reply(f, time.Now())
		}
		out := append([]byte{head[0], head[1], 0, 0, 0, byte(len(answer))}, answer...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
