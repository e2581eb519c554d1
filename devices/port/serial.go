package port

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

var parities = map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity}

// A serialPort carries its bytes over a descriptor of its own, which also holds the flock; the
// library sets the line up and claims it. The library's own Read and Write won't do: its Close
// closes the descriptor under them, whose number may by then be another file's; a Write to a line
// that takes no more bytes can't be ended; and select(2) ends at descriptor 1023.
type serialPort struct {
	addr string
	dev  serial.Port
	fd   int // non-blocking
	wake int // eventfd that ends the waiting

	use      sync.RWMutex // held for reading while a descriptor is in use
	closed   atomic.Bool
	deadline atomic.Pointer[time.Time] // nil: none
}

func openSerial(a address) (Port, error) {
	lock, err := lockDevice(a.target)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", a.text, err)
	}
	mode := &serial.Mode{BaudRate: a.line.baud, DataBits: a.line.data, Parity: parities[a.line.parity], StopBits: serial.OneStopBit}
	if a.line.stop == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	p := &serialPort{addr: a.text, fd: lock, wake: -1}
	if p.dev, err = serial.Open(a.target, mode); err == nil {
		p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err != nil {
		_ = p.release()
		return nil, fmt.Errorf("open %s: %w", a.text, err)
	}
	// What came before the speed was set is noise.
	_ = p.dev.ResetInputBuffer()
	return p, nil
}

// release frees what is open. Nothing may be in use.
func (p *serialPort) release() (err error) {
	if p.dev != nil {
		err = p.dev.Close()
	}
	if p.wake >= 0 {
		unix.Close(p.wake)
	}
	unix.Close(p.fd)
	return err
}

// lockDevice opens the device once more and locks that descriptor: TIOCEXCL alone doesn't keep
// root out. It comes first, since after TIOCEXCL an ordinary user couldn't open again.
func lockDevice(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return -1, errors.New("in use by another program")
	case err != nil:
		return -1, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return -1, errors.New("in use: locked by another program or driver")
		}
		return -1, fmt.Errorf("lock: %w", err)
	}
	return fd, nil
}

// Read waits for bytes.
func (p *serialPort) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	p.use.RLock()
	defer p.use.RUnlock()
	for {
		if err := p.wait(unix.POLLIN, p.deadline.Load()); err != nil {
			return 0, fmt.Errorf("read %s: %w", p.addr, err)
		}
		n, err := unix.Read(p.fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, fmt.Errorf("read %s: hung up: %w", p.addr, io.EOF)
		case !again(err):
			return 0, fmt.Errorf("read %s: %w", p.addr, err)
		}
	}
}

// Write writes all of b.
func (p *serialPort) Write(b []byte) (int, error) {
	p.use.RLock()
	defer p.use.RUnlock()
	done := 0
	for done < len(b) {
		err := p.wait(unix.POLLOUT, nil)
		if err == nil {
			var n int
			n, err = unix.Write(p.fd, b[done:])
			done += max(n, 0)
		}
		if err != nil && !again(err) {
			return done, fmt.Errorf("write %s: %w", p.addr, err)
		}
	}
	return done, nil
}

func again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }

// wait returns nil when the line can be read or written, or is gone.
func (p *serialPort) wait(events int16, until *time.Time) error {
	fds := [...]unix.PollFd{{Fd: int32(p.fd), Events: events}, {Fd: int32(p.wake), Events: unix.POLLIN}}
	for !p.closed.Load() {
		var limit *unix.Timespec
		if until != nil {
			ts := unix.NsecToTimespec(int64(max(time.Until(*until), 0)))
			limit = &ts
		}
		n, err := unix.Ppoll(fds[:], limit, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return os.ErrDeadlineExceeded
		case fds[1].Revents == 0:
			return nil
		}
	}
	return os.ErrClosed
}

// SetReadDeadline bounds later Reads.
func (p *serialPort) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		p.deadline.Store(nil)
	} else {
		p.deadline.Store(&t)
	}
	return nil
}

// Flush throws away received bytes.
func (p *serialPort) Flush() error {
	p.use.RLock()
	defer p.use.RUnlock()
	if p.closed.Load() {
		return fmt.Errorf("flush %s: %w", p.addr, os.ErrClosed)
	}
	if err := p.dev.ResetInputBuffer(); err != nil {
		return fmt.Errorf("flush %s: %w", p.addr, err)
	}
	return nil
}

// Close ends a blocked Read or Write and frees the device; a second Close is harmless.
func (p *serialPort) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	one := [8]byte{1} // any number but 0, in either byte order
	_, wakeErr := unix.Write(p.wake, one[:])
	p.use.Lock()
	defer p.use.Unlock()
	if err := errors.Join(wakeErr, p.release()); err != nil {
		return fmt.Errorf("close %s: %w", p.addr, err)
	}
	return nil
}
