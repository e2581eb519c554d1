package port_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
)

func TestCheck(t *testing.T) {
	for _, addr := range []string{
		"serial:/dev/ttyUSB0",
		"serial:/dev/serial/by-id/usb-Prolific-if00?baud=115200",
		"serial:/dev/ttyS1?baud=4800&data=7&parity=E&stop=2",
		"tcp:192.168.1.40:5084",
		"tcp:[fe80::1%eth0]:502",
		"tcp:reader.local:1",
	} {
		require.NoError(t, port.Check(addr), addr)
	}
	for addr, why := range map[string]string{
		"":                                    "must start with serial: or tcp:",
		"/dev/ttyUSB0":                        "must start with serial: or tcp:",
		"udp:1.2.3.4:5":                       "must start with serial: or tcp:",
		"serial:ttyUSB0":                      "must be absolute",
		"serial:":                             "must be absolute",
		"serial:/dev/tty\x00S0":               "must be absolute",
		"serial:/dev/ttyUSB0?":                `unknown key ""`,
		"serial:/dev/ttyUSB0?boud=9600":       `unknown key "boud"`,
		"serial:/dev/ttyUSB0?baud":            `baud "" is out of range`,
		"serial:/dev/ttyUSB0?baud=9600.0":     "is out of range",
		"serial:/dev/ttyUSB0?baud=+9600":      "is out of range",
		"serial:/dev/ttyUSB0?baud=09600":      "is out of range",
		"serial:/dev/ttyUSB0?baud=0":          "is out of range",
		"serial:/dev/ttyUSB0?baud=9600&":      `unknown key ""`,
		"serial:/dev/ttyUSB0?baud=1&baud=300": "given twice",
		"serial:/dev/ttyUSB0?parity=n":        "is out of range",
		"serial:/dev/ttyUSB0?data=9&stop=1.5": "stop",
		"tcp:host":                            "must be tcp:host:port",
		"tcp::502":                            "host is empty",
		"tcp:host:0":                          "is not 1 to 65535",
		"tcp:host:70000":                      "is not 1 to 65535",
		"tcp:host:modbus":                     "is not 1 to 65535",
		"tcp:host:502?timeout=1":              "tcp takes no keys",
	} {
		err := port.Check(addr)
		require.ErrorContains(t, err, why, addr)
		_, openErr := port.Open(t.Context(), addr)
		require.Equal(t, err, openErr)
	}
}

// pair is an open port and the device at its other end.
type pair struct {
	port.Port
	device io.ReadWriteCloser
}

// kinds are the ways a port is made; all keep one contract.
var kinds = map[string]func(*testing.T) pair{
	"serial": func(t *testing.T) pair {
		master, addr := porttest.PTY(t)
		p, err := port.Open(t.Context(), addr)
		require.NoError(t, err)
		t.Cleanup(func() { p.Close() })
		return pair{p, master}
	},
	"tcp": func(t *testing.T) pair {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		p, err := port.Open(t.Context(), "tcp:"+ln.Addr().String())
		require.NoError(t, err)
		conn, err := ln.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { p.Close(); conn.Close() })
		return pair{p, conn}
	},
	"pipe": func(t *testing.T) pair {
		driver, device := porttest.Pipe()
		return pair{driver, device}
	},
}

func each(t *testing.T, test func(*testing.T, pair)) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	n, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	return string(b)
}

// Every byte value passes both ways: nothing is a control character, nothing echoes.
func TestBytesPass(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	each(t, func(t *testing.T, p pair) {
		write(t, p.device, string(all))
		require.Equal(t, string(all), read(t, p, 256))
		write(t, p, string(all))
		require.Equal(t, string(all), read(t, p.device, 256))
	})
}

func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		began := time.Now()
		require.NoError(t, p.SetReadDeadline(began.Add(30*time.Millisecond)))
		n, err := p.Read(make([]byte, 10))
		require.Zero(t, n)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.GreaterOrEqual(t, time.Since(began), 29*time.Millisecond)

		require.NoError(t, p.SetReadDeadline(began)) // long past
		_, err = p.Read(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		write(t, p.device, "still usable")
		require.NoError(t, p.SetReadDeadline(time.Time{}))
		require.Equal(t, "still usable", read(t, p, 12))
	})
}

func TestCloseEndsRead(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		ended := make(chan error, 1)
		go func() {
			_, err := p.Read(make([]byte, 10))
			ended <- err
		}()
		require.NoError(t, p.Close())
		err := <-ended
		require.True(t, errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed), "%v", err)
		_, err = p.Read(make([]byte, 10))
		require.True(t, errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed), "%v", err)
		_, err = p.Write([]byte("x"))
		require.Error(t, err)
	})
}

func TestUnplug(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		require.NoError(t, p.device.Close())
		_, err := p.Read(make([]byte, 10))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrClosed)
		require.NotErrorIs(t, err, net.ErrClosed)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestUnplugEndsABlockedRead(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		ended := make(chan error, 1)
		go func() {
			_, err := p.Read(make([]byte, 10))
			ended <- err
		}()
		require.NoError(t, p.device.Close())
		require.Error(t, <-ended)
	})
}

func TestFlush(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		require.NoError(t, p.Flush())
		write(t, p.device, "old")
		require.Equal(t, "o", read(t, p, 1)) // the rest has arrived too
		require.NoError(t, p.SetReadDeadline(time.Now().Add(-time.Second)))
		require.NoError(t, p.Flush())
		require.NoError(t, p.SetReadDeadline(time.Time{}))
		write(t, p.device, "new")
		require.Equal(t, "new", read(t, p, 3))
	})
}

func TestFlushKeepsTheDeadline(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		require.NoError(t, p.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		require.NoError(t, p.Flush())
		_, err := p.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// A line that takes no more bytes must not keep a driver from stopping.
func TestCloseEndsABlockedWrite(t *testing.T) {
	_, addr := porttest.PTY(t)
	p, err := port.Open(t.Context(), addr)
	require.NoError(t, err)
	ended := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		for {
			if _, err := p.Write(make([]byte, 64<<10)); err != nil {
				ended <- err
				return
			}
		}
	}()
	<-began
	require.Never(t, func() bool { return len(ended) > 0 }, 50*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-ended, os.ErrClosed)
}

// Many opens and closes under a reader: no descriptor of another file is ever read or closed.
func TestOpenAndCloseUnderLoad(t *testing.T) {
	master, addr := porttest.PTY(t)
	for range 50 {
		p, err := port.Open(t.Context(), addr)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, p)
			ended <- err
		}()
		write(t, master, "$GPTXT,01,01,01,x*00\r\n")
		require.NoError(t, p.Close())
		if err := <-ended; err != nil {
			require.ErrorIs(t, err, os.ErrClosed)
		}
	}
}

func TestMissingDevice(t *testing.T) {
	_, err := port.Open(t.Context(), "serial:/dev/serial/by-id/no-such-receiver?baud=9600")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "no-such-receiver")
}

func TestNoTerminal(t *testing.T) {
	path := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := port.Open(t.Context(), "serial:"+path)
	require.ErrorContains(t, err, path)
}

// One owner at a time, root or not; after Close the next may open.
func TestSerialHasOneOwner(t *testing.T) {
	master, addr := porttest.PTY(t)
	first, err := port.Open(t.Context(), addr)
	require.NoError(t, err)
	_, err = port.Open(t.Context(), addr)
	require.ErrorContains(t, err, "in use")
	write(t, master, "mine")
	require.Equal(t, "mine", read(t, first, 4))

	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "a second Close is harmless")
	second, err := port.Open(t.Context(), addr)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// A new port doesn't see what came before its speed was set.
func TestSerialStartsEmpty(t *testing.T) {
	master, addr := porttest.PTY(t)
	write(t, master, "old")
	p, err := port.Open(t.Context(), addr)
	require.NoError(t, err)
	defer p.Close()
	write(t, master, "new")
	require.Equal(t, "new", read(t, p, 3))
}

func TestSerialSettings(t *testing.T) {
	master, addr := porttest.PTY(t)
	p, err := port.Open(t.Context(), addr[:len(addr)-len("?baud=9600")]+"?baud=19200&data=7&parity=O&stop=2")
	require.NoError(t, err)
	defer p.Close()
	conn, err := master.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, conn.Control(func(fd uintptr) {
		set, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		require.NoError(t, err)
		require.EqualValues(t, unix.B19200, set.Cflag&unix.CBAUD)
		require.NotZero(t, set.Cflag&unix.CSTOPB)
		require.Zero(t, set.Lflag&(unix.ECHO|unix.ICANON))
	}))
}

func TestNoListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := "tcp:" + ln.Addr().String()
	ln.Close()
	_, err = port.Open(t.Context(), addr)
	require.ErrorContains(t, err, addr)
}

func TestOpenAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, addr := porttest.PTY(t)
	_, err := port.Open(ctx, addr)
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"serial:/dev/ttyUSB0?baud=9600&parity=N", "tcp:host:1", "tcp:[::1]:2", "serial:/?=&&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) { _ = port.Check(addr) })
}
