package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// line is a link between a gateway and the cloud's broker in a bubble of synctest: with a delay each way, and faults on request. It
// always takes what is written: a writer that waits with a lock held would hold a bubble's time up.
type line struct {
	delay time.Duration

	mu     sync.Mutex
	dials  []time.Time
	down   bool // nobody answers
	dark   bool // what is sent vanishes, and nobody is told
	conns  []net.Conn
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newLine() *line { return &line{} }

// Accept, Close and Addr make the line the cloud's listener.
func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *line) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8883} }

func (l *line) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	l.dials = append(l.dials, time.Now())
	down, accept := l.down, l.accept
	l.mu.Unlock()
	if down {
		return nil, errors.New("no route to host")
	}
	board, near := net.Pipe()
	far, cloud := net.Pipe()
	l.mu.Lock()
	l.conns = append(l.conns, near, far)
	l.mu.Unlock()
	go l.carry(near, far)
	go l.carry(far, near)
	select {
	case accept <- cloud:
		return board, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// carry moves bytes one way until an end closes.
func (l *line) carry(from, to net.Conn) {
	type packet struct {
		b  []byte
		at time.Time
	}
	queue := make(chan packet, 4096)
	go func() {
		defer to.Close()
		for p := range queue {
			time.Sleep(time.Until(p.at))
			l.mu.Lock()
			dark := l.dark
			l.mu.Unlock()
			if !dark {
				if _, err := to.Write(p.b); err != nil {
					break
				}
			}
		}
		for range queue {
		}
	}()
	defer close(queue)
	for {
		b := make([]byte, 1400)
		n, err := from.Read(b)
		if n > 0 {
			queue <- packet{b[:n], time.Now().Add(l.delay)}
		}
		if err != nil {
			return
		}
	}
}

// reset breaks every connection.
func (l *line) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close() // it may be closed already
	}
	l.conns, l.dark = nil, false
}

func (l *line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// locked is a spool and a cloud that goroutines share.
type locked struct {
	mu    sync.Mutex
	card  *card
	cloud *cloud
	heard int // messages that the cloud took
	wake  waker
}

func (l *locked) with(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *locked) Lanes() (s []frame.LaneState) { l.with(func() { s = l.card.Lanes() }); return s }
func (l *locked) Kept() (s []frame.LaneState)  { l.with(func() { s = l.card.Kept() }); return s }
func (l *locked) Wake() <-chan struct{}        { return l.wake }

func (l *locked) Read(e frame.Epoch, ln telemetry.Lane, from uint64, limit, most int) (recs []frame.Record, prev [32]byte, err error) {
	l.with(func() { recs, prev, err = l.card.Read(e, ln, from, limit, most) })
	return recs, prev, err
}

func (l *locked) Commit(e frame.Epoch, ln telemetry.Lane, rs []frame.Range) {
	l.with(func() { l.card.Commit(e, ln, rs) })
}

// held is how many records the cloud doesn't have.
func (l *locked) held() (n int) {
	l.with(func() {
		for _, k := range l.card.lanes {
			for seq := k.first; seq < k.next; seq++ {
				if _, ok := l.cloud.have[k.laneKey].end(seq); !ok {
					n++
				}
			}
		}
	})
	return n
}

// overLine runs an uplink and a cloud on a line; the story ends with both.
func overLine(t *testing.T, l *line, story func(t *testing.T, u *Uplink, s *locked)) {
	began := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC) // before bubbles begin
	p := newPKI(t, began, began)
	ca, err := x509.ParseCertificate(p.ca.Raw)
	require.NoError(t, err)
	cl := newCloud(t)
	s := &locked{card: &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}, cloud: cl}
	s.card.open(1)
	synctest.Test(t, func(t *testing.T) {
		l.accept, l.closed, s.wake = make(chan net.Conn), make(chan struct{}), make(waker, 1) // of the bubble
		pool := x509.NewCertPool()
		pool.AddCert(ca)
		b, err := broker.NewCloud(broker.CloudConfig{Listener: l, TLS: &tls.Config{Certificates: []tls.Certificate{p.server}, ClientCAs: pool}})
		require.NoError(t, err)
		b.Handle(func(_ context.Context, gateway, what string, payload []byte) {
			if what == topic.State {
				return
			}
			var acks [][]byte
			s.with(func() { s.heard++; acks = cl.take(Message{What: what, Payload: payload}) })
			for _, a := range acks {
				_ = b.Send(gateway, topic.Ack, a) // the line may be down
			}
		})
		u := testUplink(t, p, &clock{q: telemetry.Unknown}, l.dial)
		u.cfg.Source, u.cfg.Wake = s, s
		ctx, cancel := context.WithCancel(t.Context())
		var ends sync.WaitGroup
		ends.Go(func() { _ = b.Run(ctx) })
		ends.Go(func() { require.NoError(t, u.Run(ctx)) })
		story(t, u, s)
		cancel()
		l.reset()
		ends.Wait()
		synctest.Wait()
	})
}

// record puts records on the card and wakes the uplink.
func (l *locked) record(lane telemetry.Lane, n int) {
	l.with(func() { l.card.append(lane, n) })
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func TestAHalfOpenLinkIsLeft(t *testing.T) {
	l := newLine()
	overLine(t, l, func(t *testing.T, u *Uplink, s *locked) {
		time.Sleep(10 * time.Second)
		require.Equal(t, "connected", u.Status().State)
		s.record(telemetry.Custody, 10)
		time.Sleep(5 * time.Second)
		require.Zero(t, s.held())

		l.set(func() { l.dark = true })
		dark := time.Now()
		for u.Status().State == "connected" && time.Since(dark) < 10*time.Minute {
			s.record(telemetry.Custody, 1)
			time.Sleep(time.Second)
		}
		require.Less(t, time.Since(dark), 75*time.Second, "a link that is dead without a word is noticed")
		l.reset()
		time.Sleep(time.Minute)
		require.Equal(t, "connected", u.Status().State)
		require.Zero(t, s.held())
		require.EqualValues(t, 2, u.Status().Connects)
	})
}

func TestAHalfOpenLinkThatIsIdleIsLeft(t *testing.T) {
	l := newLine()
	overLine(t, l, func(t *testing.T, u *Uplink, s *locked) {
		time.Sleep(10 * time.Second)
		l.set(func() { l.dark = true })
		time.Sleep(75 * time.Second)
		require.NotEqual(t, "connected", u.Status().State)
	})
}

// A link with a long way that breaks every 40 s, in the middle of frames, ends with everything at the cloud, each record once.
func TestALinkThatBreaksAgainAndAgain(t *testing.T) {
	l := newLine()
	l.delay = 400 * time.Millisecond
	overLine(t, l, func(t *testing.T, u *Uplink, s *locked) {
		s.with(func() { s.cloud.credit = 20_000 })
		s.record(telemetry.Track, 30_000)
		for range 30 {
			time.Sleep(40 * time.Second)
			s.record(telemetry.Custody, 7)
			l.reset()
		}
		time.Sleep(20 * time.Minute)
		require.Zero(t, s.held())
		require.GreaterOrEqual(t, u.Status().Connects, uint64(5))
		s.with(func() {
			for k, applied := range s.cloud.applied {
				for seq, n := range applied {
					require.Equal(t, 1, n, "%v %d", k, seq)
				}
			}
		})
	})
}

// The bound of the pauses doubles while connections don't last, and begins anew only after one that lasted for 5 minutes.
func TestPausesAfterConnections(t *testing.T) {
	l := newLine()
	overLine(t, l, func(t *testing.T, u *Uplink, _ *locked) {
		var pauses []int
		for _, life := range []time.Duration{time.Minute, time.Minute, 4 * time.Minute, 299 * time.Second, 301 * time.Second, time.Minute, time.Minute} {
			for u.Status().State != "connected" {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(life)
			n := 0
			l.set(func() { n = len(l.dials) })
			lost := time.Now()
			l.reset()
			for again := false; !again; time.Sleep(100 * time.Millisecond) {
				l.set(func() { again = len(l.dials) > n })
			}
			l.set(func() { pauses = append(pauses, int(l.dials[n].Sub(lost).Seconds())) })
		}
		require.Equal(t, []int{5, 10, 20, 40, 1, 5, 10}, pauses)
	})
}

// What the connection carries is counted, and the board's files say so after a restart.
func TestTrafficIsCounted(t *testing.T) {
	l := newLine()
	overLine(t, l, func(t *testing.T, u *Uplink, s *locked) {
		time.Sleep(10 * time.Second)
		before := u.Status()
		s.record(telemetry.Custody, 500)
		time.Sleep(10 * time.Second)
		after := u.Status()
		require.Greater(t, after.Sent, before.Sent+400)
		require.Greater(t, after.Heard, before.Heard+100)
		require.Greater(t, after.MessagesSent, before.MessagesSent)
		require.Greater(t, after.MessagesHeard, before.MessagesHeard)
		require.EqualValues(t, after.Sent+after.Heard, after.Traffic.Bytes)
	})
}
