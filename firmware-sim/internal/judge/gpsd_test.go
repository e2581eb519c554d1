package judge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/gnss"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
	"yizhan/firmware-sim/internal/firmware"
)

// judged bounds a test with a judge: gpsd sniffs for seconds before it knows what is on a line.
const judged = 60 * time.Second

// circling is the truth: an antenna that goes round a hill at 12 m/s, one round in 10 minutes.
func circling(now time.Time) firmware.Fix {
	const speed, round = 12.0, 600.0
	const degree = 111_195.0
	radius := speed * round / (2 * math.Pi)
	s := float64(now.UnixMilli()%int64(round*1000)) / 1000
	angle := 2 * math.Pi * s / round // from north, clockwise
	return firmware.Fix{
		Lat: 30.5 + radius*math.Cos(angle)/degree, Lon: 103.25 + radius*math.Sin(angle)/degree/math.Cos(30.5*math.Pi/180),
		AltitudeM: 612.3, SpeedMPS: speed, HeadingDeg: math.Mod(angle*180/math.Pi+90, 360), Satellites: 12,
	}
}

// simulated receivers; each takes its line.
var receivers = map[string]func(*firmware.Line) func(context.Context) error{
	"nmea": func(l *firmware.Line) func(context.Context) error {
		return firmware.GPS{Line: l, Where: circling}.Run
	},
	"u-blox m8": func(l *firmware.Line) func(context.Context) error {
		return (&firmware.UBlox{Line: l, Where: circling, Chip: firmware.M8}).Run
	},
	"u-blox m10": func(l *firmware.Line) func(context.Context) error {
		return (&firmware.UBlox{Line: l, Where: circling, Chip: firmware.M10}).Run
	},
}

// plug runs a receiver on a line until the test ends.
func plug(t *testing.T, receiver func(*firmware.Line) func(context.Context) error) *firmware.Line {
	line, err := firmware.OpenLine()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- receiver(line)(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, line.Close())
	})
	return line
}

// gpsd starts a gpsd that owns the line, and returns its address.
func gpsd(t *testing.T, line *firmware.Line, args ...string) string {
	require.NoError(t, os.Chmod(line.Path, 0o666), "gpsd gives up being root before it opens devices")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().(*net.TCPAddr)
	require.NoError(t, ln.Close())
	cmd := exec.Command("/usr/sbin/gpsd", append([]string{"-N", "-n", "-S", fmt.Sprint(addr.Port)}, append(args, line.Path)...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), "gpsd is installed by .ci/deps")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("gpsd: %s", log.Bytes())
		}
	})
	require.Eventually(t, func() bool {
		c, err := net.DialTimeout("tcp", addr.String(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond, "gpsd doesn't listen")
	return addr.String()
}

// What gpsd makes of our simulated receivers, told by its own client, is where they are; and our driver, which reads the same gpsd,
// tells it so.
func TestGPSDReadsOurReceivers(t *testing.T) {
	for name, receiver := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := gpsd(t, plug(t, receiver))
			ctx, cancel := context.WithTimeout(t.Context(), judged)
			defer cancel()
			client := exec.CommandContext(ctx, "/usr/bin/gpspipe", "-w", addr)
			out, err := client.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, client.Start(), "gpspipe is installed by .ci/deps")
			defer func() {
				cancel()
				_ = client.Wait()
			}()
			agree(t, gnss.Config{Port: "tcp:" + addr, Protocol: gnss.GPSD}, 4) // meanwhile the client's output waits in its pipe
			agreed := 0
			for lines := bufio.NewScanner(out); agreed < 4 && lines.Scan(); {
				agreed += report(t, lines.Bytes())
			}
			require.Equal(t, 4, agreed, "gpsd ended, or time did")
		})
	}
}

// report compares one line of gpsd with the truth; 1 when it tells a whole position.
func report(t *testing.T, line []byte) int {
	var v struct {
		Class                          string
		Mode                           int
		Time                           time.Time
		Lat, Lon, AltMSL, Speed, Track *float64
	}
	if json.Unmarshal(line, &v) != nil || v.Class != "TPV" || v.Mode != 3 || v.Time.IsZero() || v.Lat == nil || v.Speed == nil {
		return 0
	}
	want := circling(v.Time)
	require.InDelta(t, want.Lat, *v.Lat, 2e-7, "%s", line)
	require.InDelta(t, want.Lon, *v.Lon, 2e-7, "%s", line)
	require.InDelta(t, want.AltitudeM, *v.AltMSL, 0.06, "%s", line)
	require.InDelta(t, want.SpeedMPS, *v.Speed, 0.01, "%s", line)
	require.InDelta(t, want.HeadingDeg, *v.Track, 0.02, "%s", line)
	return 1
}

// Our driver sets our simulated receivers up: to 5 Hz, to sentences or frames. One of another make stays as it is.
func TestOurDriverSetsUpOurReceivers(t *testing.T) {
	for _, tt := range []struct {
		receiver, messages    string
		set, refused, silence uint64
	}{
		{"nmea", "ubx", 0, 0, 1},
		{"u-blox m8", "ubx", 10, 0, 0},
		{"u-blox m8", "nmea", 8, 0, 0},
		{"u-blox m10", "ubx", 2, 1, 0},
		{"u-blox m10", "nmea", 2, 1, 0},
	} {
		t.Run(tt.receiver+" "+tt.messages, func(t *testing.T) {
			t.Parallel()
			line := plug(t, receivers[tt.receiver])
			n := 12
			if tt.set == 0 {
				n = 5 // by then it was asked three times
			}
			counters := agree(t, gnss.Config{Port: "serial:" + line.Path + "?baud=9600", Messages: tt.messages, Every: 200 * time.Millisecond}, n)
			require.Equal(t, []uint64{tt.set, tt.refused, tt.silence},
				[]uint64{counters["set_up"], counters["set_up_refused"], counters["set_up_unanswered"]})
			require.Zero(t, counters["bad_checksum"]+counters["malformed"]+counters["disagree"], counters)
		})
	}
}

// agree runs a driver until n of its positions agree with the truth; one that doesn't fails.
func agree(t *testing.T, c gnss.Config, n int) map[string]uint64 {
	d, err := gnss.New(c, devices.Env{Name: "gps", Log: slog.New(slog.DiscardHandler), Open: port.Open})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), judged)
	defer cancel()
	agreed := 0
	var told time.Time
	err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			p, err := telemetry.As[telemetry.Position](r)
			require.NoError(t, err)
			if !p.Valid || r.At.IsZero() {
				continue
			}
			want := circling(r.At)
			require.InDelta(t, want.Lat, p.Lat.Or(0), 2e-7)
			require.InDelta(t, want.Lon, p.Lon.Or(0), 2e-7)
			require.InDelta(t, want.SpeedMPS, p.SpeedMPS.Or(0), 0.01)
			require.InDelta(t, want.AltitudeM, p.AltitudeM.Or(0), 0.06)
			require.InDelta(t, want.HeadingDeg, p.HeadingDeg.Or(-1), 0.02)
			require.Equal(t, telemetry.Fix3D, p.Fix)
			require.Equal(t, telemetry.GNSS, r.TQ)
			require.True(t, r.At.After(told), "%v after %v", r.At, told)
			told = r.At
			agreed++
		}
		if agreed >= n {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled, "%d agreed: %v", agreed, d.Counters())
	return d.Counters()
}
