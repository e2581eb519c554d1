package lockerbus

import (
	"bytes"
	"context"
	"fmt"
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

// A cabinet plays boards 1 (locks, feedback closed when locked) and 2 (item sensors) of 24 inputs.
type cabinet struct {
	wire   sync.Mutex // one talks at a time
	mu     sync.Mutex
	conn   devicestest.Conn
	open   [25]bool
	item   [25]bool
	jammed [25]bool
	pulses [25]int
	when   []time.Time           // of pulses
	gone   map[byte]bool         // boards that don't answer
	lose   func(query, int) bool // answers that get lost; the int counts requests
	family string                // empty: 8a80
	damage func([]byte)          // answers
	tell   bool                  // changes unasked
	echo   bool                  // of the adapter
	n      int
}

// A query is what a board is asked; lock 0 is all.
type query struct {
	open        bool
	board, lock byte
}

func (k *cabinet) play(ctx context.Context, conn devicestest.Conn) {
	k.mu.Lock()
	k.conn = conn
	k.mu.Unlock()
	size := map[string]int{"": 5, KRCU16: 5, KRCU24: 6, KRCU48: 6, KRCU12: 8}[k.family]
	var in []byte
	chunk := make([]byte, 64)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		for in = append(in, chunk[:n]...); len(in) >= size; in = in[size:] {
			if k.echo {
				k.write(in[:size])
			}
			answer := k.answer(in[:size])
			if !pause(ctx, 10*time.Millisecond) {
				return
			}
			k.write(answer)
		}
	}
}

func (k *cabinet) write(b []byte) {
	k.wire.Lock()
	defer k.wire.Unlock()
	if len(b) > 0 {
		_, _ = k.conn.Write(b)
	}
}

func sealed(b ...byte) []byte { return append(b, bcc(b)) }
func summed(b ...byte) []byte { return append(b, sum(b)) }

// asked reads a request.
func (k *cabinet) asked(f []byte) query {
	switch k.family {
	case KRCU16:
		return query{f[2] == 0x31, f[1] >> 4, f[1]&0x0F + 1}
	case KRCU24, KRCU48, KRCU12:
		return query{f[3]&0x0F == 1, f[1], f[2] + 1}
	}
	return query{f[0] == cmdOpen, f[1], f[2]}
}

func (k *cabinet) answer(f []byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.n++
	q := k.asked(f)
	if q.open {
		k.pulses[q.lock]++
		k.when = append(k.when, time.Now())
		k.open[q.lock] = k.open[q.lock] || !k.jammed[q.lock]
	}
	b := k.says(q)
	if k.gone[q.board] || k.lose != nil && k.lose(q, k.n) {
		return nil
	}
	if k.damage != nil && len(b) > 0 {
		k.damage(b)
	}
	return b
}

func (k *cabinet) says(q query) []byte {
	d := k.bits(func(lock int) bool { return k.one(q.board, lock) })
	i := k.bits(func(lock int) bool { return k.item[lock] })
	switch {
	case q.open && (k.family == KRCU16 || k.family == KRCU24 || k.family == KRCU48):
		return nil
	case k.family == KRCU16:
		return summed(stx, q.board<<4, 0x35, d[0], d[1], i[0], i[1], etx)
	case k.family == KRCU24:
		return summed(stx, q.board, 0, 0x65, d[0], d[1], d[2], etx)
	case k.family == KRCU48:
		return summed(stx, q.board, 0, 0x75, d[0], d[1], d[2], 0, 0, 0, etx)
	case k.family == KRCU12 && q.open:
		return summed(stx, q.board, q.lock-1, 0x81, 0x10, 0, etx)
	case k.family == KRCU12:
		return append(summed(stx, q.board, 0, 0x80, 0x10, 4, etx), d[0], d[1], i[0], i[1])
	case q.open:
		return sealed(cmdOpen, q.board, q.lock, k.ss(q))
	case q.lock != 0:
		return sealed(cmdRead, q.board, q.lock, k.ss(q))
	}
	return sealed(cmdRead, q.board, d[2], d[1], d[0], fnRead)
}

// bits are the states of 24 locks, the first byte 1 to 8.
func (k *cabinet) bits(one func(lock int) bool) (s [3]byte) {
	for lock := 1; lock <= 24; lock++ {
		if one(lock) {
			s[(lock-1)/8] |= 1 << ((lock - 1) % 8)
		}
	}
	return s
}

func (k *cabinet) one(board byte, lock int) bool {
	if board == 2 {
		return k.item[lock]
	}
	return !k.open[lock]
}

func (k *cabinet) ss(q query) byte {
	if k.one(q.board, int(q.lock)) {
		return short
	}
	return broken
}

// set changes the cabinet, as people and doors do.
func (k *cabinet) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.open
	f()
	for lock := 1; lock <= 24 && k.tell; lock++ {
		if k.open[lock] != was[lock] {
			k.write(sealed(cmdChange, 1, byte(lock), k.ss(query{board: 1, lock: byte(lock)})))
		}
	}
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

type bench struct {
	t       *testing.T
	cabinet *cabinet
	driver  *Driver
	cancel  context.CancelFunc
	done    chan error

	mu  sync.Mutex
	got []telemetry.Reading
}

func start(t *testing.T, c Config, k *cabinet) *bench {
	require.NoError(t, c.Validate())
	x := &bench{t: t, cabinet: k, done: make(chan error, 1)}
	var err error
	x.driver, err = New(c, devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: func(ctx context.Context, _ string) (port.Port, error) {
		driver, device := porttest.Pipe()
		ctx, hangUp := context.WithCancel(ctx)
		go func() {
			defer hangUp()
			defer device.Close()
			k.play(ctx, device)
		}()
		context.AfterFunc(ctx, func() { _ = device.Close() })
		return driver, nil
	}})
	require.NoError(t, err)
	x.run()
	return x
}

func (x *bench) run() {
	ctx, cancel := context.WithCancel(x.t.Context())
	x.cancel = cancel
	x.t.Cleanup(cancel)
	go func() { x.done <- x.driver.Run(ctx, x.emit) }()
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

// take returns what was emitted since the last take.
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

// pass lets time pass in the bubble.
func (x *bench) pass(d time.Duration) { time.Sleep(d) }

func (x *bench) stop() {
	x.cancel()
	require.ErrorIs(x.t, <-x.done, context.Canceled)
}

func (x *bench) command(cell string) telemetry.Result {
	return x.driver.Command(x.t.Context(), telemetry.CommandTo{ID: "c-1", Device: "board", Action: "open_cell", Args: map[string]string{"cell": cell}})
}

func (x *bench) outcome(cell string) string {
	r := x.command(cell)
	require.Equal(x.t, "c-1", r.Command)
	return fmt.Sprint(r.Outcome, " ", r.Detail)
}

func (x *bench) pulses(lock int) int {
	x.cabinet.mu.Lock()
	defer x.cabinet.mu.Unlock()
	return x.cabinet.pulses[lock]
}

func doorsOnly() Config {
	return Config{Port: "serial:/dev/ttyUSB0", Feedback: LockedShort, Boards: []Board{{Board: 1, Cells: 3}}}
}

func withItems() Config {
	c := doorsOnly()
	c.Occupancy = SecondBoard
	c.Boards[0].ItemBoard = 2
	return c
}

func event(cell int, e string) string { return fmt.Sprintf(`{"cell":%d,"event":%q}`, cell, e) }
func holding(cell int, e string, occupied bool) string {
	return fmt.Sprintf(`{"cell":%d,"event":%q,"occupied":%v}`, cell, e, occupied)
}

// inBubble plays a story on a cabinet that was seen first.
func inBubble(t *testing.T, c Config, k *cabinet, story func(t *testing.T, x *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := start(t, c, k)
		time.Sleep(time.Second)
		story(t, x)
		select {
		case err := <-x.done:
			x.done <- err // the story ended it
			x.cancel()
		default:
			x.stop()
		}
	})
}

func TestTheFirstSightIsToldOnce(t *testing.T) {
	k := &cabinet{}
	k.open[2], k.item[3] = true, true
	inBubble(t, withItems(), k, func(t *testing.T, x *bench) {
		require.Equal(t, []string{holding(1, "closed", false), holding(2, "opened", false), holding(3, "closed", true)}, x.take())
		time.Sleep(time.Minute)
		require.Empty(t, x.take(), "nothing happened")
		require.True(t, x.driver.Counters()["frames_ok"] > 100)
		require.Empty(t, x.driver.LastBad())
	})
}

func TestReadingsTellNoTimeAndNoNumber(t *testing.T) {
	inBubble(t, doorsOnly(), &cabinet{}, func(t *testing.T, x *bench) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, r := range x.got {
			require.True(t, r.At.IsZero())
			require.Empty(t, r.N)
			require.Equal(t, "board", r.Device)
		}
	})
}

func TestOpenACell(t *testing.T) {
	inBubble(t, doorsOnly(), &cabinet{}, func(t *testing.T, x *bench) {
		x.take()
		require.Equal(t, "done opened", x.outcome("2"))
		synctest.Wait()
		require.Equal(t, []string{event(2, "opened")}, x.take())
		require.Equal(t, "refused already_open", x.outcome("2"))
		x.cabinet.set(func() { x.cabinet.open[2] = false })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(2, "closed")}, x.take())
		require.Equal(t, 1, x.pulses(2))
	})
}

func TestDepositAndPickup(t *testing.T) {
	for _, tell := range []bool{false, true} {
		t.Run(fmt.Sprintf("unasked changes %v", tell), func(t *testing.T) {
			k := &cabinet{tell: tell}
			inBubble(t, withItems(), k, func(t *testing.T, x *bench) {
				x.take()
				require.Equal(t, "done opened", x.outcome("3"))
				time.Sleep(5 * time.Second)
				k.set(func() { k.item[3] = true })
				time.Sleep(5 * time.Second)
				require.Equal(t, []string{holding(3, "opened", false)}, x.take(), "an item in an open cell is no deposit yet")
				k.set(func() { k.open[3] = false })
				time.Sleep(time.Second)
				require.Equal(t, []string{holding(3, "deposited", true)}, x.take())

				require.Equal(t, "done opened", x.outcome("3"))
				k.set(func() { k.item[3] = false })
				time.Sleep(5 * time.Second)
				k.set(func() { k.open[3] = false })
				time.Sleep(time.Second)
				require.Equal(t, []string{holding(3, "opened", true), holding(3, "emptied", false)}, x.take())

				// opened and closed with nothing done
				require.Equal(t, "done opened", x.outcome("3"))
				k.set(func() { k.open[3] = false })
				time.Sleep(time.Second)
				require.Equal(t, []string{holding(3, "opened", false), holding(3, "closed", false)}, x.take())
			})
		})
	}
}

func TestForced(t *testing.T) {
	k := &cabinet{}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.take()
		k.set(func() { k.open[1] = true })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(1, "forced")}, x.take())

		// A pulse explains one opening, not the next.
		require.Equal(t, "done opened", x.outcome("2"))
		k.set(func() { k.open[2] = false })
		time.Sleep(time.Second)
		k.set(func() { k.open[2] = true })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(2, "opened"), event(2, "closed"), event(2, "forced")}, x.take())
	})
}

func TestJammed(t *testing.T) {
	k := &cabinet{}
	k.jammed[2] = true
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.take()
		began := time.Now()
		require.Equal(t, "unknown jammed", x.outcome("2"))
		require.InDelta(t, 3, time.Since(began).Seconds(), 0.5)
		synctest.Wait()
		require.Equal(t, []string{event(2, "jammed")}, x.take())
		require.Equal(t, 1, x.pulses(2), "a jammed door is pulsed once")

		time.Sleep(10 * time.Second)
		k.set(func() { k.open[2] = true }) // somebody pulls
		time.Sleep(time.Second)
		require.Equal(t, []string{event(2, "opened")}, x.take())
	})
}

// The answer to the pulse is lost, or says whatever it says: the door decides.
func TestALostAnswerIsNoSecondPulse(t *testing.T) {
	k := &cabinet{lose: func(q query, _ int) bool { return q.open }}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		require.Equal(t, "done opened", x.outcome("2"))
		require.Equal(t, 1, x.pulses(2))
	})
}

func TestNothingCanBeReadAfterThePulse(t *testing.T) {
	k := &cabinet{}
	pulsed := false
	k.lose = func(q query, _ int) bool {
		pulsed = pulsed || q.open
		return pulsed
	}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.take()
		require.Equal(t, "unknown no_reply", x.outcome("2"))
		require.Equal(t, 1, x.pulses(2))
		require.NotContains(t, x.take(), event(2, "jammed"), "nobody saw it")
	})
}

func TestNothingCanBeReadBeforeThePulse(t *testing.T) {
	k := &cabinet{}
	k.jammed[2] = true
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		k.set(func() { k.gone = map[byte]bool{1: true} })
		require.Equal(t, "refused no_reply", x.outcome("2"))
		require.Zero(t, x.pulses(2))
	})
}

func TestRefusals(t *testing.T) {
	inBubble(t, doorsOnly(), &cabinet{}, func(t *testing.T, x *bench) {
		for _, cell := range []string{"", "0", "4", "-1", "1.0", "01", "two", "99999999999999999999"} {
			require.Equal(t, "refused bad_cell", x.outcome(cell), "%q", cell)
		}
		r := x.driver.Command(t.Context(), telemetry.CommandTo{ID: "c-2", Action: "open_all"})
		require.Equal(t, telemetry.Result{Command: "c-2", Outcome: telemetry.Refused, Detail: "unknown_action"}, r)
		x.stop()
		require.Equal(t, "refused not_running", x.outcome("1"))
		require.Zero(t, x.pulses(1))
		x.run()
	})
}

// While the spool is full Run waits in emit, and a command is refused rather than left to act
// some time later.
func TestBusy(t *testing.T) {
	k := &cabinet{}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.stop()
		k.set(func() { k.open[3] = true })
		ctx, cancel := context.WithCancel(t.Context())
		blocked := make(chan struct{})
		go func() {
			x.done <- x.driver.Run(ctx, func(ctx context.Context, _ ...telemetry.Reading) error {
				close(blocked)
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		<-blocked
		limited, end := context.WithTimeout(t.Context(), 5*time.Second)
		defer end()
		r := x.driver.Command(limited, telemetry.CommandTo{ID: "c-1", Action: "open_cell", Args: map[string]string{"cell": "2"}})
		require.Equal(t, telemetry.Result{Command: "c-1", Outcome: telemetry.Refused, Detail: "busy"}, r)
		cancel()
		require.ErrorIs(t, <-x.done, context.Canceled)
		require.Zero(t, x.pulses(2))
		x.run()
	})
}

func TestPulsesAreSpaced(t *testing.T) {
	k := &cabinet{}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		var wg sync.WaitGroup
		for _, cell := range []string{"1", "2", "3"} {
			wg.Go(func() { x.command(cell) })
		}
		wg.Wait()
		k.mu.Lock()
		defer k.mu.Unlock()
		require.Len(t, k.when, 3)
		for i := 1; i < 3; i++ {
			require.GreaterOrEqual(t, k.when[i].Sub(k.when[i-1]), spacing)
		}
	})
}

// With an adapter that echoes, the echo of a read-all must not be taken for anything.
func TestEcho(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprintf("set %v", told), func(t *testing.T) {
			c := withItems()
			c.Echo = told
			k := &cabinet{echo: true}
			k.jammed[2] = true
			inBubble(t, c, k, func(t *testing.T, x *bench) {
				require.Len(t, x.take(), 3)
				require.Equal(t, "done opened", x.outcome("1"))
				require.Equal(t, "unknown jammed", x.outcome("2"), "the echo looks like an answer")
				require.Equal(t, told, x.driver.Counters()["echoes"] > 0)
			})
		})
	}
}

func TestOpenShortFeedback(t *testing.T) {
	c := doorsOnly()
	c.Feedback = OpenShort
	k := &cabinet{}
	k.set(func() {
		for i := range k.open {
			k.open[i] = true // the contacts of this kind are closed when open: inverted cabinet
		}
	})
	inBubble(t, c, k, func(t *testing.T, x *bench) {
		require.Equal(t, []string{event(1, "closed"), event(2, "closed"), event(3, "closed")}, x.take())
		k.set(func() { k.open[1] = false })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(1, "forced")}, x.take())
	})
}

func TestALostBoard(t *testing.T) {
	k := &cabinet{}
	inBubble(t, withItems(), k, func(t *testing.T, x *bench) {
		x.take()
		k.set(func() { k.gone = map[byte]bool{2: true} })
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{`{"code":"board_lost","severity":"major","detail":"board 2"}`}, x.take())
		require.EqualValues(t, 1, x.driver.Counters()["boards_lost"])

		// Doors go on; what is inside isn't known meanwhile.
		require.Equal(t, "done opened", x.outcome("1"))
		k.set(func() { k.item[1], k.open[1] = true, false })
		time.Sleep(time.Second)
		require.Equal(t, []string{holding(1, "opened", false), event(1, "closed")}, x.take())
		k.set(func() { k.gone = nil })
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{holding(1, "closed", true)}, x.take(), "a statement, not an event")
		require.Zero(t, x.driver.Counters()["boards_lost"])
	})
}

// The line dies for a while: what happened meanwhile is told when it is back.
func TestWhatHappenedWhileTheLineWasDown(t *testing.T) {
	k := &cabinet{}
	inBubble(t, withItems(), k, func(t *testing.T, x *bench) {
		x.take()
		k.set(func() { k.gone = map[byte]bool{1: true, 2: true} })
		require.ErrorIs(t, <-x.done, errSilent)
		require.Contains(t, x.take(), `{"code":"board_lost","severity":"major","detail":"board 1"}`)
		k.set(func() { k.gone = nil; k.open[1] = true; k.item[2] = true })
		x.run()
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{holding(1, "forced", false), holding(2, "deposited", true)}, x.take())
	})
}

func TestAFlickeringItemIsNoEvent(t *testing.T) {
	k := &cabinet{}
	inBubble(t, withItems(), k, func(t *testing.T, x *bench) {
		x.take()
		k.set(func() { k.item[1] = true })
		time.Sleep(500 * time.Millisecond)
		k.set(func() { k.item[1] = false })
		time.Sleep(5 * time.Second)
		require.Empty(t, x.take())
	})
}

func TestADoorLeftOpen(t *testing.T) {
	k := &cabinet{}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.take()
		x.command("3")
		time.Sleep(11 * time.Minute)
		require.Equal(t, []string{event(3, "opened"), `{"code":"door_open","severity":"minor","detail":"cell 3"}`}, x.take())
		time.Sleep(time.Hour)
		require.Empty(t, x.take(), "once an opening")
	})
}

// Noise between frames: nothing wrong comes out, and the next frame is found.
func TestNoise(t *testing.T) {
	k := &cabinet{}
	inBubble(t, doorsOnly(), k, func(t *testing.T, x *bench) {
		x.take()
		for i := range 50 {
			k.set(func() { k.write(bytes.Repeat([]byte{0x81, 0x01, byte(i), 0x11}, 3)) })
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		require.Empty(t, x.take())
		require.NotZero(t, x.driver.Counters()["resync"])
		require.NotEmpty(t, x.driver.LastBad())
		k.set(func() { k.open[1] = true })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(1, "forced")}, x.take())
	})
}

func TestTwoBoardsShareTheLine(t *testing.T) {
	c := doorsOnly()
	c.Boards = []Board{{Board: 1, Cells: 2}, {Board: 2, Cells: 2}}
	k := &cabinet{} // board 2 reads item: 0 is open for locked_short
	inBubble(t, c, k, func(t *testing.T, x *bench) {
		require.Equal(t, []string{event(1, "closed"), event(2, "closed"), event(3, "opened"), event(4, "opened")}, x.take())
		k.set(func() { k.item[2] = true })
		time.Sleep(time.Second)
		require.Equal(t, []string{event(4, "closed")}, x.take())
	})
}

func TestContract(t *testing.T) {
	for family, c := range map[string]Config{XOR: withItems(), KRCU16: kerongs(KRCU16), KRCU48: kerongs(KRCU48), KRCU12: kerongs(KRCU12)} {
		newDriver := func(open port.Opener) devices.Driver {
			d, err := New(c, devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: open})
			require.NoError(t, err)
			return d
		}
		device := func(ctx context.Context, conn devicestest.Conn) {
			k := &cabinet{tell: family == XOR, family: c.Family}
			var wg sync.WaitGroup
			wg.Go(func() {
				for pause(ctx, 2*time.Second) {
					k.set(func() {
						if k.conn != nil {
							k.open[1] = !k.open[1]
						}
					})
				}
			})
			k.play(ctx, conn)
			wg.Wait()
		}
		// A driver that is run again tells what has changed: let something change.
		t.Run(family, func(t *testing.T) { devicestest.Contract(t, newDriver, device) })
		if family == XOR || family == KRCU16 {
			t.Run(family, func(t *testing.T) { devicestest.OnPTY(t, newDriver, device) })
		}
	}
}
