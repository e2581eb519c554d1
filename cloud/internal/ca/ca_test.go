package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/ca"
)

func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, ca.Init(dir, time.Now(), rand.Reader))
	require.NoError(t, ca.Server(dir, []string{"127.0.0.1", "cloud.example"}, time.Now(), rand.Reader))
	return dir
}

func request(t *testing.T, name string, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"evil.example"},
	}, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// handshake dials the listener's configuration with a board's certificate, at the board's clock.
func handshake(t *testing.T, server *tls.Config, client *tls.Config) (id string, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), client)
		if err == nil {
			defer c.Close()
		}
		done <- err
	}()
	a, err := l.Accept()
	require.NoError(t, err)
	defer a.Close()
	s := tls.Server(a, server)
	if err := s.Handshake(); err != nil {
		return "", err
	}
	if err := <-done; err != nil {
		return "", err
	}
	id, _, err = ca.Gateway(s.ConnectionState().PeerCertificates[0])
	return id, err
}

func TestABoardProvesItself(t *testing.T) {
	dir := authority(t)
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	certPEM, id, err := ca.Sign(dir, request(t, "van-03", key), time.Now(), rand.Reader)
	require.NoError(t, err)
	require.Equal(t, "van-03", id)

	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, cert.ExtKeyUsage)
	require.Empty(t, cert.DNSNames, "nothing but the name and key is taken from a request")
	require.False(t, cert.IsCA)
	gateway, k, err := ca.Gateway(cert)
	require.NoError(t, err)
	require.Equal(t, "van-03", gateway)
	require.Equal(t, pub, k)

	server, err := ca.ServerTLS(filepath.Join(dir, ca.CertFile), filepath.Join(dir, ca.ServerCertFile), filepath.Join(dir, ca.ServerKeyFile))
	require.NoError(t, err)
	caPEM, err := os.ReadFile(filepath.Join(dir, ca.CertFile))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(caPEM))
	board := &tls.Config{
		RootCAs: pool, ServerName: "127.0.0.1",
		Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}},
		Time:         func() time.Time { return time.Unix(100, 0) }, // a board without a clock battery
	}
	got, err := handshake(t, server, board)
	require.NoError(t, err)
	require.Equal(t, "van-03", got)

	bare := board.Clone()
	bare.Certificates = nil
	_, err = handshake(t, server, bare)
	require.Error(t, err, "no certificate, no MQTT byte")

	other := authority(t)
	foreign, _, err := ca.Sign(other, request(t, "van-03", key), time.Now(), rand.Reader)
	require.NoError(t, err)
	block, _ = pem.Decode(foreign)
	board.Certificates[0].Certificate = [][]byte{block.Bytes}
	_, err = handshake(t, server, board)
	require.Error(t, err, "another county's board")
}

func TestSignRefuses(t *testing.T) {
	dir := authority(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := request(t, "van-03", key)
	block, _ := pem.Decode(good)
	torn := append([]byte(nil), block.Bytes...)
	torn[len(torn)-1] ^= 1
	for name, c := range map[string]struct {
		csr  []byte
		want string
	}{
		"empty":            {nil, "no PEM block"},
		"a certificate":    {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}), "no PEM block"},
		"garbage":          {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte{1, 2}}), "request"},
		"not self-signed":  {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: torn}), "signature"},
		"another key type": {request(t, "van-03", ec), "not Ed25519"},
		"a wildcard":       {request(t, "+", key), "common name"},
		"a path":           {request(t, "van/03", key), "common name"},
		"no name":          {request(t, "", key), "common name"},
	} {
		_, _, err := ca.Sign(dir, c.csr, time.Now(), rand.Reader)
		require.ErrorContains(t, err, c.want, name)
	}
	_, _, err = ca.Sign(t.TempDir(), good, time.Now(), rand.Reader)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := authority(t)
	before, err := os.ReadFile(filepath.Join(dir, ca.KeyFile))
	require.NoError(t, err)
	require.ErrorIs(t, ca.Init(dir, time.Now(), rand.Reader), os.ErrExist)
	require.ErrorIs(t, ca.Server(dir, []string{"x"}, time.Now(), rand.Reader), os.ErrExist)
	require.Error(t, ca.Server(dir, nil, time.Now(), rand.Reader))
	after, err := os.ReadFile(filepath.Join(dir, ca.KeyFile))
	require.NoError(t, err)
	require.Equal(t, before, after)
	for _, f := range []string{ca.KeyFile, ca.ServerKeyFile} {
		st, err := os.Stat(filepath.Join(dir, f))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), st.Mode().Perm(), f)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestServerTLSNamesTheFile(t *testing.T) {
	dir := authority(t)
	cert, key := filepath.Join(dir, ca.ServerCertFile), filepath.Join(dir, ca.ServerKeyFile)
	_, err := ca.ServerTLS(key, cert, key)
	require.ErrorContains(t, err, "holds no certificate")
	_, err = ca.ServerTLS(filepath.Join(dir, "none"), cert, key)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = ca.ServerTLS(cert, key, key)
	require.Error(t, err)
}
