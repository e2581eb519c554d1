package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A cloud takes a gateway's frames and says at once that they are committed. It counts what passes the wire, TLS included.
type cloud struct {
	key    ed25519.PrivateKey
	cert   *x509.Certificate
	broker *broker.Cloud
	wire   *metered

	mu      sync.Mutex
	have    map[lane]uint64 // all up to this seq
	records uint64
	frames  uint64
}

type lane struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

// A metered listener counts the bytes of its connections.
type metered struct {
	net.Listener
	in, out atomic.Uint64
}

// Accept returns a connection whose bytes are counted.
func (m *metered) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	return &meteredConn{c, m}, err
}

type meteredConn struct {
	net.Conn
	of *metered
}

// Read counts what the gateway sent.
func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.of.in.Add(uint64(n))
	return n, err
}

// Write counts what the gateway is sent.
func (c *meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.of.out.Add(uint64(n))
	return n, err
}

func openCloud() (*cloud, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template("bench")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, pub, key)
	if err != nil {
		return nil, err
	}
	c := &cloud{key: key, have: map[lane]uint64{}}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	server := template("cloud")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if der, err = x509.CreateCertificate(rand.Reader, server, c.cert, pub, key); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.wire = &metered{Listener: l}
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	c.broker, err = broker.NewCloud(broker.CloudConfig{Listener: c.wire, TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientCAs: pool,
	}})
	if err == nil {
		c.broker.Handle(c.handle)
	}
	return c, err
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// sign answers a gateway's request with a certificate, in PEM.
func (c *cloud) sign(request []byte) ([]byte, error) {
	block, _ := pem.Decode(request)
	if block == nil {
		return nil, errors.New("the gateway's request is no PEM")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template(req.Subject.CommonName), c.cert, req.PublicKey, c.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func (c *cloud) writeCA(file string) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}), 0o600)
}

// handle takes what the gateway sends.
func (c *cloud) handle(_ context.Context, gateway, what string, payload []byte) {
	switch what {
	case topic.State:
	case topic.Hello:
		var h frame.Hello
		if json.Unmarshal(payload, &h) != nil {
			return
		}
		for _, l := range h.Lanes {
			c.ack(gateway, lane{l.Epoch, l.Lane})
		}
	default:
		h, err := frame.ReadHeader(payload)
		if err != nil {
			return
		}
		l := lane{h.Epoch, h.Lane}
		c.mu.Lock()
		if h.First <= c.have[l]+1 && h.Last() > c.have[l] { // a later one comes again
			c.records += h.Last() - c.have[l]
			c.have[l] = h.Last()
		}
		c.frames++
		c.mu.Unlock()
		c.ack(gateway, l)
	}
}

func (c *cloud) ack(gateway string, l lane) {
	c.mu.Lock()
	a := frame.Ack{Epoch: l.epoch, Lane: l.lane, Ranges: []frame.Range{}, Credit: 100000, WallMS: time.Now().UnixMilli(), Frames: frame.Newest}
	if n := c.have[l]; n > 0 {
		a.Ranges = append(a.Ranges, frame.Range{From: 1, To: n})
	}
	c.mu.Unlock()
	b, err := json.Marshal(a)
	if err == nil {
		_ = c.broker.Send(gateway, topic.Ack, b) // it is gone: it says hello again
	}
}

// got returns how many records and frames came so far.
func (c *cloud) got() (records, frames uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records, c.frames
}
