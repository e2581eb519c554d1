package firmware

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// TerminalFaults are what is wrong with a terminal.
type TerminalFaults struct {
	WrongCheck  bool          // every frame's check is wrong
	GCJ02       bool          // coordinates as on Chinese maps
	ClockOffset time.Duration // of its clock
	Noise       float64       // chance of foreign bytes before a frame
	Cut         float64       // chance that a frame stops half-way, as when power browns out
	LoseFirst   bool          // of a message in packets the first is lost on its way, once
	Deaf        bool          // never believes an acknowledgement: it sends everything again
}

// Terminal is a vehicle terminal of JT/T 808-2011, 2013 or 2019. It samples its position at every interval, keeps
// what isn't acknowledged, reports the newest with 0x0200 and what it kept in a blind zone with 0x0704, and does what
// the platform asks.
type Terminal struct {
	Addr    string // of the platform
	Phone   string // digits
	Version int    // 2011, 2013 (where 0) or 2019
	Plate   string
	Where   func(now time.Time) Fix
	Cabin   func(now time.Time) float64 // degrees Celsius; nil: no probe, and none before 2019
	Every   time.Duration               // between reports, 10 s where 0; the platform may change it
	Batch   int                         // positions in a batch, 20 where 0; more than 20 travel in packets
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Faults  TerminalFaults

	mu     sync.Mutex
	code   []byte // kept over connections, as in flash
	serial uint16
	alarm  uint32
	driven float64 // metres
	kept   []sample
	safe   []time.Time // acknowledged, by the time of the sample
	texts  []string
	params map[uint32][]byte
	away   bool
	conn   net.Conn
	wake   chan struct{}
}

// sample is one position as it was.
type sample struct {
	at     time.Time
	fix    Fix
	alarm  uint32
	driven float64
	cabin  float64
}

// The times of the standard (JT/T 808-2013, 6.3) and of a modem.
const (
	ackWithin   = 5 * time.Second
	tries       = 3
	beat        = time.Minute
	redial      = 3 * time.Second
	keptAtMost  = 20_000
	packetBytes = 1000
	usualBatch  = 20
	usualReport = 10 * time.Second
	paramReport = 0x0029
	paramBeat   = 0x0001
	jtAck       = 0x0001
	jtBeat      = 0x0002
	jtRegister  = 0x0100
	jtAuth      = 0x0102
	jtParams    = 0x0104
	jtReport    = 0x0200
	jtReportNow = 0x0201
	jtBatch     = 0x0704
)

func (t *Terminal) version() int {
	if t.Version == 0 {
		return 2013
	}
	return t.Version
}

// Raise sets or clears alarm bits of later samples.
func (t *Terminal) Raise(bits uint32, on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.alarm &^= bits; on {
		t.alarm |= bits
	}
}

// Tunnel takes the network away, or gives it back. Samples go on.
func (t *Terminal) Tunnel(in bool) {
	t.mu.Lock()
	t.away = in
	conn := t.conn
	t.mu.Unlock()
	if in && conn != nil {
		_ = conn.Close()
	}
	t.poke()
}

// Texts returns what the platform had shown, oldest first.
func (t *Terminal) Texts() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.texts...)
}

// Safe returns the times of the samples that the platform acknowledged.
func (t *Terminal) Safe() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]time.Time(nil), t.safe...)
}

// Kept returns how many samples wait for an acknowledgement.
func (t *Terminal) Kept() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.kept)
}

func (t *Terminal) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wake == nil {
		t.wake = make(chan struct{}, 1)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Terminal) every() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.params[paramReport]; len(v) == 4 && binary.BigEndian.Uint32(v) > 0 {
		return time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	}
	if t.Every > 0 {
		return t.Every
	}
	return usualReport
}

// Run samples and reports until ctx ends.
func (t *Terminal) Run(ctx context.Context) error {
	t.poke()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { t.sampleAll(ctx); return nil })
	g.Go(func() error { t.connectAll(ctx); return nil })
	return g.Wait()
}

// sampleAll keeps a sample at every interval.
func (t *Terminal) sampleAll(ctx context.Context) {
	var last time.Time
	for {
		now := time.Now().Truncate(time.Second)
		s := sample{at: now, fix: t.Where(now)}
		if t.Cabin != nil {
			s.cabin = t.Cabin(now)
		}
		t.mu.Lock()
		if !last.IsZero() {
			t.driven += s.fix.SpeedMPS * now.Sub(last).Seconds()
		}
		s.alarm, s.driven = t.alarm, t.driven
		if t.kept = append(t.kept, s); len(t.kept) > keptAtMost {
			t.kept = t.kept[1:]
		}
		t.mu.Unlock()
		t.poke()
		last = now
		if rest(ctx, t.every(), 1) != nil {
			return
		}
	}
}

// connectAll dials whenever there is a network and no connection.
func (t *Terminal) connectAll(ctx context.Context) {
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	for ctx.Err() == nil {
		t.mu.Lock()
		away := t.away
		t.mu.Unlock()
		if !away {
			if conn, err := dial(ctx, "tcp", t.Addr); err == nil {
				t.talk(ctx, conn)
			}
		}
		if rest(ctx, redial, 1) != nil {
			return
		}
	}
}

// talk is one connection, to its end.
func (t *Terminal) talk(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	t.mu.Lock()
	t.conn = conn
	away := t.away
	t.mu.Unlock()
	if away {
		return
	}
	orders := make(chan order, 16)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(orders)
		r := bufio.NewReader(conn)
		for {
			o, err := unpack(r, t.version() == 2019)
			if errors.Is(err, errFrame) {
				continue
			}
			if err != nil {
				return err
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	g.Go(func() error {
		defer conn.Close()
		return (&call{Terminal: t, conn: conn, orders: orders}).serve(ctx)
	})
	_ = g.Wait() // a connection that breaks is what terminals live with
}
