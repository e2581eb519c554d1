package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

// testCA signs certificates for a test.
type testCA struct {
	t    testing.TB
	cert *x509.Certificate
	key  ed25519.PrivateKey
	pool *x509.CertPool
}

func newTestCA(t testing.TB) *testCA {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &testCA{t, cert, key, pool}
}

// issue makes a certificate; shift moves its validity.
func (ca *testCA) issue(cn string, pub, key any, shift time.Duration) tls.Certificate {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: cn}, DNSNames: []string{"cloud"},
		NotBefore: time.Now().Add(shift - time.Hour), NotAfter: time.Now().Add(shift + time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, pub, ca.key)
	require.NoError(ca.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (ca *testCA) gateway(cn string) tls.Certificate {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(ca.t, err)
	return ca.issue(cn, pub, key, 0)
}

func (ca *testCA) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.gateway("cloud")}, ClientCAs: ca.pool}
}

func (ca *testCA) client(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.pool, ServerName: "cloud"}
}

// heard is what a Cloud's handler was told.
type heard struct {
	mu   sync.Mutex
	msgs []string
}

func (h *heard) handle(_ context.Context, gateway, what string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.msgs = append(h.msgs, gateway+" "+what+" "+string(payload))
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.msgs...)
}

func startCloud(t testing.TB, ca *testCA, h Handler, cfg CloudConfig) *Cloud {
	t.Helper()
	cfg.TLS = ca.server()
	if cfg.Listener == nil {
		cfg.Listen = "127.0.0.1:0"
	}
	c, err := NewCloud(cfg)
	require.NoError(t, err)
	c.Handle(h)
	run(t, c.Run)
	return c
}

func dialTLS(t testing.TB, c *Cloud, cfg *tls.Config) *rawClient {
	t.Helper()
	nc, err := tls.Dial("tcp", c.Addr().String(), cfg)
	require.NoError(t, err)
	return newRaw(t, nc)
}

func TestCloudHandsOverAcknowledgesAndSends(t *testing.T) {
	ca := newTestCA(t)
	var h heard
	c := startCloud(t, ca, h.handle, CloudConfig{})
	cert := ca.gateway("van-03")
	r := dialTLS(t, c, ca.client(cert))
	require.Zero(t, r.connect(options{id: "van-03", will: "yz/1/up/van-03/state", willRetain: true}))
	require.EqualValues(t, 1, r.subscribe("yz/1/down/van-03/#", 1))
	require.Equal(t, []string{"van-03"}, c.Connected())
	key, ok := c.Key("van-03")
	require.True(t, ok)
	require.True(t, key.Equal(cert.PrivateKey.(ed25519.PrivateKey).Public()))

	r.publish(1, 1, "yz/1/up/van-03/custody", "frame")
	r.acked(1)
	r.publish(2, 1, "yz/1/up/van-03/hello", "{}")
	r.acked(2)
	require.Equal(t, []string{"van-03 custody frame", "van-03 hello {}"}, h.all())

	require.NoError(t, c.Send("van-03", "ack", []byte(`{"credit":5}`)))
	topic, payload := r.message()
	require.Equal(t, "yz/1/down/van-03/ack", topic)
	require.Equal(t, `{"credit":5}`, payload)
	require.ErrorIs(t, c.Send("van-04", "ack", nil), ErrNotConnected)
	require.Error(t, c.Send("van-03", "nonsense", nil))

	r.c.Close() // no DISCONNECT: the will is told like a publish
	require.Eventually(t, func() bool { return len(h.all()) == 3 }, time.Minute, time.Millisecond)
	require.Equal(t, `van-03 state {"conn":1,"online":false}`, h.all()[2])
	require.Eventually(t, func() bool { return len(c.Connected()) == 0 }, time.Minute, time.Millisecond)
	require.ErrorIs(t, c.Send("van-03", "ack", nil), ErrNotConnected)
}

func TestCloudRefusesOtherIdentities(t *testing.T) {
	ca, other := newTestCA(t), newTestCA(t)
	c := startCloud(t, ca, func(context.Context, string, string, []byte) {}, CloudConfig{
		Verify: func(id string, _ *x509.Certificate) error {
			if id == "van-66" {
				return errors.New("revoked")
			}
			return nil
		},
	})
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	foreign := ca.client(other.gateway("van-03"))
	old := ca.client(ca.gateway("van-03"))
	old.MaxVersion = tls.VersionTLS12
	for name, cfg := range map[string]*tls.Config{
		"no certificate": {RootCAs: ca.pool, ServerName: "cloud"},
		"another ca":     foreign,
		"expired":        ca.client(ca.issue("van-03", pub, key, -2*time.Hour)),
		"not yet valid":  ca.client(ca.issue("van-03", pub, key, 2*time.Hour)),
		"no id":          ca.client(ca.gateway("Van/03")),
		"rsa":            ca.client(ca.issue("van-03", rsaKey.Public(), rsaKey, 0)),
		"revoked":        ca.client(ca.gateway("van-66")),
		"tls 1.2":        old,
	} {
		nc, err := tls.Dial("tcp", c.Addr().String(), cfg)
		if err == nil { // TLS 1.3: the client learns with its first read
			r := newRaw(t, nc)
			_, _ = nc.Write(connectPacket(options{id: "van-03"}))
			_, _, err = r.read(5 * time.Second)
		}
		require.Error(t, err, name)
		require.NotErrorIs(t, err, context.DeadlineExceeded, name)
	}
	for _, o := range []options{
		{id: "van-04"}, {id: ""}, {id: "van-03", will: "yz/1/up/van-04/state"}, {id: "van-03", will: "yz/1/down/van-03/ack"},
	} {
		r := dialTLS(t, c, ca.client(ca.gateway("van-03")))
		require.NotZero(t, r.connect(o))
		r.over()
	}
	require.Empty(t, c.Connected())
	_, err = NewCloud(CloudConfig{Listen: "127.0.0.1:0"})
	require.ErrorContains(t, err, "TLS")
}

// Who doesn't finish the handshake, or says nothing after it, is gone after five seconds.
func TestCloudHandshakeDeadline(t *testing.T) { // D7
	ca := newTestCA(t)
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		c, err := NewCloud(CloudConfig{Listener: l, TLS: ca.server()})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		start := time.Now()
		silent := l.dial(t)
		_, err = silent.r.ReadByte()
		require.Error(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))
		drip := l.dial(t)
		start = time.Now()
		for _, b := range []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03") { // a ClientHello, byte by byte
			if _, err = drip.c.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		require.Error(t, err)
		require.Less(t, time.Since(start), 7*time.Second)
		cancel()
		require.NoError(t, <-done)
	})
}

func TestCloudKeepsGatewaysApart(t *testing.T) {
	ca := newTestCA(t)
	var h heard
	c := startCloud(t, ca, h.handle, CloudConfig{})
	for _, topic := range []string{
		"yz/1/up/van-04/custody", "yz/1/up/van-03/nonsense", "yz/1/down/van-03/ack", "yz/1/down/van-04/command", "dev/gps/position", "yz/1/up/van-03/custody/x",
	} {
		r := dialTLS(t, c, ca.client(ca.gateway("van-03")))
		require.Zero(t, r.connect(options{id: "van-03"}))
		r.publish(1, 1, topic, "x")
		r.over()
	}
	require.Empty(t, h.all())
	r := dialTLS(t, c, ca.client(ca.gateway("van-03")))
	require.Zero(t, r.connect(options{id: "van-03"}))
	r.publish(1, 1, "$SYS/broker/version", "x")
	r.quiet()
	for _, filter := range []string{
		"#", "yz/1/down/#", "yz/1/down/+/ack", "yz/1/down/van-04/ack", "$share/g/yz/1/down/van-04/ack", "$share/g/#", "$SYS/#", "yz/1/up/#", "yz/1/up/van-03/state",
	} {
		require.EqualValues(t, 0x80, r.subscribe(filter, 0), filter)
	}
	for _, filter := range []string{"yz/1/down/van-03/#", "yz/1/down/van-03/+", "yz/1/down/van-03/command"} {
		require.Less(t, r.subscribe(filter, 1), byte(0x80), filter)
	}
}

func TestCloudTakeover(t *testing.T) {
	ca := newTestCA(t)
	var h heard
	c := startCloud(t, ca, h.handle, CloudConfig{})
	cert := ca.client(ca.gateway("van-03"))
	a := dialTLS(t, c, cert)
	require.Zero(t, a.connect(options{id: "van-03"}))
	a.subscribe("yz/1/down/van-03/#", 0)
	b := dialTLS(t, c, cert)
	require.Zero(t, b.connect(options{id: "van-03"}))
	a.over()
	require.EqualValues(t, 0, b.subscribe("yz/1/down/van-03/#", 0))
	require.NoError(t, c.Send("van-03", "config", []byte("1")))
	_, payload := b.message()
	require.Equal(t, "1", payload)
	require.Eventually(t, func() bool { return c.Counters()["takeovers"] == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, []string{"van-03"}, c.Connected())
}

// A handler that blocks holds its own gateway and nobody else's, and is let go when a newer connection takes over.
func TestCloudHandlerIsBackPressure(t *testing.T) {
	ca := newTestCA(t)
	entered, let := make(chan string, 10), make(chan struct{})
	c := startCloud(t, ca, func(ctx context.Context, gateway, _ string, _ []byte) {
		entered <- gateway
		if gateway == "van-01" {
			select {
			case <-let:
			case <-ctx.Done():
			}
		}
	}, CloudConfig{})
	slow := dialTLS(t, c, ca.client(ca.gateway("van-01")))
	require.Zero(t, slow.connect(options{id: "van-01"}))
	slow.publish(1, 1, "yz/1/up/van-01/track", "1")
	slow.publish(2, 1, "yz/1/up/van-01/track", "2")
	require.Equal(t, "van-01", <-entered)
	quick := dialTLS(t, c, ca.client(ca.gateway("van-02")))
	require.Zero(t, quick.connect(options{id: "van-02"}))
	quick.publish(1, 1, "yz/1/up/van-02/track", "1")
	quick.acked(1)
	require.Equal(t, "van-02", <-entered)
	require.Empty(t, entered, "the second frame of the slow gateway waits")
	let <- struct{}{}
	slow.acked(1)
	require.Equal(t, "van-01", <-entered)
	again := dialTLS(t, c, ca.client(ca.gateway("van-01"))) // the newer connection frees what the older held
	require.Zero(t, again.connect(options{id: "van-01"}))
	slow.over()
	again.publish(1, 1, "yz/1/up/van-01/track", "3")
	require.Equal(t, "van-01", <-entered)
	let <- struct{}{}
	again.acked(1)
}

// The client that gateways use.
func TestCloudWithPaho(t *testing.T) {
	ca := newTestCA(t)
	var h heard
	c := startCloud(t, ca, h.handle, CloudConfig{})
	got := make(chan string, 1)
	o := mqtt.NewClientOptions().AddBroker("tls://"+c.Addr().String()).SetClientID("wh-1").SetTLSConfig(ca.client(ca.gateway("wh-1"))).
		SetBinaryWill("yz/1/up/wh-1/state", []byte(`off`), 1, true)
	cl := mqtt.NewClient(o)
	done := func(tok mqtt.Token) {
		t.Helper()
		require.True(t, tok.WaitTimeout(5*time.Second))
		require.NoError(t, tok.Error())
	}
	done(cl.Connect())
	done(cl.Subscribe("yz/1/down/wh-1/+", 1, func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() }))
	done(cl.Publish("yz/1/up/wh-1/state", 1, true, "on"))
	done(cl.Publish("yz/1/up/wh-1/command", 1, false, make([]byte, 1<<20)))
	require.NoError(t, c.Send("wh-1", "command", []byte("x")))
	require.Equal(t, "yz/1/down/wh-1/command", <-got)
	cl.Disconnect(100)
	require.Len(t, h.all(), 2)
	require.Eventually(t, func() bool { return len(c.Connected()) == 0 }, time.Minute, time.Millisecond)
	require.Len(t, h.all(), 2, "a polite goodbye sends no will")
}

var _ net.Listener = (*pipeListener)(nil)
