package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// pipeListener hands out in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) dial(t testing.TB) *rawClient {
	a, b := net.Pipe()
	l.conns <- b
	return newRaw(t, a)
}

// inBubble runs an Edge in virtual time.
func inBubble(t *testing.T, log Log, limits Limits, f func(t *testing.T, e *Edge, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		e, err := NewEdge(EdgeConfig{Listener: l, Users: testUsers(t), Limits: limits, Log: log})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		defer func() {
			cancel()
			require.NoError(t, <-done)
		}()
		f(t, e, l)
	})
}

func TestConnectDeadline(t *testing.T) { // D7
	inBubble(t, &memLog{}, Limits{}, func(t *testing.T, e *Edge, l *pipeListener) {
		silent := l.dial(t)
		start := time.Now()
		_, err := silent.r.ReadByte()
		require.Error(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))

		drip := l.dial(t) // one byte a second is no way around it
		start = time.Now()
		for _, b := range connectPacket(options{user: "lk1", password: "pw", id: "x"}) {
			if _, err = drip.c.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		require.Error(t, err)
		require.Less(t, time.Since(start), 7*time.Second)
	})
}

func TestKeepAliveStaysMochis(t *testing.T) {
	inBubble(t, &memLog{}, Limits{}, func(t *testing.T, e *Edge, l *pipeListener) {
		r := l.dial(t)
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", keepAlive: 20}))
		_ = r.c.SetReadDeadline(time.Time{})
		start := time.Now()
		_, err := r.r.ReadByte()
		require.Error(t, err)
		require.Equal(t, 30*time.Second, time.Since(start))

		r = l.dial(t)
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
		time.Sleep(time.Hour) // keep alive 0 means none
		r.quiet()
	})
}

// A client that never reads must not hold the commit of others, nor Close (D12).
func TestDeafClientHoldsNobody(t *testing.T) {
	log := &memLog{auto: true}
	inBubble(t, log, Limits{}, func(t *testing.T, e *Edge, l *pipeListener) {
		deaf := l.dial(t)
		require.Zero(t, deaf.connect(options{user: "lk1", password: "pw", id: "x"}))
		deaf.publish(1, 1, "dev/lk1/scan", scan(1)) // its PUBACK is never read
		start := time.Now()
		well := l.dial(t)
		require.Zero(t, well.connect(options{user: "lk2", password: "pw", id: "x"}))
		for i := range 10 {
			well.publish(uint16(i+1), 1, "dev/lk2/scan", scan(i))
			well.acked(uint16(i + 1))
		}
		require.Zero(t, time.Since(start))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, e.Counters()["ack_timeouts"])
		_, err := deaf.c.Write([]byte{0xc0, 0})
		require.Error(t, err, "it is disconnected")
	})
}

func TestDeafSubscriberIsDroppedAndCounted(t *testing.T) { // D9
	log := &memLog{auto: true}
	inBubble(t, log, Limits{}, func(t *testing.T, e *Edge, l *pipeListener) {
		deaf := l.dial(t)
		require.Zero(t, deaf.connect(options{user: "tech", password: "pw", id: "x"}))
		require.Zero(t, deaf.subscribe("dev/#", 0))
		r := l.dial(t)
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
		for i := range 2 * writesPending {
			r.publish(1, 1, "dev/lk1/scan", scan(i))
			r.acked(1)
		}
		synctest.Wait()
		require.NotZero(t, e.Counters()["subscriber_dropped"])
	})
}

func TestHugeHeadersBeforeConnect(t *testing.T) { // D6
	e := startEdge(t, &memLog{}, Limits{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, header := range []string{"\x10\xff\xff\xff\x7f", "\x10\x81\x80\x01", "\x30\x05hello", "\x10\xff\xff\xff\xff\xff", "GET / HTTP/1.1\r\n"} {
		for range 10 {
			r := dialRaw(t, e.Addr())
			r.send([]byte(header))
			r.over()
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.TotalAlloc)-int64(before.TotalAlloc), int64(8<<20))
	require.EqualValues(t, 50, e.Counters()["connects_refused"])

	r := login(t, e, "lk1") // and after CONNECT
	r.send([]byte("\x32\xff\xff\xff\x7f"))
	r.over()
}

// Connections that claim the most a header can, and then are silent, hold no memory for it.
func TestClaimedSizesTakeNoHeap(t *testing.T) { // D6
	e := startEdge(t, &memLog{}, Limits{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range 8 {
		dialRaw(t, e.Addr()).send([]byte("\x10\xff\xff\xff\x7f")) // 256 MB follow
	}
	require.Eventually(t, func() bool { return e.Counters()["connects_refused"] == 8 }, time.Minute, time.Millisecond)
	require.Less(t, heap()-before, int64(8<<20))

	r := login(t, e, "lk1")
	r.send([]byte("\x32\xff\xff\xff\x7f")) // and after CONNECT
	require.Less(t, heap()-before, int64(8<<20))
	r.over()
}

func TestTotalCap(t *testing.T) { // D7
	e := startEdge(t, &memLog{}, Limits{MaxConns: 2, MaxConnsPerIP: 10})
	for i := range 2 {
		r := dialRaw(t, e.Addr())
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: fmt.Sprint(i)}))
	}
	require.Eventually(t, func() bool { return e.Counters()["connects"] == 2 }, time.Minute, time.Millisecond)
	third := dialRaw(t, e.Addr())
	_, _ = third.c.Write(connectPacket(options{user: "lk1", password: "pw", id: "2"})) // it may be closed already
	typ, _, err := third.read(time.Minute)
	require.Error(t, err, "packet of type %d", typ)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualValues(t, 2, e.Counters()["connects"])
}

func TestConnectionCaps(t *testing.T) { // D7
	e := startEdge(t, &memLog{}, Limits{MaxConnsPerIP: 3})
	var held []*rawClient
	for range 3 {
		held = append(held, login(t, e, "lk1"))
		held[len(held)-1].quiet()
	}
	// the same client id again takes over; its place is free once the older has gone
	over := 0
	for _, r := range held {
		if _, _, err := r.read(time.Second); errors.Is(err, io.EOF) {
			over++
		}
	}
	require.Equal(t, 2, over)
	for i := range 2 {
		r := dialRaw(t, e.Addr())
		require.Zero(t, r.connect(options{user: "lk2", password: "pw", id: fmt.Sprint(i)}))
	}
	r := dialRaw(t, e.Addr())
	r.over()
	require.NotZero(t, e.Counters()["connects_refused"])
}

func TestWillsAreDropped(t *testing.T) { // D2
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	victim := login(t, e, "lk2")
	require.Zero(t, victim.subscribe("cmd/lk2", 0))
	for _, v5 := range []bool{false, true} {
		for _, will := range []string{"cmd/lk2", "dev/lk1/scan", "$SYS/broker/version"} {
			r := dialRaw(t, e.Addr())
			require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "w", will: will, willRetain: true, v5: v5}))
			r.c.Close()
		}
	}
	require.Eventually(t, func() bool { return e.Counters()["wills_dropped"] == 6 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.clients) == 1 }, time.Minute, time.Millisecond)
	victim.quiet()
	late := login(t, e, "lk1")
	require.Zero(t, late.subscribe("cmd/lk1", 0))
	late.quiet()
	require.Empty(t, log.entries())
}

func TestTopicAliasIsRefused(t *testing.T) { // D3
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := dialRaw(t, e.Addr())
	require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", v5: true}))
	b := append(str(nil, "dev/lk1/scan"), 0, 1, 3, 0x23, 0, 1)
	r.send(packet(0x32, append(b, scan(1)...)))
	r.over()
	require.Empty(t, log.entries())
}

// An unacknowledged command and a publish of the same packet id have nothing to do with each other, and
// nothing of a connection is there for the next (D4).
func TestCommandsAndPublishesShareNoPacketIDs(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := dialRaw(t, e.Addr())
	require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", keep: true}))
	require.EqualValues(t, 1, r.subscribe("cmd/lk1", 1))
	require.NoError(t, e.Command("lk1", []byte(`{"id":"1"}`)))
	topic, payload := r.message() // QoS 0: it has no packet id
	require.Equal(t, "cmd/lk1", topic)
	require.Equal(t, `{"id":"1"}`, payload)
	r.publish(1, 1, "dev/lk1/scan", scan(1))
	r.acked(1)
	require.Error(t, e.Command("lk1/#", nil))
	r.c.Close()
	r = dialRaw(t, e.Addr())
	require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", keep: true}))
	r.quiet()
}

// A client id belongs to its user: another user's connection of the same id neither gets its messages nor ends
// it (D5).
func TestClientIDsArePrivate(t *testing.T) {
	for _, v5 := range []bool{false, true} {
		e := startEdge(t, &memLog{auto: true}, Limits{})
		a := dialRaw(t, e.Addr())
		require.Zero(t, a.connect(options{user: "lk1", password: "pw", id: "same", keep: true, v5: v5}))
		require.EqualValues(t, 1, a.subscribe("cmd/lk1", 1))
		b := dialRaw(t, e.Addr())
		require.Zero(t, b.connect(options{user: "lk2", password: "pw", id: "same", keep: true, v5: v5}))
		a.quiet()
		require.NoError(t, e.Command("lk1", []byte("secret")))
		_, payload := a.message()
		require.Equal(t, "secret", payload)
		b.quiet()
		a.c.Close()
		c := dialRaw(t, e.Addr())
		require.Zero(t, c.connect(options{user: "lk2", password: "pw", id: "same", keep: true, v5: v5}))
		b.over() // its own user takes over
		require.NoError(t, e.Command("lk1", []byte("secret")))
		c.quiet()
	}
}

func TestACLMatrix(t *testing.T) { // D8, D11
	e := startEdge(t, &memLog{auto: true}, Limits{})
	for _, v5 := range []bool{false, true} {
		for _, c := range []struct {
			user, filter string
			ok           bool
		}{
			{"lk1", "cmd/lk1", true}, {"lk1", "cmd/lk2", false}, {"lk1", "cmd/+", false}, {"lk1", "cmd/#", false}, {"lk1", "#", false},
			{"lk1", "dev/#", false}, {"lk1", "dev/lk1/#", false}, {"lk1", "$SYS/#", false}, {"lk1", "$share/g/cmd/lk2", false},
			{"lk1", "$share/g/#", false}, {"lk1", "$SHARE/g/cmd/lk2", false}, {"lk1", "$share/cmd/lk1/x", false}, {"lk1", "CMD/lk1", false},
			{"tech", "dev/#", true}, {"tech", "dev/+/scan", true}, {"tech", "$share/g/dev/#", true}, {"tech", "#", false},
			{"tech", "cmd/#", false}, {"tech", "cmd/lk1", false}, {"tech", "+/lk1", false}, {"tech", "$share/g/cmd/lk1", false}, {"tech", "$SYS/#", false},
		} {
			r := dialRaw(t, e.Addr())
			require.Zero(t, r.connect(options{user: c.user, password: "pw", id: "x", v5: v5}))
			require.Equal(t, c.ok, r.subscribe(c.filter, 0) < 0x80, "%s %s", c.user, c.filter)
			r.c.Close()
		}
		for _, c := range []struct{ user, topic string }{
			{"lk1", "dev/lk2/scan"}, {"lk1", "dev/lk1"}, {"lk1", "cmd/lk1"}, {"lk1", "cmd/lk2"}, {"lk1", "dev//scan"},
			{"tech", "dev/tech/scan"}, {"tech", "dev/lk1/scan"}, {"tech", "cmd/lk1"},
		} {
			r := dialRaw(t, e.Addr())
			require.Zero(t, r.connect(options{user: c.user, password: "pw", id: "x", v5: v5}))
			r.publish(1, 1, c.topic, scan(1))
			typ, body, err := r.read(5 * time.Second)
			if v5 && typ == 4 {
				require.EqualValues(t, 0x87, body[2], "%s %s", c.user, c.topic) // not authorized
			} else {
				require.True(t, err != nil || typ == 14, "%s %s: packet of type %d", c.user, c.topic, typ)
			}
			r.c.Close()
		}
	}
	require.Zero(t, e.Counters()["readings"])
	require.Zero(t, e.Counters()["quarantined"])
}

func TestQoS2EndsTheConnection(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	r.publish(1, 2, "dev/lk1/scan", scan(1))
	_, _, err := r.read(5 * time.Second)
	require.Error(t, err)
	r = dialRaw(t, e.Addr())
	require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", v5: true}))
	r.publish(1, 2, "dev/lk1/scan", scan(1))
	typ, body := r.next()
	require.EqualValues(t, 14, typ)
	require.Equal(t, []byte{0x9b}, body)
	r.over()
	require.Empty(t, log.entries())
	require.EqualValues(t, 2, e.Counters()["qos2_refused"])
}

func TestRetainFlagOfADeviceIsIgnored(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	p := publishPacket(false, 1, 1, "dev/lk1/scan", scan(1))
	p[0] |= 1
	r.send(p)
	log.wait(t, 1)
	tech := login(t, e, "tech")
	tech.subscribe("dev/#", 0)
	tech.quiet() // not shown before it is durable
	log.commit(nil)
	r.acked(1)
	_, payload := tech.message()
	require.Contains(t, payload, `"kind":"scan"`)
	// an empty retained payload, which would delete, is refused input
	p = publishPacket(false, 2, 1, "dev/lk1/scan", "")
	p[0] |= 1
	r.send(p)
	log.wait(t, 1)
	log.commit(nil)
	r.acked(2)
	late := login(t, e, "tech")
	late.subscribe("dev/#", 0)
	_, payload = late.message()
	require.Contains(t, payload, `"kind":"scan"`)
}

// Stopping lets nobody hang: clients that are silent, half connected or not reading.
func TestRunEndsWithEverybodyConnected(t *testing.T) {
	e, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Log: &memLog{}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	login(t, e, "lk1").publish(1, 1, "dev/lk1/scan", scan(1))
	dialRaw(t, e.Addr())
	dialRaw(t, e.Addr()).send([]byte{0x10})
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(3 * time.Second):
		t.Fatal("Run hangs")
	}
	stacks := make([]byte, 1<<20)
	left := func() string { return string(stacks[:runtime.Stack(stacks, true)]) }
	require.Eventually(t, func() bool { return !strings.Contains(left(), "mochi-mqtt") }, time.Minute, 10*time.Millisecond)
	require.NotContains(t, left(), "broker.(*Edge)")
}

// The independent judge: Mosquitto's own clients.
func TestMosquittoClients(t *testing.T) {
	pub, err := exec.LookPath("mosquitto_pub")
	require.NoError(t, err, "mosquitto-clients must be installed")
	sub, err := exec.LookPath("mosquitto_sub")
	require.NoError(t, err, "mosquitto-clients must be installed")
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	host, port, err := net.SplitHostPort(e.Addr().String())
	require.NoError(t, err)
	for i, v := range []string{"mqttv311", "mqttv5"} {
		base := []string{"-h", host, "-p", port, "-V", v, "-P", "pw"}
		out, err := exec.Command(pub, append(base, "-u", "lk1", "-q", "1", "-t", "dev/lk1/scan", "-m", `{"n":"`+v+`","body":{"text":"YZ1"}}`)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		// -W: give up after 10 s; -C: the retained ones and one more
		watch := exec.Command(sub, append(base, "-u", "tech", "-t", "dev/#", "-v", "-C", strconv.Itoa(i+2), "-W", "10")...)
		r, err := watch.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, watch.Start())
		first := make([]byte, 512)
		n, err := r.Read(first) // subscribed
		require.NoError(t, err)
		at := telemetry.New("gps", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), telemetry.GNSS,
			telemetry.Position{Lat: telemetry.Some(30.5), Lon: telemetry.Some(103.2), Valid: true})
		at.N = v
		require.NoError(t, e.Accept(t.Context(), at))
		rest, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, watch.Wait())
		all := string(first[:n]) + string(rest)
		require.Contains(t, all, `dev/lk1/scan {"device":"lk1","kind":"scan","tq":"unknown","n":"`+v+`","body":{"text":"YZ1"}}`)
		require.Contains(t, all, `dev/gps/position {"device":"gps","kind":"position","at":"2026-03-01T00:00:00.000Z"`)
		out, err = exec.Command(pub, append(base, "-u", "tech", "-q", "1", "-t", "dev/lk1/scan", "-m", `{}`)...).CombinedOutput()
		require.True(t, err != nil || strings.Contains(strings.ToLower(string(out)), "not authorized") || v == "mqttv311", "%s", out)
	}
	require.EqualValues(t, 4, e.Counters()["readings"])
}

// lingering is a Log that commits after 250 ms, or when it is asked to.
type lingering struct {
	memLog
	kick chan struct{}
}

func (l *lingering) Flush() { signal(l.kick) }

func (l *lingering) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		case <-l.kick:
		}
		l.commit(nil)
	}
}

// A firmware that publishes one reading and waits for its PUBACK isn't slowed down to one a linger; one that
// publishes when it has something to say doesn't wear the card.
func TestWaitingClientPullsTheCommit(t *testing.T) {
	for _, window := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			log := &lingering{kick: make(chan struct{}, 1)}
			l := newPipeListener()
			e, err := NewEdge(EdgeConfig{Listener: l, Users: testUsers(t), Log: log})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- e.Run(ctx) }()
			go log.run(ctx)
			defer func() {
				cancel()
				require.NoError(t, <-done)
			}()
			r := l.dial(t)
			require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
			n := 0
			burst := func() {
				var ids []uint16
				for range window {
					n++
					ids = append(ids, uint16(n))
					r.publish(uint16(n), 1, "dev/lk1/scan", scan(n))
				}
				r.acked(ids...)
			}
			start := time.Now()
			for range 100 {
				burst()
			}
			require.Less(t, time.Since(start), time.Second)
			for range 10 { // now and then: it lingers again
				time.Sleep(1100 * time.Millisecond) // between two ticks of the log
				start = time.Now()
				burst()
			}
			require.Greater(t, time.Since(start), time.Millisecond)
		})
	}
}
