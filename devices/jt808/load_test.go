package jt808

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// spool is an emit that keeps readings the way a gateway does: everybody waits for the next sync, which takes some
// time.
type spool struct {
	mu      sync.Mutex
	waiting []chan struct{}
	kept    map[string]int // by device and time
	staged  []string
}

func (s *spool) emit(ctx context.Context, rs ...telemetry.Reading) error {
	done := make(chan struct{})
	s.mu.Lock()
	for _, r := range rs {
		if r.Kind == telemetry.KindPosition {
			s.staged = append(s.staged, r.Device+r.At.Format(time.RFC3339))
		}
	}
	s.waiting = append(s.waiting, done)
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *spool) run(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		for _, key := range s.staged {
			s.kept[key]++
		}
		s.staged = nil
		for _, done := range s.waiting {
			close(done)
		}
		s.waiting = nil
		s.mu.Unlock()
	}
}

// county starts a driver on a loopback port and returns its address.
func county(t testing.TB, ctx context.Context, g *errgroup.Group, emit devices.Emit, connections int) (*Driver, string) {
	cfg := testConfig(t)
	cfg.MaxConnections = connections
	bound := make(chan string, 1)
	d, err := New(cfg, devices.Env{Name: "terminals", Log: slog.New(slog.DiscardHandler), Listen: func(ctx context.Context, network, addr string) (net.Listener, error) {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, network, addr)
		if err == nil {
			bound <- l.Addr().String()
		}
		return l, err
	}})
	require.NoError(t, err)
	g.Go(func() error { return d.Run(ctx, emit) })
	return d, <-bound
}

// a caller is the smallest terminal: it sends, and waits for the acknowledgement.
type caller struct {
	net.Conn
	head header
	buf  [128]byte
}

// call logs terminal n in.
func call(addr string, n int) (*caller, error) {
	c := &caller{head: header{is2019: n%2 == 1, revision: 1}}
	c.head.phone, _ = parsePhone(fmt.Sprintf("139%08d", n))
	var err error
	if c.Conn, err = net.Dial("tcp", addr); err != nil {
		return nil, err
	}
	code := (&server{secret: []byte(testSecret)}).code(c.head.phone)
	if c.head.is2019 {
		code = append(append([]byte{byte(len(code))}, code...), make([]byte, 35)...)
	}
	return c, c.ask(authRequest, 0, code)
}

func (c *caller) tell(id, serial uint16, body []byte) error {
	_, err := c.Write(c.head.appendMessage(c.buf[:0], id, serial, body))
	return err
}

// acknowledged waits for an acknowledgement that says yes.
func (c *caller) acknowledged() error {
	ok := errors.New("refused")
	f := framer{count: new(counters), take: func(content []byte, good bool) counter {
		if h, body, why := parseHeader(content[:len(content)-1]); good && why == framesOK && h.id == platformAck && body[4] == resultOK {
			ok = nil
		}
		return framesOK
	}}
	for f.count[framesOK].Load() == 0 {
		n, err := c.Read(c.buf[:])
		if err != nil {
			return err
		}
		f.feed(c.buf[:n])
	}
	return ok
}

func (c *caller) ask(id, serial uint16, body []byte) error {
	if err := c.tell(id, serial, body); err != nil {
		return err
	}
	return c.acknowledged()
}

// drive is one terminal that logs in and reports, each report again until it is acknowledged. Every seventh
// report it loses its connection before the acknowledgement.
func drive(addr string, n, reports int) error {
	c, err := call(addr, n)
	if err != nil {
		return err
	}
	defer func() { c.Close() }()
	for i := range reports {
		serial, body := uint16(n+i), where(noon.Add(time.Duration(i)*10*time.Second), 0, 3)
		if (i+n)%7 == 0 {
			if err := c.tell(locationReport, serial, body); err != nil {
				return err
			}
			c.Close()
			if c, err = call(addr, n); err != nil {
				return err
			}
		}
		if err := c.ask(locationReport, serial, body); err != nil {
			return err
		}
	}
	return nil
}

// A thousand terminals on real sockets, connections that break before the acknowledgement: no report is lost.
func TestAThousandTerminals(t *testing.T) {
	const terminals, reports = 1000, 5
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &spool{kept: map[string]int{}}
	var g errgroup.Group
	_, addr := county(t, ctx, &g, s.emit, 2*terminals)
	g.Go(func() error {
		s.run(ctx)
		return nil
	})
	var fleet errgroup.Group
	for n := range terminals {
		fleet.Go(func() error { return drive(addr, n, reports) })
	}
	require.NoError(t, fleet.Wait())
	stop()
	require.ErrorIs(t, g.Wait(), context.Canceled)
	require.Len(t, s.kept, terminals*reports)
	twice := 0
	for _, n := range s.kept {
		twice += n - 1
	}
	t.Logf("%d of %d kept twice because their connection broke in between", twice, terminals*reports)
}

func benchmarkStream(b *testing.B) []byte {
	var stream []byte
	for n := range 100 {
		h := header{phone: phone{8: byte(n), 9: 9}, is2019: n%2 == 1}
		stream = h.appendMessage(stream, locationReport, uint16(n), where(noon.Add(time.Duration(n)*time.Second), 0, 3,
			1, 4, 0, 1, 2, 3, 2, 2, 1, 44, 3, 2, 0, 0, 0x30, 1, 17, 0x31, 1, 14, 0xe4, 1, 99))
	}
	b.SetBytes(int64(len(stream) / 100))
	return stream
}

// BenchmarkDecode is bytes to readings, beside BenchmarkSplit, which finds frames and checks them only.
func BenchmarkDecode(b *testing.B) {
	stream := benchmarkStream(b)
	d := newDecoder(Options{}, nil)
	b.ReportAllocs()
	for n := 0; n < b.N; n += 100 {
		d.feed(stream)
		if len(d.rs) != 100 {
			b.Fatal(len(d.rs), d.counts.snapshot())
		}
		d.rs = d.rs[:0]
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkSplit(b *testing.B) {
	stream := benchmarkStream(b)
	n := 0
	f := framer{count: new(counters), take: func(_ []byte, good bool) counter {
		if good {
			n++
		}
		return framesOK
	}}
	b.ReportAllocs()
	for i := 0; i < b.N; i += 100 {
		f.feed(stream)
	}
	if n == 0 {
		b.Fatal("no frame")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkSession is a report through a connection that is logged in: decoded, emitted, acknowledged.
func BenchmarkSession(b *testing.B) {
	c := loggedIn(b, false)
	defer c.cancel()
	c.emit = func(context.Context, ...telemetry.Reading) error { return nil }
	b.ReportAllocs()
	var frame []byte
	for i := 0; b.Loop(); i++ {
		frame = c.head.appendMessage(frame[:0], locationReport, uint16(i), where(noon.Add(time.Duration(i)*time.Second), 0, 3))
		c.framer.feed(frame)
		if err := c.settle(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkTenThousand holds 10,000 terminals, each reporting once an operation, and tells what memory they take in the
// gateway's process. The terminals are another process's.
func BenchmarkTenThousand(b *testing.B) {
	const terminals = 10_000
	raiseLimit(b, terminals+100)
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var g errgroup.Group
	var kept atomic.Int64
	before := inUse()
	d, addr := county(b, ctx, &g, func(_ context.Context, rs ...telemetry.Reading) error {
		kept.Add(int64(len(rs)))
		return nil
	}, terminals)
	self, err := os.Executable()
	require.NoError(b, err)
	fleet := exec.CommandContext(ctx, self)
	fleet.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", fleetEnv, addr, terminals))
	fleet.Stderr = os.Stderr
	in, err := fleet.StdinPipe()
	require.NoError(b, err)
	out, err := fleet.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, fleet.Start())
	lines := bufio.NewScanner(out)
	require.True(b, lines.Scan(), "the fleet came to nothing")
	rounds := 0
	for b.Loop() {
		rounds++
		_, err := io.WriteString(in, "report\n")
		require.NoError(b, err)
		require.True(b, lines.Scan())
	}
	require.EqualValues(b, terminals*rounds, kept.Load())
	require.EqualValues(b, terminals, d.Counters()["connections"])
	runtime.GC()
	used := inUse() - before
	b.ReportMetric(float64(used)/(1<<20), "MiB")
	b.ReportMetric(float64(used)/terminals/1024, "KiB/terminal")
	b.ReportMetric(float64(resident())/(1<<20), "MiB-rss")
	b.ReportMetric(float64(terminals)*float64(rounds)/b.Elapsed().Seconds(), "messages/s")
	require.NoError(b, in.Close())
	require.NoError(b, fleet.Wait())
	stop()
	require.ErrorIs(b, g.Wait(), context.Canceled)
}

// inUse is the memory of heap and stacks.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
