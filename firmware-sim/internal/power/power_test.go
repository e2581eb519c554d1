package power

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rack runs a rack for a test; the returned function stops it and waits.
func rack(t *testing.T) (*Rack, func()) {
	t.Helper()
	r := &Rack{Logger: slog.New(slog.DiscardHandler), Grace: 300 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := func() {
		cancel()
		require.NoError(t, <-done)
		done <- nil
	}
	t.Cleanup(stop)
	return r, stop
}

func shell(t *testing.T, name, script string) Unit {
	return Unit{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), name+".log")}
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, 5*time.Millisecond, what)
}

func pid(t *testing.T, u Unit, start int) (n int) {
	t.Helper()
	soon(t, "pid in the log", func() bool {
		b, _ := os.ReadFile(u.Log)
		lines := strings.Fields(string(b))
		if len(lines) < start {
			return false
		}
		n, _ = strconv.Atoi(lines[start-1])
		return n > 0
	})
	return n
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestAKilledUnitIsStartedAgain(t *testing.T) {
	r, stop := rack(t)
	u := shell(t, "van-01", "echo $$; exec sleep 1000")
	r.Add(u)
	first := pid(t, u, 1)
	require.NoError(t, r.Kill("van-01"))
	second := pid(t, u, 2)
	require.NotEqual(t, first, second)
	require.False(t, alive(first))
	require.Equal(t, 2, r.Starts("van-01"))
	stop()
	require.False(t, alive(second), "units die with the rack")
	require.ErrorIs(t, r.Kill("nobody"), ErrNoUnit)
}

func TestPowerOffAndOn(t *testing.T) {
	r, _ := rack(t)
	u := shell(t, "van-01", "echo $$; exec sleep 1000")
	r.Add(u)
	first := pid(t, u, 1)
	require.NoError(t, r.Pause("van-01"))
	require.NoError(t, r.Resume("van-01"))
	require.NoError(t, r.Off("van-01"))
	soon(t, "it is off", func() bool { return !alive(first) && !r.Running("van-01") })
	require.ErrorIs(t, r.Kill("van-01"), ErrNotRunning)
	require.Equal(t, 1, r.Starts("van-01"))
	require.NoError(t, r.On("van-01"))
	require.True(t, alive(pid(t, u, 2)))
}

func TestStoppingIsPoliteFirst(t *testing.T) {
	r, stop := rack(t)
	polite := shell(t, "polite", "trap 'echo bye; exit 0' TERM; echo 1; while :; do sleep 0.01; done")
	deaf := shell(t, "deaf", "trap '' TERM; echo $$; while :; do sleep 0.01; done")
	r.Add(polite)
	r.Add(deaf)
	pid(t, polite, 1)
	n := pid(t, deaf, 1)
	require.NoError(t, r.Pause("polite"))
	stop()
	b, err := os.ReadFile(polite.Log)
	require.NoError(t, err)
	require.Contains(t, string(b), "bye")
	require.False(t, alive(n))
}

// TestUnitsDieWithAKilledRack runs a rack in another process and kills that with -9.
func TestUnitsDieWithAKilledRack(t *testing.T) {
	if dir := os.Getenv("POWER_TEST_RACK"); dir != "" {
		r := &Rack{Logger: slog.New(slog.DiscardHandler)}
		r.Add(Unit{Name: "board", Path: "/bin/sh", Args: []string{"-c", "echo $$; exec sleep 1000"}, Log: filepath.Join(dir, "board.log")})
		require.NoError(t, r.Run(context.Background()))
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestUnitsDieWithAKilledRack$")
	cmd.Env = append(os.Environ(), "POWER_TEST_RACK="+dir)
	require.NoError(t, cmd.Start())
	board := pid(t, Unit{Log: filepath.Join(dir, "board.log")}, 1)
	require.True(t, alive(board))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	soon(t, "the board is gone", func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(board) + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ") // a zombie waits for init
	})
}

func TestOneSimulatorAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	l, err := TakeLock(dir)
	require.NoError(t, err)
	_, err = TakeLock(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, l.Close())
	l, err = TakeLock(dir)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestALinkCanBeCut(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := OpenLink("127.0.0.1:0", far.Addr().String())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, far.Close())
	})
	dial := func() (near, other net.Conn) {
		near, err := net.Dial("tcp", l.Addr())
		require.NoError(t, err)
		require.NoError(t, near.SetDeadline(time.Now().Add(5*time.Second)))
		other, err = far.Accept()
		require.NoError(t, err)
		return near, other
	}
	near, other := dial()
	_, err = near.Write([]byte("hello\n"))
	require.NoError(t, err)
	got, err := bufio.NewReader(other).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", got)
	l.Cut()
	_, err = near.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, other.Close())
	l.Mend()
	near, other = dial()
	require.NoError(t, other.Close())
	_, err = near.Read(make([]byte, 1))
	require.Error(t, err, "the far side's end is told")
}

func TestASkyHasWeather(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := OpenLink("127.0.0.1:0", far.Addr().String())
	require.NoError(t, err)
	l.Sky = &Sky{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, far.Close())
	})
	near, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	other, err := far.Accept()
	require.NoError(t, err)
	defer other.Close()
	heard := make(chan string, 8)
	go func() {
		for in := bufio.NewReader(other); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				close(heard)
				return
			}
			heard <- line
		}
	}()
	say := func(line string) time.Time {
		_, err := near.Write([]byte(line))
		require.NoError(t, err)
		return time.Now()
	}
	l.Sky.Set(Weather{Delay: 50 * time.Millisecond, Rate: 10_000})
	began := say(strings.Repeat("x", 999) + "\n") // 100 ms of line
	require.Len(t, <-heard, 1000)
	require.GreaterOrEqual(t, time.Since(began), 150*time.Millisecond)
	l.Sky.Set(Weather{Deaf: [2]bool{Up: true}})
	say("later\n")
	_, err = other.Write([]byte("down\n")) // the other direction is open
	require.NoError(t, err)
	line, err := bufio.NewReader(near).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "down\n", line)
	require.Empty(t, heard)
	l.Sky.Set(Weather{})
	require.Equal(t, "later\n", <-heard)
	up, down := l.Sky.Through()
	require.EqualValues(t, []uint64{1006, 5}, []uint64{up, down})
	l.Reset()
	_, err = near.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, open := <-heard
	require.False(t, open)
}

// Packets are lost by chance and when too many wait; what isn't comes through in order.
func TestPacketsGetLost(t *testing.T) {
	var sky Sky
	sky.Set(Weather{Loss: 0.25})
	n, got := 0, 0
	last := byte(0)
	err := sky.Packets(t.Context(), Up, func(b []byte) (int, error) {
		if n++; n > 4000 {
			return 0, io.EOF
		}
		b[0], b[1] = byte(n>>8), byte(n)
		return 2, nil
	}, func(b []byte) error {
		require.GreaterOrEqual(t, b[0], last)
		last = b[0]
		got++
		return nil
	})
	require.ErrorIs(t, err, io.EOF)
	require.InDelta(t, 3000, got, 300)
}
