package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Link is a board's cable to the county network: it forwards TCP connections from Listen to To
// until it is cut.
type Link struct {
	To  string
	Sky *Sky // what its bytes go through; nil: a cable. Set before Run

	listener net.Listener
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

// OpenLink makes a link; Run carries it.
func OpenLink(listen, to string) (*Link, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return &Link{To: to, listener: l, open: make(map[net.Conn]bool)}, nil
}

// Addr is where the board connects to.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut breaks all connections and takes no new ones until Mend.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.open {
		_ = c.Close()
	}
}

// Reset breaks all connections as a network does that forgot them: both sides get a TCP reset.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// Mend joins a cut link.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

// Run forwards until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = l.listener.Close() })
	defer stop()
	g.Go(func() error {
		for {
			c, err := l.listener.Accept()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("link: %w", err)
			}
			g.Go(func() error {
				l.carry(ctx, c)
				return nil
			})
		}
	})
	return g.Wait()
}

// carry forwards one connection, both ways, until either side ends it.
func (l *Link) carry(ctx context.Context, near net.Conn) {
	defer near.Close()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.To)
	if err != nil {
		return // nobody there: the board sees a closed connection
	}
	defer far.Close()
	if !l.hold(near, far) {
		return
	}
	defer l.release(near, far)
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(near.Close(), far.Close()) })
	defer stop()
	pass := func(dir int, to, from net.Conn) func() error {
		return func() error {
			if l.Sky == nil {
				_, _ = io.Copy(to, from)
			} else {
				_ = l.Sky.Stream(ctx, dir, from.Read, func(b []byte) error { _, err := to.Write(b); return err })
			}
			return io.EOF // ends the other direction too
		}
	}
	g.Go(pass(Up, far, near))
	g.Go(pass(Down, near, far))
	_ = g.Wait()
}

func (l *Link) hold(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.open[c] = true
	}
	return !l.cut
}

func (l *Link) release(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.open, c)
	}
}
