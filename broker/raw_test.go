package broker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
)

// rawClient speaks MQTT byte by byte, so that a test sees what a small firmware sees.
type rawClient struct {
	t  testing.TB
	c  net.Conn
	r  *bufio.Reader
	v5 bool
}

// options of a CONNECT.
type options struct {
	user, password, id string
	v5, keep           bool // keep: no clean session
	keepAlive          uint16
	will               string // topic
	willRetain         bool
}

func str(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func packet(first byte, body []byte) []byte {
	b := []byte{first}
	n := len(body)
	for {
		d := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b = append(b, d|0x80)
			continue
		}
		b = append(b, d)
		return append(b, body...)
	}
}

func connectPacket(o options) []byte {
	b := str(nil, "MQTT")
	flags, version := byte(0), byte(4)
	if o.v5 {
		version = 5
	}
	if !o.keep {
		flags |= 2
	}
	if o.user != "" {
		flags |= 0x80 | 0x40
	}
	if o.will != "" {
		flags |= 4
		if o.willRetain {
			flags |= 0x20
		}
	}
	b = append(b, version, flags)
	b = binary.BigEndian.AppendUint16(b, o.keepAlive)
	if o.v5 {
		if o.keep { // session expiry interval
			b = append(b, 5, 0x11, 0, 0, 0xff, 0xff)
		} else {
			b = append(b, 0)
		}
	}
	b = str(b, o.id)
	if o.will != "" {
		if o.v5 {
			b = append(b, 0)
		}
		b = str(str(b, o.will), `{"conn":1,"online":false}`)
	}
	if o.user != "" {
		b = str(str(b, o.user), o.password)
	}
	return packet(0x10, b)
}

func newRaw(t testing.TB, c net.Conn) *rawClient {
	t.Cleanup(func() { c.Close() })
	return &rawClient{t: t, c: c, r: bufio.NewReader(c)}
}

func dialRaw(t testing.TB, addr net.Addr) *rawClient {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	require.NoError(t, err)
	return newRaw(t, c)
}

func (r *rawClient) send(b []byte) {
	r.t.Helper()
	_, err := r.c.Write(b)
	require.NoError(r.t, err)
}

// connect sends a CONNECT and returns the return code of the CONNACK.
func (r *rawClient) connect(o options) byte {
	r.t.Helper()
	r.v5 = o.v5
	r.send(connectPacket(o))
	typ, body := r.next()
	require.EqualValues(r.t, 2, typ)
	require.Zero(r.t, body[0], "no session is ever present")
	return body[1]
}

func publishPacket(v5 bool, id uint16, qos byte, topic, payload string) []byte {
	b := str(nil, topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	if v5 {
		b = append(b, 0)
	}
	return packet(0x30|qos<<1, append(b, payload...))
}

func (r *rawClient) publish(id uint16, qos byte, topic, payload string) {
	r.t.Helper()
	r.send(publishPacket(r.v5, id, qos, topic, payload))
}

// subscribe returns the code of the SUBACK.
func (r *rawClient) subscribe(filter string, qos byte) byte {
	r.t.Helper()
	b := []byte{0, 9}
	if r.v5 {
		b = append(b, 0)
	}
	r.send(packet(0x82, append(str(b, filter), qos)))
	typ, body := r.next()
	require.EqualValues(r.t, 9, typ)
	return body[len(body)-1]
}

// read returns the next packet.
func (r *rawClient) read(within time.Duration) (typ byte, body []byte, err error) {
	_ = r.c.SetReadDeadline(time.Now().Add(within))
	first, err := r.r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r.r) // the same code as MQTT's remaining length
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r.r, body)
	return first >> 4, body, err
}

func (r *rawClient) next() (typ byte, body []byte) {
	r.t.Helper()
	typ, body, err := r.read(5 * time.Second)
	require.NoError(r.t, err)
	return typ, body
}

// acked reads PUBACKs, which must come in this order.
func (r *rawClient) acked(ids ...uint16) {
	r.t.Helper()
	for _, id := range ids {
		typ, body := r.next()
		require.EqualValues(r.t, 4, typ)
		require.Equal(r.t, id, binary.BigEndian.Uint16(body))
	}
}

// quiet requires that nothing comes: the answer to a PINGREQ is the next packet.
func (r *rawClient) quiet() {
	r.t.Helper()
	r.send([]byte{0xc0, 0})
	typ, _ := r.next()
	require.EqualValues(r.t, 13, typ)
}

// over requires that the server ends the connection, whatever it sent before.
func (r *rawClient) over() {
	r.t.Helper()
	for {
		_, _, err := r.read(5 * time.Second)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.t.Fatal("the connection is still open")
		}
		if err != nil {
			return
		}
	}
}

// message reads a PUBLISH at QoS 0.
func (r *rawClient) message() (topic, payload string) {
	r.t.Helper()
	typ, body := r.next()
	require.EqualValues(r.t, 3, typ)
	n := int(binary.BigEndian.Uint16(body)) + 2
	topic = string(body[2:n])
	if r.v5 {
		n++
	}
	return topic, string(body[n:])
}

// memLog is a Log whose commits a test makes.
type memLog struct {
	mu      sync.Mutex
	auto    bool  // commit at once
	refuse  error // of Append
	staged  [][]frame.Entry
	dones   []func(error)
	kept    []frame.Entry
	flushes int
}

func (l *memLog) Append(es []frame.Entry, done func(error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	l.staged = append(l.staged, es)
	l.dones = append(l.dones, done)
	if l.auto {
		go l.commit(nil)
	}
	return nil
}

func (l *memLog) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes++
}

func (l *memLog) commit(err error) {
	l.mu.Lock()
	staged, dones := l.staged, l.dones
	l.staged, l.dones = nil, nil
	if err == nil {
		for _, es := range staged {
			l.kept = append(l.kept, es...)
		}
	}
	for _, d := range dones { // in order, even when two commits race
		d(err)
	}
	l.mu.Unlock()
}

func (l *memLog) entries() []frame.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]frame.Entry(nil), l.kept...)
}

func (l *memLog) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.staged)
}

// wait waits until n Appends wait for a commit.
func (l *memLog) wait(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return l.waiting() == n }, time.Minute, time.Millisecond, "%d publishes staged", n)
}

// testUsers have the password "pw".
func testUsers(t testing.TB) []User {
	const hash = "pbkdf2-sha256$1000$AAAAAAAAAAAAAAAAAAAAAA$"
	h := quickHash("pw")
	return []User{
		{Name: "lk1", Role: Device, PasswordHash: hash + h},
		{Name: "lk2", Role: Device, PasswordHash: hash + h},
		{Name: "tech", Role: Technician, PasswordHash: hash + h},
	}
}

// startEdge runs an Edge until the test ends.
func startEdge(t testing.TB, log Log, limits Limits) *Edge {
	t.Helper()
	e, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Limits: limits, Log: log})
	require.NoError(t, err)
	run(t, e.Run)
	return e
}

func run(t testing.TB, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Error("Run did not return")
		}
	})
}

func login(t testing.TB, e *Edge, user string) *rawClient {
	t.Helper()
	r := dialRaw(t, e.Addr())
	require.Zero(t, r.connect(options{user: user, password: "pw", id: "x"}))
	return r
}

func scan(n int) string {
	return fmt.Sprintf(`{"n":"%d","body":{"text":"YZ%06d"}}`, n, n)
}
