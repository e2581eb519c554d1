package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Net is a network in memory: listeners by address, connections as pipes.
type Net struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     map[net.Conn]string // the client's end, by the address it called
	cut       map[string]bool
}

// NewNet returns an empty network.
func NewNet() *Net {
	return &Net{listeners: map[string]*listener{}, conns: map[net.Conn]string{}, cut: map[string]bool{}}
}

type listener struct {
	net    *Net
	addr   address
	calls  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// Listen answers calls to addr.
func (n *Net) Listen(_, addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: address(addr), Err: syscall.EADDRINUSE}
	}
	l := &listener{net: n, addr: address(addr), calls: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial calls addr.
func (n *Net) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	if n.cut[addr] {
		l = nil
	}
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(addr), Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	c := &conn{Conn: near, net: n, remote: l.addr}
	select {
	case l.calls <- &conn{Conn: far, net: n, remote: "10.0.0.1:40000"}:
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: l.addr, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = addr
	return c, nil
}

// Cut ends every connection to addr and refuses new ones.
func (n *Net) Cut(addr string) {
	n.mu.Lock()
	n.cut[addr] = true
	var gone []net.Conn
	for c, a := range n.conns {
		if a == addr {
			gone = append(gone, c)
		}
	}
	n.mu.Unlock()
	for _, c := range gone {
		_ = c.Close()
	}
}

// Mend lets calls to addr through again.
func (n *Net) Mend(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, addr)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.closed:
		return nil, fmt.Errorf("accept %s: %w", l.addr, net.ErrClosed)
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		delete(l.net.listeners, string(l.addr))
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

type conn struct {
	net.Conn
	net    *Net
	remote address
}

func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.Conn.Close()
}
