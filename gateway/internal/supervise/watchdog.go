package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The watchdog's time when the device doesn't tell it, and how often it is fed within its time.
const (
	defaultTimeout = 15 * time.Second // of a Raspberry Pi's
	feedsATimeout  = 3
)

// Watchdog feeds the board's hardware watchdog (Linux, watchdog-api: /dev/watchdog) while stuck returns an empty name, until
// ctx ends. Then, when stopping returns true, it is switched off ('V' before the close); otherwise it goes on counting, and
// resets the board unless a next start feeds it in time. While something is stuck it isn't fed.
func Watchdog(ctx context.Context, path string, log *slog.Logger, stuck func() string, stopping func() bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	defer f.Close()
	timeout := defaultTimeout
	if s, err := unix.IoctlGetInt(int(f.Fd()), unix.WDIOC_GETTIMEOUT); err == nil && s > 0 {
		timeout = time.Duration(s) * time.Second
	}
	log.Info("hardware watchdog on", "path", path, "took", timeout)
	tick := time.NewTicker(timeout / feedsATimeout)
	defer tick.Stop()
	hungry := false
	for {
		name := stuck()
		if name == "" {
			if _, err := f.Write([]byte{0}); err != nil {
				return fmt.Errorf("watchdog: %w", err)
			}
		} else if !hungry {
			log.Error("hardware watchdog not fed", "err", name+" is stuck")
		}
		hungry = name != ""
		select {
		case <-tick.C:
		case <-ctx.Done():
			if !stopping() {
				return nil
			}
			if _, err := f.Write([]byte("V")); err != nil {
				return fmt.Errorf("watchdog: %w", err)
			}
			return nil
		}
	}
}
