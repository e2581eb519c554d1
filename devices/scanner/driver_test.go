package scanner

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

func dock() Config { return Config{Port: "serial:/dev/ttyUSB0"} }

func newDriver(t testing.TB, c Config, open port.Opener) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "dock-scanner", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

func TestContract(t *testing.T) {
	for _, end := range []string{"line", "pause"} {
		scans := func(ctx context.Context, conn devicestest.Conn) {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				text := "]C1010690123456789210A1"
				if end == "line" {
					text += "\r\n"
				}
				if _, err := conn.Write([]byte(text)); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		}
		make := func(open port.Opener) devices.Driver {
			c := dock()
			c.End = end
			return newDriver(t, c, open)
		}
		devicestest.Contract(t, make, scans)
		devicestest.OnPTY(t, make, scans)
	}
}

// runs plays device to a driver for as long as limit and returns the bodies of what it told.
func runs(t *testing.T, c Config, limit time.Duration, device devicestest.Device) (bodies []string, d *Driver, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	d = newDriver(t, c, func(context.Context, string) (port.Port, error) {
		driver, conn := porttest.Pipe()
		go func() {
			defer conn.Close()
			device(ctx, conn)
		}()
		return driver, nil
	})
	err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate())
			require.True(t, r.At.IsZero())
			require.Empty(t, r.N)
			bodies = append(bodies, string(r.Body))
		}
		return nil
	})
	synctest.Wait()
	return bodies, d, err
}

func TestDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies, d, err := runs(t, dock(), time.Hour, func(ctx context.Context, conn devicestest.Conn) {
			devicestest.Play(t, "testdata/dock.txt")(ctx, conn)
		})
		require.ErrorIs(t, err, context.DeadlineExceeded, "silence is no fault")
		code128 := func(text string) string { return `{"symbology":"code128","text":"` + text + `","aim":"C0"}` }
		require.Equal(t, []string{
			code128("YT2608050017"), code128("YT2608050018"), code128("YT2608050018"),
			`{"symbology":"gs1-128","text":"00006141411234567890","aim":"C1","gs1":{"00":"006141411234567890"}}`,
			`{"symbology":"qr","text":"驿站 7号","aim":"Q1"}`,
			`{"symbology":"ean13","text":"6901234567892","aim":"E0"}`,
		}, bodies)
		c := d.Counters()
		require.EqualValues(t, 1, c["malformed"])
		require.EqualValues(t, 1, c["cut"])
		require.EqualValues(t, 1, c["gs1_ok"])
	})
}

// What a scanner was saying when its cable went is no scan, though it looks like one.
func TestUnpluggedInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies, d, err := runs(t, dock(), time.Hour, func(_ context.Context, conn devicestest.Conn) {
			_, _ = conn.Write([]byte("YT2608050017\rYT26080"))
		})
		require.Error(t, err)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.Equal(t, []string{`{"text":"YT2608050017"}`}, bodies)
		require.EqualValues(t, 1, d.Counters()["cut"])
		require.Equal(t, devices.BadFrame{N: 1, Reason: "cut", Hex: "59543236303830"}, d.LastBad()[0])
	})
}

// A scanner without line ends: a pause ends a scan, however slowly the line drips.
func TestPauseEndsAScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dock()
		c.End, c.MinLength = "pause", 5
		bodies, d, _ := runs(t, c, time.Minute, func(ctx context.Context, conn devicestest.Conn) {
			for _, s := range []string{"YT26", "08050", "017", "~", "YT2608050018", "~", "abc", "~"} {
				wait := 20 * time.Millisecond
				if s == "~" {
					wait = 100 * time.Millisecond
				} else if _, err := conn.Write([]byte(s)); err != nil {
					return
				}
				time.Sleep(wait)
			}
			<-ctx.Done()
		})
		require.Equal(t, []string{`{"text":"YT2608050017"}`, `{"text":"YT2608050018"}`}, bodies)
		require.EqualValues(t, 1, d.Counters()["malformed"], "too short")
	})
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"port: "}},
		{"words", func(c *Config) { c.End, c.Encoding = "tab", "gbk" }, []string{"end: ", "encoding: "}},
		{"min_length", func(c *Config) { c.MinLength = -1 }, []string{"min_length: "}},
	} {
		cfg := dock()
		c.edit(&cfg)
		err := cfg.Validate()
		require.Error(t, err, c.name)
		got := strings.Split(err.Error(), "\n")
		require.Len(t, got, len(c.want), err)
		for i, w := range c.want {
			require.True(t, strings.HasPrefix(got[i], w), "%q begins no %q", got[i], w)
		}
	}
}
