package llrp

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
)

func testDriver(t testing.TB, cfg Config, open port.Opener) *Driver {
	t.Helper()
	cfg.Port = "tcp:127.0.0.1:5084"
	require.NoError(t, cfg.Validate())
	d, err := New(cfg, devices.Env{Name: "dock-a", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

// A reader is the hardware: it holds the client to the order of LLRP 1.0.1, 18.1.
type reader struct {
	attempt   uint16            // status of the ConnectionAttemptEvent
	skew      time.Duration     // of its clock
	uptime    bool              // it has no UTC clock
	refuse    map[uint16]uint16 // LLRPStatus by request type
	mute      map[uint16]bool   // requests that get no response
	keepalive bool              // sends keepalives as asked
	play      func(*readerConn) // once the inventory runs
	wrong     func(format string, args ...any)

	mu  sync.Mutex
	log []uint16 // requests, in their order
}

type readerConn struct {
	*reader
	ctx  context.Context
	conn devicestest.Conn
	mu   sync.Mutex // writes
	id   uint32
}

func (r *reader) requests() []uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]uint16(nil), r.log...)
}

func (r *reader) run(ctx context.Context, conn devicestest.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	c := &readerConn{reader: r, ctx: ctx, conn: conn}
	c.event(prmAttempt, 0, byte(r.attempt))
	if r.attempt != 0 {
		return
	}
	for {
		typ, id, body, err := c.receive()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.log = append(r.log, typ)
		r.mu.Unlock()
		if typ == msgKeepaliveAck || r.mute[typ] {
			continue
		}
		if !c.respond(typ, id, body) {
			return
		}
		switch typ {
		case msgSetConfig:
			if r.keepalive {
				keepalive, ok := find(body[1:], prmKeepalive)
				if !ok || len(keepalive) != 5 || keepalive[0] != 1 {
					r.wrong("SET_READER_CONFIG without a periodic keepalive: % X", body)
				}
				every := time.Duration(binary.BigEndian.Uint32(keepalive[1:])) * time.Millisecond
				wg.Go(func() { c.keepalives(every) })
			}
		case msgStartROSpec:
			if r.play != nil && r.refuse[typ] == 0 {
				wg.Go(func() { r.play(c) })
			}
		}
	}
}

// respond answers a request; it is false after CLOSE_CONNECTION.
func (c *readerConn) respond(typ uint16, id uint32, body []byte) bool {
	answer := typ + toResponse
	if typ == msgClose {
		answer = msgCloseResponse
	}
	if typ >= msgDeleteROSpec && typ <= msgDisableROSpec && len(body) != 4 {
		c.wrong("message %d without a ROSpecID", typ)
	}
	c.send(message(answer, id, func(w *builder) {
		w.tlv(prmStatus, func() {
			w.u16(c.refuse[typ])
			w.u16(0)
		})
		if typ == msgCapabilities {
			w.tlv(prmGeneralCaps, func() { w.u16(4); w.u16(0); w.u32(1); w.u32(2); w.u16(0) })
		}
	}))
	return typ != msgClose
}

func (c *readerConn) receive() (typ uint16, id uint32, body []byte, err error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(c.conn, h[:]); err != nil {
		return 0, 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(h[2:])-headerSize)
	_, err = io.ReadFull(c.conn, body)
	return binary.BigEndian.Uint16(h[:]) & 0x3ff, binary.BigEndian.Uint32(h[6:]), body, err
}

func (c *readerConn) send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.conn.Write(b)
}

func (c *readerConn) keepalives(every time.Duration) {
	for c.wait(every) {
		c.send(message(msgKeepalive, 77, nil))
	}
}

// wait is false when the reader was switched off.
func (c *readerConn) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (c *readerConn) clock() time.Time { return time.Now().Add(c.skew) }

// event sends a READER_EVENT_NOTIFICATION with one event.
func (c *readerConn) event(typ uint16, body ...byte) {
	c.send(message(msgEvent, 1, func(w *builder) {
		w.tlv(prmEventData, func() {
			stamp := uint16(prmUTC)
			if c.uptime {
				stamp = prmUptime
			}
			w.tlv(stamp, func() { w.b = binary.BigEndian.AppendUint64(w.b, uint64(c.clock().UnixMicro())) })
			w.tlv(typ, func() { w.b = append(w.b, body...) })
		})
	}))
}

// see reports one read.
func (c *readerConn) see(epc []byte, antenna uint16, rssi int8) {
	c.mu.Lock()
	c.id++
	id := c.id
	c.mu.Unlock()
	c.send(message(msgReport, id, func(w *builder) {
		w.tlv(prmTagReport, func() {
			w.u8(0x80 | tvEPC96)
			w.b = append(w.b, epc...)
			w.u8(0x80 | tvAntenna)
			w.u16(antenna)
			w.u8(0x80 | tvPeakRSSI)
			w.u8(byte(rssi))
			first, last := byte(tvFirstUTC), byte(tvLastUTC)
			if c.uptime {
				first, last = tvFirstUptime, tvLastUptime
			}
			for _, tv := range []byte{first, last} {
				w.u8(0x80 | tv)
				w.b = binary.BigEndian.AppendUint64(w.b, uint64(c.clock().UnixMicro()))
			}
			w.u8(0x80 | tvSeenCount)
			w.u16(1)
			w.u8(0x80 | tvPC)
			w.u16(0x3000)
		})
	}))
}
