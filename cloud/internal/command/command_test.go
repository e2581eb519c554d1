package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/command"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// office is a store and a gateway's end of the wire.
type office struct {
	mu       sync.Mutex
	commands map[string]county.Command
	boot     frame.Boot
	mono     int64
	received time.Time
	down     bool
	broken   error
	wire     []frame.Command
	onSend   func(frame.Command)
	n        int
}

func (o *office) PutCommand(_ context.Context, c county.Command) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	if _, ok := o.commands[c.ID]; ok {
		return errors.New("put twice")
	}
	o.commands[c.ID] = c
	return nil
}

func (o *office) NoteCommand(_ context.Context, c county.Command) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	if _, ok := o.commands[c.ID]; !ok {
		return errors.New("noted before it was put")
	}
	o.commands[c.ID] = c
	return nil
}

func (o *office) Command(_ context.Context, id string) (county.Command, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, ok := o.commands[id]
	return c, ok, o.broken
}

func (o *office) GatewayClock(context.Context, string) (frame.Boot, int64, time.Time, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.boot, o.mono, o.received, !o.received.IsZero(), o.broken
}

func (o *office) send(gateway, what string, payload []byte) error {
	var c frame.Command
	if err := json.Unmarshal(payload, &c); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return errors.New("not connected")
	}
	if gateway != "lk-qingshi-1" || what != "command" {
		return fmt.Errorf("sent on %s/%s", gateway, what)
	}
	o.wire = append(o.wire, c)
	if o.onSend != nil {
		go o.onSend(c)
	}
	return nil
}

func (o *office) sent() []frame.Command {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]frame.Command(nil), o.wire...)
}

func newDesk(t *testing.T, opt command.Options) (*office, *command.Desk) {
	o := &office{commands: map[string]county.Command{}}
	opt.Now = time.Now
	opt.NewID = func() string { o.n++; return fmt.Sprint("cmd-", o.n) }
	d := command.New(o, o.send, opt)
	go func() { _ = d.Run(t.Context()) }()
	return o, d
}

func open(cell string) county.Command {
	return county.Command{Issuer: "console", Device: "lk-qingshi-1/board", Action: command.OpenCell, Args: map[string]string{"cell": cell}}
}

func TestAFreshClockNeedsNoPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{})
		o.boot, o.mono, o.received = frame.Boot{7}, 123_000, time.Now().Add(-9*time.Second)
		c, err := d.Issue(t.Context(), open("7"))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []frame.Command{{
			ID: c.ID, Issuer: "console", Device: "board", Action: "open_cell", Args: map[string]string{"cell": "7"},
			Boot: frame.Boot{7}, MonoNS: 123_000, LeaseMS: 30_000,
		}}, o.sent())
		stored, ok, err := o.Command(t.Context(), c.ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.NotNil(t, stored.Sent)
		require.Empty(t, stored.Outcome)
	})
}

func TestAnOldClockIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{})
		o.boot, o.mono, o.received = frame.Boot{1}, 1, time.Now().Add(-time.Hour)
		o.onSend = func(c frame.Command) {
			if c.Action == "ping" {
				time.Sleep(3 * time.Second) // a bad link
				d.Heard("van-01")
				o.mu.Lock()
				o.boot, o.mono, o.received = frame.Boot{2}, 99, time.Now()
				o.mu.Unlock()
				d.Heard("lk-qingshi-1")
			}
		}
		_, err := d.Issue(t.Context(), open("7"))
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wire := o.sent()
		require.Len(t, wire, 2)
		require.Equal(t, "ping", wire[0].Action)
		require.NotEqual(t, wire[0].ID, wire[1].ID, "the ping must not use up the order's id")
		require.Equal(t, frame.Boot{2}, wire[1].Boot, "it rebooted in the meantime")
		require.EqualValues(t, 99, wire[1].MonoNS)
	})
}

func TestWhatCannotBeReachedIsRefused(t *testing.T) {
	for name, setup := range map[string]func(*office){
		"not connected":            func(o *office) { o.down = true },
		"connected, never answers": func(*office) {},
		"fresh, then gone":         func(o *office) { o.received, o.down = time.Now(), true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, d := newDesk(t, command.Options{})
				setup(o)
				c, err := d.Issue(t.Context(), open("7"))
				require.NoError(t, err)
				time.Sleep(11 * time.Second)
				synctest.Wait()
				got, _, err := o.Command(t.Context(), c.ID)
				require.NoError(t, err)
				require.Equal(t, telemetry.Refused, got.Outcome)
				require.Equal(t, command.Unreachable, got.Detail)
				require.Nil(t, got.Sent)
				require.NotNil(t, got.Answered)
				for _, w := range o.sent() {
					require.Equal(t, "ping", w.Action)
				}
			})
		})
	}
}

func TestTheSameIdIsTheSameOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{})
		o.received = time.Now()
		order := open("7")
		order.ID = "from-a-program"
		for range 3 {
			c, err := d.Issue(t.Context(), order)
			require.NoError(t, err)
			require.Equal(t, "from-a-program", c.ID)
			synctest.Wait()
		}
		require.Len(t, o.sent(), 1)
		other := open("8")
		other.ID = order.ID
		_, err := d.Issue(t.Context(), other)
		require.ErrorIs(t, err, command.ErrConflict)
	})
}

func TestSilenceIsShownAsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{})
		o.received = time.Now()
		c, err := d.Issue(t.Context(), open("7"))
		require.NoError(t, err)
		synctest.Wait()
		stored, _, err := o.Command(t.Context(), c.ID)
		require.NoError(t, err)
		time.Sleep(45 * time.Second)
		require.Empty(t, d.Shown(stored).Outcome)
		time.Sleep(time.Second)
		require.Equal(t, telemetry.OutcomeUnknown, d.Shown(stored).Outcome)
		require.Equal(t, command.NoResult, d.Shown(stored).Detail)
		stored.Outcome = telemetry.Done
		require.Equal(t, telemetry.Done, d.Shown(stored).Outcome)
		// Stored by a process that died before it sent: shown, not sent by the next one.
		orphan := county.Command{ID: "x", Created: time.Now().Add(-time.Hour)}
		require.Equal(t, telemetry.OutcomeUnknown, d.Shown(orphan).Outcome)
	})
}

func TestWaitingIsBoundedAndAStoreThatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{Waiting: 2})
		var busy error
		for i := range 20 { // nobody answers the pings, so all workers are taken
			if _, err := d.Issue(t.Context(), open(fmt.Sprint(i))); err != nil {
				busy = err
				break
			}
			if i < 8 {
				synctest.Wait()
			}
		}
		require.ErrorIs(t, busy, command.ErrBusy)
		o.mu.Lock()
		o.broken = errors.New("disk on fire")
		o.mu.Unlock()
		_, err := d.Issue(t.Context(), open("1"))
		require.ErrorContains(t, err, "disk on fire")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotZero(t, d.Counters()["lost"])
	})
}

func TestWhatIsAPersonsGoesToTheDeviceAndIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newDesk(t, command.Options{})
		o.boot, o.mono, o.received = frame.Boot{7}, 123_000, time.Now()
		_, err := d.Issue(t.Context(), county.Command{
			ID: "n-1-1", Device: "lk-qingshi-1/modem", Action: "send_sms", Args: map[string]string{"ref": "n-1-1"}, Secret: map[string]string{"to": "+8613800138000", "text": "483920"},
		})
		require.NoError(t, err)
		synctest.Wait()
		wire := o.sent()
		require.Len(t, wire, 1)
		require.Equal(t, map[string]string{"ref": "n-1-1", "to": "+8613800138000", "text": "483920"}, wire[0].Args)
		c, found, err := d.Find(t.Context(), "n-1-1")
		require.NoError(t, err)
		require.True(t, found)
		doc, err := json.Marshal(c)
		require.NoError(t, err)
		require.NotContains(t, string(doc), "138")
		require.NotContains(t, string(doc), "483920")
	})
}
