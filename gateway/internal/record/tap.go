package record

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices/port"
)

// What an event tells.
const (
	FromDevice = "<"
	ToDevice   = ">"
	Opened     = "opened" // a port or connection
	Closed     = "closed"
	Lost       = "lost" // events that the recording didn't take in time
)

// An Event is something on a wire.
type Event struct {
	At   time.Duration `json:"at"` // since the recording began
	What string        `json:"what"`
	Conn int           `json:"conn,omitempty"` // counts the ports and connections of a device
	Addr string        `json:"addr,omitempty"` // of Conn's other end
	Data []byte        `json:"data,omitempty"`
	N    uint64        `json:"n,omitempty"` // of Lost
}

// queued is how many events wait for a recording.
const queued = 1024

// A Recording hears what happens at one device from its beginning on.
type Recording struct {
	C <-chan Event // closed by Close

	events chan Event
	began  time.Time
	lost   uint64
	tap    *tap
}

// Taps are the taps of a gateway's devices.
type Taps struct {
	mu   sync.Mutex
	taps map[string]*tap
}

// New returns Taps without devices.
func New() *Taps { return &Taps{taps: map[string]*tap{}} }

// A tap is where one device is listened to.
type tap struct {
	followed atomic.Bool

	mu         sync.Mutex
	recordings []*Recording
	conns      int
}

func (t *Taps) of(device string) *tap {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taps[device] == nil {
		t.taps[device] = &tap{}
	}
	return t.taps[device]
}

// Opener is open with a device's tap.
func (t *Taps) Opener(device string, open port.Opener) port.Opener {
	tap := t.of(device)
	return func(ctx context.Context, addr string) (port.Port, error) {
		p, err := open(ctx, addr)
		if err != nil {
			return nil, err
		}
		return &tapped{Port: p, wire: tap.wire(addr)}, nil
	}
}

// A Listen opens a listener, as devices.Env has it.
type Listen func(ctx context.Context, network, addr string) (net.Listener, error)

// Listener is listen with a device's tap.
func (t *Taps) Listener(device string, listen Listen) Listen {
	tap := t.of(device)
	return func(ctx context.Context, network, addr string) (net.Listener, error) {
		l, err := listen(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tappedListener{Listener: l, tap: tap}, nil
	}
}

// Follow begins a recording.
func (t *Taps) Follow(device string) *Recording {
	r := &Recording{events: make(chan Event, queued), began: time.Now(), tap: t.of(device)}
	r.C = r.events
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	r.tap.recordings = append(r.tap.recordings, r)
	r.tap.followed.Store(true)
	return r
}

// Close ends the recording.
func (r *Recording) Close() {
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	i := slices.Index(r.tap.recordings, r)
	if i < 0 {
		return
	}
	r.tap.recordings = slices.Delete(r.tap.recordings, i, i+1)
	r.tap.followed.Store(len(r.tap.recordings) > 0)
	close(r.events)
}

// tell hands an event to every recording; b is copied.
func (t *tap) tell(e Event, b []byte) {
	if !t.followed.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		e.At = time.Since(r.began)
		e.Data = slices.Clone(b)
		if r.lost > 0 {
			select {
			case r.events <- Event{At: e.At, What: Lost, N: r.lost}:
				r.lost = 0
			default:
			}
		}
		if r.lost > 0 {
			r.lost++
			continue
		}
		select {
		case r.events <- e:
		default:
			r.lost++
		}
	}
}

// A wire is one port or connection of a device.
type wire struct {
	tap    *tap
	conn   int
	addr   string
	closed atomic.Bool
}

func (t *tap) wire(addr string) *wire {
	t.mu.Lock()
	t.conns++
	w := &wire{tap: t, conn: t.conns, addr: addr}
	t.mu.Unlock()
	w.tell(Opened, nil)
	return w
}

func (w *wire) tell(what string, b []byte) {
	w.tap.tell(Event{What: what, Conn: w.conn, Addr: w.addr}, b)
}

func (w *wire) close() {
	if !w.closed.Swap(true) {
		w.tell(Closed, nil)
	}
}

type tapped struct {
	port.Port
	*wire
}

// Read reads, and tells.
func (p *tapped) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b)
	if n > 0 {
		p.tell(FromDevice, b[:n])
	}
	return n, err
}

// Write tells, and writes.
func (p *tapped) Write(b []byte) (int, error) {
	p.tell(ToDevice, b)
	return p.Port.Write(b)
}

// Close closes, and tells.
func (p *tapped) Close() error {
	p.close()
	return p.Port.Close()
}

type tappedListener struct {
	net.Listener
	tap *tap
}

// Accept accepts, and tells.
func (l *tappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tappedConn{Conn: c, wire: l.tap.wire(c.RemoteAddr().String())}, nil
}

type tappedConn struct {
	net.Conn
	*wire
}

// Read reads, and tells.
func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.tell(FromDevice, b[:n])
	}
	return n, err
}

// Write tells, and writes.
func (c *tappedConn) Write(b []byte) (int, error) {
	c.tell(ToDevice, b)
	return c.Conn.Write(b)
}

// Close closes, and tells.
func (c *tappedConn) Close() error {
	c.close()
	return c.Conn.Close()
}
