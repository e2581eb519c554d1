package devicestest

import (
	"context"
	"net"
	"sync"
	"time"

	"yizhan/devices/port"
)

// Listen is the Env.Listen of a driver that devices report to: one device dials at once, over the port that open
// gives. When it is unplugged the listener fails, as one does whose network is taken away.
func Listen(open port.Opener) func(ctx context.Context, network, addr string) (net.Listener, error) {
	return func(ctx context.Context, _, addr string) (net.Listener, error) {
		p, err := open(ctx, addr)
		if err != nil {
			return nil, err
		}
		l := &listener{addr: dialled(addr), gone: make(chan struct{}), first: make(chan net.Conn, 1)}
		l.first <- &reported{Port: p, listener: l}
		return l, nil
	}
}

type listener struct {
	addr  dialled
	first chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.first:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.gone) })
	select {
	case c := <-l.first:
		return c.Close()
	default:
		return nil
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

// dialled is an address of no network.
type dialled string

func (dialled) Network() string  { return "bench" }
func (a dialled) String() string { return string(a) }

// reported is the port of the device as a connection.
type reported struct {
	port.Port
	*listener
}

func (c *reported) Read(b []byte) (int, error) {
	n, err := c.Port.Read(b)
	if err != nil && !isTimeout(err) {
		_ = c.listener.Close()
	}
	return n, err
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func (c *reported) Close() error {
	_ = c.listener.Close()
	return c.Port.Close()
}

func (c *reported) LocalAddr() net.Addr                { return c.addr }
func (c *reported) RemoteAddr() net.Addr               { return c.addr }
func (c *reported) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *reported) SetWriteDeadline(t time.Time) error { return nil }
