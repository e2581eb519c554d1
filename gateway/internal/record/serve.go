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

// A Request asks for a recording.
type Request struct {
	Device  string `json:"device"`
	Private bool   `json:"private,omitempty"` // who asks knows that what passes is a person's
}

// answer is the first line; Notes are what is known of the device so far.
type answer struct {
	Error string   `json:"error,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

// Serve answers on ln until ctx ends; allow refuses a request, or says what is known of its device.
func (t *Taps) Serve(ctx context.Context, ln net.Listener, allow func(Request) (notes []string, err error)) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	g, each := errgroup.WithContext(ctx)
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
			t.answer(each, conn, allow)
			return nil
		})
		if !ok {
			_ = send(conn, answer{Error: fmt.Sprintf("%d recordings are going on already", recordings)})
			_ = conn.Close()
		}
	}
}

// answer is one recording, until the client hangs up.
func (t *Taps) answer(ctx context.Context, conn net.Conn, allow func(Request) ([]string, error)) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var q Request
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	if err != nil {
		_ = send(conn, answer{Error: "which device?"})
		return
	}
	notes, err := allow(q)
	if err != nil {
		_ = send(conn, answer{Error: err.Error()})
		return
	}
	r := t.Follow(q.Device)
	defer r.Close()
	if send(conn, answer{Notes: notes}) != nil {
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
// nil), the gateway does, or each returns an error. ready is called when the recording has begun, with what is known of the
// device so far.
func Receive(ctx context.Context, conn net.Conn, q Request, ready func(notes []string), each func(Event) error) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	asked := send(conn, q) // who refuses may have hung up already; its word is still to be read
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
			ready(a.Notes)
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
	if err := errors.Join(asked, lines.Err()); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return errors.New("record: the gateway has ended")
}
