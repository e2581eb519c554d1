package command

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// A command of the gateway itself: in line with the cloud's, written before the act, told afterwards, once.
func TestLocal(t *testing.T) {
	b := newBench()
	var written string
	b.act = func() telemetry.Result {
		written = string(b.disk.b)
		return telemetry.Result{Outcome: telemetry.Done, Detail: "opened"}
	}
	local := func(c *Commands, id string, within time.Duration) telemetry.Result {
		return c.Local(id, "board", "open_cell", map[string]string{"cell": "7"}, within)
	}
	c := b.open()
	var got []telemetry.Result
	b.during(t, c, func() {
		got = append(got, local(c, "k-1", time.Second))
		got = append(got, local(c, "k-1", time.Second))
		got = append(got, local(c, "k-2", -time.Second))
		synctest.Wait()
		b.disk.after = 0
		got = append(got, local(c, "k-3", time.Second))
		synctest.Wait()
		b.disk.after = -1
		got = append(got, c.Local("k-4", "nothing", "open_cell", nil, time.Second))
	})
	require.Contains(t, written, "k-1", "the intent is on the card before the act")
	require.NotContains(t, written, "opened")
	require.Equal(t, 1, b.pulses)
	require.Equal(t, []telemetry.Result{
		{Command: "k-1", Outcome: telemetry.Done, Detail: "opened"}, {Command: "k-1", Outcome: telemetry.Refused, Detail: "repeated"},
		{Command: "k-2", Outcome: telemetry.Refused, Detail: "stale"}, {Command: "k-3", Outcome: telemetry.Refused, Detail: "not_written"},
		{Command: "k-4", Outcome: telemetry.Refused, Detail: "unknown_device"},
	}, got)
	require.Len(t, b.results, 5)
	r, ok := c.Outcome("k-1")
	require.True(t, ok)
	require.Equal(t, "opened", r.Detail)
	_, ok = c.Outcome("k-9")
	require.False(t, ok)
}

// A local command doesn't wait for a spool that is full, and waits for its turn at its driver for as long as it said.
func TestLocalWaitsForItsDriverOnly(t *testing.T) {
	b := newBench()
	b.refuse = true
	b.act = func() telemetry.Result {
		<-time.After(5 * time.Second)
		return telemetry.Result{Outcome: telemetry.Done}
	}
	c := b.open()
	b.during(t, c, func() {
		c.Handle([]byte(open7("a", 99*sec)))
		synctest.Wait()
		began := time.Now()
		require.Equal(t, "stale", c.Local("k-1", "board", "open_cell", nil, 2*time.Second).Detail, "behind a remote one")
		require.GreaterOrEqual(t, time.Since(began), 5*time.Second)
	})
	require.Equal(t, 1, b.pulses)
}

// during runs a room while use uses it.
func (b *bench) during(t *testing.T, c *Commands, use func()) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c.queue, c.owed, c.ended = make(chan job, waiting), make(chan entry, waiting), make(chan struct{}) // of this bubble
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		use()
		synctest.Wait()
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, "interrupted", c.Local("k-9", "board", "open_cell", nil, time.Second).Detail, "Run has ended")
	})
}
