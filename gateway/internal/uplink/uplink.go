package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Clock is the board's time.
type Clock interface {
	Mono() (frame.Boot, int64)
	Now() (time.Time, telemetry.Quality)
	ObserveCloud(time.Time)
}

// Waker is what of a Source tells that it has new records.
type Waker interface{ Wake() <-chan struct{} }

// File keeps a few bytes.
type File interface {
	Read() ([]byte, error) // nil when nothing was kept yet
	Replace([]byte) error  // durable when it returns
}

// Past is a time that is surely over.
type Past interface {
	Note(now time.Time, q telemetry.Quality, mono int64)
	Time() time.Time
}

// Config is what an Uplink is made of.
type Config struct {
	Gateway  string
	Version  string
	URL      string // tls://host:port
	Files    Files
	RetryMin time.Duration
	RetryMax time.Duration
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Source   Source
	Wake     Waker
	Clock    Clock
	Past     Past
	Numbers  File                  // the highest connection number that may have been used
	Traffic  File                  // the bytes of the month
	MonthMiB int                   // the data budget of a month; 0: none
	Alarm    func(telemetry.Alarm) // takes an alarm without waiting
	Command  func(payload []byte)  // takes a command message without waiting
	Expect   func(payload []byte)  // takes a list of what may be put into the locker; nil: there is none
	Jitter   func() float64        // 0 to 1; nil takes math/rand
	Log      *slog.Logger
}

// Status is what the uplink is doing.
type Status struct {
	State    string    // waiting, connecting, connected
	Since    time.Time // of State
	Err      string    // why there is no connection
	Conn     uint64    // number of the last connection
	LastAck  time.Time
	Connects uint64
	Failed   uint64
	Core     Counts
	Unacked  int // packed bytes under way
	Window   int

	Sent, Heard   uint64 // bytes of TLS
	Headers       uint64 // bytes of TCP/IP's headers, and what was sent again
	MessagesSent  uint64 // MQTT PUBLISHes
	MessagesHeard uint64
	Traffic       Traffic
}

// Uplink keeps the connection to the cloud.
type Uplink struct {
	cfg   Config
	host  string
	hello chan struct{}

	mu     sync.Mutex
	status Status

	conn, reserved uint64
	tooEarly       time.Time // a certificate that is valid later than the board's clock says
	behind         bool      // the cloud that was connected last lacks what it once had

	budget    *Budget
	traffic   traffic
	accounted uint64 // bytes that the budget has
	accountAt int64  // CLOCK_BOOTTIME when it was told last
}

// The life of a connection.
const (
	connectWait = 30 * time.Second
	stable      = 5 * time.Minute // after which a lost connection is tried again at once
	reserve     = 1024            // connection numbers taken with one write to the card
	keepAlive   = 30 * time.Second
	byeWait     = time.Second
)

// New returns an Uplink that is not running.
func New(cfg Config) (*Uplink, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "tls" {
		return nil, fmt.Errorf("uplink: %.80q is not tls://host:port", cfg.URL)
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	up := &Uplink{cfg: cfg, host: u.Host, hello: make(chan struct{}, 1), status: Status{State: "connecting", Since: time.Now()}}
	up.budget = NewBudget(int64(cfg.MonthMiB)<<20, cfg.Traffic, cfg.Log)
	up.account(0)
	return up, nil
}

// Hello says hello again, so that the cloud knows the board's boot and monotonic time.
func (u *Uplink) Hello() {
	select {
	case u.hello <- struct{}{}:
	default:
	}
}

// Status returns what the uplink is doing.
func (u *Uplink) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

func (u *Uplink) set(change func(*Status)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := u.status.State
	change(&u.status)
	if u.status.State != before {
		u.status.Since = time.Now()
	}
}

// Run connects and reconnects until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	defer u.budget.Close()
	u.numbers()
	bound := u.cfg.RetryMin
	first := true
	last := ""
	for {
		u.set(func(s *Status) { s.State = "connecting" })
		began, connected, err := u.session(ctx)
		u.account(0)
		if ctx.Err() != nil {
			return nil
		}
		u.set(func(s *Status) { s.State, s.Err = "waiting", err.Error() })
		if connected {
			if first = time.Since(began) >= stable; first {
				bound = u.cfg.RetryMin
			}
			last = ""
			u.cfg.Log.Warn("cloud lost", "err", err)
		} else {
			u.set(func(s *Status) { s.Failed++ })
			level := slog.LevelWarn
			if last == err.Error() {
				level = slog.LevelDebug
			}
			last = err.Error()
			u.cfg.Log.Log(ctx, level, "cloud not reached", "addr", u.host, "err", err)
		}
		pause := time.Duration(u.cfg.Jitter() * float64(bound))
		switch {
		case errors.Is(err, ErrNoIdentity): // the files may come any minute
			pause = u.cfg.RetryMin
		case first:
			pause = time.Duration(u.cfg.Jitter() * float64(min(time.Second, bound)))
		default:
			bound = min(2*bound, u.cfg.RetryMax)
		}
		first = false
		t := time.NewTimer(max(pause, 10*time.Millisecond))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// account tells the budget what was sent and received, if it wasn't told for as long as every, and notes the time.
func (u *Uplink) account(every time.Duration) {
	_, mono := u.cfg.Clock.Mono()
	if mono-u.accountAt < int64(every) {
		return
	}
	u.accountAt = mono
	now, q := u.cfg.Clock.Now()
	u.cfg.Past.Note(now, q, mono)
	if !trusted(q) {
		now = time.Time{} // no month is begun by a clock that may be wrong by years
	}
	u.traffic.sample()
	total := u.traffic.bytes()
	reached := u.budget.Add(now, mono, int64(total-u.accounted))
	u.accounted = total
	for _, level := range reached {
		severity := telemetry.Minor
		if level >= 100 {
			severity = telemetry.Major
		}
		u.cfg.Log.Warn("data budget", "n", level, "bytes", u.budget.Traffic().Bytes)
		u.cfg.Alarm(telemetry.Alarm{Code: "data_budget", Severity: severity, Detail: u.budget.Traffic().detail(level)})
	}
	u.set(func(s *Status) {
		s.Sent, s.Heard, s.Headers = u.traffic.sent.Load(), u.traffic.heard.Load(), u.traffic.headers.Load()
		s.MessagesSent, s.MessagesHeard = u.traffic.messagesSent.Load(), u.traffic.messagesHeard.Load()
		s.Traffic = u.budget.Traffic()
	})
}

// numbers takes the next block of connection numbers. A card that fails stops no connection: the number only orders births
// and wills.
func (u *Uplink) numbers() {
	b, err := u.cfg.Numbers.Read()
	if err != nil {
		u.cfg.Log.Error("connection number not read", "err", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 53)
	if err != nil { // a new card, or a damaged one: numbers must not fall behind those the cloud saw
		n = 0
		if t, q := u.cfg.Clock.Now(); q != telemetry.Unknown {
			n = uint64(t.Unix())
		}
	}
	u.conn = max(n, u.conn)
	u.reserved = u.conn + reserve
	if err := u.cfg.Numbers.Replace(strconv.AppendUint(nil, u.reserved, 10)); err != nil {
		u.cfg.Log.Error("connection number not kept", "err", err)
	}
}
