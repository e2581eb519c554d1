package supervise_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/gateway/internal/supervise"
)

func TestPulseStopsWhenAProbeStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []func()
		sent := 0
		p := supervise.NewPulse(30*time.Second,
			supervise.Probe{Name: "well", Send: func(back func()) error { sent++; back(); return nil }},
			supervise.Probe{Name: "spool", Send: func(back func()) error { held = append(held, back); return nil }},
			supervise.Probe{Name: "refuses", Send: func(func()) error { return errors.New("full") }})
		require.Empty(t, p.Stuck())
		time.Sleep(20 * time.Second)
		require.Empty(t, p.Stuck(), "slow isn't stuck")
		time.Sleep(20 * time.Second)
		require.Equal(t, "spool", p.Stuck())
		require.Len(t, held, 1, "one probe at a time")
		require.Equal(t, 3, sent)
		held[0]()
		require.Empty(t, p.Stuck())
		require.Len(t, held, 2)
	})
}

// fakeWatchdog stands in for /dev/watchdog: a plain file keeps what was written.
func fakeWatchdog(t *testing.T) (path string, fed func() []byte) {
	path = filepath.Join(t.TempDir(), "watchdog")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return path, func() []byte {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return b
	}
}

func TestHardwareWatchdog(t *testing.T) {
	path, fed := fakeWatchdog(t)
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		name := func() string {
			if stuck.Load() {
				return "spool"
			}
			return ""
		}
		go func() { ended <- supervise.Watchdog(ctx, path, quiet(), name, func() bool { return true }) }()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		require.Len(t, fed(), 13, "every 5 s")
		stuck.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, fed(), 13, "not while something is stuck")
		stuck.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, fed(), 14)
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, append(bytes.Repeat([]byte{0}, 14), 'V'), fed(), "asked to stop: switched off")
	})
}

func TestAFailedGatewayLeavesTheWatchdogOn(t *testing.T) {
	path, fed := fakeWatchdog(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, supervise.Watchdog(ctx, path, quiet(), func() string { return "" }, func() bool { return false }))
	require.Equal(t, []byte{0}, fed())
	require.ErrorIs(t, supervise.Watchdog(ctx, path+"x", quiet(), func() string { return "" }, func() bool { return true }), os.ErrNotExist)
}
