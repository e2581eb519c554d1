package devicestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest/transcript"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Conn is the device's end of the wire.
type Conn = transcript.Conn

// Device plays the hardware on conn, from power-on until ctx ends or conn fails. conn is closed
// when ctx ends; when Device returns, it is unplugged. It is called anew for each Open.
type Device func(ctx context.Context, conn Conn)

// Play is a Device that plays a transcript file and fails the test where the driver departs
// from it.
func Play(t *testing.T, path string) Device {
	t.Helper()
	s := Load(t, path)
	return func(ctx context.Context, conn Conn) {
		if err := s.Play(ctx, conn); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Load reads a transcript file.
func Load(t *testing.T, path string) transcript.Script {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s, err := transcript.Parse(f)
	require.NoError(t, err, path)
	return s
}

// limits are how long the checks wait: fake time in memory, real time on a wire.
type limits struct {
	reading time.Duration // for the first reading
	unplug  time.Duration // for Run to notice
	settle  time.Duration // to see that nothing more happens
}

var (
	inMemory = limits{reading: 2 * time.Minute, unplug: 2 * time.Minute, settle: time.Minute}
	onWire   = limits{reading: 10 * time.Second, unplug: 40 * time.Second, settle: 200 * time.Millisecond}
)

// Contract runs the whole suite in memory. newDriver makes a fresh driver whose config is valid;
// the opener ignores the address.
func Contract(t *testing.T, newDriver func(port.Opener) devices.Driver, device Device) {
	t.Helper()
	checks := []struct {
		name string
		run  func(*bench)
	}{
		{"emits and stops", (*bench).stops},
		{"runs again", (*bench).runsAgain},
		{"stops while emit blocks", (*bench).stopsBlocked},
		{"emit's error ends Run", (*bench).emitFails},
		{"open fails", (*bench).openFails},
		{"silent device", (*bench).silent},
		{"unplugged", (*bench).unplugged},
		{"garbage", (*bench).garbage},
		{"noisy line", (*bench).noisy},
	}
	for _, c := range checks {
		t.Run("contract/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, inMemory, newDriver, device)
				c.run(b)
				b.close()
			})
		})
	}
}

// OnPTY runs what real time allows on a pseudo terminal, through port.Open.
func OnPTY(t *testing.T, newDriver func(port.Opener) devices.Driver, device Device) {
	t.Helper()
	onRealWire(t, "pty", newDriver, device, func(b *bench) port.Opener { return b.openPTY })
}

// OnTCP runs what real time allows on a loopback socket, through port.Open.
func OnTCP(t *testing.T, newDriver func(port.Opener) devices.Driver, device Device) {
	t.Helper()
	onRealWire(t, "tcp", newDriver, device, (*bench).openTCP)
}

func onRealWire(t *testing.T, kind string, newDriver func(port.Opener) devices.Driver, device Device, opener func(*bench) port.Opener) {
	checks := []struct {
		name string
		run  func(*bench)
	}{
		{"emits and stops", (*bench).stops},
		{"runs again", (*bench).runsAgain},
		{"unplugged", (*bench).unplugged},
	}
	for _, c := range checks {
		t.Run(kind+"/"+c.name, func(t *testing.T) {
			b := newBench(t, onWire, newDriver, device)
			b.open = opener(b)
			c.run(b)
			b.close()
		})
	}
}

// stops: readings come, and Run ends soon after cancel with nothing emitted later.
func (b *bench) stops() {
	r := b.start(b.collect)
	b.await("a reading", b.emitted, b.limits.reading)
	b.stop(r)
	n := b.count()
	b.settle()
	require.Equal(b.t, n, b.count(), "emitted after Run returned")
}

func (b *bench) runsAgain() {
	for range 3 {
		b.reset()
		r := b.start(b.collect)
		b.await("a reading", b.emitted, b.limits.reading)
		b.stop(r)
		b.unplug()
	}
}

func (b *bench) stopsBlocked() {
	entered := make(chan struct{}, 1)
	r := b.start(func(ctx context.Context, rs ...telemetry.Reading) error {
		b.check(rs)
		select {
		case entered <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return ctx.Err()
	})
	b.await("a call of emit", entered, b.limits.reading)
	b.settle() // the device goes on speaking to a driver that can't listen
	b.stop(r)
}

func (b *bench) emitFails() {
	refused := errors.New("the spool refuses")
	r := b.start(func(context.Context, ...telemetry.Reading) error { return refused })
	err := b.ended(r, b.limits.reading+time.Second)
	require.ErrorIs(b.t, err, refused)
	require.NotErrorIs(b.t, err, devices.ErrPermanent)
}

func (b *bench) openFails() {
	gone := fmt.Errorf("open bench: %w", os.ErrNotExist)
	b.open = func(context.Context, string) (port.Port, error) { return nil, gone }
	err := b.ended(b.start(b.collect), b.limits.reading)
	require.ErrorIs(b.t, err, os.ErrNotExist)
	require.NotErrorIs(b.t, err, devices.ErrPermanent)
}

// silent: the line is open and nobody speaks.
func (b *bench) silent() {
	b.device = func(ctx context.Context, _ Conn) { <-ctx.Done() }
	r := b.start(b.collect)
	b.idle(time.Second)
	b.stopOrFailed(r)
}

func (b *bench) unplugged() {
	r := b.start(b.collect)
	b.await("a reading", b.emitted, b.limits.reading)
	b.unplug()
	err := b.ended(r, b.limits.unplug)
	require.Error(b.t, err, "unplugged, and Run returned nil")
	require.NotErrorIs(b.t, err, devices.ErrPermanent)
	n := b.count()
	b.settle()
	require.Equal(b.t, n, b.count(), "emitted after Run returned")
}
