package uplink

import (
	"context"
	"encoding/json"
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

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
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

// Numbers keeps the highest connection number that may have been used.
type Numbers interface {
	Read() ([]byte, error) // nil when nothing was kept yet
	Replace([]byte) error  // durable when it returns
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
	Numbers  Numbers
	Command  func(payload []byte) // takes a command message without waiting
	Expect   func(payload []byte) // takes a list of what may be put into the locker; nil: there is none
	Jitter   func() float64       // 0 to 1; nil takes math/rand
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
	return &Uplink{cfg: cfg, host: u.Host, hello: make(chan struct{}, 1), status: Status{State: "connecting", Since: time.Now()}}, nil
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
	u.numbers()
	bound := u.cfg.RetryMin
	first := true
	last := ""
	for {
		u.set(func(s *Status) { s.State = "connecting" })
		began, connected, err := u.session(ctx)
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

// session is one connection, from dialling to its end.
func (u *Uplink) session(ctx context.Context) (began time.Time, connected bool, err error) {
	id, err := u.cfg.Files.Load(u.cfg.Gateway)
	if err != nil {
		return began, false, err
	}
	enc, err := frame.NewEncoder(id.Key)
	if err != nil {
		return began, false, err
	}
	if u.conn++; u.conn >= u.reserved {
		u.numbers()
	}
	core := NewCore(CoreConfig{Gateway: u.cfg.Gateway, Version: u.cfg.Version, Source: u.cfg.Source, Encode: enc.EncodeAs, Mono: u.cfg.Clock.Mono, Log: u.cfg.Log,
		Behind: u.behind})
	defer func() { u.behind = core.behind }()
	s := &session{u: u, core: core, base: u.Status().Core, acks: make(chan []byte, 64), lost: make(chan error, 1)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.done = ctx.Done()
	if err := s.connect(ctx, id); err != nil {
		return began, false, err
	}
	began = time.Now()
	u.set(func(st *Status) { st.State, st.Err, st.Conn, st.Connects = "connected", "", u.conn, st.Connects+1 })
	u.cfg.Log.Info("cloud reached", "addr", u.host, "n", u.conn)
	return began, true, s.run(ctx)
}

// A session is one connection's client and Core. All but the client's callbacks runs in Run's goroutine.
type session struct {
	u      *Uplink
	core   *Core
	base   Counts
	client mqtt.Client
	acks   chan []byte
	lost   chan error
	done   <-chan struct{}
}

func (s *session) connect(ctx context.Context, id *Identity) error {
	gw := s.u.cfg.Gateway
	will, birth := state(s.u.conn, false), state(s.u.conn, true)
	var dialErr error
	o := mqtt.NewClientOptions().AddBroker("tls://"+s.u.host).SetClientID(gw).SetCleanSession(true).SetProtocolVersion(4).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(connectWait).SetWriteTimeout(connectWait).
		SetKeepAlive(keepAlive).SetPingTimeout(keepAlive/2).SetOrderMatters(true).
		SetBinaryWill(topic.Up(gw, topic.State), will, 1, true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.end(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (conn net.Conn, err error) {
			conn, err = s.u.dial(ctx, id)
			dialErr = err
			return conn, err
		})
	s.client = mqtt.NewClient(o)
	if err := wait(ctx, s.client.Connect(), connectWait); err != nil {
		s.client.Disconnect(0)
		return errors.Join(dialErr, err)
	}
	takes := map[string]mqtt.MessageHandler{topic.Ack: s.onAck, topic.Command: s.onCommand, topic.Config: s.onConfig}
	if s.u.cfg.Expect != nil {
		takes[topic.Expect] = s.onExpect
	}
	for what, take := range takes {
		t := s.client.Subscribe(topic.Down(gw, what), 1, take)
		err := wait(ctx, t, connectWait)
		if sub, ok := t.(*mqtt.SubscribeToken); err == nil && ok && sub.Result()[topic.Down(gw, what)] > 2 {
			err = errors.New("refused") // MQTT 3.1.1, 3.9.3: 0x80
		}
		if err != nil {
			s.client.Disconnect(0)
			return fmt.Errorf("subscribe to %s: %w", what, err)
		}
	}
	s.client.Publish(topic.Up(gw, topic.State), 1, true, birth)
	return nil
}

func state(conn uint64, online bool) []byte {
	b, err := json.Marshal(frame.State{Conn: conn, Online: online})
	if err != nil {
		panic("BUG: state: " + err.Error())
	}
	return b
}

func wait(ctx context.Context, t mqtt.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errors.New("no answer")
	case <-t.Done():
		return t.Error()
	}
}

// The handlers below are called by the client, one at a time. What they wait for ends with the session.

func (s *session) onAck(_ mqtt.Client, m mqtt.Message) {
	select {
	case s.acks <- m.Payload():
	case <-s.done:
	}
}

func (s *session) onCommand(_ mqtt.Client, m mqtt.Message) {
	if m.Retained() { // never sent so by the cloud; a command that waited somewhere is a stale one
		s.u.cfg.Log.Warn("retained command refused")
		return
	}
	s.u.cfg.Command(m.Payload())
}

func (s *session) onExpect(_ mqtt.Client, m mqtt.Message) { s.u.cfg.Expect(m.Payload()) }

func (s *session) onConfig(mqtt.Client, mqtt.Message) {
	s.u.cfg.Log.Warn("config message refused", "err", "configuration is read from the file only")
}

func (s *session) end(err error) {
	select {
	case s.lost <- err:
	default:
	}
}

// run feeds Core and publishes what it wants until the connection or ctx ends.
func (s *session) run(ctx context.Context) error {
	s.core.Connected(time.Now(), s.u.conn)
	tick := time.NewTimer(0)
	defer tick.Stop()
	defer s.client.Disconnect(0)
	for {
		select {
		case <-ctx.Done():
			_ = wait(context.WithoutCancel(ctx), s.client.Publish(topic.Up(s.u.cfg.Gateway, topic.State), 1, true, state(s.u.conn, false)), byeWait)
			return ctx.Err()
		case err := <-s.lost:
			return err
		case b := <-s.acks:
			s.ack(b)
		case <-s.u.hello:
			s.core.Hello()
		case <-s.u.cfg.Wake.Wake():
		case <-tick.C:
		}
		pause := time.Duration(0)
		for range 64 { // then the end gets its turn again
			m, ok := s.core.Next(time.Now())
			if !ok {
				pause = s.core.Idle(time.Now())
				break
			}
			t := s.client.Publish(topic.Up(s.u.cfg.Gateway, m.What), 1, false, m.Payload)
			select {
			case <-t.Done():
				if err := t.Error(); err != nil {
					return err
				}
			default: // a PUBACK says nothing of a commit: nobody waits for it
			}
			select {
			case b := <-s.acks:
				s.ack(b)
			default:
			}
		}
		tick.Reset(pause)
		s.report()
	}
}

func (s *session) ack(b []byte) {
	s.core.Ack(time.Now(), b)
	var a struct {
		WallMS int64 `json:"wall_ms"`
	}
	if json.Unmarshal(b, &a) == nil && a.WallMS > 0 {
		s.u.cfg.Clock.ObserveCloud(time.UnixMilli(a.WallMS))
	}
}

func (s *session) report() {
	n, core := s.core.Counts(), s.core
	s.u.set(func(st *Status) {
		st.Core = s.base.plus(n)
		st.LastAck, st.Unacked, st.Window = core.ackAt, core.pace.underway(), core.pace.window
	})
}

func (a Counts) plus(b Counts) Counts {
	return Counts{a.Frames + b.Frames, a.Records + b.Records, a.Bytes + b.Bytes, a.Backlog + b.Backlog, a.Resent + b.Resent,
		a.Acks + b.Acks, a.BadAcks + b.BadAcks, a.Hellos + b.Hellos, a.Behind + b.Behind, a.Unsendable + b.Unsendable, a.ReadErrors + b.ReadErrors}
}
