package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/lockerbus"
	"yizhan/devices/mqttlocker"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
	"yizhan/firmware-sim/internal/firmware"
)

// told collects what a locker tells.
type told struct {
	mu  sync.Mutex
	all []telemetry.Reading
}

func (k *told) emit(_ context.Context, rs ...telemetry.Reading) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, rs...)
	return nil
}

// count returns how often a cell told an event.
func (k *told) count(cell int, event string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.all {
		if l, err := telemetry.As[telemetry.Locker](r); r.Kind == telemetry.KindLocker && err == nil && l.Cell.Or(0) == cell && string(l.Event) == event {
			n++
		}
	}
	return n
}

func (k *told) soon(t *testing.T, cell int, event string) {
	t.Helper()
	require.Eventually(t, func() bool { return k.count(cell, event) > 0 }, time.Minute, 10*time.Millisecond, "cell %d %s", cell, event)
}

func open(t *testing.T, c devices.Commander, id string, cell int) string {
	t.Helper()
	r := c.Command(t.Context(), telemetry.CommandTo{ID: id, Action: "open_cell", Args: map[string]string{"cell": fmt.Sprint(cell)}})
	return fmt.Sprint(r.Outcome, " ", r.Detail)
}

// ended runs f until the test ends; f returns ctx's error or nil.
func ended(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// Two KERONG boards of each model on one line, as our driver and as the manual see them.
func TestKerongBoardsOnALine(t *testing.T) {
	for _, c := range []struct {
		family   string
		model    firmware.Model
		infrared bool
	}{{"kr-cu12", firmware.KRCU12, true}, {"kr-cu16", firmware.KRCU16, true}, {"kr-cu24", firmware.KRCU24, false}, {"kr-cu48", firmware.KRCU48, false}} {
		t.Run(c.family, func(t *testing.T) {
			t.Parallel()
			line, err := firmware.OpenLine()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, line.Close()) })
			k := firmware.NewKerong(line, c.model, 2, 3)
			k.Baud, k.Sticky, k.Echo = 19200, true, c.model == firmware.KRCU24
			ended(t, k.Run)

			n := int(c.model)
			cfg := lockerbus.Config{
				Port: "serial:" + line.Path + "?baud=19200", Family: c.family, Echo: k.Echo, Occupancy: lockerbus.None,
				Boards: []lockerbus.Board{{Board: 3, Cells: n}, {Board: 4, Cells: n}},
			}
			if c.infrared {
				cfg.Occupancy = lockerbus.Infrared
			}
			require.NoError(t, cfg.Validate())
			d, err := lockerbus.New(cfg, devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: port.Open})
			require.NoError(t, err)
			var said told
			ended(t, func(ctx context.Context) error { return d.Run(ctx, said.emit) })

			last := 2 * n
			said.soon(t, last, "closed")
			require.Equal(t, "done opened", open(t, d, "c-1", last))
			require.Equal(t, 1, k.Pulses(last))
			require.NoError(t, k.Put(last, true))
			k.Shut(last)
			if c.infrared {
				said.soon(t, last, "deposited")
			} else {
				require.Eventually(t, func() bool { return said.count(last, "closed") == 2 }, time.Minute, 10*time.Millisecond)
			}
			k.Jam(n, true)
			require.Equal(t, "unknown jammed", open(t, d, "c-2", n))
			require.Equal(t, 1, k.Pulses(n))
			k.Force(1)
			said.soon(t, 1, "forced")
			require.Zero(t, d.Counters()["bad_checksum"])
		})
	}
}

// At the wrong speed nothing that is heard is a door, and the driver ends to be run again.
func TestKerongAtTheWrongSpeed(t *testing.T) {
	t.Parallel()
	line, err := firmware.OpenLine()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, line.Close()) })
	k := firmware.NewKerong(line, firmware.KRCU16, 1, 0)
	k.Baud = 19200
	ended(t, k.Run)
	cfg := lockerbus.Config{Port: "serial:" + line.Path + "?baud=9600", Family: lockerbus.KRCU16, Boards: []lockerbus.Board{{Board: 0, Cells: 16}}}
	d, err := lockerbus.New(cfg, devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: port.Open})
	require.NoError(t, err)
	var said told
	require.Error(t, d.Run(t.Context(), said.emit))
	require.Zero(t, said.count(1, "closed")+said.count(1, "opened"))
	require.NotZero(t, d.Counters()["timeouts"])
}

// card is a Log that commits at once, or not at all.
type card struct {
	mu     sync.Mutex
	broken bool
	kept   []telemetry.Reading
}

func (c *card) Append(es []frame.Entry, done func(error)) error {
	c.mu.Lock()
	broken := c.broken
	for _, e := range es {
		var r telemetry.Reading
		if !broken && e.Type == frame.TypeReading && json.Unmarshal(e.Payload, &r) == nil {
			c.kept = append(c.kept, r)
		}
	}
	c.mu.Unlock()
	if broken {
		return fmt.Errorf("card is full")
	}
	go done(nil)
	return nil
}

func (c *card) Flush() {}

func (c *card) fail(broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = broken
}

// mqttWall runs a simulated MQTT locker, the broker that it logs in to, and our driver of it.
func mqttWall(t *testing.T, cells int, set func(*firmware.Locker)) (*firmware.Locker, *mqttlocker.Driver, *card) {
	c := &card{}
	cfg := mqttlocker.Config{User: "wall", UID: "0b9c", Shape: mqttlocker.OpenLocker, Cells: cells, AnswerWithin: 3 * time.Second}
	require.NoError(t, cfg.Validate())
	var edge *broker.Edge
	d, err := mqttlocker.New(cfg, devices.Env{Name: "box", Log: slog.New(slog.DiscardHandler), LAN: lanOf{&edge}})
	require.NoError(t, err)
	hash, err := broker.HashPassword("secret")
	require.NoError(t, err)
	at := d.Lodging()
	edge, err = broker.NewEdge(broker.EdgeConfig{
		Listen: []string{"127.0.0.1:0"}, Log: c, Users: []broker.User{{Name: "wall", Role: broker.Device, PasswordHash: hash}},
		Dialects: map[string]broker.Dialect{at.User: {Publish: at.Publish, Subscribe: at.Subscribe, Translate: d.Translate, Present: d.Present}},
	})
	require.NoError(t, err)
	ended(t, edge.Run)
	ended(t, func(ctx context.Context) error { return d.Run(ctx, edge.Accept) })
	l := firmware.NewLocker(edge.Addr().String(), "wall", "secret", "0b9c", cells)
	if set != nil {
		set(l)
	}
	ended(t, l.Run)
	require.Eventually(t, func() bool { return l.Safe() >= 2 && l.Waiting() == 0 }, time.Minute, 10*time.Millisecond)
	return l, d, c
}

type lanOf struct{ edge **broker.Edge }

func (l lanOf) Publish(user, topic string, payload []byte, expires time.Duration) error {
	return (*l.edge).Publish(user, topic, payload, expires)
}

func (l lanOf) HangUp(user string) { (*l.edge).HangUp(user) }

// story is what a cell told, as it was kept.
func (c *card) story(cell int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var words []string
	for _, r := range c.kept {
		if l, err := telemetry.As[telemetry.Locker](r); r.Kind == telemetry.KindLocker && err == nil && l.Cell.Or(0) == cell {
			words = append(words, string(l.Event))
		}
	}
	return strings.Join(words, " ")
}

func (c *card) becomes(t *testing.T, cell int, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.story(cell) == want }, time.Minute, 10*time.Millisecond, "cell %d: %s", cell, want)
}

func TestAnMQTTLockerAtTheBroker(t *testing.T) {
	t.Parallel()
	l, d, c := mqttWall(t, 4, nil)
	c.becomes(t, 2, "closed")
	require.Equal(t, "done opened", open(t, d, "c-1", 2))
	require.Equal(t, "done opened", open(t, d, "c-1", 2), "replayed")
	require.Equal(t, 1, l.Pulses(2))
	require.NoError(t, l.Put(2, true))
	l.Shut(2)
	c.becomes(t, 2, "closed opened deposited")
	l.Jam(3, true)
	require.Equal(t, "unknown jammed", open(t, d, "c-2", 3))
	c.becomes(t, 3, "closed jammed")

	// The card fails: nothing is acknowledged, the connection ends, and what happened is told when it is back.
	c.fail(true)
	require.Equal(t, "done opened", open(t, d, "c-3", 2))
	require.NoError(t, l.Put(2, false))
	l.Shut(2)
	require.Eventually(t, func() bool { return l.Waiting() > 0 }, time.Minute, time.Millisecond)
	c.fail(false)
	require.Eventually(t, func() bool { return l.Waiting() == 0 }, time.Minute, 10*time.Millisecond)
	require.True(t, strings.HasPrefix(c.story(2), "closed opened deposited "), c.story(2))
	state, known := c.lastState(2)
	require.True(t, known)
	require.Equal(t, "false", state, "it is empty")
}

// lastState is whether the cell is occupied, by what was kept last of it.
func (c *card) lastState(cell int) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.kept) - 1; i >= 0; i-- {
		l, err := telemetry.As[telemetry.Locker](c.kept[i])
		if c.kept[i].Kind == telemetry.KindLocker && err == nil && l.Cell.Or(0) == cell {
			occupied, known := l.Occupied.Get()
			return fmt.Sprint(occupied), known
		}
	}
	return "", false
}

// A command that comes after its deadline opens nothing: here the locker's clock says so.
func TestAnMQTTLockerRefusesALateCommand(t *testing.T) {
	t.Parallel()
	l, d, _ := mqttWall(t, 2, func(l *firmware.Locker) { l.Clock = func() time.Time { return time.Now().Add(time.Hour) } })
	require.Equal(t, "refused locker_refused", open(t, d, "c-1", 1))
	require.Zero(t, l.Pulses(1))
}

// A locker that acts and says nothing of it, but for the door.
func TestAMuteMQTTLocker(t *testing.T) {
	t.Parallel()
	l, d, _ := mqttWall(t, 2, func(l *firmware.Locker) { l.Mute = true })
	require.Equal(t, "done opened", open(t, d, "c-1", 1))
	l.Jam(2, true)
	require.Equal(t, "unknown jammed", open(t, d, "c-2", 2))
	require.Equal(t, 1, l.Pulses(2))
}
