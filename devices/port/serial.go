package port

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// maxLockFD keeps the descriptors opened after the lock below 1024: the library waits with
// select(2), whose set ends there.
const maxLockFD = 1000

var parities = map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity}

type serialPort struct {
	addr     string
	dev      serial.Port
	lock     int // descriptor that holds the flock
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
	dev, err := serial.Open(a.target, mode)
	if err != nil {
		unix.Close(lock)
		return nil, fmt.Errorf("open %s: %w", a.text, err)
	}
	// What came before the speed was set is noise.
	_ = dev.ResetInputBuffer()
	return &serialPort{addr: a.text, dev: dev, lock: lock}, nil
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
	case fd > maxLockFD:
		unix.Close(fd)
		return -1, fmt.Errorf("too many open files: descriptor %d", fd)
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

// Read maps the library's ways (0 bytes and no error after a time-out, PortClosed for a
// hang-up) to the contract.
func (p *serialPort) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		wait := time.Duration(serial.NoTimeout)
		if d := p.deadline.Load(); d != nil {
			wait = max(time.Until(*d), 0)
		}
		if err := p.dev.SetReadTimeout(wait); err != nil {
			return 0, p.fail("read", err)
		}
		n, err := p.dev.Read(b)
		switch {
		case n > 0:
			return n, nil
		case err != nil:
			return 0, p.fail("read", err)
		case wait != serial.NoTimeout:
			return 0, fmt.Errorf("read %s: %w", p.addr, os.ErrDeadlineExceeded)
		}
	}
}

// Write writes all of b.
func (p *serialPort) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if p.closed.Load() {
			return done, fmt.Errorf("write %s: %w", p.addr, os.ErrClosed)
		}
		n, err := p.dev.Write(b[done:])
		done += n
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, p.fail("write", err)
		}
	}
	return done, nil
}

// fail tells our own Close from a peer that hung up: the library calls both PortClosed.
func (p *serialPort) fail(op string, err error) error {
	if p.closed.Load() {
		return fmt.Errorf("%s %s: %w", op, p.addr, os.ErrClosed)
	}
	var pe *serial.PortError
	if errors.As(err, &pe) && pe.Code() == serial.PortClosed {
		return fmt.Errorf("%s %s: hung up: %w", op, p.addr, io.EOF)
	}
	return fmt.Errorf("%s %s: %w", op, p.addr, err)
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
	if err := p.dev.ResetInputBuffer(); err != nil {
		return p.fail("flush", err)
	}
	return nil
}

// Close ends a blocked Read and frees the device; a second Close is harmless.
func (p *serialPort) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	err := p.dev.Close()
	unix.Close(p.lock)
	if err != nil {
		return fmt.Errorf("close %s: %w", p.addr, err)
	}
	return nil
}
