package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Line is the device's end of a serial cable; Path is where the gateway finds the other end.
type Line struct {
	Path string

	mu     sync.Mutex
	device *os.File // pty master
	cable  *os.File // pty slave, held open so that the gateway may come and go
}

// OpenLine makes a serial cable.
func OpenLine() (*Line, error) {
	device, path, err := openMaster()
	if err != nil {
		return nil, fmt.Errorf("line: %w", err)
	}
	end, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("line: %w", err), device.Close())
	}
	l := &Line{Path: path, device: device, cable: end}
	if err := l.raw(); err != nil {
		return nil, errors.Join(fmt.Errorf("line: %w", err), l.Close())
	}
	return l, nil
}

// openMaster opens a pty without ever making it blocking, so that deadlines work.
func openMaster() (*os.File, string, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", err
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		return nil, "", errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "/dev/ptmx"), fmt.Sprintf("/dev/pts/%d", n), nil
}

// raw switches echo and line editing off, as serial devices expect.
func (l *Line) raw() error {
	return control(l.cable, func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		return unix.IoctlSetTermios(fd, unix.TCSETS, t)
	})
}

// unread is how many bytes a UART's buffer holds before it overruns.
const unread = 2048

// Write sends bytes to the gateway. When nobody reads, older bytes are lost, as in a UART that
// overruns; it never blocks for longer than a moment.
func (l *Line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := control(l.cable, func(fd int) error {
		share(fd)
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || n <= unread {
			return err
		}
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	})
	if err != nil {
		return 0, fmt.Errorf("line: %w", err)
	}
	if err := l.device.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, fmt.Errorf("line: %w", err)
	}
	n, err := l.device.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return len(b), nil // overrun: the rest is lost on the wire
	}
	return n, err
}

// Read reads what the gateway sent.
func (l *Line) Read(b []byte) (int, error) { return l.device.Read(b) }

// SetReadDeadline bounds later Reads.
func (l *Line) SetReadDeadline(t time.Time) error { return l.device.SetReadDeadline(t) }

// share lets a reader open the line again. A reader that was killed leaves its exclusive mark
// (TIOCEXCL) on the terminal, which on real hardware goes with the last close.
func share(fd int) { _ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0) }

// Idle is called while nothing arrives.
func (l *Line) Idle() {
	_ = control(l.cable, func(fd int) error { share(fd); return nil })
}

// Close unplugs the cable.
func (l *Line) Close() error { return errors.Join(l.device.Close(), l.cable.Close()) }

// Plug makes name a symbolic link to the cable's end, a name that outlives the pty.
func (l *Line) Plug(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("line: %w", err)
	}
	return os.Symlink(l.Path, name)
}

func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// cable is what a device with requests and answers needs of its line.
type cable interface {
	io.ReadWriter
	SetReadDeadline(t time.Time) error
	Idle()
}

// quiet is how long a device waits between looks at a silent line.
const quiet = 500 * time.Millisecond

// pump hands every byte that arrives on c to took and calls idle after each silence of gap, the
// end of a frame on buses that frame by silence. It returns when ctx ends or the line breaks.
func pump(ctx context.Context, c cable, gap time.Duration, took func([]byte), idle func()) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 512)
	wait := quiet
	for {
		if ctx.Err() != nil {
			return nil
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return fmt.Errorf("line: %w", err)
		}
		if ctx.Err() != nil { // the deadline above may have undone stop's
			return nil
		}
		n, err := c.Read(buf)
		if n > 0 {
			took(buf[:n])
			wait = gap
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && wait == quiet:
			c.Idle()
		case errors.Is(err, os.ErrDeadlineExceeded):
			idle()
			wait = quiet
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("line: %w", err)
		}
	}
}
