package ca

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"yizhan/devices/telemetry"
)

// The files of an authority's folder.
const (
	CertFile       = "ca.crt"
	KeyFile        = "ca.key"
	ServerCertFile = "server.crt"
	ServerKeyFile  = "server.key"
)

const (
	caYears   = 30
	leafYears = 10
	pemCert   = "CERTIFICATE"
	pemKey    = "PRIVATE KEY"
	pemCSR    = "CERTIFICATE REQUEST"
)

// Init makes a new authority in dir: CertFile and KeyFile.
func Init(dir string, now time.Time, rand io.Reader) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	pub, key, err := ed25519.GenerateKey(rand)
	if err != nil {
		return fmt.Errorf("ca: make a key: %w", err)
	}
	t, err := template(pkix.Name{CommonName: "Yizhan county CA"}, now, caYears, rand)
	if err != nil {
		return err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand, t, t, pub, key)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return writePair(filepath.Join(dir, CertFile), der, filepath.Join(dir, KeyFile), key)
}

// Server makes the key and certificate of the cloud's MQTT listener in dir. Hosts are the names and
// addresses by which gateways dial it.
func Server(dir string, hosts []string, now time.Time, rand io.Reader) error {
	if len(hosts) == 0 {
		return errors.New("ca: a server certificate needs at least one host")
	}
	issuer, signer, err := load(dir)
	if err != nil {
		return err
	}
	pub, key, err := ed25519.GenerateKey(rand)
	if err != nil {
		return fmt.Errorf("ca: make a key: %w", err)
	}
	t, err := template(pkix.Name{CommonName: hosts[0]}, now, leafYears, rand)
	if err != nil {
		return err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand, t, issuer, pub, signer)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return writePair(filepath.Join(dir, ServerCertFile), der, filepath.Join(dir, ServerKeyFile), key)
}

// Sign answers a gateway's certificate request (PEM) with its certificate (PEM).
func Sign(dir string, csrPEM []byte, now time.Time, rand io.Reader) (certPEM []byte, gateway string, err error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil || block.Type != pemCSR {
		return nil, "", errors.New("ca: request: no PEM block CERTIFICATE REQUEST in it")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, "", fmt.Errorf("ca: request: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, "", fmt.Errorf("ca: request: signature: %w", err)
	}
	pub, ok := req.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, "", fmt.Errorf("ca: request: key is %s, not Ed25519", req.PublicKeyAlgorithm)
	}
	gateway = req.Subject.CommonName
	if !telemetry.ValidID(gateway) {
		return nil, "", fmt.Errorf("ca: request: common name %.40q is not 1 to 32 of a-z, 0-9 and '-'", gateway)
	}
	issuer, signer, err := load(dir)
	if err != nil {
		return nil, "", err
	}
	t, err := template(pkix.Name{CommonName: gateway}, now, leafYears, rand)
	if err != nil {
		return nil, "", err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand, t, issuer, pub, signer)
	if err != nil {
		return nil, "", fmt.Errorf("ca: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der}), gateway, nil
}

// Gateway is the gateway that a verified client certificate speaks for, and its key.
func Gateway(cert *x509.Certificate) (id string, key ed25519.PublicKey, err error) {
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok {
		return "", nil, fmt.Errorf("certificate: key is %s, not Ed25519", cert.PublicKeyAlgorithm)
	}
	if id = cert.Subject.CommonName; !telemetry.ValidID(id) {
		return "", nil, fmt.Errorf("certificate: common name %.40q is no gateway id", id)
	}
	return id, key, nil
}

// ServerTLS is the configuration of the MQTT listener: TLS 1.3, and a client certificate of this
// authority is required before the first MQTT byte.
func ServerTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls: %s holds no certificate", caFile)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
	}, nil
}

func template(name pkix.Name, now time.Time, years int, rand io.Reader) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	if _, err := io.ReadFull(rand, serial); err != nil {
		return nil, fmt.Errorf("ca: make a serial number: %w", err)
	}
	serial[0] &= 0x7f // positive, RFC 5280 section 4.1.2.2
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      name,
		NotBefore:    time.Unix(0, 0).UTC(),
		NotAfter:     now.AddDate(years, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func load(dir string) (*x509.Certificate, ed25519.PrivateKey, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile))
	if err != nil {
		return nil, nil, fmt.Errorf("ca: %w", err)
	}
	key, ok := pair.PrivateKey.(ed25519.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, nil, fmt.Errorf("ca: %s holds no authority made by ca init", dir)
	}
	return pair.Leaf, key, nil
}

// writePair writes the key first: a certificate without its key would look like a finished pair.
func writePair(certFile string, der []byte, keyFile string, key ed25519.PrivateKey) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	if err := writeNew(keyFile, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: pkcs8}), 0o600); err != nil {
		return err
	}
	return writeNew(certFile, pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der}), 0o644)
}

// writeNew makes file with all of b or not at all, and never replaces one.
func writeNew(file string, b []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("ca: write %s: %w", file, err)
	}
	if err := os.Link(tmp.Name(), file); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return nil
}
