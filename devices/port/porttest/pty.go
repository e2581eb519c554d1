package porttest

import (
	"os"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// PTY opens a pseudo terminal. The test plays the device on master, which has deadlines; addr is
// what the driver opens. Closing master unplugs the device.
func PTY(t testing.TB) (master *os.File, addr string) {
	t.Helper()
	opened, slave, err := pty.Open()
	if err != nil {
		t.Fatalf("open a pty: %v", err)
	}
	defer opened.Close()
	if master, err = pollable(opened); err != nil {
		t.Fatalf("make the master's reads end at Close: %v", err)
	}
	// The slave stays open so that the line lives while the driver has it closed, and it is raw
	// from the start: a fresh terminal echoes and edits.
	t.Cleanup(func() {
		master.Close()
		slave.Close()
	})
	if err := raw(slave); err != nil {
		t.Fatalf("make %s raw: %v", slave.Name(), err)
	}
	return master, "serial:" + slave.Name() + "?baud=9600"
}

// pollable opens f anew: the pty package leaves it blocking, so that neither a deadline nor Close
// would end a Read.
func pollable(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func raw(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ioErr error
	err = conn.Control(func(fd uintptr) {
		var set *unix.Termios
		if set, ioErr = unix.IoctlGetTermios(int(fd), unix.TCGETS); ioErr != nil {
			return
		}
		set.Iflag = 0
		set.Oflag = 0
		set.Lflag = 0
		ioErr = unix.IoctlSetTermios(int(fd), unix.TCSETS, set)
	})
	if err != nil {
		return err
	}
	return ioErr
}
