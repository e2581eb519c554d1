package llrp

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

var (
	tagA = []byte{0x30, 0x74, 0x25, 0x7b, 0xf7, 0x19, 0x4e, 0x40, 0x00, 0x00, 0x1a, 0x85}
	tagB = []byte{0xe2, 0x80, 0x11, 0x70, 0x00, 0x00, 0x02, 0x0a, 0x3b, 0x5c, 0x1d, 0x2e}
)

const nameA = "urn:epc:id:sgtin:0614141.812345.6789"

// A dock is a driver wired to a reader, and the spool that takes its readings.
type dock struct {
	t      *testing.T
	d      *Driver
	reader *reader
	ctx    context.Context
	cancel context.CancelFunc
	done   chan error
	plugs  []func()
	wg     sync.WaitGroup

	mu       sync.Mutex
	readings []telemetry.Reading
	refuse   error // what emit answers
}

func newDock(t *testing.T, cfg Config, r *reader) *dock {
	k := &dock{t: t, reader: r}
	r.wrong = t.Errorf
	idle(time.Until(time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC))) // bubbles begin in 2000, which no clock of ours shows
	k.d = testDriver(t, cfg, func(context.Context, string) (port.Port, error) {
		driver, device := porttest.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		unplug := sync.OnceFunc(func() { cancel(); device.Close() })
		k.plugs = append(k.plugs, unplug)
		k.wg.Go(func() { defer unplug(); r.run(ctx, device) })
		return driver, nil
	})
	t.Cleanup(k.off)
	return k
}

// off lets nothing run on, whatever became of the test: a bubble with a ticking reader never ends.
func (k *dock) off() {
	if k.cancel != nil {
		k.cancel()
	}
	k.unplug()
}

func (k *dock) start() {
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.done = make(chan error, 1)
	k.wg.Go(func() { k.done <- k.d.Run(k.ctx, k.emit) })
}

func (k *dock) emit(ctx context.Context, rs ...telemetry.Reading) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse != nil {
		return k.refuse
	}
	for _, r := range rs {
		require.NoError(k.t, r.Validate())
		require.Equal(k.t, "dock-a", r.Device)
	}
	k.readings = append(k.readings, rs...)
	return ctx.Err()
}

func (k *dock) refuseWith(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = err
}

// ended waits for a Run that ends by itself.
func (k *dock) ended() error {
	k.t.Helper()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	select {
	case err := <-k.done:
		return err
	case <-timer.C:
		require.FailNow(k.t, "Run goes on")
		return nil
	}
}

// stop ends Run and everything that is plugged in.
func (k *dock) stop() error {
	k.cancel()
	err := k.ended()
	k.unplug()
	return err
}

func (k *dock) unplug() {
	for _, f := range k.plugs {
		f()
	}
	k.plugs = nil
}

func (k *dock) of(kind telemetry.Kind, raw bool) (out []telemetry.Reading) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.readings {
		if r.Kind == kind && r.RawRead() == raw {
			out = append(out, r)
		}
	}
	return out
}

// passages as "arrive 1".
func (k *dock) passages() (out []string) {
	for _, r := range k.of(telemetry.KindTag, false) {
		tag := body[telemetry.Tag](k.t, r)
		out = append(out, fmt.Sprintf("%s %d", tag.Passage, tag.Antenna.Or(0)))
	}
	return out
}

func body[T any](t *testing.T, r telemetry.Reading) (v T) {
	t.Helper()
	var err error
	switch p := any(&v).(type) {
	case *telemetry.Tag:
		*p, err = telemetry.As[telemetry.Tag](r)
	case *telemetry.Alarm:
		*p, err = telemetry.As[telemetry.Alarm](r)
	case *telemetry.Door:
		*p, err = telemetry.As[telemetry.Door](r)
	}
	require.NoError(t, err)
	return v
}

// through carries a tag from one antenna to the other within two seconds.
func through(c *readerConn, epc []byte, from, to uint16) {
	for i := range 20 {
		antenna := from
		if i >= 10 {
			antenna = to
		}
		c.see(epc, antenna, -50)
		if !c.wait(100 * time.Millisecond) {
			return
		}
	}
}

func idle(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

var twoSides = []passage.Antenna{{Port: 1, Role: passage.Outer}, {Port: 2, Role: passage.Inner}}
