package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker"
)

const example = "../configs/gateway.example.yaml"

type result struct {
	code           int
	stdout, stderr string
}

func call(t *testing.T, stdin string, args ...string) result {
	var out, err bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

func TestTheExampleIsRight(t *testing.T) {
	r := call(t, "", "-check", "-config", example)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "gateway: van-03")
	require.Contains(t, r.stdout, "kind: lockerbus")
	require.NotContains(t, r.stdout, "pbkdf2")

	// What -check prints is a configuration again, but for the secrets.
	file := filepath.Join(t.TempDir(), "printed.yaml")
	hash, err := broker.HashPassword("x")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(r.stdout, "(set)", hash)), 0o600))
	again := call(t, "", "-check", "-config", file)
	require.Zero(t, again.code, again.stderr)
	require.Equal(t, r.stdout, again.stdout)
}

// Whoever reads the example reads what is there without it: the defaults in it are the defaults.
func TestTheExamplesDefaults(t *testing.T) {
	src, err := os.ReadFile(example)
	require.NoError(t, err)
	var short strings.Builder
	skip := false
	for line := range strings.Lines(string(src)) {
		if line[0] != ' ' && line[0] != '#' && line[0] != '\n' {
			skip = strings.HasPrefix(line, "log:") || strings.HasPrefix(line, "spool:") || strings.HasPrefix(line, "clock:")
		}
		if !skip && !strings.Contains(line, "retry_") {
			short.WriteString(line)
		}
	}
	file := filepath.Join(t.TempDir(), "short.yaml")
	require.NoError(t, os.WriteFile(file, []byte(short.String()), 0o600))
	require.Equal(t, call(t, "", "-check", "-config", example), call(t, "", "-check", "-config", file))
}

func TestBadConfigIs78AndNamesEveryPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "g.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`gateway: VAN
data: d
uplink: {url: "tls://c:1", ca: a, cert: b, key: c}
devices:
  - {id: gps, kind: gnss, port: "serial:/dev/ttyUSB0?bawd=9600"}
  - {id: cold, kind: modbus, port: "tcp:h:502", units: [{unit: 1, probe: a, profile: nothing}]}
  - {id: board, kind: lockerbus, port: "tcp:h:1", feedback: maybe, boards: [{board: 1}]}
  - {id: dock, kind: llrp, port: "tcp:h:5084", sesion: 1}
`), 0o600))
	for _, args := range [][]string{{"-config", file}, {"-check", "-config", file}, {"key", "-config", file}} {
		r := call(t, "", args...)
		require.Equal(t, exitConfig, r.code)
		for _, want := range []string{":1:10: gateway: ", ":5:33: devices[0].port: ", ":6:", "devices[1].units[0].profile", ":7:", "devices[2].feedback: ", "devices[2].boards[0].cells: is required", ":8:48: devices[3].sesion: unknown key"} {
			require.Contains(t, r.stderr, want)
		}
	}
	require.Equal(t, exitConfig, call(t, "", "-config", filepath.Join(t.TempDir(), "none.yaml")).code)
}

func TestUsageIs2(t *testing.T) {
	for _, args := range [][]string{{}, {"-check"}, {"fly"}, {"spool"}, {"spool", "a", "b"}, {"version", "x"}, {"-nope"}, {"-config", example, "x"}} {
		require.Equal(t, exitUsage, call(t, "", args...).code, args)
	}
}

func TestHash(t *testing.T) {
	r := call(t, "secret\n", "hash")
	require.Zero(t, r.code, r.stderr)
	require.NoError(t, broker.CheckPasswordHash(strings.TrimSpace(r.stdout)))
	require.Equal(t, exitFailed, call(t, "\n", "hash").code)
}

func TestVersion(t *testing.T) {
	require.Equal(t, result{0, "dev\n", ""}, call(t, "", "version"))
}

func writeConfig(t *testing.T) (dir, file string) {
	dir = t.TempDir()
	file = filepath.Join(dir, "g.yaml")
	require.NoError(t, os.WriteFile(file, []byte("gateway: van-03\ndata: data\nuplink: {url: \"tls://127.0.0.1:1\", ca: ca.pem, cert: cert.pem, key: key.pem}\n"), 0o600))
	return dir, file
}

func TestKeyIsMadeOnceAndStays(t *testing.T) {
	dir, file := writeConfig(t)
	r := call(t, "", "key", "-config", file)
	require.Zero(t, r.code, r.stderr)
	block, _ := pem.Decode([]byte(r.stdout))
	req, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, req.CheckSignature())
	require.Equal(t, "van-03", req.Subject.CommonName)
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	require.Zero(t, call(t, "", "key", "-config", file).code)
	again, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	require.Equal(t, key, again)
	require.NotContains(t, r.stdout, "PRIVATE")
}

// systemd is told that the gateway is up, that it lives, and that it stops.
func TestNotify(t *testing.T) {
	_, file := writeConfig(t)
	addr := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", addr)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint((30 * time.Millisecond).Microseconds()))
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		var out bytes.Buffer
		code <- run(ctx, []string{"-config", file}, nil, &out, &out)
	}()
	hear := func() string {
		require.NoError(t, l.SetReadDeadline(time.Now().Add(10*time.Second)))
		b := make([]byte, 64)
		n, err := l.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
	require.Equal(t, "READY=1", hear())
	require.Equal(t, "WATCHDOG=1", hear())
	cancel()
	require.Zero(t, <-code)
	said := "WATCHDOG=1"
	for said == "WATCHDOG=1" {
		said = hear()
	}
	require.Equal(t, "STOPPING=1", said)

	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	notify(t.Context(), slog.New(slog.DiscardHandler), nil)()
}

func TestASpoolCanBePrinted(t *testing.T) {
	dir, file := writeConfig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.Zero(t, run(ctx, []string{"-config", file}, nil, &out, &out))
	r := call(t, "", "spool", filepath.Join(dir, "data", "spool"))
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, 4, strings.Count(r.stdout, "opening"), r.stdout)
	require.Equal(t, exitFailed, call(t, "", "spool", filepath.Join(dir, "nothing")).code)
}

func TestAFrameIsPrinted(t *testing.T) {
	for _, name := range []string{"v1", "v2"} {
		r := call(t, "", "frame", "../broker/frame/testdata/"+name+".frame")
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, `"lat": 30.5`)
	}
	require.Equal(t, exitFailed, call(t, "", "frame", "main.go").code)
}
