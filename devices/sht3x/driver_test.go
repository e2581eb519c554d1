package sht3x

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// What periph opens is what the driver needs.
var _ bus = i2c.BusCloser(nil)

var warm = [frameSize]byte{0x5E, 0x3F, 0xE0, 0x72, 0xB0, 0xDC}

const warmBody = `{"probe":"front","temperature_c":19.427,"humidity_pct":44.8,"quality":"ok"}`

func oneSensor() Config {
	return Config{Port: "sc18im:serial:/dev/ttyUSB0", Sensors: []Sensor{{Probe: "front"}}}
}

func newDriver(t testing.TB, c Config, open port.Opener) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "box", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

// A chip plays one SHT3x.
type chip struct {
	mu      sync.Mutex
	gone    bool
	frames  [][frameSize]byte // given in turn; the last one for ever
	notYet  int               // reads that aren't acknowledged before each frame
	waiting int
	told    []string
}

func (c *chip) write(w []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, strings.ToUpper(hexOf(w)))
	c.waiting = c.notYet
	return !c.gone
}

func (c *chip) read() (f [frameSize]byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.waiting > 0 {
		c.waiting--
		return f, false
	}
	f = c.frames[0]
	if len(c.frames) > 1 {
		c.frames = c.frames[1:]
	}
	return f, true
}

func (c *chip) set(gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = gone
}

func hexOf(b []byte) string {
	const digits = "0123456789ABCDEF"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// chips is a bus in memory.
type chips map[uint16]*chip

func (c chips) Tx(addr uint16, w, r []byte) error {
	ch := c[addr]
	if ch == nil || len(w) > 0 && !ch.write(w) {
		return errors.New("sysfs-i2c: remote I/O error")
	}
	if len(r) > 0 {
		f, ok := ch.read()
		if !ok {
			return errors.New("sysfs-i2c: remote I/O error")
		}
		copy(r, f[:])
	}
	return nil
}

func (chips) Close() error { return nil }

// bridged plays an SC18IM704 with chips behind it.
func bridged(c chips) devicestest.Device {
	return func(_ context.Context, conn devicestest.Conn) {
		var in []byte
		status := byte(statOK)
		buf := make([]byte, 64)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			for in = append(in, buf[:n]...); len(in) >= 3; {
				var out []byte
				switch {
				case in[0] == cmdRead && in[2] == cmdStop:
					out, in = []byte{status}, in[3:]
				case in[0] == cmdStart && in[1]&1 == 1 && len(in) >= 4:
					out = make([]byte, in[2])
					if status = statOK; c.Tx(uint16(in[1]>>1), nil, out) != nil {
						out, status = nil, 0xF1
					}
					in = in[4:]
				case in[0] == cmdStart && in[1]&1 == 0 && len(in) >= 4+int(in[2]):
					if status = statOK; c.Tx(uint16(in[1]>>1), in[3:3+in[2]], nil) != nil {
						status = 0xF1
					}
					in = in[4+int(in[2]):]
				default:
					if in[0] == cmdStart {
						goto more
					}
					in = in[1:]
				}
				if _, err := conn.Write(out); err != nil {
					return
				}
			}
		more:
		}
	}
}

func TestContract(t *testing.T) {
	healthy := func(ctx context.Context, conn devicestest.Conn) {
		bridged(chips{0x44: {frames: [][frameSize]byte{warm}}})(ctx, conn)
	}
	make := func(open port.Opener) devices.Driver {
		c := oneSensor()
		c.Every = time.Second
		return newDriver(t, c, open)
	}
	devicestest.Contract(t, make, healthy)
	devicestest.OnPTY(t, make, healthy)
	devicestest.OnTCP(t, make, healthy)
}

// runs drives d on b in a bubble until it ends or d passed.
func runs(t *testing.T, d *Driver, b bus, limit time.Duration) (bodies []string, err error) {
	d.open = func(context.Context) (bus, error) { return b, nil }
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate())
			require.True(t, r.At.IsZero())
			bodies = append(bodies, string(r.Body))
		}
		return nil
	})
	return bodies, err
}

// Byte for byte what goes over the wire.
func TestTransfers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x44, W: []byte{0x30, 0x93}},
			{Addr: 0x44, W: []byte{0x30, 0xA2}},
			{Addr: 0x44, W: []byte{0x24, 0x0B}},
			{Addr: 0x44, R: warm[:]},
			{Addr: 0x44, W: []byte{0x24, 0x0B}},
			{Addr: 0x44, R: warm[:]},
		}}
		c := oneSensor()
		c.Repeatability = "medium"
		bodies, err := runs(t, newDriver(t, c, nil), play, 15*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []string{warmBody, warmBody}, bodies)
		require.NoError(t, play.Close())
	})
}

func TestWaitsForTheMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := &chip{frames: [][frameSize]byte{warm}, notYet: 3}
		d := newDriver(t, oneSensor(), nil)
		bodies, _ := runs(t, d, chips{0x44: ch}, time.Second)
		require.Equal(t, []string{warmBody}, bodies)
		require.EqualValues(t, 3, d.Counters()["nacks"])
		require.EqualValues(t, 0, d.Counters()["retries"])
	})
}

func TestBadChecksumIsMeasuredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := warm
		bad[5] ^= 1
		ch := &chip{frames: [][frameSize]byte{bad, warm}}
		d := newDriver(t, oneSensor(), nil)
		bodies, _ := runs(t, d, chips{0x44: ch}, time.Second)
		require.Equal(t, []string{warmBody}, bodies)
		require.EqualValues(t, 1, d.Counters()["bad_checksum"])
		require.Equal(t, "5e3fe072b0dd", d.LastBad()[0].Hex)
		require.Equal(t, []string{"3093", "30A2", "2400", "3093", "30A2", "2400"}, ch.told, "brought to a known state in between")
	})
}

// One sensor that dies doesn't silence the other; its fault is told at once and once a minute.
func TestLostSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oneSensor()
		c.Sensors = append(c.Sensors, Sensor{Address: 0x45, Probe: "rear"})
		rear := &chip{frames: [][frameSize]byte{warm}}
		d := newDriver(t, c, nil)
		time.AfterFunc(15*time.Second, func() { rear.set(true) })
		time.AfterFunc(105*time.Second, func() { rear.set(false) })
		bodies, _ := runs(t, d, chips{0x44: {frames: [][frameSize]byte{warm}}, 0x45: rear}, 115*time.Second)
		count := map[string]int{}
		for _, b := range bodies {
			count[b]++
		}
		require.Equal(t, map[string]int{
			warmBody: 12, strings.Replace(warmBody, "front", "rear", 1): 3, `{"probe":"rear","quality":"fault"}`: 2,
		}, count)
		require.EqualValues(t, 0, d.Counters()["sensors_lost"])
		require.EqualValues(t, 9, d.Counters()["probe_faults"])
	})
}

func TestOutOfRangeIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hot := [frameSize]byte{0xFF, 0xFF, 0xAC, 0x80, 0x00, 0xA2}
		d := newDriver(t, oneSensor(), nil)
		bodies, err := runs(t, d, chips{0x44: {frames: [][frameSize]byte{hot}}}, 45*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it answers")
		require.Equal(t, []string{`{"probe":"front","quality":"fault"}`}, bodies)
		require.NotZero(t, d.Counters()["out_of_range"])
	})
}

func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies, err := runs(t, newDriver(t, oneSensor(), nil), chips{}, time.Hour)
		require.ErrorIs(t, err, errNobody)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.Equal(t, []string{`{"probe":"front","quality":"fault"}`}, bodies)
	})
}

func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oneSensor()
		c.StuckAfter = time.Minute
		bodies, _ := runs(t, newDriver(t, c, nil), chips{0x44: {frames: [][frameSize]byte{warm}}}, 75*time.Second)
		require.Equal(t, strings.Replace(warmBody, "ok", "stuck", 1), bodies[7])
		require.Equal(t, warmBody, bodies[5])
	})
}

// A bus that isn't configured on this board is not there, whatever periph calls it.
func TestNoSuchBus(t *testing.T) {
	c := oneSensor()
	c.Port = "i2c:/dev/i2c-250"
	err := newDriver(t, c, port.Open).Run(t.Context(), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "/dev/i2c-250")
}

func TestConfig(t *testing.T) {
	require.NoError(t, oneSensor().Validate())
	for _, addr := range []string{"i2c:/dev/i2c-0", "i2c:/dev/i2c-22", "sc18im:tcp:192.0.2.1:4001"} {
		c := oneSensor()
		c.Port = addr
		require.NoError(t, c.Validate(), addr)
	}
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"port: ", "sensors: is empty"}},
		{"port", func(c *Config) { c.Port = "serial:/dev/ttyUSB0" }, []string{"port: bus"}},
		{"bus", func(c *Config) { c.Port = "i2c:/dev/i2c-01" }, []string{"port: bus"}},
		{"bridge", func(c *Config) { c.Port = "sc18im:/dev/ttyUSB0" }, []string{"port: port address"}},
		{"times", func(c *Config) { c.Every, c.Timeout, c.FaultEvery, c.StuckAfter = 1, 1, 1, 1 }, []string{"every: ", "timeout: ", "fault_every: ", "stuck_after: "}},
		{"repeatability", func(c *Config) { c.Repeatability = "best" }, []string{`repeatability: "best"`}},
		{"address", func(c *Config) { c.Sensors[0].Address = 0x40 }, []string{"sensors[0].address: 0x40"}},
		{"probe", func(c *Config) { c.Sensors[0].Probe = "A B" }, []string{"sensors[0].probe: "}},
		{"twice", func(c *Config) { c.Sensors = append(c.Sensors, c.Sensors[0]) }, []string{"sensors[1].address: 0x44 is taken", `sensors[1].probe: "front" is taken`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := oneSensor()
			c.edit(&cfg)
			err := cfg.Validate()
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), err)
			for i, w := range c.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%q begins no %q", lines[i], w)
			}
		})
	}
}
