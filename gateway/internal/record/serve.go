package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds of the socket.
const (
	recordings = 4
	patience   = 10 * time.Second
	maxRequest = 256
	maxEvent   = 1 << 20
)

type request struct {
	Device string `json:"device"`
}

type answer struct {
	Error string `json:"error,omitempty"`
}

// Serve answers on ln until ctx ends; known says which devices there are.
func (t *Taps) Serve(ctx context.Context, ln net.Listener, known func(device string) bool) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(recordings)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return errors.Join(err, g.Wait())
		}
		ok := g.TryGo(func() error {
			t.answer(ctx, conn, known)
			return nil
		})
		if !ok {
			_ = send(conn, answer{fmt.Sprintf("%d recordings are going on already", recordings)})
			_ = conn.Close()
		}
	}
}

// answer is one recording, until the client hangs up.
func (t *Taps) answer(ctx context.Context, conn net.Conn, known func(string) bool) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var q request
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	switch {
	case err != nil:
		_ = send(conn, answer{"which device?"})
		return
	case !known(q.Device):
		_ = send(conn, answer{fmt.Sprintf("the gateway that runs has no device %q", q.Device)})
		return
	}
	r := t.Follow(q.Device)
	defer r.Close()
	if send(conn, answer{}) != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	go func() { // a client says no more: a read that ends is its hanging up
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	for {
		select {
		case e := <-r.C:
			if send(conn, e) != nil {
				_ = conn.Close()
				<-gone
				return
			}
		case <-gone:
			return
		case <-ctx.Done():
			<-gone
			return
		}
	}
}

func send(conn net.Conn, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = conn.Write(append(b, '\n'))
	return err
}

// Receive follows a device of the gateway at the other end of conn, which it closes, until ctx ends (then it returns
// nil), the gateway does, or each returns an error. ready is called when the recording has begun.
func Receive(ctx context.Context, conn net.Conn, device string, ready func(), each func(Event) error) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := send(conn, request{device}); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxEvent)
	for begun := false; lines.Scan(); begun = true {
		if !begun {
			var a answer
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				return fmt.Errorf("record: %w", err)
			}
			if a.Error != "" {
				return fmt.Errorf("record: %s", a.Error)
			}
			ready()
			continue
		}
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return errors.New("record: the gateway has ended")
}
