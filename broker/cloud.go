package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// ErrNotConnected says that a gateway isn't connected now.
var ErrNotConnected = errors.New("gateway is not connected")

// CloudConfig is what a Cloud needs.
type CloudConfig struct {
	Listen   string       // TCP address
	Listener net.Listener // in place of Listen; plain, TLS is put on top
	TLS      *tls.Config  // required: the server's certificate, and ClientCAs
	// Verify, where set, has the last word on a gateway whose certificate chains to ClientCAs: revoked, unknown.
	Verify func(gateway string, cert *x509.Certificate) error
	Limits Limits
	Logger *slog.Logger // discards
}

// Handler takes what a gateway sends: what is a lane's name, hello or state. It is called in the
// connection's reader, so the gateway is held while it blocks; ctx ends when
// a newer connection takes over or the broker stops. It may keep payload.
type Handler func(ctx context.Context, gateway, what string, payload []byte)

// Cloud is the broker of the cloud.
type Cloud struct {
	slog     *slog.Logger
	server   *mqtt.Server
	listener *listener
	verify   func(string, *x509.Certificate) error
	handle   Handler
	count    counters
	serial   atomic.Uint64

	mu    sync.Mutex
	conns map[string]*conn             // by gateway
	keys  map[string]ed25519.PublicKey // of the gateways seen, connected or not
	once  sync.Once
}

// NewCloud checks the config and binds. Run serves; without Run, Close must be called.
func NewCloud(cfg CloudConfig) (*Cloud, error) {
	if cfg.TLS == nil || cfg.TLS.ClientCAs == nil {
		return nil, errors.New("broker: no TLS with client CAs")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults(2048, 0, frame.MaxFrame+4<<10)
	b := &Cloud{
		slog: cfg.Logger, verify: cfg.Verify, conns: map[string]*conn{}, keys: map[string]ed25519.PublicKey{},
		handle: func(context.Context, string, string, []byte) {},
	}
	if cfg.Listener == nil {
		var err error
		if cfg.Listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("broker: %w", err)
		}
	}
	b.listener = newListener("cloud", cfg.Listener, limits, cfg.Logger, &b.count)
	b.listener.tls = cfg.TLS.Clone()
	b.listener.tls.ClientAuth = tls.RequireAndVerifyClientCert
	b.listener.tls.MinVersion = tls.VersionTLS13
	b.listener.identify = b.identify
	b.listener.forget = b.forget
	b.server = mqtt.New(&mqtt.Options{
		Capabilities:           limits.capabilities(),
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: never,
		InlineClient:           true,
	})
	err := b.server.AddHook(&cloudHook{cloud: b}, nil)
	if err == nil {
		err = b.server.AddListener(b.listener)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

// Handle sets who takes what gateways send. It is called before Run.
func (b *Cloud) Handle(h Handler) { b.handle = h }

// Addr returns the listener's address.
func (b *Cloud) Addr() net.Addr { return b.listener.net.Addr() }

// Counters returns the counters that the package comment lists.
func (b *Cloud) Counters() map[string]uint64 { return b.count.all() }

// Run serves until ctx ends, then closes everything. It runs once.
func (b *Cloud) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		b.close(true)
		return fmt.Errorf("broker: %w", err)
	}
	<-ctx.Done()
	b.close(true)
	return nil
}

// Close gives the listener free when Run isn't going to.
func (b *Cloud) Close() { b.close(false) }

func (b *Cloud) close(served bool) {
	b.once.Do(func() {
		b.listener.shut(served)
		if served {
			_ = b.server.Close()
		}
	})
}

// Connected returns the gateways that are connected now, sorted.
func (b *Cloud) Connected() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(b.conns))
	for id := range b.conns {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Key returns the public key of the certificate that gateway connected with last.
func (b *Cloud) Key(gateway string) (ed25519.PublicKey, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.keys[gateway]
	return k, ok
}

// Send publishes payload on down/{gateway}/{what}, at QoS 0 and never retained: within a connection TCP delivers,
// and what a connection loses is repaired by what is said on the next. ErrNotConnected when there is none.
func (b *Cloud) Send(gateway, what string, payload []byte) error {
	if _, _, err := topic.ParseDown(topic.Down(gateway, what)); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.mu.Lock()
	c := b.conns[gateway]
	b.mu.Unlock()
	if c == nil || c.ctx.Err() != nil {
		return fmt.Errorf("broker: %s: %w", gateway, ErrNotConnected)
	}
	return b.server.Publish(topic.Down(gateway, what), payload, false, 0)
}

// identify takes the gateway's id and key from its certificate, before the first MQTT byte.
func (b *Cloud) identify(c *conn, st tls.ConnectionState) error {
	cert := st.PeerCertificates[0]
	id := cert.Subject.CommonName
	if !telemetry.ValidID(id) {
		return fmt.Errorf("certificate: common name %.40q is no id", id)
	}
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("certificate of %s: key is %T, not Ed25519", id, cert.PublicKey)
	}
	if b.verify != nil {
		if err := b.verify(id, cert); err != nil {
			return fmt.Errorf("certificate of %s: %w", id, err)
		}
	}
	c.gateway = id
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[id] = key
	return nil
}

// forget drops a connection that is over.
func (b *Cloud) forget(c *conn) {
	b.mu.Lock()
	if b.conns[c.gateway] == c {
		delete(b.conns, c.gateway)
	}
	b.mu.Unlock()
	if c.established.Load() {
		b.slog.Info("gateway disconnected", "gateway", c.gateway, "addr", c.ip)
	}
}

// cloudHook is how mochi asks the Cloud.
type cloudHook struct {
	mqtt.HookBase
	cloud *Cloud
}

// ID names the hook.
func (h *cloudHook) ID() string { return "cloud" }

// Provides tells mochi what to ask.
func (h *cloudHook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
		mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish, mqtt.OnPublishDropped, mqtt.OnWillSent:
		return true
	}
	return false
}

// OnConnectAuthenticate lets a gateway in under the id of its certificate, with a will on its state only (D2).
// An older connection of the id ends.
func (h *cloudHook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	b := h.cloud
	c, ok := cl.Net.Conn.(*conn)
	if !ok || c.gateway == "" {
		return false
	}
	if pk.Connect.ClientIdentifier != c.gateway || pk.Connect.WillFlag && pk.Connect.WillTopic != topic.Up(c.gateway, topic.State) {
		b.count.add(nAuthFailed, 1)
		b.slog.Warn("gateway refused, client id or will is not its own", "gateway", c.gateway, "addr", c.ip)
		return false
	}
	cl.ID = fmt.Sprintf("%s#%d", c.gateway, b.serial.Add(1))
	b.mu.Lock()
	old := b.conns[c.gateway]
	b.conns[c.gateway] = c
	b.mu.Unlock()
	if old != nil {
		b.count.add(nTakeovers, 1)
		b.slog.Warn("gateway connected twice, the older connection ends", "gateway", c.gateway, "addr", c.ip)
		old.Close()
	}
	return true
}

// OnSessionEstablish makes the session end with the connection.
func (h *cloudHook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	cl.Properties.Clean = true
	cl.Properties.Will.WillDelayInterval = 0
}

// OnSessionEstablished lets mochi's keep alive begin.
func (h *cloudHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	c := cl.Net.Conn.(*conn)
	c.established.Store(true)
	h.cloud.count.add(nConnects, 1)
	h.cloud.slog.Info("gateway connected", "gateway", c.gateway, "addr", c.ip)
}

// OnACLCheck keeps a gateway to up/{id}/ and down/{id}/.
func (h *cloudHook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	c, ok := cl.Net.Conn.(*conn)
	if ok && c.gateway != "" && mayGateway(c.gateway, name, write) {
		return true
	}
	h.cloud.count.add(nACLDenied, 1)
	return false
}

func mayGateway(id, name string, write bool) bool {
	if write {
		gateway, _, err := topic.ParseUp(name)
		return err == nil && gateway == id
	}
	switch name = unshared(name); name {
	case topic.Down(id, "#"), topic.Down(id, "+"):
		return true
	}
	gateway, _, err := topic.ParseDown(name)
	return err == nil && gateway == id
}

// OnPacketRead ends the connection of a gateway that publishes at QoS 2.
func (h *cloudHook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Qos < 2 {
		return pk, nil
	}
	h.cloud.count.add(nQoS2Refused, 1)
	if c, ok := cl.Net.Conn.(*conn); ok {
		h.cloud.slog.Warn("gateway disconnected, it publishes at qos 2", "gateway", c.gateway)
		refuseQoS2(c, pk.ProtocolVersion)
	}
	return pk, packets.ErrRejectPacket
}

// OnPublish hands what a gateway sends to the handler. mochi then acknowledges it; it keeps nothing but a
// state that asks for it.
func (h *cloudHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	c := cl.Net.Conn.(*conn)
	_, what, err := topic.ParseUp(pk.TopicName)
	if err != nil {
		return pk, packets.ErrRejectPacket // the ACL has seen to it
	}
	h.cloud.count.add(nPublishes, 1)
	h.cloud.handle(c.ctx, c.gateway, what, pk.Payload)
	if c.ctx.Err() != nil {
		return pk, packets.ErrRejectPacket // the handler may have given up: no acknowledgement
	}
	if what == topic.State {
		return pk, nil
	}
	return pk, packets.CodeSuccessIgnore
}

// OnWillSent hands a will to the handler: mochi doesn't pass it through OnPublish (D2).
func (h *cloudHook) OnWillSent(cl *mqtt.Client, pk packets.Packet) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok || c.gateway == "" || pk.TopicName != topic.Up(c.gateway, topic.State) {
		return
	}
	ctx, cancel := context.WithTimeout(c.guard.ctx, 10*time.Second)
	defer cancel()
	h.cloud.handle(ctx, c.gateway, topic.State, pk.Payload)
}

// OnPublishDropped counts what a gateway that doesn't read misses (D9).
func (h *cloudHook) OnPublishDropped(*mqtt.Client, packets.Packet) {
	h.cloud.count.add(nSubscriberDropped, 1)
}
