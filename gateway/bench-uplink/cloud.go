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
	"path/filepath"
	"sync"
	"time"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/uplink"
)

const (
	gateway    = "van-01"
	address    = "127.0.0.1:8883"
	commitTime = 20 * time.Millisecond
)

// cloud takes frames, and says a little later that they are committed.
type cloud struct {
	broker *broker.Cloud
	dec    *frame.Decoder
	acks   chan frame.Ack

	mu      sync.Mutex
	have    map[lane][]frame.Range
	records uint64
	frames  uint64
	made    map[lane]map[uint64]time.Time // live records on their way
	live    []time.Duration
}

type lane struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

// openCloud makes an authority, and in dir the files of a gateway that it signed for.
func openCloud(dir string) (*cloud, uplink.Files, error) {
	files := uplink.Files{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, files, err
	}
	ca := template("county")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	root, err := x509.CreateCertificate(rand.Reader, ca, ca, pub, key)
	if err != nil {
		return nil, files, err
	}
	server := template("cloud")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	cert, err := x509.CreateCertificate(rand.Reader, server, ca, pub, key)
	if err != nil {
		return nil, files, err
	}
	csr, err := files.Request(gateway)
	if err != nil {
		return nil, files, err
	}
	block, _ := pem.Decode(csr)
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, files, err
	}
	board, err := x509.CreateCertificate(rand.Reader, template(gateway), ca, req.PublicKey, key)
	if err != nil {
		return nil, files, err
	}
	err = errors.Join(write(files.CA, root), write(files.Cert, board))
	parsed, e := x509.ParseCertificate(root)
	if err = errors.Join(err, e); err != nil {
		return nil, files, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	c := &cloud{have: map[lane][]frame.Range{}, made: map[lane]map[uint64]time.Time{}, acks: make(chan frame.Ack, 4096)}
	if c.dec, err = frame.NewDecoder(); err != nil {
		return nil, files, err
	}
	c.broker, err = broker.NewCloud(broker.CloudConfig{Listen: address, TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}, ClientCAs: pool,
	}})
	if err == nil {
		c.broker.Handle(c.take)
	}
	return c, files, err
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func write(file string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// take is called in the connection's reader, one message after the other.
func (c *cloud) take(_ context.Context, _, what string, payload []byte) {
	switch what {
	case topic.State:
	case topic.Hello:
		var h frame.Hello
		if json.Unmarshal(payload, &h) == nil {
			for _, l := range h.Lanes {
				c.acks <- c.ack(lane{l.Epoch, l.Lane})
			}
		}
	default:
		if f, err := c.dec.Decode(payload); err == nil {
			c.acks <- c.commit(f)
		}
	}
}

// run sends the acks, each commitTime after its frame.
func (c *cloud) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-c.acks:
			if pass(ctx, commitTime) != nil {
				return
			}
			for range len(c.acks) { // a group is committed together, and the last word on a lane is enough
				next := <-c.acks
				if next.Epoch != a.Epoch || next.Lane != a.Lane {
					c.send(a)
				}
				a = next
			}
			c.send(a)
		}
	}
}

func (c *cloud) send(a frame.Ack) {
	if b, err := json.Marshal(a); err == nil {
		_ = c.broker.Send(gateway, topic.Ack, b) // it is gone: it says hello again
	}
}

func (c *cloud) commit(f *frame.Frame) frame.Ack {
	now := time.Now()
	l := lane{f.Epoch, f.Lane}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames++
	for _, r := range f.Records {
		if t, ok := c.made[l][r.Seq]; ok {
			c.live = append(c.live, now.Sub(t)+commitTime)
			delete(c.made[l], r.Seq)
		}
	}
	have, fresh := merge(c.have[l], frame.Range{From: f.First(), To: f.Last()})
	c.have[l], c.records = have, c.records+fresh
	return c.ackOf(l)
}

// merge adds r to the sorted, disjoint ranges of have; fresh is how many seqs were not in them.
func merge(have []frame.Range, r frame.Range) (out []frame.Range, fresh uint64) {
	fresh = r.To - r.From + 1
	for _, h := range have {
		if h.To+1 < r.From || r.To+1 < h.From {
			continue
		}
		if from, to := max(h.From, r.From), min(h.To, r.To); from <= to {
			fresh -= min(to-from+1, fresh)
		}
	}
	placed := false
	for _, h := range have {
		switch {
		case h.To+1 < r.From:
			out = append(out, h)
		case r.To+1 < h.From:
			if !placed {
				out, placed = append(out, r), true
			}
			out = append(out, h)
		default:
			r.From, r.To = min(r.From, h.From), max(r.To, h.To)
		}
	}
	if !placed {
		out = append(out, r)
	}
	return out, fresh
}

func (c *cloud) ack(l lane) frame.Ack {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ackOf(l)
}

func (c *cloud) ackOf(l lane) frame.Ack {
	return frame.Ack{Epoch: l.epoch, Lane: l.lane, Ranges: append([]frame.Range{}, c.have[l]...), Credit: 20_000, WallMS: time.Now().UnixMilli(), Frames: frame.Newest}
}

// recorded notes that a live record was made.
func (c *cloud) recorded(l lane, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made[l] == nil {
		c.made[l] = map[uint64]time.Time{}
	}
	c.made[l][seq] = time.Now()
}

// counted returns what was counted since the last call.
func (c *cloud) counted() (records, frames uint64, live []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	records, frames, live = c.records, c.frames, c.live
	c.records, c.frames, c.live = 0, 0, nil
	return records, frames, live
}
