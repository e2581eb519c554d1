package firmware

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startMosquitto runs a broker that nobody here wrote.
func startMosquitto(t *testing.T) (host, port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	host, port, err = net.SplitHostPort(addr)
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "listener %s %s\nallow_anonymous true\n", port, host), 0o644))
	cmd := exec.Command("/usr/sbin/mosquitto", "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), "mosquitto is installed by .ci/deps")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return host, port
}

// The locker as mosquitto's broker and clients see it.
func TestLockerAtMosquitto(t *testing.T) {
	host, port := startMosquitto(t)
	sub := exec.CommandContext(t.Context(), "stdbuf", "-oL", "mosquitto_sub", "-h", host, "-p", port, "-d", "-t", "locker/k7/#", "-q", "1", "-F", "> %t %p")
	out, err := sub.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, sub.Start(), "mosquitto-clients are installed by .ci/deps")
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Subscribed") {
	}
	l := NewLocker(net.JoinHostPort(host, port), "wall", "x", "k7", 3)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-done)
	}()
	// heard returns the next message on a topic that holds a text.
	heard := func(topic, text string) (v struct {
		Result       string
		Error        string `json:"error_code"`
		Compartments []compartment
	}) {
		t.Helper()
		for lines.Scan() {
			payload, ok := strings.CutPrefix(lines.Text(), "> locker/k7/"+topic+" ")
			if ok && strings.Contains(payload, text) {
				require.NoError(t, json.Unmarshal([]byte(payload), &v))
				return v
			}
		}
		require.FailNow(t, "no message", "%s %s", topic, text)
		return v
	}
	order := func(id string, cell int, deadline time.Time) {
		t.Helper()
		payload := fmt.Sprintf(`{"transaction_id":%q,"action":"open_compartment","expires_at":%q,"data":{"compartment_number":%d}}`, id, deadline.UTC().Format(time.RFC3339), cell)
		out, err := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-q", "1", "-t", "locker/k7/command", "-m", payload).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	soon := time.Now().Add(time.Minute)
	heard("state/connection", "online")
	require.Equal(t, []compartment{{1, "closed", false}, {2, "closed", false}, {3, "closed", false}}, heard("state/compartments", "").Compartments)

	order("t-1", 2, soon)
	require.Equal(t, "success", heard("response", "t-1").Result)
	require.Equal(t, "open", heard("state/compartments", "").Compartments[1].Door)
	order("t-1", 2, soon) // again
	require.Equal(t, "success", heard("response", "t-1").Result)
	require.Equal(t, 1, l.Pulses(2), "one transaction, one pulse")
	require.NoError(t, l.Put(2, true))
	require.True(t, heard("state/compartments", "").Compartments[1].Occupied)

	order("t-2", 1, time.Now().Add(-time.Minute))
	require.Equal(t, "expired", heard("response", "t-2").Result)
	order("t-3", 9, soon)
	require.Equal(t, "rejected", heard("response", "t-3").Result)
	require.Zero(t, l.Pulses(1))
	l.Jam(3, true)
	order("t-4", 3, soon)
	require.Equal(t, "success", heard("response", "t-4").Result)
	heard("event", `"event":"door_jammed"`)
	require.Eventually(t, func() bool { return l.Waiting() == 0 }, time.Minute, time.Millisecond)
	require.Positive(t, l.Safe())
}
