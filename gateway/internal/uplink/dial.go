package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
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
	conn = u.traffic.over(conn)
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

// now is the time by which certificates are judged. A board that doesn't know the time takes the latest of what is surely
// over: the release, the last time it knew, and the first days of the certificates it has seen, its own and the cloud's.
// A clock chip counts among these; a system's clock without one may be years off, either way. A time by which the board's own
// certificate is over is passed over: by it there would be no connection ever again, and it may be of a clock that was wrong.
func (u *Uplink) now(id *Identity) (t time.Time, sure bool) {
	own, q := u.cfg.Clock.Now()
	if trusted(q) {
		return own, true
	}
	t = slices.MaxFunc([]time.Time{id.Cert.Leaf.NotBefore, u.tooEarly}, time.Time.Compare).Add(time.Second)
	for _, over := range []time.Time{own, u.cfg.Past.Time()} {
		if over.After(t) && !over.After(id.Cert.Leaf.NotAfter) {
			t = over
		}
	}
	return t, false
}

// trusted reports whether a time of quality q comes from outside of the board.
func trusted(q telemetry.Quality) bool {
	return q == telemetry.GNSS || q == telemetry.NTP || q == telemetry.Cloud
}
