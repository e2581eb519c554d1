package edge_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// terminal is a vehicle terminal of JT/T 808-2013 that knows just enough to report and to keep what wasn't acknowledged.
type terminal struct {
	addr   string
	n      int
	conn   net.Conn
	serial uint16
	code   []byte
	texts  atomic.Int64
}

var errTerminal = errors.New("the terminal understood nothing")

func (t *terminal) device() string { return fmt.Sprintf("t0139%08d", t.n) }

func (t *terminal) send(id uint16, body []byte) (serial uint16, err error) {
	t.serial++
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	phone, err := hex.DecodeString(t.device()[1:])
	if err != nil {
		return 0, err
	}
	b = append(b, phone...)
	b = binary.BigEndian.AppendUint16(b, t.serial)
	b = append(b, body...)
	sum := byte(0)
	for _, c := range b {
		sum ^= c
	}
	b = bytes.ReplaceAll(append(b, sum), []byte{0x7d}, []byte{0x7d, 1})
	b = bytes.ReplaceAll(b, []byte{0x7e}, []byte{0x7d, 2})
	_, err = t.conn.Write(append(append([]byte{0x7e}, b...), 0x7e))
	return t.serial, err
}

// receive returns the platform's next message.
func (t *terminal) receive() (id, serial uint16, body []byte, err error) {
	var b []byte
	one := make([]byte, 1)
	for {
		if _, err := t.conn.Read(one); err != nil {
			return 0, 0, nil, err
		}
		if one[0] != 0x7e {
			b = append(b, one[0])
			continue
		}
		if len(b) == 0 {
			continue
		}
		b = bytes.ReplaceAll(b, []byte{0x7d, 2}, []byte{0x7e})
		b = bytes.ReplaceAll(b, []byte{0x7d, 1}, []byte{0x7d})
		if len(b) < 13 {
			return 0, 0, nil, errTerminal
		}
		return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[10:]), b[12 : len(b)-1], nil
	}
}

// ask sends a message until its acknowledgement comes, and obeys what comes before it.
func (t *terminal) ask(id uint16, body []byte) ([]byte, error) {
	serial, err := t.send(id, body)
	if err != nil {
		return nil, err
	}
	for {
		got, order, answer, err := t.receive()
		switch {
		case err != nil:
			return nil, err
		case got == 0x8300:
			t.texts.Add(1)
			if _, err := t.send(0x0001, []byte{byte(order >> 8), byte(order), 0x83, 0, 0}); err != nil {
				return nil, err
			}
		case len(answer) >= 3 && binary.BigEndian.Uint16(answer) == serial:
			return answer, nil
		}
	}
}

func (t *terminal) login() (err error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if t.conn, err = d.DialContext(ctx, "tcp", t.addr); err != nil {
		return err
	}
	if err := t.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if t.code == nil {
		a, err := t.ask(0x0100, make([]byte, 37))
		if err != nil {
			return err
		}
		t.code = bytes.Clone(a[3:])
	}
	a, err := t.ask(0x0102, t.code)
	if err == nil && a[4] != 0 {
		err = errors.New("the code from before isn't good any more")
	}
	return err
}

// report tells one position until it is acknowledged, over as many connections as it takes.
func (t *terminal) report(ctx context.Context, at time.Time) {
	body := binary.BigEndian.AppendUint64(nil, 3)
	body = binary.BigEndian.AppendUint32(body, 30_657_100)
	body = binary.BigEndian.AppendUint32(body, 103_212_900)
	body = append(body, 2, 100, 1, 0, 0, 90)
	clock, _ := hex.DecodeString(at.Add(8 * time.Hour).Format("060102150405"))
	body = append(body, clock...)
	for ctx.Err() == nil {
		if t.conn != nil {
			if a, err := t.ask(0x0200, body); err == nil && a[4] == 0 {
				return
			}
			t.conn.Close()
		}
		if t.login() != nil {
			t.conn = nil
		}
	}
}

// A thousand terminals through the whole board: driver, broker, spool, uplink. The board loses power while
// they report; nothing that was acknowledged to a terminal is missing in the cloud.
func TestAThousandTerminalsAndALossOfPower(t *testing.T) {
	const terminals, reports = 1000, 4
	ca := newAuthority(t)
	c := newCloud(t, ca)
	c.lossless = true
	listen := freeAddr(t)
	s := newSite(t, c.broker.Addr().String(), fmt.Sprintf("[{id: terminals, kind: jt808, listen: %q, secret_file: %q, unknown: accept}]",
		listen, filepath.Join(t.TempDir(), "secret")))
	ca.enrol(t, &s.cfg)
	b := s.start(t)

	began := time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)
	var done atomic.Int64
	var fleet sync.WaitGroup
	for n := range terminals {
		fleet.Go(func() {
			one := &terminal{addr: listen, n: n}
			for i := range reports {
				one.report(t.Context(), began.Add(time.Duration(i)*10*time.Second))
				done.Add(1)
			}
			one.conn.Close()
		})
	}
	require.Eventually(t, func() bool { return done.Load() > terminals }, time.Minute, 10*time.Millisecond)
	b.kill(t)
	b = s.start(t)
	fleet.Wait()
	arrived := func() (n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		seen := map[string]bool{}
		for _, r := range c.recs {
			if r.Kind == telemetry.KindPosition {
				seen[r.Device+r.At.String()] = true
			}
		}
		return len(seen)
	}
	require.Eventually(t, func() bool { return arrived() == terminals*reports }, 2*time.Minute, 50*time.Millisecond, "%d arrived", arrived())
	c.checkChains()
	b.kill(t)
}

// A command to a terminal's id finds the driver that speaks for it, and far-away fixes date no board.
func TestACommandToATerminal(t *testing.T) {
	ca := newAuthority(t)
	c := newCloud(t, ca)
	listen := freeAddr(t)
	s := newSite(t, c.broker.Addr().String(), fmt.Sprintf(`[{id: terminals, kind: jt808, listen: %q, secret_file: %q, terminals: {"13900000007": {id: v03-term}}}]`,
		listen, filepath.Join(t.TempDir(), "secret")))
	ca.enrol(t, &s.cfg)
	b := s.start(t)
	one := &terminal{addr: listen, n: 7}
	for began := time.Now(); time.Since(began) < 3*time.Second; { // runs like a clock, months off
		one.report(t.Context(), time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Since(began)))
	}
	var hello frame.Hello
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.hellos) > 0 {
			hello = c.hellos[len(c.hellos)-1]
		}
		return len(c.hellos) > 0
	}, time.Minute, 10*time.Millisecond)
	order, err := json.Marshal(frame.Command{
		ID: "c1", Device: "v03-term", Action: "text", Args: map[string]string{"text": "回仓"}, Boot: hello.Boot, MonoNS: hello.MonoNS, LeaseMS: 60_000,
	})
	require.NoError(t, err)
	require.NoError(t, c.broker.Send("van-03", topic.Command, order))
	require.Eventually(t, func() bool {
		one.report(t.Context(), time.Now().UTC())
		return one.texts.Load() == 1 && c.arrived("v03-term")["cmd-c1"] == 1
	}, time.Minute, 10*time.Millisecond)
	c.mu.Lock()
	for _, r := range c.recs {
		if r.Kind == telemetry.KindResult {
			require.Equal(t, "v03-term", r.Device)
			require.JSONEq(t, `{"command":"c1","outcome":"done","detail":"acknowledged"}`, string(r.Body))
			require.Less(t, time.Since(r.At).Abs(), time.Hour, "a terminal set the board's clock")
		}
	}
	c.mu.Unlock()
	b.kill(t)
}
