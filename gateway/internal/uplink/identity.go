package uplink

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrNoIdentity says that the board has no key or no certificate yet.
var ErrNoIdentity = errors.New("no identity")

// Files names the board's identity.
type Files struct{ CA, Cert, Key string }

// Identity is a board's key and certificate and whom it trusts.
type Identity struct {
	Key  ed25519.PrivateKey
	Cert tls.Certificate
	Pool *x509.CertPool
}

// Load reads the identity of gateway; it wraps ErrNoIdentity while a file is missing.
func (f Files) Load(gateway string) (*Identity, error) {
	key, err := readKey(f.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w; make the key with: gateway key -config FILE", ErrNoIdentity, err)
	} else if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(f.Cert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w; let the cloud sign the request of: gateway key -config FILE", ErrNoIdentity, err)
	} else if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(f.CA)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoIdentity, err)
	} else if err != nil {
		return nil, err
	}
	id := &Identity{Key: key, Pool: x509.NewCertPool()}
	if !id.Pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: no certificate in it", f.CA)
	}
	for len(cert) > 0 {
		var b *pem.Block
		if b, cert = pem.Decode(cert); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			id.Cert.Certificate = append(id.Cert.Certificate, b.Bytes)
		}
	}
	if len(id.Cert.Certificate) == 0 {
		return nil, fmt.Errorf("%s: no certificate in it", f.Cert)
	}
	leaf, err := x509.ParseCertificate(id.Cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Cert, err)
	}
	if leaf.Subject.CommonName != gateway {
		return nil, fmt.Errorf("%s: is of %.40q, not of %s", f.Cert, leaf.Subject.CommonName, gateway)
	}
	if pub, ok := leaf.PublicKey.(ed25519.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, fmt.Errorf("%s: is not of the key in %s", f.Cert, f.Key)
	}
	id.Cert.PrivateKey, id.Cert.Leaf = key, leaf
	return id, nil
}

func readKey(file string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: no PKCS #8 private key in it", file)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: is no Ed25519 key", file)
	}
	return key, nil
}

// Request returns the request for a certificate of gateway as PEM. It makes the key first, readable by its owner only, if there is none;
// the key never leaves the board.
func (f Files) Request(gateway string) ([]byte, error) {
	key, err := readKey(f.Key)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(f.Key)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: gateway}}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

func makeKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file)) // half a key would lock the board out
	}
	return key, nil
}
