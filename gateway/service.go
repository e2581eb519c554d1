package main

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// memoryLimit is what the garbage collector aims to stay under (soft): boards have 512 MB and other work to do.
const memoryLimit = 24 << 20

// limitMemory sets the limit unless GOMEMLIMIT says another.
func limitMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// newLogger writes text for people at a terminal and JSON for everything else.
func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: l}
	if f, ok := w.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return slog.New(slog.NewTextHandler(w, opt))
		}
	}
	return slog.New(slog.NewJSONHandler(w, opt))
}

// notify tells systemd that the gateway is ready, and that it lives for as long as stuck returns, and returns nothing
// (sd_notify(3)). The function it returns says that the gateway stops.
func notify(ctx context.Context, log *slog.Logger, stuck func() string) (stopping func()) {
	addr := os.Getenv("NOTIFY_SOCKET")
	if addr == "" {
		return func() {}
	}
	if addr[0] == '@' {
		addr = "\x00" + addr[1:]
	}
	conn, err := net.Dial("unixgram", addr)
	if err != nil {
		log.Warn("systemd not told", "err", err)
		return func() {}
	}
	say := func(s string) {
		if _, err := conn.Write([]byte(s)); err != nil {
			log.Debug("systemd not told", "err", err)
		}
	}
	say("READY=1")
	ctx, cancel := context.WithCancel(ctx)
	if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
		go func() {
			t := time.NewTicker(time.Duration(us) * time.Microsecond / 3)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					if part := stuck(); part != "" {
						log.Error("watchdog not fed", "err", part+" is stuck")
						continue
					}
					say("WATCHDOG=1")
				}
			}
		}()
	}
	return func() {
		cancel()
		say("STOPPING=1")
	}
}

// report logs why the program failed, and returns its exit status.
func report(stderr io.Writer, err error) int {
	if err != nil {
		slog.New(slog.NewTextHandler(stderr, nil)).Error("gateway failed", "err", err)
		return exitFailed
	}
	return exitOK
}
