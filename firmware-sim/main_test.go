package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/power"
)

func TestUsage(t *testing.T) {
	var out, errs strings.Builder
	for _, args := range [][]string{{}, {"nonsense"}, {"county", "-speed"}, {"county", "-port", "0"}, {"power", "van-01"}, {"replay", "gnss"}} {
		require.Equal(t, 2, status(&errs, run(t.Context(), args, &out, &errs)), "%v", args)
	}
	require.Equal(t, 1, status(&errs, run(t.Context(), []string{"replay", "gnss", "/nowhere"}, &out, &errs)))
	require.NoError(t, run(t.Context(), []string{"version"}, &out, &errs))
	require.Equal(t, "dev\n", out.String())
}

func TestReplayPrintsThePtyAndPlays(t *testing.T) {
	log := filepath.Join(t.TempDir(), "gps.log")
	require.NoError(t, os.WriteFile(log, []byte("$GNRMC,055234.200,A\r\n$GNRMC,055235.200,A\r\nend\r\n"), 0o600))
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"replay", "gnss", log, "-speed", "10"}, in, io.Discard) }()
	path, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	tty, err := os.OpenFile(strings.TrimSpace(path), os.O_RDWR, 0)
	require.NoError(t, err)
	defer tty.Close()
	lines := bufio.NewScanner(tty)
	for lines.Scan() && lines.Text() != "end" {
	}
	require.Equal(t, "end", lines.Text())
	cancel()
	require.NoError(t, <-done)
}

func TestACountyStartsWhole(t *testing.T) {
	bad := map[string]options{
		"another simulator":   {boards: "wh-1"},
		"no board":            {boards: "van-99"},
		"needs its warehouse": {boards: "van-01"},
		"-speed":              {speed: -1},
		"no such file":        {county: "/nowhere"},
	}
	for want, o := range bad {
		o.data, o.bin = t.TempDir(), t.TempDir()
		if o.county == "" {
			o.county = "../configs/county"
		}
		if o.speed == 0 {
			o.speed = 1
		}
		o.port = freePort(t)
		if want == "another simulator" {
			l, err := power.TakeLock(o.data)
			require.NoError(t, err)
			defer l.Close()
		}
		_, err := openSite(t.Context(), &o, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestNobodyAtTheSocket(t *testing.T) {
	start := time.Now()
	_, err := order(t.Context(), t.TempDir(), "van-01", "kill")
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second)
}
