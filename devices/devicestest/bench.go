package devicestest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

// A bench is one driver and the device it is wired to.
type bench struct {
	t      *testing.T
	limits limits
	driver devices.Driver
	device Device
	open   port.Opener

	mu      sync.Mutex
	n       int           // readings emitted
	emitted chan struct{} // closed at the first reading
	plugged []func()      // unplug each device that is connected
	running []*run
	devices sync.WaitGroup
	runs    sync.WaitGroup
}

func newBench(t *testing.T, l limits, newDriver func(port.Opener) devices.Driver, device Device) *bench {
	b := &bench{t: t, limits: l, device: device, emitted: make(chan struct{})}
	b.open = b.openPipe
	b.driver = newDriver(func(ctx context.Context, addr string) (port.Port, error) { return b.open(ctx, addr) })
	return b
}

// plug lets the device play on conn until it is unplugged.
func (b *bench) plug(conn Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	hangUp := sync.OnceFunc(func() { cancel(); conn.Close() })
	b.mu.Lock()
	b.plugged = append(b.plugged, hangUp)
	b.mu.Unlock()
	b.devices.Go(func() {
		defer hangUp()
		b.device(ctx, conn)
	})
}

func (b *bench) openPipe(context.Context, string) (port.Port, error) {
	driver, device := porttest.Pipe()
	b.plug(device)
	return driver, nil
}

func (b *bench) openPTY(ctx context.Context, _ string) (port.Port, error) {
	master, addr := porttest.PTY(b.t)
	p, err := port.Open(ctx, addr)
	b.plug(master)
	return p, err
}

// openTCP listens anew for each Open: a dial that was cancelled half-way leaves a connection
// behind that a shared listener would hand to the next Open.
func (b *bench) openTCP() port.Opener {
	return func(ctx context.Context, _ string) (port.Port, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b.t, err)
		defer ln.Close()
		p, err := port.Open(ctx, "tcp:"+ln.Addr().String())
		if err != nil {
			return nil, err
		}
		conn, err := ln.Accept()
		if err != nil {
			p.Close()
			return nil, err
		}
		b.plug(conn)
		return p, nil
	}
}

// unplug takes away every connected device and waits until it is gone.
func (b *bench) unplug() {
	b.mu.Lock()
	all := b.plugged
	b.plugged = nil
	b.mu.Unlock()
	for _, hangUp := range all {
		hangUp()
	}
	b.devices.Wait()
}

// close ends everything, so that a failed check leaves nothing behind.
func (b *bench) close() {
	for _, r := range b.running {
		r.cancel()
	}
	b.unplug()
}

// collect is the emit of a healthy spool.
func (b *bench) collect(ctx context.Context, rs ...telemetry.Reading) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.check(rs)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n == 0 && len(rs) > 0 {
		close(b.emitted)
	}
	b.n += len(rs)
	return nil
}

func (b *bench) check(rs []telemetry.Reading) {
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			b.t.Errorf("emitted an invalid reading: %v: %s", err, r.AppendJSON(nil))
		}
	}
}

func (b *bench) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *bench) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n, b.emitted = 0, make(chan struct{})
}

// A run is one call of Run.
type run struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (b *bench) start(emit devices.Emit) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, done: make(chan struct{})}
	b.running = append(b.running, r)
	b.runs.Go(func() {
		defer close(r.done)
		defer cancel()
		r.err = b.driver.Run(ctx, emit)
	})
	b.look()
	return r
}

// look reads the counters while the driver runs: under -race it finds what is not guarded.
func (b *bench) look() {
	if c, ok := b.driver.(devices.Counting); ok {
		c.Counters()
	}
	if s, ok := b.driver.(devices.Suspecting); ok {
		s.LastBad()
	}
}

func (b *bench) await(what string, ch <-chan struct{}, limit time.Duration) {
	b.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
		b.close()
		require.FailNowf(b.t, "waited in vain", "no %s within %v", what, limit)
	}
}

// idle lets time pass: free in a bubble, real on a wire.
func (b *bench) idle(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func (b *bench) settle() { b.idle(b.limits.settle) }

// stop cancels a run that goes on and holds it to 1 s.
func (b *bench) stop(r *run) {
	b.t.Helper()
	select {
	case <-r.done:
		require.FailNowf(b.t, "Run ended by itself", "%v", r.err)
	default:
	}
	b.cancel(r)
}

// stopOrFailed is stop for a run that may have failed by itself.
func (b *bench) stopOrFailed(r *run) {
	b.t.Helper()
	select {
	case <-r.done:
		require.Error(b.t, r.err, "Run returned nil though nobody stopped it")
		require.NotErrorIs(b.t, r.err, devices.ErrPermanent)
	default:
		b.cancel(r)
	}
}

func (b *bench) cancel(r *run) {
	b.t.Helper()
	b.look()
	r.cancel()
	began := time.Now()
	b.await("end of Run", r.done, 10*time.Second)
	require.LessOrEqual(b.t, time.Since(began), time.Second, "Run took too long to stop")
	if r.err != nil && !errors.Is(r.err, context.Canceled) {
		require.NoError(b.t, r.err, "after cancel Run returns nil or ctx's error")
	}
}

// ended waits until Run ends by itself and returns its error.
func (b *bench) ended(r *run, limit time.Duration) error {
	b.t.Helper()
	b.await("end of Run", r.done, limit)
	return r.err
}

// garbage: whatever bytes come, Run stays alive or fails for a while only.
func (b *bench) garbage() {
	for _, next := range []func(*rand.Rand) byte{
		func(rng *rand.Rand) byte { return byte(rng.Uint32()) },
		func(*rand.Rand) byte { return 0 },
		func(*rand.Rand) byte { return 0xff },
		func(rng *rand.Rand) byte { return "$GPRMC,*\r\n\x02\x03\x80\x8a"[rng.IntN(14)] },
	} {
		b.device = func(ctx context.Context, conn Conn) {
			rng := rand.New(rand.NewPCG(1, 2)) // a driver may open its port more than once
			for range 400 {
				chunk := make([]byte, 1+rng.IntN(300))
				for i := range chunk {
					chunk[i] = next(rng)
				}
				if _, err := conn.Write(chunk); err != nil || !wait(ctx, 20*time.Millisecond) {
					return
				}
			}
			<-ctx.Done()
		}
		r := b.start(b.collect)
		b.idle(10 * time.Second)
		b.stopOrFailed(r)
		b.unplug()
	}
}

// noisy: the healthy device behind a line that flips, drops and doubles bytes.
func (b *bench) noisy() {
	healthy := b.device
	b.device = func(ctx context.Context, conn Conn) {
		healthy(ctx, &noise{Conn: conn, rng: rand.New(rand.NewPCG(3, 4))})
	}
	for range 10 {
		r := b.start(b.collect)
		b.idle(10 * time.Second)
		r.cancel()
		b.await("end of Run", r.done, time.Second)
		b.unplug()
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// noise damages about one byte in 200 of what the device writes.
type noise struct {
	Conn
	rng *rand.Rand
}

// Write damages a copy of p.
func (n *noise) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+8)
	for _, c := range p {
		switch n.rng.IntN(600) {
		case 0:
			c ^= 1 << n.rng.IntN(8)
		case 1:
			continue
		case 2:
			out = append(out, c)
		}
		out = append(out, c)
	}
	if _, err := n.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
