package keypad

import (
	"bufio"
	"bytes"
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

func pad(family string) Config { return Config{Port: "serial:/dev/ttyUSB0", Family: family} }

func newDriver(t testing.TB, c Config, open port.Opener) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "pad", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

var (
	_ devices.Keypad    = (*Driver)(nil)
	_ devices.Private   = (*Driver)(nil)
	_ devices.Commander = (*Driver)(nil)
)

// saying sends the lines every half second.
func saying(lines ...string) devicestest.Device {
	return func(ctx context.Context, conn devicestest.Conn) {
		go func() { // what comes is read, or the driver waits for ever
			buf := make([]byte, 256)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
			}
		}()
		for {
			for _, l := range lines {
				if _, err := conn.Write([]byte(l)); err != nil {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
}

func TestContract(t *testing.T) {
	for family, device := range map[string]devicestest.Device{
		Panel: saying("$HI,7f3a09c1,0*4E\r\n", string(line("HI,7f3a09c1,0")), string(line("HB,7"))),
		Keys:  saying("3#483920#"),
	} {
		make := func(open port.Opener) devices.Driver { return newDriver(t, pad(family), open) }
		devicestest.Contract(t, make, device)
		devicestest.OnPTY(t, make, device)
	}
}

// A desk is a driver that runs, and the device's end of its line.
type desk struct {
	*Driver
	conn   devicestest.Conn
	lines  *bufio.Scanner
	taken  []string
	bodies []string
	ended  chan error
}

// at runs a driver in a bubble with the device's end in hand.
func at(t *testing.T, c Config, use func(d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		k := &desk{ended: make(chan error, 1)}
		driver, device := porttest.Pipe()
		k.conn, k.lines = device, bufio.NewScanner(device)
		k.Driver = newDriver(t, c, func(context.Context, string) (port.Port, error) { return driver, nil })
		k.Listen(func(e devices.Entry) { k.taken = append(k.taken, e.Keys) })
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			k.ended <- k.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
				for _, r := range rs {
					k.bodies = append(k.bodies, string(r.Kind)+string(r.Body))
				}
				return nil
			})
		}()
		use(k)
		cancel()
		synctest.Wait()
	})
}

func (k *desk) send(t *testing.T, text string) {
	t.Helper()
	_, err := k.conn.Write([]byte(text))
	require.NoError(t, err)
	synctest.Wait()
}

func (k *desk) hears(t *testing.T) string {
	t.Helper()
	require.True(t, k.lines.Scan(), "%v", k.lines.Err())
	synctest.Wait()
	return k.lines.Text()
}

func TestPanel(t *testing.T) {
	at(t, pad(Panel), func(k *desk) {
		require.Equal(t, "$WHO*50", k.hears(t))
		k.send(t, string(line("EN,5,3#483920")))
		require.Empty(t, k.taken, "sent before anybody knew the panel")
		require.Equal(t, "$WHO*50", k.hears(t))
		k.send(t, string(line("HI,7f3a,5")))
		k.send(t, string(line("EN,5,3#483920")))
		require.Equal(t, string(line("OK,5")), k.hears(t)+"\r\n", "it stops repeating")
		require.Empty(t, k.taken, "an entry of before")
		for range 3 { // its acknowledgement was lost
			k.send(t, string(line("EN,6,3#483920")))
			require.Equal(t, string(line("OK,6")), k.hears(t)+"\r\n")
		}
		require.Equal(t, []string{"3#483920"}, k.taken)
		k.send(t, string(line("HI,7f3a,5")))
		k.send(t, string(line("EN,6,3#483920")))
		k.hears(t)
		require.Len(t, k.taken, 1, "a greeting that was late doesn't let it in again")
		k.send(t, string(line("HI,8b,0")))
		k.send(t, string(line("EN,1,*")))
		k.hears(t)
		require.Equal(t, []string{"3#483920", "*"}, k.taken, "it was switched off and on")

		k.Show(devices.Screen{Word: "opening", Cell: 3})
		require.Equal(t, string(line("SC,opening,3,0")), k.hears(t)+"\r\n")
		k.Show(devices.Screen{Word: "wait", Wait: 90 * time.Second})
		require.Equal(t, string(line("SC,wait,0,90")), k.hears(t)+"\r\n")
		k.Show(devices.Screen{Word: "Bad,word"})
		require.Equal(t, string(line("SC,error,0,0")), k.hears(t)+"\r\n")
		k.send(t, string(line("HI,9c,0")))
		require.Equal(t, string(line("SC,error,0,0")), k.hears(t)+"\r\n", "it was switched off and on, and shows nothing")
		k.send(t, string(line("HI,9c,0")))
		require.Equal(t, []string{`health{"online":1}`}, k.bodies)
		c := k.Counters()
		require.Equal(t, []uint64{2, 4, 1, 4}, []uint64{c["entries"], c["repeated"], c["early"], c["shown"]})
	})
}

func TestBadLines(t *testing.T) {
	at(t, pad(Panel), func(k *desk) {
		k.hears(t)
		k.send(t, string(line("HI,7f3a,0")))
		for _, bad := range []string{
			"$EN,1,3#483920*00\r\n", "$EN,1,3#483920\r\n", "EN,1,3#483920*00\r\n", string(line("EN,1,3#4#83920")), string(line("EN,x,3#483920")), string(line("EN,1,")),
			string(line("EN,1,3*")), string(line("EN,1")), string(line("HI,7F,0")), string(line("HI,7f,-1")), string(line("HB,x")), string(line("XX")), string(line("")),
			string(line("EN,1," + strings.Repeat("1", maxEntry+1))), "$" + strings.Repeat("x", 3*maxLine) + "\r\n", "$EN,1,3#48$EN,1,3#48\r\n",
			string(line("EN,99999999999,1")),
		} {
			k.send(t, bad)
		}
		require.Empty(t, k.taken)
		for _, b := range k.LastBad() {
			require.Empty(t, b.Hex, "it may be somebody's code")
		}
		k.send(t, string(line("EN,1,0")))
		require.Equal(t, []string{"0"}, k.taken)
	})
}

func TestASilentPanelIsGivenUp(t *testing.T) {
	at(t, pad(Panel), func(k *desk) {
		k.hears(t)
		k.send(t, string(line("HB,10")))
		require.Equal(t, []string{`health{"online":1,"uptime_s":10}`}, k.bodies)
		k.hears(t)
		<-time.After(silence + time.Second)
		require.ErrorIs(t, <-k.ended, errSilent)
	})
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		typed string
		want  []string
	}{
		{"3#483920#", []string{"3#483920"}},
		{"3483920#", []string{"3483920"}},
		{"12\r483920\r\n", []string{"12#483920"}},
		{"3#48*3#483920#", []string{"3#483920"}},
		{"*", []string{"*"}},
		{"0#", []string{"0"}},
		{"##", nil},
		{"3##", []string{"3#"}},
		{"3#48A3920#", []string{"3920"}},
		{strings.Repeat("1", 40) + "#", []string{"111111"}},
	} {
		at(t, pad(Keys), func(k *desk) {
			k.send(t, c.typed)
			require.Equal(t, c.want, k.taken, "%s", c.typed)
		})
	}
	at(t, pad(Keys), func(k *desk) {
		k.send(t, "3#48")
		<-time.After(forget + time.Second)
		k.send(t, "3920#")
		require.Equal(t, []string{"3920"}, k.taken, "the first half is forgotten")
		<-time.After(24 * time.Hour)
		require.Empty(t, k.ended, "a keypad may be silent")
	})
	c := pad(Keys)
	c.Beep = true
	at(t, c, func(k *desk) {
		var b [3]byte
		k.Show(devices.Screen{Word: "ready"})
		synctest.Wait()
		k.Show(devices.Screen{Word: "opening"})
		n, err := k.conn.Read(b[:])
		require.NoError(t, err)
		require.Equal(t, "\a", string(b[:n]))
		k.Show(devices.Screen{Word: "wrong"})
		n, err = k.conn.Read(b[:])
		require.NoError(t, err)
		require.Equal(t, "\a\a\a", string(b[:n]))
	})
}

func TestConfig(t *testing.T) {
	err := Config{Port: "serial:/dev/x?boud=1", Family: "nextion", Beep: true}.Validate()
	for _, want := range []string{"port:", "family:", "beep:"} {
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, Config{Port: "serial:/dev/ttyUSB0"}.Validate())
}

// What is typed is in no log line, whatever verb it is printed with.
func TestAnEntryHidesItself(t *testing.T) {
	e := devices.Entry{Keys: "3#483920"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "n", e, "p", &e)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "n", e)
	for _, s := range []string{fmt.Sprint(e), fmt.Sprintf("%+v %#v %q", e, e, e), fmt.Sprintf("%v", &e), log.String()} {
		require.NotContains(t, s, "483920")
	}
}

// No bytes crash it, chunks don't matter, and every entry has the form of one.
func FuzzInput(f *testing.F) {
	f.Add([]byte("3#483920#*0#"), true, uint8(3))
	f.Add([]byte(string(line("HI,7f3a,0"))+string(line("EN,1,3#483920"))+string(line("HB,1"))), false, uint8(5))
	f.Fuzz(func(t *testing.T, b []byte, keys bool, step uint8) {
		run := func(step int) (taken []string) {
			c := pad(Panel)
			if keys {
				c = pad(Keys)
			}
			d, err := New(c, devices.Env{})
			require.NoError(t, err)
			d.Listen(func(e devices.Entry) { taken = append(taken, e.Keys) })
			in := input{driver: d}
			for rest := bytes.NewBuffer(b); rest.Len() > 0; {
				in.feed(rest.Next(step))
			}
			return taken
		}
		whole := run(len(b) + 1)
		require.Equal(t, whole, run(1+int(step%16)))
		for _, keys := range whole {
			require.True(t, validKeys(keys), "%q", keys)
		}
	})
}
