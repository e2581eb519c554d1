package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"yizhan/devices/telemetry"
)

// dial makes a TLS connection on which both sides have shown their certificates.
func (u *Uplink) dial(ctx context.Context, id *Identity) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	conn, err := u.cfg.Dial(ctx, "tcp", u.host)
	if err != nil {
		return nil, err
	}
	name, _, err := net.SplitHostPort(u.host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	now, sure := u.now(id)
	t := tls.Client(conn, &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: name, RootCAs: id.Pool,
		Certificates: []tls.Certificate{id.Cert}, Time: func() time.Time { return now },
	})
	if err := t.HandshakeContext(ctx); err != nil {
		var invalid x509.CertificateInvalidError
		if !sure && errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert.NotBefore.After(now) {
			u.tooEarly = invalid.Cert.NotBefore
		}
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

// now is the time by which certificates are judged. A board that doesn't know the time takes the latest of its system's clock
// and the first days of the certificates it has seen, its own and the cloud's: surely it is not earlier.
func (u *Uplink) now(id *Identity) (t time.Time, sure bool) {
	if t, q := u.cfg.Clock.Now(); q != telemetry.Unknown {
		return t, true
	}
	t = time.Now()
	for _, early := range []time.Time{id.Cert.Leaf.NotBefore, u.tooEarly} {
		if early.After(t) {
			t = early.Add(time.Second)
		}
	}
	return t, false
}
