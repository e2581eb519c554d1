package porttest

import (
	"io"
	"os"
	"sync"
	"time"
)

// lineBuffer is how many unread bytes a direction holds; a writer waits for room beyond it.
const lineBuffer = 1 << 20

// Pipe makes a line in memory with a driver's and a device's end. After one end is closed the
// other reads what was still on the line and then io.EOF.
func Pipe() (driver, device *End) {
	down, up := newLine(), newLine()
	return &End{in: up, out: down}, &End{in: down, out: up}
}

// End is one end of a Pipe. It is a port.Port.
type End struct {
	in, out *line

	mu       sync.Mutex
	deadline time.Time
}

// Read waits for bytes until the deadline as it stood when Read began.
func (e *End) Read(b []byte) (int, error) {
	e.mu.Lock()
	until := e.deadline
	e.mu.Unlock()
	return e.in.read(b, until)
}

// Write puts b on the line.
func (e *End) Write(b []byte) (int, error) { return e.out.write(b) }

// SetReadDeadline bounds later Reads.
func (e *End) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deadline = t
	return nil
}

// Flush throws away received bytes.
func (e *End) Flush() error {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	e.in.buf = nil
	e.in.signal()
	return nil
}

// Close hangs up.
func (e *End) Close() error {
	e.in.shut(os.ErrClosed, io.ErrClosedPipe)
	e.out.shut(io.EOF, os.ErrClosed)
	return nil
}

// A line is one direction.
type line struct {
	mu       sync.Mutex
	buf      []byte
	readErr  error         // what a reader gets once buf is empty; nil while open
	writeErr error         // what a writer gets; nil while open
	changed  chan struct{} // closed and renewed at each change
}

func newLine() *line { return &line{changed: make(chan struct{})} }

// signal wakes everybody who waits. Callers hold mu.
func (l *line) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *line) shut(readErr, writeErr error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readErr == nil {
		l.readErr, l.writeErr = readErr, writeErr
	}
	if readErr == os.ErrClosed { // our own Close: nothing is read any more
		l.readErr, l.buf = readErr, nil
	}
	l.signal()
}

func (l *line) read(b []byte, until time.Time) (int, error) {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		l.mu.Lock()
		n := copy(b, l.buf)
		l.buf = l.buf[n:]
		err, changed := l.readErr, l.changed
		if n > 0 {
			l.signal()
		}
		l.mu.Unlock()
		if n > 0 || len(b) == 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		select {
		case <-changed:
		case <-timeout:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (l *line) write(b []byte) (int, error) {
	done := 0
	for {
		l.mu.Lock()
		if l.writeErr != nil {
			defer l.mu.Unlock()
			return done, l.writeErr
		}
		n := min(len(b)-done, lineBuffer-len(l.buf))
		if n > 0 {
			l.buf = append(l.buf, b[done:done+n]...)
			done += n
			l.signal()
		}
		changed := l.changed
		l.mu.Unlock()
		if done == len(b) {
			return done, nil
		}
		<-changed
	}
}
