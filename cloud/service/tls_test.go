package service

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A certificate that is renewed serves without a restart; one that is half written, or gone, doesn't take the old one's place.
func TestARenewedCertificateServes(t *testing.T) {
	pair := func(dir string) {
		require.NoError(t, Tool([]string{"ca", "init", dir}, &bytes.Buffer{}))
		require.NoError(t, Tool([]string{"ca", "server", dir, "127.0.0.1"}, &bytes.Buffer{}))
	}
	old, fresh := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "fresh")
	pair(old)
	pair(fresh)
	cert, key := filepath.Join(old, "server.crt"), filepath.Join(old, "server.key")
	clock := time.Date(2026, 6, 3, 0, 0, 0, 0, time.UTC)
	c, err := openCertificate(cert, key, func() time.Time { return clock })
	require.NoError(t, err)
	served := func() []byte {
		got, err := c.config().GetCertificate(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		return got.Certificate[0]
	}
	first := served()
	replace := func(name string, body []byte) {
		clock = clock.Add(2 * lookAgain)
		require.NoError(t, os.WriteFile(filepath.Join(old, name), body, 0o600))
		require.NoError(t, os.Chtimes(filepath.Join(old, name), clock, clock))
	}
	replace("server.crt", []byte("half"))
	require.Equal(t, first, served())
	for _, name := range []string{"server.crt", "server.key"} {
		b, err := os.ReadFile(filepath.Join(fresh, name))
		require.NoError(t, err)
		replace(name, b)
	}
	require.NotEqual(t, first, served())
	require.NoError(t, os.Remove(key))
	clock = clock.Add(2 * lookAgain)
	require.NotEqual(t, first, served())
	_, err = openCertificate(cert, key, time.Now)
	require.ErrorContains(t, err, "tls: ")
}
