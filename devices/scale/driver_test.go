package scale

import (
	"context"
	"fmt"
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

func dock() Config { return Config{Port: "serial:/dev/ttyUSB0", Format: "st-gs"} }

func newDriver(t testing.TB, c Config, open port.Opener) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "dock-scale", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

func TestContract(t *testing.T) {
	for _, format := range []string{"st-gs", "yaohua", "reversed", "toledo"} {
		t.Run(format, func(t *testing.T) {
			frame := map[string]string{
				"st-gs": "ST,GS,+  12.34kg\r\n", "yaohua": "\x02+0020002\x31B\x03", "reversed": "=000.3000", "toledo": toledo(0x24, 0x30, 0x20, "001234"),
			}[format]
			sends := func(ctx context.Context, conn devicestest.Conn) {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for {
					if _, err := conn.Write([]byte(frame)); err != nil {
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
				c.Format = format
				return newDriver(t, c, open)
			}
			devicestest.Contract(t, make, sends)
			if format == "st-gs" {
				devicestest.OnPTY(t, make, sends)
			}
		})
	}
}

// runs plays device to a driver for as long as limit and returns the bodies of what it told.
func runs(t *testing.T, c Config, limit time.Duration, device devicestest.Device) (bodies []string, d *Driver, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	d = newDriver(t, c, func(context.Context, string) (port.Port, error) {
		driver, conn := porttest.Pipe()
		go device(ctx, conn)
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		return driver, nil
	})
	err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate())
			require.True(t, r.At.IsZero())
			bodies = append(bodies, string(r.Body))
		}
		return nil
	})
	synctest.Wait()
	return bodies, d, err
}

func weighing(kg string) string { return `{"weight_kg":` + kg + `,"stable":true}` }

const overload = `{"code":"scale_overload","severity":"minor","detail":"the scale says its load is out of range"}`

func TestDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies, d, err := runs(t, dock(), 10*time.Second, devicestest.Play(t, "testdata/dock.txt"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []string{
			weighing("0"), weighing("12.34"), overload, weighing("12.34"),
		}, bodies, "the touched parcel is one weighing, the next one alike is another")
		require.EqualValues(t, 3, d.Counters()["weighings"])
		require.EqualValues(t, 1, d.Counters()["overloads"])
		require.Equal(t, "53542c47532c2b20ff322e33346b67", d.LastBad()[0].Hex)
	})
}

// pushes feeds weights ten times a second.
func pushes(p *pan, at *time.Time, n int, w weight) (told []string) {
	for range n {
		*at = at.Add(100 * time.Millisecond)
		if b := p.put(w, *at); b != nil {
			told = append(told, string(b.AppendJSON(nil)))
		}
	}
	return told
}

func TestPan(t *testing.T) {
	at := time.Date(2026, 8, 5, 12, 0, 0, 0, time.UTC)
	p := &pan{settle: 500 * time.Millisecond, minChange: 0.05}
	require.Equal(t, []string{weighing("0")}, pushes(p, &at, 20, weight{}))
	require.Empty(t, pushes(p, &at, 4, weight{kg: 2}), "not long enough")
	require.Empty(t, pushes(p, &at, 4, weight{kg: 2.01}), "still moving")
	require.Equal(t, []string{weighing("2.02")}, pushes(p, &at, 20, weight{kg: 2.02}), "a format without a word for motion")
	require.Empty(t, pushes(p, &at, 20, weight{kg: 2.06}), "a draught")
	require.Equal(t, []string{weighing("2.08")}, pushes(p, &at, 20, weight{kg: 2.08}))
	require.Empty(t, pushes(p, &at, 2, weight{kg: 0.3, motion: moving}))
	require.Equal(t, []string{weighing("2.08")}, pushes(p, &at, 20, weight{kg: 2.08}), "another one alike, laid on quickly")
	require.Equal(t, []string{weighing("0")}, pushes(p, &at, 20, weight{}))
	require.Equal(t, []string{overload}, pushes(p, &at, 20, weight{over: true}))
	require.Empty(t, pushes(p, &at, 20, weight{}), "empty as before")
	require.Equal(t, []string{overload}, pushes(p, &at, 20, weight{over: true}))
}

// A slow indicator must agree with itself all the same.
func TestAgreement(t *testing.T) {
	at := time.Date(2026, 8, 5, 12, 0, 0, 0, time.UTC)
	p := &pan{settle: 500 * time.Millisecond}
	for range 2 {
		at = at.Add(time.Second)
		require.Nil(t, p.put(weight{kg: 7}, at))
	}
	require.NotNil(t, p.put(weight{kg: 7}, at.Add(time.Second)))
}

// The wrong speed is a line that speaks in no frame: given up, to be opened anew.
func TestWrongBaud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		bodies, d, err := runs(t, dock(), time.Hour, func(ctx context.Context, conn devicestest.Conn) {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := conn.Write([]byte{0x98, 0x00, 0xE6, 0x66, 0x80, 0x78}); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
		require.ErrorIs(t, err, errSilent)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.Empty(t, bodies)
		require.Equal(t, 30*time.Second, time.Since(began).Round(time.Second))
		require.EqualValues(t, 1, d.Counters()["timeouts"])
		require.NotZero(t, d.Counters()["resync"])
	})
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"port: ", "format: "}},
		{"unit", func(c *Config) { c.Unit = "st" }, []string{"unit: "}},
		{"settle", func(c *Config) { c.Settle = 1 }, []string{"settle: "}},
		{"min_change", func(c *Config) { c.MinChange = -1 }, []string{"min_change: "}},
		{"reopen_after", func(c *Config) { c.ReopenAfter = 1 }, []string{"reopen_after: "}},
	} {
		cfg := dock()
		c.edit(&cfg)
		err := cfg.Validate()
		require.Error(t, err, c.name)
		got := strings.Split(err.Error(), "\n")
		require.Len(t, got, len(c.want), fmt.Sprint(err))
		for i, w := range c.want {
			require.True(t, strings.HasPrefix(got[i], w), "%q begins no %q", got[i], w)
		}
	}
}
