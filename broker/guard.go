package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// A listener accepts connections for mochi and guards them: caps in total and by address, a deadline
// for everything up to CONNECT, a bound on CONNECT's size, a deadline on every write. Its close waits for
// every goroutine that it started.
type listener struct {
	id       string
	net      net.Listener
	limits   Limits
	tls      *tls.Config // nil: plain
	identify func(*conn, tls.ConnectionState) error
	forget   func(*conn) // the connection is over
	log      *slog.Logger
	count    *counters
	ctx      context.Context // of the connections
	stop     context.CancelFunc
	served   chan struct{}
	work     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	byIP   map[string]int
}

func newListener(id string, l net.Listener, limits Limits, log *slog.Logger, count *counters) *listener {
	g := &listener{
		id: id, net: l, limits: limits, log: log, count: count, served: make(chan struct{}),
		conns: map[*conn]struct{}{}, byIP: map[string]int{},
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// ID, Address, Protocol, Init, Serve and Close make it a listener of mochi.

func (g *listener) ID() string              { return g.id }
func (g *listener) Address() string         { return g.net.Addr().String() }
func (g *listener) Protocol() string        { return g.net.Addr().Network() }
func (g *listener) Init(*slog.Logger) error { return nil }
func (g *listener) Close(listeners.CloseFn) {} // shut has done it

func (g *listener) Serve(establish listeners.EstablishFn) {
	defer close(g.served)
	for {
		nc, err := g.net.Accept()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || g.ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return
		}
		if err != nil { // out of file descriptors, most likely: those who are here may go
			g.log.Warn("accept failed", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-g.ctx.Done():
			}
			continue
		}
		c := g.admit(nc)
		if c == nil {
			g.count.add(nConnectsRefused, 1)
			nc.Close()
			continue
		}
		g.work.Go(func() { g.serve(c, establish) })
	}
}

func (g *listener) serve(c *conn, establish listeners.EstablishFn) {
	defer g.dismiss(c)
	defer func() {
		if p := recover(); p != nil { // a packet that mochi can't bear ends its connection only
			g.count.add(nPanics, 1)
			g.log.Error("connection handler panicked", "err", fmt.Sprint(p), "addr", c.ip, "detail", string(debug.Stack()))
		}
	}()
	_ = establish(g.id, c) // why it ended is counted and logged where it is known
}

func (g *listener) admit(nc net.Conn) *conn {
	ip := nc.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(ip); err == nil {
		ip = host
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.conns) >= g.limits.MaxConns || g.limits.MaxConnsPerIP > 0 && g.byIP[ip] >= g.limits.MaxConnsPerIP {
		return nil
	}
	c := &conn{Conn: nc, raw: nc, ip: ip, guard: g, acks: newAcks()}
	c.ctx, c.cancel = context.WithCancel(g.ctx)
	_ = nc.SetDeadline(time.Now().Add(g.limits.ConnectTimeout)) // D7
	if g.tls != nil {
		c.Conn = tls.Server(nc, g.tls)
	}
	g.conns[c] = struct{}{}
	g.byIP[ip]++
	return c
}

func (g *listener) dismiss(c *conn) {
	c.Close()
	g.forget(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	if g.byIP[c.ip]--; g.byIP[c.ip] == 0 {
		delete(g.byIP, c.ip)
	}
}

// shut ends every connection and waits until nothing of them runs any more. served tells whether
// Serve was called.
func (g *listener) shut(served bool) {
	g.mu.Lock()
	g.closed = true
	open := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		open = append(open, c)
	}
	g.mu.Unlock()
	g.stop()
	g.net.Close()
	for _, c := range open {
		c.Close()
	}
	if served {
		<-g.served
	}
	g.work.Wait()
}

// A conn is a client's connection. mochi sets one deadline for reads and writes after each packet; here it
// is for reads only, and not before CONNECT was accepted.
type conn struct {
	net.Conn
	raw    net.Conn
	ip     string
	guard  *listener
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	head        []byte // first bytes of CONNECT, checked, not yet handed on
	checked     bool
	established atomic.Bool
	writing     sync.Mutex

	user    *user  // Edge: who it is
	key     string // Edge: user and client id
	gateway string // Cloud: who it is
	acks    *acks

	// of the client's reader only
	watching       bool // Edge: readings are shown to it
	holding        bool // Edge: the shelf waits for its subscription
	packets, bytes bucket
	alive          time.Time // the read deadline
	armed          bool      // it was set
}

var errConnect = errors.New("first packet is no CONNECT of a sane size")

// Read hands on what the client sends, the first packet's header only when it is a sane CONNECT: mochi
// allocates what the header claims.
func (c *conn) Read(p []byte) (int, error) {
	if !c.checked {
		if err := c.check(); err != nil {
			c.guard.count.add(nConnectsRefused, 1)
			return 0, err
		}
		c.checked = true
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *conn) check() error {
	if t, ok := c.Conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(c.ctx); err != nil {
			return err
		}
		if err := c.guard.identify(c, t.ConnectionState()); err != nil {
			c.guard.log.Warn("gateway refused", "err", err, "addr", c.ip)
			return err
		}
	}
	size, shift := 0, 0
	for {
		var b [1]byte
		if _, err := io.ReadFull(c.Conn, b[:]); err != nil {
			return err
		}
		c.head = append(c.head, b[0])
		if len(c.head) == 1 {
			if b[0] != 0x10 {
				return errConnect
			}
			continue
		}
		size |= int(b[0]&0x7f) << shift
		shift += 7
		if size > maxConnectBytes || shift > 28 {
			return errConnect
		}
		if b[0]&0x80 == 0 {
			return nil
		}
	}
}

// Write writes p within the write timeout; when it can't the connection is closed.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(c.guard.limits.WriteTimeout)) // D12
	n, err := c.Conn.Write(p)
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			c.guard.count.add(nAckTimeouts, 1)
			c.guard.log.Warn("client does not read, disconnected", "addr", c.ip)
		}
		c.Close()
	}
	return n, err
}

// deadlineStep is how much later than asked a read deadline may be: it isn't set anew for each packet.
const deadlineStep = time.Second

// SetDeadline is how mochi keeps the keep alive: before each packet, from the client's reader.
func (c *conn) SetDeadline(t time.Time) error {
	if !c.established.Load() || c.armed && t.IsZero() == c.alive.IsZero() && !t.After(c.alive) {
		return nil
	}
	if c.armed && !t.IsZero() {
		t = t.Add(deadlineStep)
	}
	c.alive, c.armed = t, true
	return c.Conn.SetReadDeadline(t)
}

// Close ends the connection at once, whoever is reading or writing.
func (c *conn) Close() error {
	c.cancel()
	return c.raw.Close()
}
