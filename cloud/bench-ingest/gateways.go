package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A task is what the process that plays the gateways is told on its standard input.
type task struct {
	Secret   string
	Addr     string
	Gateways int
	Rounds   int
	Window   int // frames unacknowledged, a gateway
	Start    time.Time
}

// A tally is what it answers.
type tally struct {
	Frames   int
	Bytes    int64
	Seconds  float64
	P50, P99 time.Duration // from sending a frame to its acknowledgement
}

// play is the second process: it gets ready, says so in a line, waits for a line, and sends.
func play(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	ca, err := newAuthority(t.Secret)
	if err != nil {
		return err
	}
	boards := make([]*board, t.Gateways)
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for n := range boards {
		g.Go(func() (err error) {
			boards[n], err = newBoard(ca, &t, n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	if _, err := lines.ReadBytes('\n'); err != nil {
		return err
	}
	began := time.Now()
	g, ctx = errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { // one that fails ends them all
		for _, b := range boards {
			_ = b.conn.Close()
		}
	})()
	for _, b := range boards {
		g.Go(func() error { return b.send(ctx) })
		g.Go(b.receive)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sum := tally{Seconds: time.Since(began).Seconds()}
	var took []time.Duration
	for _, b := range boards {
		took = append(took, b.took...)
		for _, f := range b.frames {
			sum.Frames++
			sum.Bytes += int64(len(f.raw))
		}
	}
	slices.Sort(took)
	sum.P50, sum.P99 = took[len(took)/2], took[len(took)*99/100]
	return json.NewEncoder(out).Encode(sum)
}

// A board is one gateway: a raw MQTT 3.1.1 client.
type board struct {
	id     string
	conn   *tls.Conn
	frames []sealed
	window chan struct{} // a token for each frame that may be sent

	mu   sync.Mutex
	sent map[telemetry.Lane][]stamped // unacknowledged, in order
	took []time.Duration
}

type stamped struct {
	last uint64
	at   time.Time
}

func newBoard(ca *authority, t *task, n int) (*board, error) {
	b := &board{id: gatewayID(n), window: make(chan struct{}, t.Window), sent: map[telemetry.Lane][]stamped{}}
	var err error
	if b.frames, err = signed(t.Secret, n, t.Rounds, t.Start); err != nil {
		return nil, err
	}
	cert, err := ca.certificate(b.id, keyOf(t.Secret, b.id), nil)
	if err != nil {
		return nil, err
	}
	for range t.Window {
		b.window <- struct{}{}
	}
	b.conn, err = tls.Dial("tcp", t.Addr, &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{cert}})
	if err != nil {
		return nil, err
	}
	connect := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, field(b.id)...)
	subscribe := append(append([]byte{0, 1}, field(topic.Down(b.id, "#"))...), 0)
	if _, err := b.conn.Write(append(packet(0x10, connect), packet(0x82, subscribe)...)); err != nil {
		return nil, err
	}
	for _, want := range []byte{0x20, 0x90} {
		kind, body, err := readPacket(b.conn)
		if err != nil || kind != want || body[len(body)-1] > 1 {
			return nil, fmt.Errorf("%s: answer %x % x: %w", b.id, kind, body, err)
		}
	}
	return b, nil
}

func field(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func packet(kind byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)
}

func readPacket(r io.Reader) (kind byte, body []byte, err error) {
	var one [1]byte
	if _, err := io.ReadFull(r, one[:]); err != nil {
		return 0, nil, err
	}
	kind = one[0]
	size := 0
	for shift := 0; ; shift += 7 {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return 0, nil, err
		}
		size |= int(one[0]&0x7f) << shift
		if one[0] < 0x80 {
			break
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// send publishes all frames, QoS 1, never more than the window beyond what is acknowledged.
func (b *board) send(ctx context.Context) error {
	topics := map[telemetry.Lane][]byte{}
	for _, l := range telemetry.Lanes {
		topics[l] = field(topic.UpLane(b.id, l))
	}
	var buf []byte
	for i, f := range b.frames {
		select {
		case <-b.window:
		case <-ctx.Done():
			return ctx.Err()
		}
		name := topics[f.lane]
		buf = append(buf[:0], 0x32)
		buf = binary.AppendUvarint(buf, uint64(len(name)+2+len(f.raw)))
		buf = append(buf, name...)
		buf = binary.BigEndian.AppendUint16(buf, uint16(i%65535+1))
		buf = append(buf, f.raw...)
		b.mu.Lock()
		b.sent[f.lane] = append(b.sent[f.lane], stamped{f.last, time.Now()})
		b.mu.Unlock()
		if _, err := b.conn.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// receive takes acks until every frame is acknowledged.
func (b *board) receive() error {
	r := bufio.NewReader(b.conn)
	for left := len(b.frames); left > 0; {
		kind, body, err := readPacket(r)
		if err != nil {
			return fmt.Errorf("%s: %w", b.id, err)
		}
		if kind&0xf0 != 0x30 {
			continue
		}
		var a frame.Ack
		if err := json.Unmarshal(body[2+int(binary.BigEndian.Uint16(body)):], &a); err != nil {
			return err
		}
		n := b.acked(a.Lane, a.Ranges)
		left -= n
		for range n {
			b.window <- struct{}{}
		}
	}
	return b.conn.Close()
}

// acked takes the frames that ranges cover off the list; they may have holes, which later acks fill.
func (b *board) acked(lane telemetry.Lane, ranges []frame.Range) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[lane] = slices.DeleteFunc(b.sent[lane], func(s stamped) bool {
		in := slices.ContainsFunc(ranges, func(r frame.Range) bool { return r.From <= s.last && s.last <= r.To })
		if in {
			n++
			b.took = append(b.took, time.Since(s.at))
		}
		return in
	})
	return n
}

func playMain() error { return play(context.Background(), os.Stdin, os.Stdout) }
