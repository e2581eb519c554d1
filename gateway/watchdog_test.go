package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// While something is stuck systemd hears nothing, and so ends the gateway.
func TestAStuckGatewayIsNotFed(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", addr)
	t.Setenv("WATCHDOG_USEC", "3000")
	said := make(chan string, 1024)
	go func() {
		defer close(said)
		for b := make([]byte, 64); ; {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			said <- string(b[:n])
		}
	}()
	var asked, stuckFrom atomic.Int64
	stuckFrom.Store(5)
	stop := notify(context.Background(), slog.New(slog.DiscardHandler), func() string {
		if asked.Add(1) > stuckFrom.Load() {
			return "spool"
		}
		return ""
	})
	require.Eventually(t, func() bool { return asked.Load() > 20 }, time.Minute, time.Millisecond)
	stuckFrom.Store(1 << 60)
	from := asked.Load()
	require.Eventually(t, func() bool { return asked.Load() > from+5 }, time.Minute, time.Millisecond)
	stop()
	heard := map[string]int{}
	for s := range said {
		if heard[s]++; s == "STOPPING=1" {
			l.Close()
		}
	}
	require.Equal(t, 1, heard["READY=1"])
	require.GreaterOrEqual(t, heard["WATCHDOG=1"], 9)
	require.LessOrEqual(t, heard["WATCHDOG=1"], int(asked.Load()-from)+6, "not while it was stuck")
}
