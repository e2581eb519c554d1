package contact

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"periph.io/x/host/v3/gpioioctl"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// What periph gives is what the driver needs.
var (
	_ pin = gpio.PinIn(nil)
	_ pin = (*gpioioctl.GPIOLine)(nil)
	_ pin = (*gpiotest.Pin)(nil)
)

func rearDoor() Config {
	return Config{Contacts: []Contact{{Name: "rear", Line: "GPIO17"}}}
}

func newDriver(t testing.TB, c Config, b board) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "doors", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	d.open = func() (board, error) { return b, nil }
	return d
}

// A fake line remembers edges as the kernel does: up to 16.
type line struct {
	mu    sync.Mutex
	level gpio.Level
	lost  bool // edges aren't told
	early bool // waits end at once
	err   error
	edge  chan struct{}
}

func newLine(l gpio.Level) *line { return &line{level: l, edge: make(chan struct{}, 16)} }

func (l *line) In(gpio.Pull, gpio.Edge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *line) Read() gpio.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.level && l.err == nil // a line that can't be read looks low
}

func (l *line) WaitForEdge(d time.Duration) bool {
	l.mu.Lock()
	early := l.early
	l.mu.Unlock()
	if early {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.edge:
		return true
	case <-timer.C:
		return false
	}
}

func (l *line) set(level gpio.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.level == level {
		return
	}
	l.level = level
	if !l.lost {
		select {
		case l.edge <- struct{}{}:
		default:
		}
	}
}

func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// lines is a board of fakes.
type lines map[string]pin

func (b lines) Pin(name string) (pin, error) {
	if b[name] == nil {
		return nil, fs.ErrNotExist
	}
	return b[name], nil
}

func (lines) Close() {}

// watched is a driver that runs in a bubble.
type watched struct {
	*Driver
	mu   sync.Mutex
	got  []string
	err  error
	done chan struct{}
}

func watching(t *testing.T, d *Driver) *watched {
	w := &watched{Driver: d, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		<-w.done // an edge is waited for a little longer
	})
	go func() {
		defer close(w.done)
		w.err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, r := range rs {
				if err := r.Validate(); err != nil {
					return err
				}
				w.got = append(w.got, string(r.Body))
			}
			return nil
		})
	}()
	synctest.Wait()
	return w
}

// after lets time pass and takes what was told.
func (w *watched) after(d time.Duration) []string {
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

func door(name string, open bool) string {
	b := telemetry.Door{Door: name, Open: telemetry.Some(open)}
	return string(b.AppendJSON(nil))
}

func TestSnapshotAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		belt := newLine(gpio.High)
		c := rearDoor()
		c.Contacts = append(c.Contacts, Contact{Name: "belt", Line: "GPIO22", Type: "beam", OpenWhen: "low", Pull: "none"})
		w := watching(t, newDriver(t, c, lines{"GPIO17": rear, "GPIO22": belt}))
		beam := func(open bool) string { return strings.Replace(door("belt", open), "}", `,"sensor":"beam"}`, 1) }
		require.Equal(t, []string{door("rear", false), beam(false)}, w.after(0))
		require.Empty(t, w.after(time.Minute))

		rear.set(gpio.High)
		require.Empty(t, w.after(39*time.Millisecond))
		require.Equal(t, []string{door("rear", true)}, w.after(2*time.Millisecond))

		belt.set(gpio.Low)
		require.Equal(t, []string{beam(true)}, w.after(6*time.Millisecond))
		belt.set(gpio.High)
		require.Equal(t, []string{beam(false)}, w.after(6*time.Millisecond), "a parcel of 6 ms")

		rear.set(gpio.Low)
		require.Equal(t, []string{door("rear", false)}, w.after(time.Second))
	})
}

func TestBounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		for _, l := range []gpio.Level{gpio.High, gpio.Low, gpio.High, gpio.Low, gpio.High} {
			rear.set(l)
			require.Empty(t, w.after(5*time.Millisecond))
		}
		require.Equal(t, []string{door("rear", true)}, w.after(time.Second), "five edges, one change")

		rear.set(gpio.Low)
		time.Sleep(10 * time.Millisecond)
		rear.set(gpio.High)
		require.Empty(t, w.after(time.Second), "the wind shook the door")
		require.EqualValues(t, 1, w.Counters()["bounces"])
		require.EqualValues(t, 1, w.Counters()["changes"])
	})
}

func TestLostEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		rear.lost = true
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		rear.set(gpio.High)
		require.Equal(t, []string{door("rear", true)}, w.after(300*time.Millisecond))
		require.EqualValues(t, 1, w.Counters()["missed_edges"])
	})
}

// A kernel whose wait ends at once must not eat the processor, and the door is still told.
func TestWaitsThatEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		rear.early = true
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		w.after(10 * time.Second)
		require.InDelta(t, 50, w.Counters()["early_waits"], 2, "five looks a second")
		rear.set(gpio.High)
		require.Equal(t, []string{door("rear", true)}, w.after(300*time.Millisecond))
	})
}

// An edge without end is a storm: alarmed once, then polled, and watched again after a minute.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		ctx, calmed := context.WithCancel(t.Context())
		go func() { // a spinning kernel: edges though nothing moves
			for ctx.Err() == nil {
				select {
				case rear.edge <- struct{}{}:
				case <-ctx.Done():
				}
			}
		}()
		require.Equal(t, []string{`{"code":"contact_storm","severity":"minor","detail":"contact rear doesn't come to rest: check its cable"}`}, w.after(time.Second))
		edges := w.Counters()["edges"]
		require.Less(t, edges, uint64(300))
		rear.set(gpio.High)
		require.Equal(t, []string{door("rear", true)}, w.after(200*time.Millisecond), "the door is still told")
		require.Equal(t, edges, w.Counters()["edges"])
		calmed()
		require.Empty(t, w.after(2*time.Minute))
		rear.set(gpio.Low)
		require.Equal(t, []string{door("rear", false)}, w.after(41*time.Millisecond), "by its edge again")
		require.EqualValues(t, 1, w.Counters()["storms"])
	})
}

// A slow flutter never rests for debounce, and isn't a storm by its count.
func TestFlutter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		for i := range 60 {
			rear.set(i%2 == 0)
			time.Sleep(30 * time.Millisecond)
		}
		require.EqualValues(t, 1, w.Counters()["storms"])
	})
}

// A chip that is gone reads low, which would be a shut door.
func TestLineGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rear := newLine(gpio.Low)
		w := watching(t, newDriver(t, rearDoor(), lines{"GPIO17": rear}))
		w.after(0)
		rear.fail(errors.New("no such device"))
		require.Empty(t, w.after(11*time.Second))
		<-w.done
		require.ErrorIs(t, w.err, errLine)
		require.NotErrorIs(t, w.err, devices.ErrPermanent)
	})
}

func TestNoSuchLine(t *testing.T) {
	require.ErrorIs(t, newDriver(t, rearDoor(), lines{}).Run(t.Context(), nil), fs.ErrNotExist)
	d := newDriver(t, rearDoor(), nil)
	d.open = func() (board, error) { return openKernel("no-such-chip") }
	require.ErrorIs(t, d.Run(t.Context(), nil), fs.ErrNotExist, "a machine without that chip")
}

// periph's own fake.
func TestOnGPIOTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &gpiotest.Pin{N: "GPIO17", EdgesChan: make(chan gpio.Level)}
		c := rearDoor()
		c.Contacts[0].Pull = "none"
		w := watching(t, newDriver(t, c, lines{"GPIO17": p}))
		require.Equal(t, []string{door("rear", false)}, w.after(0))
		p.EdgesChan <- gpio.High
		require.Equal(t, []string{door("rear", true)}, w.after(time.Second))
		require.Equal(t, gpio.PullNoChange, p.Pull())
	})
}

// A wirePin has its level from a port: it lets the conformance suite play the contact.
type wirePin struct {
	port  port.Port
	mu    sync.Mutex
	level gpio.Level
	err   error
}

func (p *wirePin) In(gpio.Pull, gpio.Edge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *wirePin) Read() gpio.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level
}

func (p *wirePin) WaitForEdge(d time.Duration) bool {
	var buf [64]byte
	_ = p.port.SetReadDeadline(time.Now().Add(d))
	n, err := p.port.Read(buf[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.err = err
	}
	for _, b := range buf[:n] {
		p.level = b&1 == 1
	}
	return n > 0
}

type wireBoard struct{ port port.Port }

func (b wireBoard) Pin(string) (pin, error) { return &wirePin{port: b.port}, nil }
func (b wireBoard) Close()                  { b.port.Close() }

func TestContract(t *testing.T) {
	swings := func(ctx context.Context, conn devicestest.Conn) {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for level := byte('0'); ; level ^= 1 {
			if _, err := conn.Write([]byte{level}); err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
	devicestest.Contract(t, func(open port.Opener) devices.Driver {
		c := rearDoor()
		c.Poll = time.Second
		d := newDriver(t, c, nil)
		d.open = func() (board, error) {
			p, err := open(context.Background(), "")
			return wireBoard{p}, err
		}
		return d
	}, swings)
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"contacts: is empty"}},
		{"poll", func(c *Config) { c.Poll = 1 }, []string{"poll: "}},
		{"name", func(c *Config) { c.Contacts[0].Name = "" }, []string{"contacts[0].name: "}},
		{"line", func(c *Config) { c.Contacts[0].Line = "" }, []string{"contacts[0].line: "}},
		{"number", func(c *Config) { c.Contacts[0].Line = "17" }, []string{`contacts[0].line: "17" is a number`}},
		{"words", func(c *Config) {
			c.Contacts[0].Type, c.Contacts[0].OpenWhen, c.Contacts[0].Pull = "gate", "shut", "strong"
		}, []string{"contacts[0].type: ", "contacts[0].open_when: ", "contacts[0].pull: "}},
		{"debounce", func(c *Config) { c.Contacts[0].Debounce = time.Second }, []string{"contacts[0].debounce: "}},
		{"twice", func(c *Config) { c.Contacts = append(c.Contacts, c.Contacts[0]) }, []string{"contacts[1].name: ", "contacts[1].line: "}},
	} {
		cfg := rearDoor()
		c.edit(&cfg)
		err := cfg.Validate()
		require.Error(t, err, c.name)
		got := strings.Split(err.Error(), "\n")
		require.Len(t, got, len(c.want), err)
		for i, w := range c.want {
			require.True(t, strings.HasPrefix(got[i], w), "%q begins no %q", got[i], w)
		}
	}
	numbered := rearDoor()
	numbered.Chip, numbered.Contacts[0].Line = "gpiochip0", "17"
	require.NoError(t, numbered.Validate())
}
