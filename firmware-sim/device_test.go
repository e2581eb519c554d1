package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onStand plays a device until the test's end and returns what it prints, line by line.
func onStand(t *testing.T, args ...string) *bufio.Reader {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"device"}, args...), in, io.Discard)
		done <- errors.Join(err, in.CloseWithError(err))
	}()
	t.Cleanup(func() {
		cancel()
		_ = out.Close()
		require.NoError(t, <-done, "%v", args)
	})
	return bufio.NewReader(out)
}

func printed(t *testing.T, out *bufio.Reader) string {
	t.Helper()
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// Every kind starts with all that can be wrong with it, is unplugged, comes back, and stops.
func TestEveryKindWithEveryFault(t *testing.T) {
	for kind, m := range models {
		var words []string
		for _, w := range m.words {
			if strings.Contains(w, "=") || kind == "gnss" && w == "brown_out" {
				continue // a setting; of another chip
			}
			if w == "unplug" || w == "brown_out" {
				w += "=150ms"
			}
			words = append(words, w)
		}
		if kind == "lockerbus" {
			words = append(words, "family=kr-cu16") // the ones that may echo
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			switch kind {
			case "jt808", "mqttlocker", "handheld": // they call
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer ln.Close()
				onStand(t, append([]string{kind, ln.Addr().String()}, words...)...)
				for range 2 {
					conn, err := ln.Accept()
					require.NoError(t, err)
					_, err = io.ReadFull(conn, make([]byte, 4))
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, conn)
					require.NoError(t, conn.Close())
				}
				return
			}
			address := map[string]string{"llrp": "127.0.0.1:0", "onewire": filepath.Join(t.TempDir(), "w1"), "modbus": "127.0.0.1:0"}[kind]
			if address == "" {
				address = filepath.Join(t.TempDir(), "tty")
			}
			out := onStand(t, append([]string{kind, address}, words...)...)
			require.NotEmpty(t, printed(t, out))
			require.NotEmpty(t, printed(t, out), "plugged in again")
		})
	}
}

func TestADeviceBehindASerialServer(t *testing.T) {
	addr := printed(t, onStand(t, "scale", "127.0.0.1:0", "format=plain"))
	for range 2 { // one client after the other
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		in := bufio.NewReader(conn)
		_, err = in.ReadString('\n') // may be cut
		require.NoError(t, err)
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		require.Regexp(t, `^ +[0-9.]+ kg\r\n$`, line)
		require.NoError(t, conn.Close())
	}
}

func TestADeviceHears(t *testing.T) {
	addr := printed(t, onStand(t, "lockerbus", "127.0.0.1:0", "stuck_door=2", "jam=1"))
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	ask := func(frame string, n int) []byte {
		_, err := conn.Write([]byte(frame))
		require.NoError(t, err)
		answer := make([]byte, n)
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err)
		return answer
	}
	const readAll, open1, open3 = "\x80\x01\x00\x33\xB2", "\x8A\x01\x01\x11\x9B", "\x8A\x01\x03\x11\x99"
	require.Equal(t, byte(0b1111_1101), ask(readAll, 7)[4], "door 2 stands open")
	ask(open1, 5)
	ask(open3, 5)
	require.Equal(t, byte(0b1111_1001), ask(readAll, 7)[4], "door 1 jams, door 3 opens")
	require.Eventually(t, func() bool { return ask(readAll, 7)[4] == 0b1111_1101 }, time.Minute, 100*time.Millisecond, "a hand shuts door 3")
}

func TestADeadProbeAndAWrongClock(t *testing.T) {
	dir := t.TempDir()
	printed(t, onStand(t, "onewire", dir, "dead_probe"))
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, w1Probe, "w1_slave"))
		return err == nil && strings.HasPrefix(string(text), "ff ff ff")
	}, time.Minute, 10*time.Millisecond)

	tty, err := os.Open(printed(t, onStand(t, "gnss", "pty", "clock_wrong=-8760h", "noise=0", "cut=0")))
	require.NoError(t, err)
	defer tty.Close()
	lines := bufio.NewScanner(tty)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "$GNRMC") {
	}
	require.Contains(t, lines.Text(), time.Now().Add(-8760*time.Hour).UTC().Format("06,,,A"))
}

func TestWrongWordsAreTold(t *testing.T) {
	for want, args := range map[string][]string{
		"KIND is one of":               {"gnss"},
		`"gps" is none of`:             {"gps", "pty"},
		`gnss has no "jam", but chip=`: {"gnss", "pty", "jam"},
		"no chance of 0 to 1":          {"modem", "pty", "noise=2"},
		"no number of 1 to 12":         {"lockerbus", "pty", "jam=13"},
		"no duration such as 20s":      {"scanner", "pty", "unplug=soon"},
		"no bb7e, a0, lenadr or swct":  {"uhf", "pty", "family=ff"},
		"no number of 7 to 12 digits":  {"jt808", "127.0.0.1:1", "phone=12a"},
		"no EPC of 24":                 {"llrp", "127.0.0.1:0", "tag=ff"},
	} {
		err := run(t.Context(), append([]string{"device"}, args...), io.Discard, io.Discard)
		require.ErrorIs(t, err, errUsage, want)
		require.ErrorContains(t, err, want)
	}
}
