package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest/transcript"
	"yizhan/devices/port/porttest"
)

// A screen is what a program writes, readable while it runs.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

const fixSentence = "$GNRMC,055234.200,A,4739.71890,N,12219.58362,W,0.00,286.35,050826,,,A,V*11\r\n"

// chatter is a receiver that says the same all the time, each fifth time wrong.
func chatter(t *testing.T, master *os.File) {
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			say := fixSentence
			if i%5 == 4 {
				say = "$GNRMC,055234.200,A*00\r\n"
			}
			_ = master.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) // nobody reads yet
			_, _ = master.Write([]byte(say))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

func recordConfig(t *testing.T, addr string) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "g.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `gateway: van-03
data: %s
uplink: {url: "tls://127.0.0.1:1", ca: ca, cert: cert, key: key}
devices:
  - {id: gps, kind: gnss, port: %q}
  - {id: sms, kind: modem, port: "serial:/dev/null-2"}
`, filepath.Join(dir, "data"), addr), 0o600))
	return file
}

// recorded runs `gateway record` until it heard something, and returns what it said and wrote.
func recorded(t *testing.T, config string, args ...string) (said, wrote string) {
	out := filepath.Join(t.TempDir(), "capture")
	ctx, cancel := context.WithCancel(t.Context())
	var stderr screen
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"record", "-config", config, "gps", out}, args...), strings.NewReader(""), &screen{}, &stderr)
	}()
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(out)
		return strings.Count(string(b), "GNRMC") > 7
	}, time.Minute, 10*time.Millisecond, "nothing was written: %s", &stderr)
	cancel()
	require.Zero(t, <-code, stderr.String())
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	return stderr.String(), string(b)
}

// A recording is a transcript that plays, whether a gateway runs or not; raw, it is what decode takes.
func TestRecord(t *testing.T) {
	master, addr := porttest.PTY(t)
	chatter(t, master)
	config := recordConfig(t, addr)

	said, wrote := recorded(t, config)
	require.Contains(t, said, "no gateway runs")
	script, err := transcript.Parse(strings.NewReader(wrote))
	require.NoError(t, err)
	require.Contains(t, string(script.FromDevice()), fixSentence+fixSentence)
	require.Contains(t, wrote, "# van-03/gps (gnss)")

	var stderr screen
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"-config", config}, strings.NewReader(""), &screen{}, &stderr) }()
	socket := filepath.Join(filepath.Dir(config), "data", "record.sock")
	require.Eventually(t, func() bool {
		info, err := os.Stat(socket)
		return err == nil && info.Mode().Perm() == 0o600
	}, time.Minute, 10*time.Millisecond, "%s", &stderr)
	said, wrote = recorded(t, config)
	require.Contains(t, said, "in the gateway that runs")
	script, err = transcript.Parse(strings.NewReader(wrote))
	require.NoError(t, err)
	require.Contains(t, string(script.FromDevice()), fixSentence+fixSentence)
	said, wrote = recorded(t, config, "-raw")
	require.Regexp(t, `\d+ bytes from the device, 0 to it`, said)
	decoded := call(t, wrote, "decode", "gnss")
	require.Contains(t, decoded.stdout, `"at":"2026-08-05T05:52:34.200Z"`)
	_, wrote = recorded(t, config)
	require.Contains(t, wrote, "# thrown away before, number 1: bad_checksum 24474e524d43")
	cancel()
	require.Zero(t, <-code, stderr.String())

	said, _ = recorded(t, config) // the socket is still there, and nobody behind it
	require.Contains(t, said, "no gateway runs")
}

func TestRecordForAWhile(t *testing.T) {
	_, addr := porttest.PTY(t)
	r := call(t, "", "record", "-for", "50ms", "-config", recordConfig(t, addr), "gps", "-")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "0 bytes from the device, 0 to it")
	require.True(t, strings.HasPrefix(r.stdout, "# van-03/gps"), r.stdout)
}

func TestRecordRefuses(t *testing.T) {
	config := recordConfig(t, "serial:/dev/null-1")
	taken := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(taken, []byte("a capture"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		why  string
	}{
		{[]string{"-config", config, "cold", "-"}, exitFailed, `no device \"cold\"`},
		{[]string{"-config", config, "sms", "-"}, exitFailed, "a person's"},
		{[]string{"-config", config, "-private", "-for", "1ms", "sms", "-"}, exitOK, "the driver runs here"},
		{[]string{"-config", config, "gps", taken}, exitFailed, "file exists"},
		{[]string{"-config", config, "gps"}, exitUsage, "usage: gateway record"},
		{[]string{"gps", "-"}, exitUsage, "usage: gateway record"},
		{[]string{"-config", config, "-for", "-1s", "gps", "-"}, exitUsage, "usage: gateway record"},
		{[]string{"-loud"}, exitUsage, "usage: gateway record"},
		{[]string{"-config", taken, "gps", "-"}, exitConfig, "taken"},
		{[]string{"-h"}, exitOK, "usage: gateway record"},
	} {
		r := call(t, "", append([]string{"record"}, c.args...)...)
		require.Equal(t, c.code, r.code, "%v: %s", c.args, r.stderr)
		require.Contains(t, r.stderr, c.why, "%v", c.args)
	}
	b, err := os.ReadFile(taken)
	require.NoError(t, err)
	require.Equal(t, "a capture", string(b))
}
