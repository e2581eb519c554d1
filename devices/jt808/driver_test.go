package jt808

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

func TestContract(t *testing.T) {
	cfg := testConfig(t)
	driver := func(open port.Opener) devices.Driver {
		d, err := New(cfg, devices.Env{Name: "terminals", Log: slog.New(slog.DiscardHandler), Listen: devicestest.Listen(open)})
		require.NoError(t, err)
		return d
	}
	terminal := devicestest.Play(t, "testdata/live.txt")
	devicestest.Contract(t, driver, terminal)
	devicestest.OnTCP(t, driver, terminal)
}

// bubble runs a test with a running driver in made-up time.
func bubble(t *testing.T, change func(*Config), test func(t *testing.T, y *yard)) {
	cfg := testConfig(t)
	if change != nil {
		change(&cfg)
	}
	synctest.Test(t, func(t *testing.T) {
		y := start(t, cfg)
		test(t, y)
		y.stop()
		require.True(t, ended(<-y.done))
		synctest.Wait()
	})
}

func TestFlow(t *testing.T) {
	for _, is2019 := range []bool{false, true} {
		bubble(t, nil, func(t *testing.T, y *yard) {
			p := y.dial("13912345678", is2019)
			p.login()
			rs := y.take()
			require.Len(t, rs, 1, "the registration is shown to who binds the terminal")
			require.Equal(t, telemetry.KindHealth, rs[0].Kind)
			require.Contains(t, string(rs[0].Body), `"plate":"川A12345"`)
			require.Equal(t, "t013912345678", rs[0].Device)

			require.Zero(t, p.acked(p.say(heartbeat, nil), heartbeat))
			require.Empty(t, y.take())
			require.Zero(t, p.acked(p.say(locationReport, where(noon, 0, 3)), locationReport))
			rs = y.take()
			require.Len(t, rs, 1)
			require.Equal(t, noon, rs[0].At)
			require.Equal(t, telemetry.GNSS, rs[0].TQ)

			require.EqualValues(t, resultUnsupported, p.acked(p.say(0x0900, []byte{0, 1}), 0x0900))
			require.EqualValues(t, resultBad, p.acked(p.say(locationReport, make([]byte, 27)), locationReport))
			require.Zero(t, p.acked(p.say(logout, nil), logout))
			hungUp(t, p)
		})
	}
}

// What is acknowledged is durable: the acknowledgement waits for emit.
func TestNoAcknowledgementBeforeEmitReturns(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("1", false)
		p.login()
		release := y.hold()
		serial := p.say(locationReport, where(noon, 0, 3))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Empty(t, p.got, "acknowledged what isn't durable")
		close(release)
		require.Zero(t, p.acked(serial, locationReport))
		require.Zero(t, p.acked(p.say(heartbeat, nil), heartbeat), "waiting for emit is no silence of the terminal")
	})
}

// The same code after a restart: a terminal that has one starts with 0x0102.
func TestAuthSurvivesRestarts(t *testing.T) {
	var code []byte
	cfg := testConfig(t)
	cfg.SecretFile = filepath.Join(t.TempDir(), "made")
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			y := start(t, cfg)
			p := y.dial("13912345678", false)
			if code == nil {
				serial := p.say(registerRequest, p.registration())
				r := p.hear()
				require.Equal(t, serial, binary.BigEndian.Uint16(r.body))
				code = r.body[3:]
			} else {
				require.EqualValues(t, resultFailed, p.acked(p.say(authRequest, []byte("wrong")), authRequest))
			}
			p.auth(code)
			y.stop()
			<-y.done
		})
	}
	info, err := os.Stat(cfg.SecretFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestBeforeLogin(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("1", false)
		for range maxStrikes {
			require.EqualValues(t, resultFailed, p.acked(p.say(locationReport, where(noon, 0, 3)), locationReport))
		}
		hungUp(t, p)
		require.Empty(t, y.take())
		require.EqualValues(t, maxStrikes, y.count("unauthorised"))

		idle := y.dial("2", false)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		require.Empty(t, idle.got)
		_, err := idle.Write([]byte("GET / HTTP/1.1\r\n"))
		require.NoError(t, err)
		began := time.Now()
		hungUp(t, idle)
		require.LessOrEqual(t, time.Since(began), time.Second, "noise doesn't put the login off")
	})
}

func TestUnknownTerminals(t *testing.T) {
	refuse := func(c *Config) {
		c.Unknown = Refuse
		c.Terminals = map[string]Terminal{"013912345678": {ID: "v03-term"}}
	}
	bubble(t, refuse, func(t *testing.T, y *yard) {
		p := y.dial("1", false)
		p.say(registerRequest, p.registration())
		r := p.hear()
		require.EqualValues(t, registerReply, r.id)
		require.Equal(t, []byte{4}, r.body[2:], "no such terminal, and no code")
		require.EqualValues(t, resultFailed, p.acked(p.say(authRequest, []byte("x")), authRequest))

		known := y.dial("13912345678", true)
		known.login()
		require.Equal(t, "v03-term", y.take()[0].Device)
		require.EqualValues(t, 2, y.count("refused_terminals"))
	})
}

// The same number on a new connection: the old one, half open behind a NAT, is closed.
func TestRelogin(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		old := y.dial("7", false)
		old.login()
		release := y.hold()
		old.say(locationReport, where(noon, 0, 3))
		synctest.Wait() // it waits in emit
		y.mu.Lock()
		y.holds = nil
		y.mu.Unlock()
		fresh := y.dial("7", true) // 2019 now: still the same terminal
		fresh.login()
		hungUp(t, old)
		close(release)
		require.Zero(t, fresh.acked(fresh.say(locationReport, where(noon, 0, 3)), locationReport))
		require.EqualValues(t, 1, y.count("relogins"))
		require.EqualValues(t, 1, y.count("connections"))
		require.EqualValues(t, 1, y.count("positions")-1, "told again because the first was never acknowledged")
	})
}

func TestIdle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		for range 3 {
			time.Sleep(179 * time.Second)
			require.Zero(t, p.acked(p.say(heartbeat, nil), heartbeat))
		}
		began := time.Now()
		hungUp(t, p)
		require.Equal(t, 180*time.Second, time.Since(began))
		require.EqualValues(t, 1, y.count("timeouts"))
	})
}

func TestMaxConnections(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxConnections = 1 }, func(t *testing.T, y *yard) {
		p := y.dial("1", false)
		p.login()
		hungUp(t, y.dial("2", false))
		require.EqualValues(t, 1, y.count("refused_connections"))
		require.Zero(t, p.acked(p.say(heartbeat, nil), heartbeat))
		require.NoError(t, p.Close())
		synctest.Wait()
		y.dial("2", false).login()
	})
}

// A terminal that sends and never reads is given up, and holds nobody else.
func TestTerminalThatDoesNotRead(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		ours, theirs := net.Pipe()
		y.hub.conns <- theirs
		_, err := ours.Write((&header{phone: phone{9: 9}}).appendMessage(nil, locationReport, 0, nil))
		require.NoError(t, err)
		other := y.dial("2", false)
		other.login()
		time.Sleep(writeWithin)
		synctest.Wait()
		_, err = ours.Write([]byte{mark})
		require.Error(t, err)
		require.EqualValues(t, 1, y.count("writes_failed"))
	})
}

// A report that is sent again, as all are whose acknowledgement was lost, is acknowledged and not told again.
func TestRetries(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		y.take()
		body := where(noon, 1<<29, 3)
		serial := p.say(locationReport, body)
		require.Zero(t, p.acked(serial, locationReport))
		require.Len(t, y.take(), 2)
		p.serial = serial
		require.Zero(t, p.acked(p.say(locationReport, body), locationReport))
		again := y.dial("7", false)
		again.login()
		again.serial = serial
		require.Zero(t, again.acked(again.say(locationReport, body), locationReport))
		require.Len(t, y.take(), 1, "the registration only")
		require.EqualValues(t, 2, y.count("duplicates"))

		again.serial = serial // 65536 messages later
		require.Zero(t, again.acked(again.say(locationReport, where(noon.Add(time.Hour), 1<<29, 3)), locationReport))
		require.Len(t, y.take(), 1, "a serial that wrapped is no retry; the alarm still stands")
	})
}

// Points of a blind zone are told with their own times in their order, and an alarm at its edges only.
func TestReplay(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		require.Zero(t, p.acked(p.say(locationReport, where(noon, 0, 3)), locationReport))
		y.take()
		var points [][]byte
		for i := range 10 {
			alarm := uint32(0)
			if i >= 3 && i < 6 || i == 8 {
				alarm = 1 << 1
			}
			points = append(points, where(noon.Add(time.Duration(i-60)*time.Minute), alarm, 3))
		}
		undatable := where(noon, 0, 3)
		undatable[22] = 0xfa
		points = append(points, undatable)
		require.Zero(t, p.acked(p.say(locationBatch, batch(1, points...)), locationBatch))
		var times []time.Duration
		var raised []time.Duration
		for _, r := range y.take() {
			if r.Kind == telemetry.KindAlarm {
				raised = append(raised, r.At.Sub(noon))
				continue
			}
			require.Contains(t, string(r.Body), `"replayed":true`)
			times = append(times, r.At.Sub(noon))
		}
		require.Len(t, times, 10)
		require.IsIncreasing(t, times)
		require.Equal(t, []time.Duration{-57 * time.Minute, -52 * time.Minute}, raised)
		require.EqualValues(t, 1, y.count("undated"))

		require.Zero(t, p.acked(p.say(locationReport, where(noon.Add(time.Second), 0, 3)), locationReport))
		require.Zero(t, p.acked(p.say(locationReport, where(noon.Add(2*time.Second), 2, 3)), locationReport))
		require.Len(t, y.take(), 3, "the replay didn't touch the live alarms")
	})
}

// An impossible time: the gateway's own dates the reading.
func TestBadTime(t *testing.T) {
	for _, clock := range [][]byte{
		{0x00, 0x01, 0x01, 0, 0, 0}, {0x26, 0x13, 0x01, 0, 0, 0}, {0x26, 0x02, 0x30, 0, 0, 0}, {0x26, 0x1a, 0x01, 0, 0, 0},
		{0x26, 0x01, 0x01, 0x24, 0, 0}, {0x26, 0x01, 0x01, 0, 0x60, 0}, {0x07, 0x04, 0x21, 0, 0, 0}, {0x80, 0x01, 0x06, 0, 0, 0}, {0, 0, 0, 0, 0, 0},
	} {
		body := where(noon, 0, 3)
		copy(body[22:], clock)
		l, ok := parseLocation(body)
		require.True(t, ok)
		rs, _, ok := l.readings(nil, "x", Terminal{}.profile(phone{}), false, false, new(counters))
		require.True(t, ok)
		require.True(t, rs[0].At.IsZero(), "%x", clock)
		require.Equal(t, telemetry.Unknown, rs[0].TQ)
		require.True(t, position(t, rs[0]).DateSuspect)
		require.NoError(t, rs[0].Validate())
	}
}

func TestStopWhileConnected(t *testing.T) {
	cfg := testConfig(t)
	synctest.Test(t, func(t *testing.T) {
		y := start(t, cfg)
		p := y.dial("7", false)
		p.login()
		y.stop()
		require.ErrorIs(t, <-y.done, context.Canceled)
		hungUp(t, p)
	})
}

// failing is a listener that is out of descriptors, twice.
type failing struct {
	*hub
	n int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.n++; f.n <= 2 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return nil, errors.New("the network is gone")
}

func TestAcceptErrors(t *testing.T) {
	cfg := testConfig(t)
	synctest.Test(t, func(t *testing.T) {
		d, err := New(cfg, devices.Env{Name: "x", Log: slog.New(slog.DiscardHandler), Listen: func(context.Context, string, string) (net.Listener, error) {
			return &failing{hub: newHub()}, nil
		}})
		require.NoError(t, err)
		err = d.Run(t.Context(), func(context.Context, ...telemetry.Reading) error { return nil })
		require.ErrorContains(t, err, "the network is gone")
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.EqualValues(t, 2, d.Counters()["accept_errors"])
	})
}
