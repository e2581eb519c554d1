package transcript

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Conn is the device's end of a wire: a pty master, a net.Conn, a porttest.End.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

// A Script is a parsed transcript.
type Script struct {
	steps []step
	again bool
}

type step struct {
	line  int
	send  []byte        // from the device
	want  []byte        // to the device
	pause time.Duration // silence of the device
}

// Parse reads a transcript. Its errors name the line.
func Parse(r io.Reader) (Script, error) {
	var s Script
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if s.again {
			return Script{}, fmt.Errorf("line %d: nothing can follow = again", n)
		}
		st, again, err := parseLine(text)
		if err != nil {
			return Script{}, fmt.Errorf("line %d: %w", n, err)
		}
		s.again = again
		if !again {
			st.line = n
			s.steps = append(s.steps, st)
		}
	}
	if s.again && s.endless() {
		return Script{}, errors.New("= again without a pause or an awaited frame would never rest")
	}
	return s, lines.Err()
}

func parseLine(text string) (st step, again bool, err error) {
	rest := strings.TrimSpace(text[1:])
	switch text[0] {
	case '<':
		st.send, err = content(rest)
	case '>':
		st.want, err = content(rest)
	case '~':
		st.pause, err = time.ParseDuration(rest)
		if err == nil && st.pause <= 0 {
			err = fmt.Errorf("pause %v is not positive", st.pause)
		}
	case '=':
		if rest != "again" {
			err = fmt.Errorf("%q: only = again is known", text)
		}
		return st, true, err
	default:
		err = fmt.Errorf("%.20q begins with none of < > ~ = #", text)
	}
	return st, false, err
}

func content(text string) ([]byte, error) {
	if strings.HasPrefix(text, `"`) {
		s, err := strconv.Unquote(text)
		return []byte(s), err
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err == nil && len(b) == 0 {
		err = errors.New("no bytes")
	}
	return b, err
}

func (s Script) endless() bool {
	for _, st := range s.steps {
		if st.pause > 0 || len(st.want) > 0 {
			return false
		}
	}
	return true
}

// FromDevice returns every byte the device sends, in order: what a stream decoder reads.
func (s Script) FromDevice() []byte {
	var b []byte
	for _, st := range s.steps {
		b = append(b, st.send...)
	}
	return b
}

// Play is the device. It returns nil when ctx ends or the driver hangs up, and an error that
// names the line when the driver sent something else than the transcript says. Whoever calls
// it closes conn when ctx ends, or Play may wait for the driver's next byte.
func (s Script) Play(ctx context.Context, conn Conn) error {
	for {
		for _, st := range s.steps {
			if err := st.play(ctx, conn); err != nil {
				if ctx.Err() != nil || errors.Is(err, errHungUp) {
					return nil
				}
				return fmt.Errorf("line %d: %w", st.line, err)
			}
		}
		if !s.again {
			break
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, conn) // silent, but the line stays open
	return nil
}

var errHungUp = errors.New("the driver hung up")

func (st step) play(ctx context.Context, conn Conn) error {
	switch {
	case st.pause > 0:
		timer := time.NewTimer(st.pause)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		}
	case len(st.send) > 0:
		if _, err := conn.Write(st.send); err != nil {
			return errHungUp
		}
		return nil
	}
	got := make([]byte, len(st.want))
	n, err := io.ReadFull(conn, got)
	if string(got[:n]) != string(st.want[:n]) {
		return fmt.Errorf("the driver sent % X where % X is due", got[:n], st.want)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return errHungUp
	}
	return err
}
