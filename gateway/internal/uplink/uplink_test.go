package uplink

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

type clock struct {
	now time.Time
	q   telemetry.Quality
}

func (c *clock) Mono() (frame.Boot, int64)           { return frame.Boot{1}, time.Now().UnixNano() }
func (c *clock) Now() (time.Time, telemetry.Quality) { return c.now, c.q }
func (c *clock) ObserveCloud(time.Time)              {}

// past is a time that is surely over.
type past time.Time

func (p past) Note(time.Time, telemetry.Quality, int64) {}
func (p past) Time() time.Time                          { return time.Time(p) }

// floor is the release that is tested.
var floor = past(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))

type numbers struct {
	b   []byte
	bad error
}

func (n *numbers) Read() ([]byte, error) { return n.b, n.bad }
func (n *numbers) Replace(b []byte) error {
	if n.bad == nil {
		n.b = b
	}
	return n.bad
}

type waker chan struct{}

func (w waker) Wake() <-chan struct{} { return w }

// pki is a county's authority and what it signed for van-03.
type pki struct {
	dir    string
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	files  Files
	server tls.Certificate
}

func (p *pki) sign(t *testing.T, tpl *x509.Certificate, from time.Time, pub any) []byte {
	tpl.SerialNumber, tpl.NotBefore, tpl.NotAfter = big.NewInt(from.Unix()), from, from.AddDate(1, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, tpl, p.ca, pub, p.key)
	require.NoError(t, err)
	return der
}

func newPKI(t *testing.T, board, server time.Time) *pki {
	p := &pki{dir: t.TempDir()}
	var err error
	p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "county"}, NotBefore: board.AddDate(-1, 0, 0), NotAfter: board.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.ca, p.ca, p.key.Public(), p.key)
	require.NoError(t, err)
	p.ca, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	p.files = Files{CA: filepath.Join(p.dir, "ca"), Cert: filepath.Join(p.dir, "cert"), Key: filepath.Join(p.dir, "key")}
	csr, err := p.files.Request("van-03")
	require.NoError(t, err)
	block, _ := pem.Decode(csr)
	req, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	p.write(t, p.files.CA, der)
	p.write(t, p.files.Cert, p.sign(t, &x509.Certificate{Subject: req.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, board, req.PublicKey))
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p.server = tls.Certificate{PrivateKey: key, Certificate: [][]byte{p.sign(t, &x509.Certificate{DNSNames: []string{"cloud"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, server, pub)}}
	return p
}

func (p *pki) write(t *testing.T, file string, der []byte) {
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

func TestIdentity(t *testing.T) {
	now := time.Now()
	p := newPKI(t, now, now)
	id, err := p.files.Load("van-03")
	require.NoError(t, err)
	require.Equal(t, "van-03", id.Cert.Leaf.Subject.CommonName)

	_, err = p.files.Load("van-04")
	require.ErrorContains(t, err, `is of "van-03", not of van-04`)
	for _, missing := range []Files{{p.files.CA, p.files.Cert, "x"}, {p.files.CA, "x", p.files.Key}, {"x", p.files.Cert, p.files.Key}} {
		_, err = missing.Load("van-03")
		require.ErrorIs(t, err, ErrNoIdentity)
	}
	other := Files{Key: filepath.Join(p.dir, "other")}
	_, err = other.Request("van-03")
	require.NoError(t, err)
	_, err = Files{p.files.CA, p.files.Cert, other.Key}.Load("van-03")
	require.ErrorContains(t, err, "is not of the key")
	for name, content := range map[string]string{"empty": "", "garbage": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		bad := filepath.Join(p.dir, name)
		require.NoError(t, os.WriteFile(bad, []byte(content), 0o600))
		for _, f := range []Files{{bad, p.files.Cert, p.files.Key}, {p.files.CA, bad, p.files.Key}, {p.files.CA, p.files.Cert, bad}} {
			_, err = f.Load("van-03")
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrNoIdentity, "a damaged file is no missing one")
		}
		_, err = Files{Key: bad}.Request("van-03")
		require.Error(t, err, "a key that can't be read is never replaced")
	}
}

func testUplink(t *testing.T, p *pki, c *clock, dial func(context.Context, string, string) (net.Conn, error)) *Uplink {
	u, err := New(Config{
		Gateway: "van-03", URL: "tls://cloud:8883", Files: p.files, RetryMin: 5 * time.Second, RetryMax: 10 * time.Minute,
		Dial: dial, Source: &card{t: t, rng: mrand.New(mrand.NewPCG(1, 1))}, Wake: make(waker), Clock: c, Numbers: &numbers{},
		Past: floor, Traffic: &numbers{}, Alarm: func(telemetry.Alarm) {},
		Command: func([]byte) {}, Jitter: func() float64 { return 1 }, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return u
}

// A board that doesn't know the time connects although the certificates begin later than its clock says; one that
// knows it judges them strictly.
func TestCertificatesAndABoardWithoutAClock(t *testing.T) {
	today := time.Now().Truncate(time.Second)
	month := today.AddDate(0, -1, 0)
	for name, c := range map[string]struct {
		board, server time.Time // certificates, valid for a year
		past          time.Time // that was kept
		clock         clock
		ok            bool
	}{
		"all is well":                       {month, month, month, clock{today, telemetry.NTP}, true},
		"no clock, the time was kept":       {month, month, today, clock{q: telemetry.Unknown}, true},
		"no clock, nothing was kept":        {month, month, time.Time(floor), clock{q: telemetry.Unknown}, true},
		"no clock, both from the future":    {today.AddDate(0, 1, 0), today.AddDate(0, 2, 0), month, clock{q: telemetry.Unknown}, true},
		"no clock, server's is over":        {today.AddDate(3, 0, 0), month, month, clock{q: telemetry.Unknown}, false},
		"no clock, it was kept as over":     {month, today.AddDate(-1, -2, 0), today, clock{q: telemetry.Unknown}, false},
		"what was kept is years ahead":      {month, month, today.AddDate(40, 0, 0), clock{q: telemetry.Unknown}, true},
		"a clock chip of 1970":              {month, month, month, clock{time.Unix(100, 0), telemetry.RTC}, true},
		"a clock chip years ahead":          {month, month, month, clock{today.AddDate(40, 0, 0), telemetry.RTC}, true},
		"a clock chip knows that it's over": {month, today.AddDate(-1, -2, 0), time.Time(floor).AddDate(-3, 0, 0), clock{today, telemetry.RTC}, false},
		"known time, server's not yet":      {month, today.AddDate(0, 1, 0), month, clock{today, telemetry.NTP}, false},
		"known time, server's is over":      {month, today.AddDate(-2, 0, 0), month, clock{today, telemetry.GNSS}, false},
		"known time, what was kept is off":  {month, month, today.AddDate(0, 11, 0), clock{today, telemetry.Cloud}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPKI(t, c.board, c.server)
			require.Equal(t, c.ok, p.connects(t, &c.clock, past(c.past)))
		})
	}
}

// connects reports whether a board of a clock makes a TLS connection, in one of two attempts: the first may learn that it is later.
func (p *pki) connects(t *testing.T, c *clock, kept past) bool {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{p.server}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13})
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte{1}) // once the client's certificate was taken
			conn.Close()
		}
	}()
	u := testUplink(t, p, c, func(ctx context.Context, network, addr string) (net.Conn, error) {
		require.Equal(t, "cloud:8883", addr)
		return (&net.Dialer{}).DialContext(ctx, network, ln.Addr().String())
	})
	u.cfg.Past = kept
	id, err := p.files.Load("van-03")
	require.NoError(t, err)
	for range 2 {
		conn, err := u.dial(t.Context(), id)
		if err != nil {
			continue
		}
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Greater(t, u.traffic.bytes(), uint64(500), "the handshake is counted")
		require.Greater(t, u.traffic.headers.Load(), uint64(8*segment), "and the headers")
		return true
	}
	return false
}

func TestPausesBetweenAttempts(t *testing.T) {
	now := time.Now()
	p := newPKI(t, now.AddDate(-30, 0, 0), now.AddDate(-30, 0, 0))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []int
		u := testUplink(t, p, &clock{q: telemetry.Unknown}, func(context.Context, string, string) (net.Conn, error) {
			at = append(at, int(time.Since(began).Seconds()))
			return nil, errors.New("no route to host")
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { require.NoError(t, u.Run(ctx)) }()
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 6, 16, 36, 76, 156, 316, 636, 1236, 1836}, at)
		st := u.Status()
		require.Equal(t, "waiting", st.State)
		require.Contains(t, st.Err, "no route to host")
		require.Equal(t, uint64(11), st.Failed)
		cancel()
		synctest.Wait()
	})
}

func TestConnectionNumbersNeverFallBack(t *testing.T) {
	now := time.Now()
	p := newPKI(t, now, now)
	kept := &numbers{}
	last := uint64(0)
	for range 5 { // restarts
		u := testUplink(t, p, &clock{now, telemetry.NTP}, nil)
		u.cfg.Numbers = kept
		u.numbers()
		for range 3 * reserve {
			if u.conn++; u.conn >= u.reserved {
				u.numbers()
			}
			require.Greater(t, u.conn, last)
			last = u.conn
		}
	}
	n, err := strconv.ParseUint(string(kept.b), 10, 64)
	require.NoError(t, err)
	require.Greater(t, n, last)

	kept.b = []byte("damaged")
	u := testUplink(t, p, &clock{now, telemetry.NTP}, nil)
	u.cfg.Numbers = kept
	u.numbers()
	require.GreaterOrEqual(t, u.conn, uint64(now.Unix()), "a new card begins above what the old one used")
	kept.bad = errors.New("input/output error")
	u.conn = 7
	u.numbers()
	require.GreaterOrEqual(t, u.conn, uint64(7), "a card that fails stops no connection")
}
