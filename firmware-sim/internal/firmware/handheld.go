package firmware

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Handheld is a small device with an MQTT 3.1.1 client of its own (OASIS MQTT 3.1.1): a courier's
// scanner, a probe. It publishes at QoS 1, keeps every message until the four bytes of its PUBACK
// came back, and after a reconnect sends what is left again, in order, marked as duplicate.
// Each reading carries n: the device's boot and a counter, so that a resend can be told from a
// second event.
type Handheld struct {
	Addr     string // of the gateway's broker
	Device   string // device id: user name, client id and second level of its topics
	Password string
	Boot     string // names this start of the device, unique over its life
	Window   int    // most publishes without PUBACK; 16 where zero

	mu      sync.Mutex
	counter uint64
	waiting []*message    // not yet acknowledged, in order
	safe    uint64        // PUBACKs counted
	more    chan struct{} // a message was added, buffered
	onSafe  func(n string)

	// What a device has that hears, too. Set before Run.
	hears string                             // the topic it subscribes to
	heard func(topic string, payload []byte) // what comes on it, in the reader
	up    func()                             // it has logged in
	will  [2]string                          // topic and payload that the broker is asked to tell when the connection is lost
}

type message struct {
	n     string
	topic string
	body  []byte
	id    uint16 // packet id while in flight, else 0
	sent  bool   // was on a wire before
	done  chan struct{}
}

// Told says of each message, by its n, that the device was told it is safe. Set before Run.
func (h *Handheld) Told(f func(n string)) { h.onSafe = f }

// Queue adds a reading of kind with the given body to what the device has to send. The channel is
// closed when the reading was acknowledged. A zero at leaves the time out.
func (h *Handheld) Queue(kind string, at time.Time, body any) (<-chan struct{}, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("handheld: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counter++
	m := &message{n: h.Boot + "-" + strconv.FormatUint(h.counter, 10), topic: "dev/" + h.Device + "/" + kind, done: make(chan struct{})}
	r := struct {
		At   string          `json:"at,omitempty"`
		TQ   string          `json:"tq,omitempty"`
		N    string          `json:"n"`
		Body json.RawMessage `json:"body"`
	}{N: m.n, Body: raw}
	if !at.IsZero() {
		r.At, r.TQ = at.UTC().Format("2006-01-02T15:04:05.000Z"), "ntp"
	}
	if m.body, err = json.Marshal(r); err != nil {
		return nil, fmt.Errorf("handheld: %w", err)
	}
	h.enqueue(m)
	return m.done, nil
}

// enqueue is called with mu held.
func (h *Handheld) enqueue(m *message) {
	h.waiting = append(h.waiting, m)
	select {
	case h.wake() <- struct{}{}:
	default:
	}
}

// wake is called with mu held.
func (h *Handheld) wake() chan struct{} {
	if h.more == nil {
		h.more = make(chan struct{}, 1)
	}
	return h.more
}

// Scan sends what the scanner read and returns when the gateway keeps it.
func (h *Handheld) Scan(ctx context.Context, symbology, text string) error {
	done, err := h.Queue("scan", time.Now(), map[string]string{"symbology": symbology, "text": text})
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("handheld: scan: %w", ctx.Err())
	}
}

// Safe is how many publishes were acknowledged; Waiting how many are not yet.
func (h *Handheld) Safe() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.safe
}

// Waiting is how many publishes are not acknowledged yet.
func (h *Handheld) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// Run keeps the device connected until ctx ends.
func (h *Handheld) Run(ctx context.Context) error {
	h.mu.Lock()
	more := h.wake()
	h.mu.Unlock()
	const shortest, longest = 100 * time.Millisecond, 2 * time.Second
	for pause := shortest; ; {
		start := time.Now()
		_ = h.connected(ctx, more) // whatever ended it, a handheld tries again
		if time.Since(start) > longest {
			pause = shortest
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pause = min(2*pause, longest)
	}
}

// MQTT 3.1.1 control packets, first byte.
const (
	mqttConnect  = 0x10
	mqttConnack  = 0x20
	mqttPublish1 = 0x32 // QoS 1
	mqttDup      = 0x08
	mqttPuback   = 0x40
	mqttSubscr   = 0x82
	mqttPing     = 0xC0
)

const (
	keepaliveS  = 20
	mqttTimeout = 10 * time.Second
)

// connected is one connection, from CONNECT to its end.
func (h *Handheld) connected(ctx context.Context, more <-chan struct{}) error {
	conn, err := (&net.Dialer{Timeout: mqttTimeout}).DialContext(ctx, "tcp", h.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var v []byte
	flags := byte(0xC2) // user name, password, clean session
	if h.will[0] != "" {
		flags |= 0x0C // a will at QoS 1
	}
	v = mqttString(append(mqttString(v, "MQTT"), 4, flags, 0, keepaliveS), h.Device)
	if h.will[0] != "" {
		v = mqttString(mqttString(v, h.will[0]), h.will[1])
	}
	v = mqttString(mqttString(v, h.Device), h.Password)
	if err := write(conn, mqttPacket(mqttConnect, v)); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(mqttTimeout))
	first, body, err := readMQTT(in)
	if err != nil {
		return err
	}
	if first != mqttConnack || len(body) != 2 || body[1] != 0 {
		return fmt.Errorf("handheld: connection refused: % x", body)
	}
	h.forget()
	if h.hears != "" {
		if err := write(conn, mqttPacket(mqttSubscr, append(mqttString([]byte{0xFF, 0xFF}, h.hears), 1))); err != nil {
			return err
		}
	}
	if h.up != nil {
		h.up()
	}
	g, ctx := errgroup.WithContext(ctx)
	room := make(chan struct{}, 1)
	g.Go(func() error { defer conn.Close(); return h.acknowledged(conn, in, room) })
	g.Go(func() error { defer conn.Close(); return h.publish(ctx, conn, more, room) })
	return g.Wait()
}

// forget clears the packet ids of a connection that is gone.
func (h *Handheld) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.waiting {
		m.id = 0
	}
}

// publish sends messages while the window has room.
func (h *Handheld) publish(ctx context.Context, conn net.Conn, more, room <-chan struct{}) error {
	ping := time.NewTicker(keepaliveS * time.Second / 2)
	defer ping.Stop()
	var next uint16
	for {
		if b := h.batch(&next); len(b) > 0 {
			if err := write(conn, b); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case <-room:
		case <-ping.C:
			if err := write(conn, []byte{mqttPing, 0}); err != nil {
				return err
			}
		}
	}
}

// batch is the packets that may go now.
func (h *Handheld) batch(next *uint16) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	window := h.Window
	if window == 0 {
		window = 16
	}
	var out []byte
	for i := 0; i < len(h.waiting) && i < window; i++ {
		m := h.waiting[i]
		if m.id != 0 {
			continue
		}
		if *next++; *next == 0 {
			*next = 1
		}
		first := byte(mqttPublish1)
		if m.sent {
			first |= mqttDup
		}
		m.id, m.sent = *next, true
		v := binary.BigEndian.AppendUint16(mqttString(nil, m.topic), m.id)
		out = append(out, mqttPacket(first, append(v, m.body...))...)
	}
	return out
}

// acknowledged reads what the broker sends; each PUBACK makes a message safe.
func (h *Handheld) acknowledged(conn net.Conn, in *bufio.Reader, room chan<- struct{}) error {
	for {
		_ = conn.SetReadDeadline(time.Now().Add(2 * keepaliveS * time.Second))
		first, body, err := readMQTT(in)
		if err != nil {
			return err
		}
		if first&0xF0 == mqttPublish1&0xF0 && h.heard != nil {
			if err := h.hear(conn, first, body); err != nil {
				return err
			}
		}
		if first != mqttPuback || len(body) != 2 {
			continue
		}
		h.settle(binary.BigEndian.Uint16(body))
		select {
		case room <- struct{}{}:
		default:
		}
	}
}

// hear takes a publish of the broker.
func (h *Handheld) hear(conn net.Conn, first byte, body []byte) error {
	if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
		return errors.New("handheld: publish is cut")
	}
	topic, rest := string(body[2:2+binary.BigEndian.Uint16(body)]), body[2+binary.BigEndian.Uint16(body):]
	if first&0x06 != 0 { // QoS 1: with a packet id
		if len(rest) < 2 {
			return errors.New("handheld: publish is cut")
		}
		if err := write(conn, []byte{mqttPuback, 2, rest[0], rest[1]}); err != nil {
			return err
		}
		rest = rest[2:]
	}
	h.heard(topic, rest)
	return nil
}

func (h *Handheld) settle(id uint16) {
	h.mu.Lock()
	var told *message
	for i, m := range h.waiting {
		if m.id == id {
			told = m
			h.waiting = append(h.waiting[:i:i], h.waiting[i+1:]...)
			h.safe++
			break
		}
	}
	h.mu.Unlock()
	if told == nil {
		return
	}
	if h.onSafe != nil {
		h.onSafe(told.n)
	}
	close(told.done)
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func mqttPacket(first byte, v []byte) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(v))), v...)
}

// readMQTT reads one control packet.
func readMQTT(in *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return 0, nil, err
	}
	if size > 1<<20 {
		return 0, nil, errors.New("handheld: packet too long")
	}
	body = make([]byte, size)
	_, err = io.ReadFull(in, body)
	return first, body, err
}

func write(conn net.Conn, b []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(mqttTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}
