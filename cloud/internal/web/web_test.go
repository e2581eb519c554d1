package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/web"
)

func get(t *testing.T, h http.Handler, method, path, accept string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestFiles(t *testing.T) {
	s, err := web.New(fstest.MapFS{
		".gitkeep":           {},
		"index.html":         {Data: []byte("page")},
		"run/index.html":     {Data: []byte("run")},
		"assets/a-1x.js":     {Data: []byte("plain")},
		"assets/a-1x.js.gz":  {Data: []byte("gz")},
		"assets/a-1x.js.br":  {Data: []byte("br")},
		"assets/b-2y.css":    {Data: []byte("css")},
		"assets/b-2y.css.gz": {Data: []byte("z")},
	})
	require.NoError(t, err)
	require.True(t, s.Built())
	for _, c := range []struct{ path, accept, body, encoding, mime, cache string }{
		{"/", "", "page", "", "text/html; charset=utf-8", "no-cache"},
		{"/run/", "", "run", "", "text/html; charset=utf-8", "no-cache"},
		{"/console", "gzip", "page", "", "text/html; charset=utf-8", "no-cache"},
		{"/assets/a-1x.js", "gzip, deflate, br", "br", "br", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/a-1x.js", "gzip;q=0.5, br;q=0", "gz", "gzip", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/a-1x.js", "identity, br; q=0.000", "plain", "", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/b-2y.css", "br, gzip", "z", "gzip", "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
	} {
		r := get(t, s, "GET", c.path, c.accept)
		require.Equal(t, 200, r.StatusCode, c.path)
		require.Equal(t, c.encoding, r.Header.Get("Content-Encoding"), c)
		require.Equal(t, c.mime, r.Header.Get("Content-Type"))
		require.Equal(t, c.cache, r.Header.Get("Cache-Control"))
		require.Equal(t, "Accept-Encoding", r.Header.Get("Vary"))
		require.Equal(t, c.body, text(t, r))
	}
	for _, p := range []string{"/none", "/.gitkeep", "/assets/", "/assets/a-1x.js.gz", "/../web.go"} {
		require.Equal(t, 404, get(t, s, "GET", p, "").StatusCode, p)
	}
	require.Equal(t, 405, get(t, s, "POST", "/", "").StatusCode)
	head := get(t, s, "HEAD", "/", "")
	require.Equal(t, "4", head.Header.Get("Content-Length"))
	require.Empty(t, text(t, head))
	_, err = web.New(fstest.MapFS{"x.js.gz": {Data: []byte("z")}})
	require.ErrorContains(t, err, "compressed only")
}

func TestNotBuilt(t *testing.T) {
	s, err := web.New(fstest.MapFS{".gitkeep": {}})
	require.NoError(t, err)
	require.False(t, s.Built())
	r := get(t, s, "GET", "/", "")
	require.Equal(t, 503, r.StatusCode)
	require.Contains(t, text(t, r), "make ui")
	_, err = web.Embedded()
	require.NoError(t, err)
}

func TestHeaders(t *testing.T) {
	r := get(t, web.Headers(http.NotFoundHandler()), "GET", "/", "")
	csp := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		require.Contains(t, csp, want)
	}
	require.NotContains(t, csp, "unsafe")
	require.NotContains(t, csp, "*")
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", r.Header.Get("Referrer-Policy"))
}
