package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
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

// A board plays the units of a line. Its hooks stand for what goes wrong in the field.
type board struct {
	framing framing
	regs    map[byte]map[register]uint16 // by unit
	answer  func(n int, q request, reply []byte) (send []byte, after time.Duration)

	mu    sync.Mutex
	asked []request
	at    []time.Time
}

func (b *board) play(ctx context.Context, conn devicestest.Conn) {
	var in []byte
	chunk := make([]byte, 64)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		for in = append(in, chunk[:n]...); ; {
			q, head, size := b.request(in)
			if size == 0 {
				break
			}
			in = in[size:]
			b.mu.Lock()
			b.asked, b.at = append(b.asked, q), append(b.at, time.Now())
			count := len(b.asked)
			b.mu.Unlock()
			send, after := b.reply(q, head), time.Duration(0)
			if b.answer != nil {
				send, after = b.answer(count, q, send)
			}
			if !pause(ctx, after+5*time.Millisecond) {
				return
			}
			if _, err := conn.Write(send); err != nil {
				return
			}
		}
	}
}

func (b *board) request(in []byte) (q request, head []byte, size int) {
	if b.framing == (tcp{}) {
		if len(in) < 12 {
			return q, nil, 0
		}
		head, in, size = in[:2], in[6:], 12
	} else if size = 8; len(in) < size {
		return q, nil, 0
	}
	return request{in[0], in[1], binary.BigEndian.Uint16(in[2:]), binary.BigEndian.Uint16(in[4:])}, bytes.Clone(head), size
}

func (b *board) reply(q request, head []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	unit, ok := b.regs[q.unit]
	if !ok {
		return nil
	}
	body := []byte{q.unit, q.function, byte(2 * q.count)}
	for i := range q.count {
		v, ok := unit[register{q.function, q.address + i}]
		if !ok {
			body = []byte{q.unit, q.function | exceptionBit, 2}
			break
		}
		body = binary.BigEndian.AppendUint16(body, v)
	}
	if head != nil {
		return append(append(head, 0, 0, 0, byte(len(body))), body...)
	}
	return binary.LittleEndian.AppendUint16(body, crc16(body))
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func sensor(temp, hum uint16) map[register]uint16 {
	return map[register]uint16{{4, 1}: temp, {4, 2}: hum}
}

// A bench runs a driver on a board in a bubble.
type bench struct {
	t      *testing.T
	driver *Driver
	board  *board
	device devicestest.Conn
	cancel context.CancelFunc
	done   chan error
	got    []telemetry.Reading
	mu     sync.Mutex
}

func start(t *testing.T, c Config, b *board) *bench {
	require.NoError(t, c.Validate())
	ctx, cancel := context.WithCancel(t.Context())
	x := &bench{t: t, board: b, cancel: cancel, done: make(chan error, 1)}
	open := func(context.Context, string) (port.Port, error) {
		driver, device := porttest.Pipe()
		x.device = device
		go b.play(ctx, device)
		context.AfterFunc(ctx, func() { _ = device.Close() })
		return driver, nil
	}
	var err error
	x.driver, err = New(c, devices.Env{Name: "cold", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	go func() { x.done <- x.driver.Run(ctx, x.emit) }()
	t.Cleanup(cancel)
	return x
}

func (x *bench) emit(_ context.Context, rs ...telemetry.Reading) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			return err
		}
	}
	x.got = append(x.got, rs...)
	return nil
}

// take returns the bodies emitted since the last take.
func (x *bench) take() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []string
	for _, r := range x.got {
		all = append(all, string(r.Body))
	}
	x.got = nil
	return all
}

func (x *bench) counter(name string) int { return int(x.driver.Counters()[name]) }

func (x *bench) stop() {
	x.cancel()
	require.ErrorIs(x.t, <-x.done, context.Canceled)
}

func oneUnit() Config {
	return Config{Port: "serial:/dev/ttyUSB0", Units: []Unit{{Unit: 1, Probe: "cold-1", Profile: "xy-md02"}}}
}

func threeUnits() Config {
	c := oneUnit()
	c.Units = append(c.Units, Unit{Unit: 2, Probe: "cold-2", Profile: "xy-md02"}, Unit{Unit: 3, Probe: "cold-3", Profile: "xy-md02"})
	return c
}

const (
	ok1    = `{"probe":"cold-1","temperature_c":28.5,"humidity_pct":63.9,"quality":"ok"}`
	ok2    = `{"probe":"cold-2","temperature_c":-20.5,"humidity_pct":54.6,"quality":"ok"}`
	ok3    = `{"probe":"cold-3","temperature_c":4,"humidity_pct":80,"quality":"ok"}`
	fault1 = `{"probe":"cold-1","quality":"fault"}`
	fault2 = `{"probe":"cold-2","quality":"fault"}`
)

func threeSensors() map[byte]map[register]uint16 {
	return map[byte]map[register]uint16{1: sensor(285, 639), 2: sensor(0xFF33, 546), 3: sensor(40, 800)}
}

func TestPollsEveryUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, threeUnits(), &board{framing: rtu{}, regs: threeSensors()})
		time.Sleep(time.Second)
		require.Equal(t, []string{ok1, ok2, ok3}, x.take())
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{ok1, ok2, ok3}, x.take())
		require.Equal(t, 6, x.counter("frames_ok"))
		require.Zero(t, x.counter("resync"))
		require.Empty(t, x.driver.LastBad())
		x.stop()
	})
}

func TestReadingsTellNoTimeOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, oneUnit(), &board{framing: rtu{}, regs: threeSensors()})
		time.Sleep(time.Second)
		x.mu.Lock()
		require.Len(t, x.got, 1)
		require.True(t, x.got[0].At.IsZero())
		require.Equal(t, telemetry.Unknown, x.got[0].TQ)
		require.Equal(t, "cold", x.got[0].Device)
		x.mu.Unlock()
		x.stop()
	})
}

// Between the end of a reply and the next request the line must have been silent.
func TestSilentInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeUnits()
		c.Silence = 35 * time.Millisecond
		b := &board{framing: rtu{}, regs: threeSensors()}
		x := start(t, c, b)
		time.Sleep(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Len(t, b.at, 3)
		for i := 1; i < 3; i++ {
			require.GreaterOrEqual(t, b.at[i].Sub(b.at[i-1]), 40*time.Millisecond) // reply after 5 ms
		}
		x.stop()
	})
}

func TestOneDeadUnitLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{framing: rtu{}, regs: threeSensors()}
		gone := b.regs[2]
		delete(b.regs, 2)
		x := start(t, threeUnits(), b)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{ok1, fault2, ok3}, x.take())
		require.Equal(t, 3, x.counter("timeouts"), "asked three times")
		require.Equal(t, 2, x.counter("retries"))
		require.Equal(t, 1, x.counter("units_lost"))

		time.Sleep(10 * time.Second)
		require.Equal(t, []string{ok1, ok3}, x.take(), "the fault is known")
		require.Equal(t, 4, x.counter("timeouts"), "a lost unit is asked once a round")

		time.Sleep(60 * time.Second)
		require.Contains(t, x.take(), fault2, "told again while it lasts")

		b.mu.Lock()
		b.regs[2] = gone
		b.mu.Unlock()
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{ok1, ok2, ok3}, x.take())
		require.Zero(t, x.counter("units_lost"))
		x.stop()
	})
}

func TestDisconnectedProbe(t *testing.T) {
	for name, regs := range map[string]map[register]uint16{
		"7FFF": sensor(0x7FFF, 546), "8000": sensor(0x8000, 0x8000), "FFFF": sensor(0xFFFF, 0xFFFF),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := start(t, oneUnit(), &board{framing: rtu{}, regs: map[byte]map[register]uint16{1: regs}})
				time.Sleep(time.Second)
				require.Equal(t, []string{fault1}, x.take())
				require.Equal(t, 1, x.counter("probe_faults"))
				x.stop()
			})
		})
	}
}

func TestAnExceptionIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, oneUnit(), &board{framing: rtu{}, regs: map[byte]map[register]uint16{1: {}}})
		time.Sleep(61 * time.Second)
		require.Equal(t, []string{fault1, fault1}, x.take(), "at once and after a minute; the line stays open")
		require.Equal(t, 7, x.counter("exceptions"))
		require.Zero(t, x.counter("retries"), "an illegal address stays illegal")
		x.stop()
	})
}

func TestBusyIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{framing: rtu{}, regs: threeSensors()}
		b.answer = func(n int, q request, reply []byte) ([]byte, time.Duration) {
			if n == 1 {
				busy := []byte{1, 0x84, 6}
				return binary.LittleEndian.AppendUint16(busy, crc16(busy)), 0
			}
			return reply, 0
		}
		x := start(t, oneUnit(), b)
		time.Sleep(time.Second)
		require.Equal(t, []string{ok1}, x.take())
		require.Equal(t, 1, x.counter("exceptions"))
		x.stop()
	})
}

// What a line does to replies, and what must still come out: the right values or none.
func TestBadLines(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  func(n int, q request, reply []byte) ([]byte, time.Duration)
		counter string
	}{
		{"one bit flipped", func(n int, _ request, r []byte) ([]byte, time.Duration) {
			if n == 1 {
				r[4] ^= 8
			}
			return r, 0
		}, "bad_checksum"},
		{"noise before the reply", func(n int, _ request, r []byte) ([]byte, time.Duration) {
			return append([]byte{0x00, 0xFF, 1, 4, 4}, r...), 0
		}, "resync"},
		{"an adapter that echoes", func(n int, q request, r []byte) ([]byte, time.Duration) {
			return append(rtu{}.appendRequest(nil, q, 0), r...), 0
		}, "resync"},
		{"another unit answers first", func(n int, _ request, r []byte) ([]byte, time.Duration) {
			other := []byte{2, 4, 4, 0, 1, 0, 2}
			return append(binary.LittleEndian.AppendUint16(other, crc16(other)), r...), 0
		}, "resync"},
		{"the first reply is cut", func(n int, _ request, r []byte) ([]byte, time.Duration) {
			if n == 1 {
				r = r[:4]
			}
			return r, 0
		}, "timeouts"},
		{"the first reply is late", func(n int, _ request, r []byte) ([]byte, time.Duration) {
			if n == 1 {
				return r, 520 * time.Millisecond
			}
			return r, 0
		}, "timeouts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := start(t, oneUnit(), &board{framing: rtu{}, regs: threeSensors(), answer: c.answer})
				time.Sleep(5 * time.Second)
				require.Equal(t, []string{ok1}, x.take())
				require.NotZero(t, x.counter(c.counter))
				x.stop()
			})
		})
	}
}

// Two blocks of one shape: RTU can't tell their replies apart, so a reply that comes late must
// have passed before the other block is asked for.
func TestALateReplyIsNotTakenForAnotherBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oneUnit()
		c.Units[0].Profile = "two"
		c.Profiles = map[string]Profile{"two": {Values: []Value{
			{Probe: "a", Field: temperature, Function: 4, Address: 0, Type: "int16", Scale: 0.1},
			{Probe: "b", Field: temperature, Function: 4, Address: 10, Type: "int16", Scale: 0.1},
		}}}
		b := &board{framing: rtu{}, regs: map[byte]map[register]uint16{1: {{4, 0}: 50, {4, 10}: 90}}}
		b.answer = func(n int, q request, r []byte) ([]byte, time.Duration) {
			if n == 1 {
				return r, 600 * time.Millisecond // it answers both attempts, the second one too late
			}
			return r, 0
		}
		x := start(t, c, b)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{
			`{"probe":"cold-1-a","temperature_c":5,"quality":"ok"}`,
			`{"probe":"cold-1-b","temperature_c":9,"quality":"ok"}`,
		}, x.take())
		x.stop()
	})
}

func TestTCPDropsLateReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oneUnit()
		c.Port = "tcp:192.0.2.7:502"
		b := &board{framing: tcp{}, regs: threeSensors()}
		b.answer = func(n int, q request, r []byte) ([]byte, time.Duration) {
			if n == 1 {
				return r, 600 * time.Millisecond
			}
			return r, 0
		}
		x := start(t, c, b)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{ok1}, x.take())
		require.Equal(t, 1, x.counter("late_replies"))
		require.Equal(t, 1, x.counter("frames_ok"))
		x.stop()
	})
}

func TestALineWhereNothingAnswersIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, oneUnit(), &board{framing: rtu{}})
		err := <-x.done
		require.ErrorIs(t, err, errSilent)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.Equal(t, []string{fault1}, x.take())

		// The next Run doesn't tell the same fault at once again.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, x.driver.Run(ctx, x.emit), context.DeadlineExceeded)
		require.Empty(t, x.take())
		x.cancel()
	})
}

func TestTextReportsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{framing: rtu{}, answer: func(int, request, []byte) ([]byte, time.Duration) {
			return []byte("28.5C,63.9%RH\r\n"), 0
		}}
		x := start(t, oneUnit(), b)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{fault1}, x.take())
		require.NotZero(t, x.counter("text_reports"))
		x.stop()
	})
}

func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oneUnit()
		c.StuckAfter = time.Minute
		x := start(t, c, &board{framing: rtu{}, regs: threeSensors()})
		time.Sleep(65 * time.Second)
		got := x.take()
		require.Equal(t, ok1, got[0])
		require.Equal(t, `{"probe":"cold-1","temperature_c":28.5,"humidity_pct":63.9,"quality":"stuck"}`, got[len(got)-1])
		x.stop()
	})
}

func TestEmitsErrorEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, oneUnit(), &board{framing: rtu{}, regs: threeSensors()})
		x.stop()
		refused := errors.New("refused")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		x.board = &board{framing: rtu{}, regs: threeSensors()}
		x.driver.env.Open = func(context.Context, string) (port.Port, error) {
			driver, device := porttest.Pipe()
			go x.board.play(ctx, device)
			context.AfterFunc(ctx, func() { _ = device.Close() })
			return driver, nil
		}
		err := x.driver.Run(ctx, func(context.Context, ...telemetry.Reading) error { return refused })
		require.ErrorIs(t, err, refused)
	})
}

func newDriver(t *testing.T, c Config) func(port.Opener) devices.Driver {
	return func(open port.Opener) devices.Driver {
		d, err := New(c, devices.Env{Name: "cold", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}
}

func TestContract(t *testing.T) {
	b := func(f framing) devicestest.Device {
		return func(ctx context.Context, conn devicestest.Conn) {
			(&board{framing: f, regs: threeSensors()}).play(ctx, conn)
		}
	}
	serial, network := threeUnits(), threeUnits()
	serial.Every = 500 * time.Millisecond
	network.Port = "tcp:192.0.2.7:502"
	network.Every = 500 * time.Millisecond
	devicestest.Contract(t, newDriver(t, serial), b(rtu{}))
	devicestest.Contract(t, newDriver(t, network), b(tcp{}))
	devicestest.OnPTY(t, newDriver(t, serial), b(rtu{}))
	devicestest.OnTCP(t, newDriver(t, network), b(tcp{}))
}

// The conversation of a real unit, as captured on its line.
func TestTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		play := devicestest.Play(t, "testdata/xy-md02.txt")
		c := oneUnit()
		d := newDriver(t, c)(func(context.Context, string) (port.Port, error) {
			driver, device := porttest.Pipe()
			go play(ctx, device)
			context.AfterFunc(ctx, func() { _ = device.Close() })
			return driver, nil
		})
		err := d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				got = append(got, string(r.Body))
			}
			if len(got) == 4 {
				cancel()
			}
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{
			ok1,
			`{"probe":"cold-1","temperature_c":30.5,"humidity_pct":54.6,"quality":"ok"}`,
			fault1,
			`{"probe":"cold-1","temperature_c":-20.5,"humidity_pct":54.6,"quality":"ok"}`,
		}, got)
	})
}
