package jt808

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

const testSecret = "0123456789abcdef0123456789abcdef"

// testConfig accepts everybody, with a secret that is always the same.
func testConfig(t testing.TB) Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(testSecret), 0o600))
	return Config{Listen: "127.0.0.1:0", SecretFile: file, Unknown: Accept}
}

// hub is a listener in memory.
type hub struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func newHub() *hub { return &hub{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (h *hub) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.gone:
		return nil, net.ErrClosed
	}
}

func (h *hub) Close() error {
	h.once.Do(func() { close(h.gone) })
	return nil
}

func (h *hub) Addr() net.Addr { return &net.TCPAddr{} }

// yard is a running driver, and what it emitted.
type yard struct {
	t      testing.TB
	driver *Driver
	hub    *hub
	done   chan error
	stop   context.CancelFunc

	mu    sync.Mutex
	rs    []telemetry.Reading
	holds chan struct{} // emit waits for it when it isn't nil
	calls int
}

func start(t testing.TB, c Config) *yard {
	t.Helper()
	y := &yard{t: t, hub: newHub(), done: make(chan error, 1)}
	var err error
	y.driver, err = New(c, devices.Env{
		Name: "terminals", Log: slog.New(slog.DiscardHandler),
		Listen: func(context.Context, string, string) (net.Listener, error) { return y.hub, nil },
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	y.stop = stop
	go func() { y.done <- y.driver.Run(ctx, y.emit) }()
	t.Cleanup(stop)
	return y
}

func (y *yard) emit(ctx context.Context, rs ...telemetry.Reading) error {
	y.mu.Lock()
	y.calls++
	holds := y.holds
	y.mu.Unlock()
	if holds != nil {
		select {
		case <-holds:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, r := range rs {
		require.NoError(y.t, r.Validate())
	}
	y.rs = append(y.rs, rs...)
	return ctx.Err()
}

func (y *yard) hold() chan struct{} {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.holds = make(chan struct{})
	return y.holds
}

// take returns what was emitted since the last time.
func (y *yard) take() []telemetry.Reading {
	y.mu.Lock()
	defer y.mu.Unlock()
	rs := y.rs
	y.rs = nil
	return rs
}

func (y *yard) count(name string) uint64 { return y.driver.Counters()[name] }

// plug is a terminal's end of a connection.
type plug struct {
	net.Conn
	t      testing.TB
	head   header
	serial uint16
	got    chan received
}

type received struct {
	id   uint16
	h    header
	body []byte
}

// dial connects a terminal; is2019 is the version it speaks.
func (y *yard) dial(number string, is2019 bool) *plug {
	y.t.Helper()
	ours, theirs := net.Pipe()
	y.hub.conns <- theirs
	return newPlug(y.t, ours, number, is2019)
}

func newPlug(t testing.TB, c net.Conn, number string, is2019 bool) *plug {
	p, ok := parsePhone(number)
	require.True(t, ok)
	plug := &plug{Conn: c, t: t, head: header{phone: p, is2019: is2019, revision: 1}, got: make(chan received, 1000)}
	go plug.listen()
	t.Cleanup(func() { c.Close() })
	return plug
}

func (p *plug) listen() {
	defer close(p.got)
	f := framer{count: new(counters), take: func(content []byte, good bool) counter {
		h, body, why := parseHeader(content[:len(content)-1])
		if good && why == framesOK {
			p.got <- received{h.id, h, append([]byte(nil), body...)}
		}
		return why
	}}
	buf := make([]byte, 4096)
	for {
		n, err := p.Read(buf)
		f.feed(buf[:n])
		if err != nil {
			return
		}
	}
}

// say sends a message and returns its serial.
func (p *plug) say(id uint16, body []byte) uint16 {
	p.t.Helper()
	serial := p.serial
	p.serial++
	_, err := p.Write(p.head.appendMessage(nil, id, serial, body))
	require.NoError(p.t, err)
	return serial
}

// hear returns the next message from the driver.
func (p *plug) hear() received {
	p.t.Helper()
	select {
	case r, ok := <-p.got:
		require.True(p.t, ok, "the driver hung up")
		return r
	case <-time.After(time.Minute):
		require.Fail(p.t, "the driver says nothing")
		return received{}
	}
}

// acked waits for the acknowledgement of a message.
func (p *plug) acked(serial, id uint16) byte {
	p.t.Helper()
	r := p.hear()
	require.EqualValues(p.t, platformAck, r.id)
	require.Equal(p.t, p.head.is2019, r.h.is2019, "answered in the terminal's version")
	require.Len(p.t, r.body, 5)
	require.Equal(p.t, serial, binary.BigEndian.Uint16(r.body))
	require.Equal(p.t, id, binary.BigEndian.Uint16(r.body[2:]))
	return r.body[4]
}

// login registers and authenticates.
func (p *plug) login() {
	p.t.Helper()
	serial := p.say(registerRequest, p.registration())
	r := p.hear()
	require.EqualValues(p.t, registerReply, r.id)
	require.Equal(p.t, serial, binary.BigEndian.Uint16(r.body))
	require.Zero(p.t, r.body[2])
	p.auth(r.body[3:])
}

func (p *plug) auth(code []byte) {
	p.t.Helper()
	require.Zero(p.t, p.acked(p.say(authRequest, p.authBody(code)), authRequest))
}

func (p *plug) authBody(code []byte) []byte {
	if !p.head.is2019 {
		return code
	}
	b := append([]byte{byte(len(code))}, code...)
	return append(b, make([]byte, 35)...)
}

func (p *plug) registration() []byte {
	b := []byte{0, 51, 1, 129}
	widths := registrationWidths[year2013]
	if p.head.is2019 {
		widths = registrationWidths[year2019]
	}
	for i, s := range []string{"YUNLN", "T-1", "0000007"} {
		field := make([]byte, widths[i])
		copy(field, s)
		b = append(b, field...)
	}
	plate, err := gbk("川A12345")
	require.NoError(p.t, err)
	return append(append(b, 1), plate...)
}

// where makes the body of a location in Beijing time.
func where(at time.Time, alarm, status uint32, items ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, alarm)
	b = binary.BigEndian.AppendUint32(b, status)
	b = binary.BigEndian.AppendUint32(b, 30_657_100)
	b = binary.BigEndian.AppendUint32(b, 103_212_900)
	b = binary.BigEndian.AppendUint16(b, 612)
	b = binary.BigEndian.AppendUint16(b, 360)
	b = binary.BigEndian.AppendUint16(b, 45)
	b = append(b, bcdTime(at.In(time.FixedZone("", 8*3600)))...)
	return append(b, items...)
}

// batch makes the body of 0x0704.
func batch(kind byte, points ...[]byte) []byte {
	b := append(binary.BigEndian.AppendUint16(nil, uint16(len(points))), kind)
	for _, p := range points {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

func hungUp(t testing.TB, p *plug) {
	t.Helper()
	for {
		select {
		case _, ok := <-p.got:
			if !ok {
				return
			}
		case <-time.After(5 * time.Minute):
			require.Fail(t, "the driver didn't hang up")
		}
	}
}

func ended(err error) bool {
	return err == nil || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF)
}
