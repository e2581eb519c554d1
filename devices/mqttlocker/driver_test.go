package mqttlocker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// A wall is the broker and the locker behind it, in one.
type wall struct {
	mu     sync.Mutex
	sent   []string
	hung   int
	absent error
	hear   func(topic, payload string) // a command
}

func (w *wall) Publish(user, topic string, payload []byte, expires time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent != nil {
		return w.absent
	}
	w.sent = append(w.sent, fmt.Sprintf("%s %s %s %v", user, topic, payload, expires))
	if w.hear != nil {
		go w.hear(topic, string(payload))
	}
	return nil
}

func (w *wall) HangUp(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung++
}

// seen returns what was sent, and how often the connection was ended.
func (w *wall) seen() ([]string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent, w.hung
}

type bench struct {
	*Driver
	t      *testing.T
	wall   *wall
	cancel context.CancelFunc
	done   chan error

	mu  sync.Mutex
	got []string
}

// onBench runs a driver whose locker has logged in, in a bubble.
func onBench(t *testing.T, c Config, story func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &bench{t: t, wall: &wall{}}
		x.Driver = newDriver(t, c, x.wall)
		x.run()
		x.Present(true)
		synctest.Wait()
		story(t, x)
		x.stop()
	})
}

func (x *bench) run() {
	ctx, cancel := context.WithCancel(x.t.Context())
	x.cancel, x.done = cancel, make(chan error, 1)
	go func() {
		x.done <- x.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			for _, r := range rs {
				x.got = append(x.got, string(r.Body))
				if err := r.Validate(); err != nil {
					return err
				}
			}
			return nil
		})
	}()
}

func (x *bench) stop() {
	x.cancel()
	require.ErrorIs(x.t, <-x.done, context.Canceled)
}

func (x *bench) take() (got []string) {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	got, x.got = x.got, nil
	return got
}

func (x *bench) open(id, cell string) string {
	r := x.Command(x.t.Context(), telemetry.CommandTo{ID: id, Device: "box", Action: "open_cell", Args: map[string]string{"cell": cell}})
	require.Equal(x.t, id, r.Command)
	return fmt.Sprint(r.Outcome, " ", r.Detail)
}

// say is a publish of the locker some time later.
func (x *bench) say(after time.Duration, topic, payload string) {
	time.Sleep(after)
	_, bad := x.Translate(topic, []byte(payload))
	require.Empty(x.t, bad)
}

func openLocker() Config { return Config{User: "wall", Shape: OpenLocker, Cells: 4} }

func doorIs(n int, cell int, door string) string {
	return fmt.Sprintf(`{"message_id":"%d","timestamp":"2026-11-21T08:00:00Z","compartments":[{"compartment_number":%d,"door_state":%q}]}`, n, cell, door)
}

func response(id, result string) string {
	return fmt.Sprintf(`{"message_id":"r","transaction_id":%q,"result":%q,"error_code":"E7"}`, id, result)
}

const (
	states  = "locker/wall/state/compartments"
	answers = "locker/wall/response"
)

func TestOpenACell(t *testing.T) {
	onBench(t, openLocker(), func(t *testing.T, x *bench) {
		var got map[string]any
		x.wall.hear = func(topic, payload string) {
			require.NoError(t, json.Unmarshal([]byte(payload), &got))
			x.say(100*time.Millisecond, answers, response("c-1", "success"))
			x.say(200*time.Millisecond, states, doorIs(1, 3, "open"))
		}
		began := time.Now()
		require.Equal(t, "done opened", x.open("c-1", "3"))
		require.Equal(t, 300*time.Millisecond, time.Since(began))
		require.Equal(t, map[string]any{
			"message_id": "c-1", "transaction_id": "c-1", "action": "open_compartment",
			"timestamp": began.UTC().Format(stamp), "expires_at": began.Add(10 * time.Second).UTC().Format(stamp),
			"data": map[string]any{"compartment_number": 3.0},
		}, got)

		// The same id again: its outcome, and nothing on the wire.
		require.Equal(t, "done opened", x.open("c-1", "3"))
		require.Equal(t, "refused already_open", x.open("c-2", "3"))
		sent, hung := x.wall.seen()
		require.Len(t, sent, 1)
		require.Zero(t, hung)
	})
}

func TestOutcomes(t *testing.T) {
	jammed := `{"message_id":"e","timestamp":"2026-11-21T08:00:00Z","event":"door_jammed","data":{"compartment_number":2}}`
	for _, c := range []struct {
		name    string
		hear    func(x *bench)
		want    string
		after   time.Duration
		hungUp  int
		confirm string
	}{
		{"no answer", func(*bench) {}, "unknown no_reply", 10 * time.Second, 1, Door},
		{"refused", func(x *bench) { x.say(time.Second, answers, response("c-1", "rejected")) }, "refused locker_refused E7", time.Second, 0, Door},
		{"failed", func(x *bench) { x.say(time.Second, answers, response("c-1", "error")) }, "unknown locker_failed E7", time.Second, 0, Door},
		{"done, and no door opens", func(x *bench) { x.say(time.Second, answers, response("c-1", "success")) }, "unknown not_opened", 10 * time.Second, 0, Door},
		{"done, and the answer is enough", func(x *bench) { x.say(time.Second, answers, response("c-1", "success")) }, "done answered", time.Second, 0, Response},
		{"a door opens without an answer", func(x *bench) { x.say(time.Second, states, doorIs(1, 2, "open")) }, "done opened", time.Second, 0, Response},
		{"another's answer", func(x *bench) { x.say(time.Second, answers, response("c-0", "success")) }, "unknown no_reply", 10 * time.Second, 1, Response},
		{"another word", func(x *bench) { x.say(time.Second, answers, response("c-1", "queued")) }, "unknown no_reply", 10 * time.Second, 1, Response},
		{"another door", func(x *bench) { x.say(time.Second, states, doorIs(1, 1, "open")) }, "unknown no_reply", 10 * time.Second, 1, Door},
		{"jammed", func(x *bench) { x.say(time.Second, "locker/wall/event", jammed) }, "unknown jammed", time.Second, 0, Door},
		{"gone and back", func(x *bench) {
			x.Present(false)
			x.Present(true)
			x.say(time.Second, states, doorIs(1, 2, "open"))
		}, "done opened", time.Second, 0, Door},
		{"stopped", func(x *bench) { x.cancel() }, "unknown stopped", 0, 1, Door},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := openLocker()
			cfg.Command = shapes[OpenLocker].Command
			cfg.Command.Confirm = c.confirm
			onBench(t, cfg, func(t *testing.T, x *bench) {
				x.say(0, states, doorIs(0, 2, "closed"))
				x.wall.hear = func(string, string) { c.hear(x) }
				began := time.Now()
				require.Equal(t, c.want, x.open("c-1", "2"))
				require.Equal(t, c.after, time.Since(began))
				sent, hung := x.wall.seen()
				require.Len(t, sent, 1)
				require.Equal(t, c.hungUp, hung, "what wasn't answered must not arrive later")
				require.Equal(t, c.want, x.open("c-1", "2"), "replayed")
				sent, _ = x.wall.seen()
				require.Len(t, sent, 1)
				x.say(0, answers, response("c-1", "success")) // too late
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	onBench(t, openLocker(), func(t *testing.T, x *bench) {
		for _, cell := range []string{"", "0", "5", "-1", "1.0", "01", "two", "99999999999999999999"} {
			require.Equal(t, "refused bad_cell", x.open("c", cell), "%q", cell)
		}
		r := x.Command(t.Context(), telemetry.CommandTo{ID: "c-2", Action: "open_all"})
		require.Equal(t, telemetry.Result{Command: "c-2", Outcome: telemetry.Refused, Detail: "unknown_action"}, r)
		x.Present(false)
		require.Equal(t, "refused offline", x.open("c-3", "1"))
		x.Present(true)
		x.wall.absent = errors.New("nobody listens")
		require.Equal(t, "refused offline", x.open("c-3", "1"))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		r = x.Command(over, telemetry.CommandTo{ID: "c-4", Action: "open_cell", Args: map[string]string{"cell": "1"}})
		require.Equal(t, "busy", r.Detail)
		x.stop()
		require.Equal(t, "refused not_running", x.open("c-5", "1"))
		sent, hung := x.wall.seen()
		require.Empty(t, sent)
		require.Zero(t, hung)
		x.wall.absent = nil
		x.wall.hear = func(string, string) { x.say(time.Second, states, doorIs(1, 1, "open")) }
		x.run()
		synctest.Wait()
		require.Equal(t, "done opened", x.open("c-3", "1"), "it was never sent")
	})
	none := custom()
	none.Command = Command{}
	onBench(t, none, func(t *testing.T, x *bench) { require.Equal(t, "refused unknown_action", x.open("c", "1")) })
}

func TestACommandGivesUpWithItsContext(t *testing.T) {
	onBench(t, openLocker(), func(t *testing.T, x *bench) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := x.Command(ctx, telemetry.CommandTo{ID: "c-1", Action: "open_cell", Args: map[string]string{"cell": "1"}})
		require.Equal(t, telemetry.Result{Command: "c-1", Outcome: telemetry.OutcomeUnknown, Detail: "no_reply"}, r)
		_, hung := x.wall.seen()
		require.Equal(t, 1, hung)
	})
}

func TestOtherCommands(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		id   string
		want string
	}{
		{Config{User: "wall", UID: "k", Shape: LKAAS, Cells: 4}, "c-1", "wall k/cmd 3 10s"},
		{custom(), `"\`, `wall lockers/k7/open/2 {"id":"\"\\","until":946684810,"within":10} 10s`},
	} {
		onBench(t, c.cfg, func(t *testing.T, x *bench) {
			require.Equal(t, "unknown no_reply", x.open(c.id, "3"))
			sent, _ := x.wall.seen()
			require.Equal(t, []string{c.want}, sent)
		})
	}
}

func TestPresence(t *testing.T) {
	onBench(t, openLocker(), func(t *testing.T, x *bench) {
		require.Equal(t, []string{`{"online":1}`}, x.take())
		x.Present(false)
		time.Sleep(59 * time.Second)
		x.Present(true) // a reconnect is no news
		time.Sleep(time.Hour)
		require.Empty(t, x.take())
		x.Present(false)
		time.Sleep(59 * time.Second)
		require.Empty(t, x.take())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{`{"online":0}`, `{"code":"locker_offline","severity":"major","detail":"no connection for 1m0s"}`}, x.take())
		x.Present(false)
		time.Sleep(time.Hour)
		require.Empty(t, x.take(), "once")
		x.Present(true)
		require.Equal(t, []string{`{"online":1}`}, x.take())
		require.EqualValues(t, 3, x.Counters()["logins"])
	})
	synctest.Test(t, func(t *testing.T) { // it never comes
		x := &bench{t: t, wall: &wall{}}
		x.Driver = newDriver(t, openLocker(), x.wall)
		x.run()
		time.Sleep(2 * time.Minute)
		require.Len(t, x.take(), 2)
		x.stop()
	})
}

func TestOutcomesAreForgottenInOrder(t *testing.T) {
	cfg := openLocker()
	cfg.Command = shapes[OpenLocker].Command
	cfg.Command.Confirm = Response
	onBench(t, cfg, func(t *testing.T, x *bench) {
		x.wall.hear = func(_, payload string) {
			var v struct {
				ID string `json:"transaction_id"`
			}
			require.NoError(t, json.Unmarshal([]byte(payload), &v))
			x.say(0, answers, response(v.ID, "success"))
		}
		for n := range remembered + 10 {
			require.Equal(t, "done answered", x.open(fmt.Sprint("c-", n), "1"))
		}
		require.Len(t, x.past, remembered)
		require.Len(t, x.order, remembered)
		require.NotContains(t, x.past, "c-9")
		require.Contains(t, x.past, "c-10")
	})
}

// wired is the driver with a wire in place of the broker: lines of topic and payload.
type wired struct {
	*Driver
	open port.Opener
}

func (w wired) Run(ctx context.Context, emit devices.Emit) error {
	p, err := w.open(ctx, "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer p.Close()
	defer context.AfterFunc(ctx, func() { p.Close() })()
	w.Present(true)
	defer w.Present(false)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer p.Close()
	wg.Go(func() {
		lines := bufio.NewScanner(p)
		for lines.Scan() {
			topic, payload, _ := strings.Cut(lines.Text(), " ")
			rs, _ := w.Translate(topic, []byte(payload))
			if len(rs) == 0 {
				continue
			}
			if err := emit(ctx, rs...); err != nil {
				cancel(err)
				return
			}
		}
		cancel(errors.New("gone"))
	})
	err = w.Driver.Run(ctx, emit)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		return cause
	}
	return err
}

func TestContract(t *testing.T) {
	newWired := func(open port.Opener) devices.Driver {
		d, err := New(openLocker(), devices.Env{Name: "box", Log: slog.New(slog.DiscardHandler), LAN: &wall{}})
		require.NoError(t, err)
		return wired{d, open}
	}
	devicestest.Contract(t, newWired, func(ctx context.Context, conn devicestest.Conn) {
		for n := 0; ; n++ {
			_, err := fmt.Fprintf(conn, "%s %s\n", states, doorIs(n, 1, []string{"open", "closed"}[n%2]))
			if err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
}
