package edge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices"
	"yizhan/devices/gnss"
	"yizhan/devices/jt808"
	"yizhan/devices/mqttlocker"
	"yizhan/devices/port/porttest"
	"yizhan/devices/scanner"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
)

// With boardConfig set this binary is a gateway, so that a test can kill one.
const boardConfig = "YIZHAN_TEST_BOARD_CONFIG"

func TestMain(m *testing.M) {
	file := os.Getenv(boardConfig)
	if file == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := edge.Load(file, kinds())
	if err == nil {
		var e *edge.Edge
		if e, err = edge.New(cfg, edge.Env{Kinds: kinds(), Version: "test", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}); err == nil {
			err = e.Run(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func kinds() []devices.Factory {
	return []devices.Factory{devices.Kind("gnss", gnss.New), devices.Kind("jt808", jt808.New), devices.Kind("mqttlocker", mqttlocker.New), devices.Kind("scanner", scanner.New)}
}

// authority signs certificates for one test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test county"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{key, cert}
}

func (a *authority) sign(t *testing.T, tpl *x509.Certificate, pub any) []byte {
	tpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tpl.NotBefore, tpl.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tpl, a.cert, pub, a.key)
	require.NoError(t, err)
	return der
}

func pemCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a *authority) server(t *testing.T) *tls.Config {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der := a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, pub)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientCAs: pool, MinVersion: tls.VersionTLS13}
}

// enrol makes the board's key and files its certificate.
func (a *authority) enrol(t *testing.T, cfg *edge.Config) {
	csr, err := edge.Request(cfg)
	require.NoError(t, err)
	block, _ := pem.Decode(csr)
	req, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, req.CheckSignature())
	require.Equal(t, cfg.Gateway, req.Subject.CommonName)
	st, err := os.Stat(cfg.Uplink.Key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
	der := a.sign(t, &x509.Certificate{Subject: req.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, req.PublicKey)
	require.NoError(t, os.WriteFile(cfg.Uplink.Cert, pemCert(der), 0o600))
	require.NoError(t, os.WriteFile(cfg.Uplink.CA, pemCert(a.cert.Raw), 0o600))
}

type identity struct {
	epoch frame.Epoch
	lane  telemetry.Lane
	seq   uint64
}

// cloud commits what gateways send, in memory, and forgets to say so now and then.
type cloud struct {
	t      *testing.T
	broker *broker.Cloud
	dec    *frame.Decoder

	mu       sync.Mutex
	rng      *mrand.Rand
	lossless bool // every ack is sent
	hashes   map[identity][32]byte
	tails    map[identity][32]byte // hash that the record after this one named
	recs     map[identity]telemetry.Reading
	hellos   []frame.Hello
	states   []frame.State
}

func newCloud(t *testing.T, a *authority) *cloud {
	b, err := broker.NewCloud(broker.CloudConfig{Listen: "127.0.0.1:0", TLS: a.server(t)})
	require.NoError(t, err)
	dec, err := frame.NewDecoder()
	require.NoError(t, err)
	c := &cloud{t: t, broker: b, dec: dec, rng: mrand.New(mrand.NewPCG(5, 5)), hashes: map[identity][32]byte{}, tails: map[identity][32]byte{}, recs: map[identity]telemetry.Reading{}}
	b.Handle(c.handle)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return c
}

func (c *cloud) handle(_ context.Context, gateway, what string, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch what {
	case topic.State:
		var s frame.State
		if json.Unmarshal(payload, &s) == nil {
			c.states = append(c.states, s)
		}
	case topic.Hello:
		var h frame.Hello
		if err := json.Unmarshal(payload, &h); err != nil {
			c.t.Errorf("hello: %v", err)
			return
		}
		c.hellos = append(c.hellos, h)
		for _, l := range h.Lanes {
			c.ack(gateway, l.Epoch, l.Lane)
		}
	default:
		c.take(gateway, payload)
	}
}

func (c *cloud) take(gateway string, payload []byte) {
	h, err := frame.ReadHeader(payload)
	if err != nil {
		c.t.Errorf("frame: %v", err)
		return
	}
	pub, ok := c.broker.Key(gateway)
	if !ok || h.Verify(pub) != nil {
		c.t.Errorf("frame not signed by %s", gateway)
		return
	}
	f, err := c.dec.Records(&h)
	if err != nil {
		c.t.Errorf("frame: %v", err)
		return
	}
	for i := range f.Records {
		r := &f.Records[i]
		id := identity{f.Epoch, f.Lane, r.Seq}
		sum := r.Hash(f.Epoch, f.Lane)
		if old, known := c.hashes[id]; known && old != sum {
			c.t.Errorf("fork: %v", id)
		}
		c.hashes[id] = sum
		if r.Type == frame.TypeReading {
			var reading telemetry.Reading
			if err := json.Unmarshal(r.Payload, &reading); err != nil {
				c.t.Errorf("%v: %v", id, err)
			}
			c.recs[id] = reading
		}
	}
	if f.First() > 1 {
		c.tails[identity{f.Epoch, f.Lane, f.First() - 1}] = f.Prev
	}
	if c.lossless || c.rng.IntN(4) > 0 {
		c.ack(gateway, f.Epoch, f.Lane)
	}
}

func (c *cloud) ack(gateway string, epoch frame.Epoch, lane telemetry.Lane) {
	a := frame.Ack{Epoch: epoch, Lane: lane, Credit: 10_000, Ranges: []frame.Range{}}
	last := uint64(0)
	for id := range c.hashes {
		if id.epoch == epoch && id.lane == lane {
			last = max(last, id.seq)
		}
	}
	for seq := uint64(1); seq <= last; seq++ {
		if _, ok := c.hashes[identity{epoch, lane, seq}]; !ok {
			continue
		}
		if n := len(a.Ranges); n > 0 && a.Ranges[n-1].To == seq-1 {
			a.Ranges[n-1].To = seq
		} else {
			a.Ranges = append(a.Ranges, frame.Range{From: seq, To: seq})
		}
	}
	b, err := json.Marshal(&a)
	if err != nil {
		c.t.Errorf("ack: %v", err)
	}
	_ = c.broker.Send(gateway, topic.Ack, b) // it may be gone
}

// arrived returns how many records of device have which n, or at where it has none.
func (c *cloud) arrived(device string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for _, r := range c.recs {
		if r.Device == device {
			key := r.N
			if key == "" {
				key = r.At.Format(telemetry.TimeLayout)
			}
			out[key]++
		}
	}
	return out
}

// checkChains reports a frame whose record before the first is not the one that came.
func (c *cloud) checkChains() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, want := range c.tails {
		if got, ok := c.hashes[id]; ok {
			require.Equal(c.t, want, got, "%v", id)
		}
	}
}

// site is a board's folder and addresses.
type site struct {
	dir, config    string
	lan, page, url string
	cfg            edge.Config
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func newSite(t *testing.T, cloudAddr, devices string) *site {
	s := &site{dir: t.TempDir(), lan: freeAddr(t), page: freeAddr(t)}
	s.config = filepath.Join(s.dir, "gateway.yaml")
	hash, err := broker.HashPassword("secret")
	require.NoError(t, err)
	src := fmt.Sprintf(`gateway: van-03
data: data
uplink: {url: "tls://%s", ca: ca.pem, cert: cert.pem, key: key.pem, retry_min: 100ms, retry_max: 500ms}
broker:
  listen: %q
  users:
    - {name: handheld, role: device, password_hash: %q}
    - {name: tech, role: technician, password_hash: %q}
status: {listen: %q}
spool: {segment_bytes: 64KiB, max_bytes: 64MiB}
clock: {rtc: trust}
devices: %s
`, cloudAddr, s.lan, hash, hash, s.page, devices)
	require.NoError(t, os.WriteFile(s.config, []byte(src), 0o600))
	s.cfg, err = edge.Load(s.config, kinds())
	require.NoError(t, err)
	return s
}

func (s *site) get(t *testing.T, path string) (int, string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.page+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// board is a gateway in a process of its own.
type board struct {
	cmd  *exec.Cmd
	done chan error
}

func (s *site) start(t *testing.T) *board {
	b := &board{cmd: exec.CommandContext(t.Context(), os.Args[0]), done: make(chan error, 1)}
	b.cmd.Env = append(os.Environ(), boardConfig+"="+s.config)
	b.cmd.Stderr = os.Stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, b.cmd.Start())
	go func() { b.done <- b.cmd.Wait() }()
	return b
}

func (b *board) kill(t *testing.T) {
	require.NoError(t, b.cmd.Process.Kill())
	<-b.done
}

// handheld is an MQTT device that publishes scans and remembers which were acknowledged.
type handheld struct {
	addr string
	mu   sync.Mutex
	safe []string
}

func (h *handheld) run(ctx context.Context) {
	n := 0
	for ctx.Err() == nil {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + h.addr).SetClientID("handheld").SetUsername("handheld").SetPassword("secret").
			SetAutoReconnect(false).SetConnectTimeout(time.Second)
		c := mqtt.NewClient(o)
		if t := c.Connect(); t.Wait() && t.Error() != nil {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		for ctx.Err() == nil && c.IsConnectionOpen() {
			id := fmt.Sprintf("h-%d", n)
			t := c.Publish("dev/handheld/scan", 1, false, fmt.Sprintf(`{"n":%q,"body":{"text":"YZ%08d"}}`, id, n))
			n++ // one that was not acknowledged is not tried again: another test counts retries
			select {
			case <-t.Done():
				if t.Error() == nil && c.IsConnectionOpen() {
					h.mu.Lock()
					h.safe = append(h.safe, id)
					h.mu.Unlock()
				}
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
		}
		c.Disconnect(0)
	}
}

func (h *handheld) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.safe)
}

// sentence adds the checksum of NMEA 0183.
func sentence(body string) string {
	sum := byte(0)
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, sum)
}

// receiver writes a fix every 50 ms, each a second of its own clock later.
func receiver(ctx context.Context, w io.Writer) {
	at := time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		at = at.Add(time.Second)
		hms, dmy := at.Format("150405.00"), at.Format("020106")
		_, _ = io.WriteString(w, sentence("GNRMC,"+hms+",A,3030.0000,N,10312.0000,E,9.72,84.4,"+dmy+",,,A")+
			sentence("GNGGA,"+hms+",3030.0000,N,10312.0000,E,1,09,0.9,512.0,M,-32.0,M,,"))
	}
}

// Whatever was acknowledged to a device is committed in the cloud, once by identity, although the gateway is killed again and
// again and a quarter of the acks is lost.
func TestKilledGatewayLosesNothing(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	master, addr := porttest.PTY(t)
	s := newSite(t, c.broker.Addr().String(), fmt.Sprintf("[{id: gps, kind: gnss, port: %q}]", addr))
	a.enrol(t, &s.cfg)

	ctx, cancel := context.WithCancel(t.Context())
	var play sync.WaitGroup
	play.Go(func() { receiver(ctx, master) })
	h := &handheld{addr: s.lan}
	play.Go(func() { h.run(ctx) })
	defer play.Wait()
	defer cancel()

	var b *board
	for range 5 {
		before := h.count()
		b = s.start(t)
		require.Eventually(t, func() bool { return h.count() >= before+60 }, time.Minute, 5*time.Millisecond)
		b.kill(t)
	}
	b = s.start(t)
	before := h.count()
	require.Eventually(t, func() bool { return h.count() > before+20 && len(c.arrived("gps")) > 20 }, time.Minute, 20*time.Millisecond)
	cancel()
	play.Wait()
	var missing []string
	if !waitFor(60*time.Second, func() bool {
		got := c.arrived("handheld")
		missing = missing[:0]
		for _, id := range h.safe {
			if got[id] == 0 {
				missing = append(missing, id)
			}
		}
		return len(missing) == 0
	}) {
		_, page := s.get(t, "/healthz")
		t.Fatalf("%d of %d acknowledged scans never arrived, first %q\n%s", len(missing), len(h.safe), missing[0], page)
	}
	for id, n := range c.arrived("handheld") {
		require.Equal(t, 1, n, id)
	}
	for at, n := range c.arrived("gps") {
		require.Equal(t, 1, n, at)
	}
	c.checkChains()

	c.mu.Lock()
	c.lossless = true
	c.mu.Unlock()
	b.kill(t) // the last acks may be lost: hello brings them, and the card is given free
	b = s.start(t)
	require.True(t, waitFor(30*time.Second, func() bool {
		code, page := s.get(t, "/healthz")
		var r struct {
			Spool struct{ Pending map[string]uint64 }
		}
		return code == http.StatusOK && json.Unmarshal([]byte(page), &r) == nil && r.Spool.Pending["custody"] == 0 && r.Spool.Pending["track"] == 0
	}), "the card still holds what was committed")
	_, metrics := s.get(t, "/metrics")
	require.Contains(t, metrics, `yizhan_device_up{device="gps",kind="gnss"} 1`)
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-b.done, "asked to stop")
	c.mu.Lock()
	defer c.mu.Unlock()
	conns := map[uint64]int{}
	for _, s := range c.states {
		conns[s.Conn]++
	}
	require.GreaterOrEqual(t, len(conns), 6, "every connection has a number of its own")
	for _, hello := range c.hellos {
		require.NotZero(t, hello.Boot)
		require.Positive(t, hello.MonoNS)
	}
}

// waitFor asks ok until it is or the time is over.
func waitFor(limit time.Duration, ok func() bool) bool {
	end := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			return ok()
		case <-tick.C:
		}
	}
	return true
}
