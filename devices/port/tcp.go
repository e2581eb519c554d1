package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const dialTimeout = 10 * time.Second

type tcpPort struct {
	*net.TCPConn
	addr string

	mu       sync.Mutex
	deadline time.Time
}

func openTCP(ctx context.Context, a address) (Port, error) {
	// A reader that lost power says nothing: idle 15 s, then three probes.
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	c, err := d.DialContext(ctx, "tcp", a.target)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", a.text, err)
	}
	return &tcpPort{TCPConn: c.(*net.TCPConn), addr: a.text}, nil
}

// SetReadDeadline bounds later Reads.
func (p *tcpPort) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.TCPConn.SetReadDeadline(t)
}

// Flush reads what has arrived without waiting. The deadline is lifted meanwhile: the runtime
// refuses to look at a socket whose deadline has passed.
func (p *tcpPort) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	raw, err := p.SyscallConn()
	if err == nil {
		err = p.TCPConn.SetReadDeadline(time.Time{})
	}
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			var trash [4096]byte
			for {
				n, err := unix.Read(int(fd), trash[:])
				if n <= 0 && !errors.Is(err, unix.EINTR) {
					return true // empty, or an error that the next Read will tell
				}
			}
		})
		err = errors.Join(err, p.TCPConn.SetReadDeadline(p.deadline))
	}
	if err != nil {
		return fmt.Errorf("flush %s: %w", p.addr, err)
	}
	return nil
}
