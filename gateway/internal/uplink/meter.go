package uplink

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// unackedWait is how long the other side may leave bytes unacknowledged before the connection counts as lost.
const unackedWait = 40 * time.Second

// segment is what TCP and IP add to each segment: 20 bytes of IPv4, 20 of TCP, 12 of its timestamps.
const segment = 52

// traffic is what all connections carried.
type traffic struct {
	sent, heard, headers, messagesSent, messagesHeard atomic.Uint64

	meter atomic.Pointer[meter] // of the connection there is
}

// bytes is what is paid.
func (t *traffic) bytes() uint64 { return t.sent.Load() + t.heard.Load() + t.headers.Load() }

// sample asks the kernel what the headers took.
func (t *traffic) sample() {
	if m := t.meter.Load(); m != nil {
		m.sample()
	}
}

// meter counts what passes over a connection: TLS and MQTT included, and where the kernel tells, headers of TCP/IP and
// what was sent again too, for these are paid.
type meter struct {
	net.Conn
	*traffic
	raw func(func(fd uintptr)) error // nil where there is no TCP

	mu      sync.Mutex
	counted uint64 // of the headers and what was sent again
}

// over returns c, counted from now on.
func (t *traffic) over(c net.Conn) net.Conn {
	m := &meter{Conn: c, traffic: t}
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			m.raw = raw.Control
			_ = raw.Control(func(fd uintptr) { // without it keepalive finds out, later
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedWait.Milliseconds()))
			})
		}
	}
	t.meter.Store(m)
	return m
}

// Read counts.
func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.heard.Add(uint64(n))
	return n, err
}

// Write counts.
func (m *meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.sent.Add(uint64(n))
	return n, err
}

// Close takes a last sample.
func (m *meter) Close() error {
	m.sample()
	return m.Conn.Close()
}

func (m *meter) sample() {
	if m.raw == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.raw(func(fd uintptr) { // closed: the last sample was taken then
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		if total := segment*(uint64(info.Segs_in)+uint64(info.Segs_out)) + info.Bytes_retrans; total > m.counted {
			m.headers.Add(total - m.counted)
			m.counted = total
		}
	})
}
