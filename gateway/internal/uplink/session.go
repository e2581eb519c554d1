package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
)

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
	s.u.traffic.messagesHeard.Add(1)
	select {
	case s.acks <- m.Payload():
	case <-s.done:
	}
}

func (s *session) onCommand(_ mqtt.Client, m mqtt.Message) {
	s.u.traffic.messagesHeard.Add(1)
	if m.Retained() { // never sent so by the cloud; a command that waited somewhere is a stale one
		s.u.cfg.Log.Warn("retained command refused")
		return
	}
	s.u.cfg.Command(m.Payload())
}

func (s *session) onExpect(_ mqtt.Client, m mqtt.Message) { s.u.cfg.Expect(m.Payload()) }

func (s *session) onConfig(mqtt.Client, mqtt.Message) {
	s.u.traffic.messagesHeard.Add(1)
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
		s.u.account(time.Second)
		s.core.Save(s.u.budget.Over())
		pause := time.Duration(0)
		for range 64 { // then the end gets its turn again
			m, ok := s.core.Next(time.Now())
			if !ok {
				pause = s.core.Idle(time.Now())
				break
			}
			s.u.traffic.messagesSent.Add(1)
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
