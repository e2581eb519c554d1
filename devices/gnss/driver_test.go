package gnss

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
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

func newDriver(t *testing.T, c Config) func(port.Opener) devices.Driver {
	return func(open port.Opener) devices.Driver {
		d, err := New(c, devices.Env{Name: "gps", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}
}

func TestContract(t *testing.T) {
	driver := newDriver(t, Config{Port: "serial:/dev/ttyUSB0?baud=9600"})
	firmware := devicestest.Play(t, "testdata/live.txt")
	devicestest.Contract(t, driver, firmware)
	devicestest.OnPTY(t, driver, firmware)
	devicestest.OnTCP(t, driver, firmware)
}

// Every log on a real tty, as fast as it takes it: the same positions as from the file.
func TestLogsOnPTY(t *testing.T) {
	for name := range logs {
		t.Run(name, func(t *testing.T) {
			stream, err := os.ReadFile(filepath.Join("testdata", name+".log"))
			require.NoError(t, err)
			want, _, _ := decodeAll(t, string(stream), Options{})
			master, addr := porttest.PTY(t)
			got := make(chan telemetry.Reading, len(want)+1)
			opened := make(chan struct{})
			driver := newDriver(t, Config{Port: addr, NotBefore: "1980-01-06"})(
				func(ctx context.Context, addr string) (port.Port, error) {
					defer close(opened)
					return port.Open(ctx, addr)
				})
			done := make(chan error, 1)
			go func() {
				done <- driver.Run(t.Context(), func(_ context.Context, rs ...telemetry.Reading) error {
					for _, r := range rs {
						got <- r
					}
					return nil
				})
			}()
			<-opened
			_, err = master.Write(stream)
			require.NoError(t, err)
			for _, w := range want {
				w.Device = "gps"
				require.Equal(t, string(w.AppendJSON(nil)), string((<-got).AppendJSON(nil)))
			}
			master.Close()
			require.ErrorIs(t, <-done, io.EOF)
			require.Empty(t, got)
		})
	}
}

// live runs a driver against a receiver that the test plays.
type live struct {
	*porttest.End
	driver   devices.Driver
	readings chan telemetry.Reading
	done     chan error
	stop     context.CancelFunc
}

func run(t *testing.T, c Config) *live {
	driverEnd, receiver := porttest.Pipe()
	l := &live{End: receiver, readings: make(chan telemetry.Reading, 100), done: make(chan error, 1)}
	l.driver = newDriver(t, c)(func(context.Context, string) (port.Port, error) { return driverEnd, nil })
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	go func() {
		l.done <- l.driver.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				l.readings <- r
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		receiver.Close()
	})
	return l
}

func (l *live) say(t *testing.T, sentences ...string) {
	for _, s := range sentences {
		_, err := l.Write([]byte(s + "\r\n"))
		require.NoError(t, err)
	}
	synctest.Wait()
}

func (l *live) next(t *testing.T) (telemetry.Reading, telemetry.Position) {
	select {
	case r := <-l.readings:
		p, err := telemetry.As[telemetry.Position](r)
		require.NoError(t, err)
		return r, p
	default:
		require.Fail(t, "no reading yet")
		return telemetry.Reading{}, telemetry.Position{}
	}
}

var testConfig = Config{Port: "serial:/dev/ttyUSB0"}

var (
	rmc1 = nmea("GNRMC,101530.000,A,3032.1234,N,10312.5678,E,12.50,45.0,051226,,,A")
	gga1 = nmea("GNGGA,101530.000,3032.1234,N,10312.5678,E,1,14,0.8,612.3,M,-42.1,M,,")
	rmc2 = nmea("GNRMC,101531.000,A,3032.1258,N,10312.5709,E,12.60,45.2,051226,,,A")
)

// nmea makes a sentence of a body.
func nmea(body string) string {
	sum := byte(0)
	for _, c := range []byte(body) {
		sum ^= c
	}
	return fmt.Sprintf("$%s*%02X", body, sum)
}

// A 1 Hz receiver must not be shown a second late.
func TestPauseClosesTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, gga1, rmc1)
		time.Sleep(99 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, l.readings)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r, p := l.next(t)
		require.Equal(t, time.Date(2026, 12, 5, 10, 15, 30, 0, time.UTC), r.At)
		require.True(t, p.Valid)
		require.InDelta(t, 12.5*1852/3600, p.SpeedMPS.Or(-1), 1e-3)
	})
}

// A receiver that pauses within an epoch gives one reading an epoch, and a longer pause is allowed it.
func TestPauseWithinAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, rmc1)
		time.Sleep(150 * time.Millisecond)
		l.say(t, gga1)
		time.Sleep(850 * time.Millisecond)
		synctest.Wait()
		l.next(t)
		require.Empty(t, l.readings, "the second half became a reading of its own")

		l.say(t, rmc2)
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, l.readings, "closed too early again")
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		l.next(t)
		require.EqualValues(t, 1, l.driver.(devices.Counting).Counters()["split_epochs"])
	})
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, rmc1)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		l.next(t)
		require.Empty(t, l.readings)

		time.Sleep(time.Second)
		synctest.Wait()
		r, p := l.next(t)
		require.NoError(t, r.Validate())
		require.False(t, p.Valid)
		require.False(t, p.Lat.Known())
		require.True(t, r.At.IsZero())

		_, err := l.Write([]byte("\xb5\x62 garbage is silence"))
		require.NoError(t, err)
		time.Sleep(24 * time.Second)
		synctest.Wait()
		require.Empty(t, l.readings, "stale is told once")
		require.Empty(t, l.done)

		time.Sleep(time.Second)
		synctest.Wait()
		err = <-l.done
		require.ErrorContains(t, err, "no sentence for 30s")
		require.NotErrorIs(t, err, devices.ErrPermanent)
	})
}

func TestStaleEndsWithASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, rmc1)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		require.Len(t, l.readings, 2)
		l.say(t, rmc2)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		require.Len(t, l.readings, 4)
		require.Empty(t, l.done)
	})
}

// A week roll-over unit: the position holds, its date reaches no clock.
func TestSuspectDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, nmea("GNRMC,101530.000,A,3032.1234,N,10312.5678,E,12.50,45.0,210407,,,A"))
		time.Sleep(time.Second)
		synctest.Wait()
		r, p := l.next(t)
		require.True(t, p.Valid)
		require.True(t, p.DateSuspect)
		require.True(t, r.At.IsZero())
		require.Equal(t, telemetry.Unknown, r.TQ)
	})
}

func TestUnplugTellsNoHalfEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, gga1[:40])
		l.Close()
		require.Error(t, <-l.done)
		require.Empty(t, l.readings)
	})
}

// USB re-enumeration: the port fails, is opened anew, and the last seconds come again.
func TestReplayAfterReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var receiver *porttest.End
		d := newDriver(t, testConfig)(func(context.Context, string) (port.Port, error) {
			driverEnd, deviceEnd := porttest.Pipe()
			receiver = deviceEnd
			return driverEnd, nil
		})
		var got []telemetry.Reading
		for range 2 {
			done := make(chan error, 1)
			go func() {
				done <- d.Run(t.Context(), func(_ context.Context, rs ...telemetry.Reading) error {
					got = append(got, rs...)
					return nil
				})
			}()
			synctest.Wait()
			for _, s := range []string{rmc1, rmc2} {
				_, err := receiver.Write([]byte(s))
				require.NoError(t, err)
				time.Sleep(time.Second)
			}
			receiver.Close()
			require.Error(t, <-done)
		}
		require.Len(t, got, 2)
		require.EqualValues(t, 2, d.(devices.Counting).Counters()["duplicate_epochs"])
	})
}

func TestLastBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, testConfig)
		l.say(t, "$GNRMC,101530.000,A,3032.1234,N,10312.5678,E,12.50,45.0,051226,,,A*00")
		bad := l.driver.(devices.Suspecting).LastBad()
		require.Len(t, bad, 1)
		require.Equal(t, "bad_checksum", bad[0].Reason)
	})
}

func TestConfig(t *testing.T) {
	require.NoError(t, testConfig.Validate())
	require.NoError(t, Config{Port: "tcp:10.0.0.1:4001", NotBefore: "2013-01-01", StaleAfter: time.Minute}.Validate())
	err := Config{Port: "serial:/dev/ttyUSB0?boud=9600", NotBefore: "yesterday", StaleAfter: time.Millisecond, ReopenAfter: 25 * time.Hour}.Validate()
	for _, field := range []string{"port:", "not_before:", "stale_after:", "reopen_after:"} {
		require.ErrorContains(t, err, field)
	}
	_, err = New(Config{}, devices.Env{})
	require.ErrorContains(t, err, "port")
}
