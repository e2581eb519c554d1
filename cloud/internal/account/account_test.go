package account_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/account"
)

const token = "correct-horse-battery-staple-0123456789"

type site struct {
	*testing.T
	gate *account.Gate
	now  time.Time
	http http.Handler
}

func newSite(t *testing.T) *site {
	s := &site{T: t, now: time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)}
	s.gate = account.New(account.Options{
		Token: token, Hosts: []string{"127.0.0.1:8080", "console.example"},
		Now: func() time.Time { return s.now }, Rand: rand.Reader,
	})
	mux := http.NewServeMux()
	mux.Handle("/session", s.gate)
	mux.Handle("/api/", s.gate.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "secret") })))
	s.http = s.gate.Host(mux)
	return s
}

func (s *site) ask(method, path, body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequestWithContext(s.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	if w.Code >= 400 {
		require.Equal(s, "application/problem+json", w.Header().Get("Content-Type"))
		var p struct{ Status int }
		require.NoError(s, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(s, w.Code, p.Status)
	}
	return w
}

func (s *site) login(tok string) *httptest.ResponseRecorder {
	return s.ask("POST", "/session", fmt.Sprintf(`{"token":%q}`, tok), nil)
}

func with(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }

func auth(v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", v) }
}

func TestABrowserSwapsTheTokenForACookie(t *testing.T) {
	s := newSite(t)
	require.Equal(t, 401, s.ask("GET", "/api/x", "", nil).Code)
	w := s.login(token)
	require.Equal(t, 204, w.Code)
	cookies := w.Result().Cookies()
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.NotContains(t, c.Value, token)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", with(c)).Code)
	require.Equal(t, 204, s.ask("GET", "/session", "", with(c)).Code)

	s.now = s.now.Add(11 * time.Hour)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", with(c)).Code)
	s.now = s.now.Add(11 * time.Hour)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", with(c)).Code, "each use prolongs it")
	s.now = s.now.Add(13 * time.Hour)
	require.Equal(t, 401, s.ask("GET", "/api/x", "", with(c)).Code)

	c = s.login(token).Result().Cookies()[0]
	require.Equal(t, 204, s.ask("DELETE", "/session", "", with(c)).Code)
	require.Equal(t, 401, s.ask("GET", "/api/x", "", with(c)).Code)
	require.Equal(t, 401, s.ask("GET", "/session", "", nil).Code)
}

func TestBearer(t *testing.T) {
	s := newSite(t)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", auth("Bearer "+token)).Code)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", auth("bearer "+token)).Code)
	for _, bad := range []string{"Bearer", "Bearer ", "Basic " + token, token, "Bearer " + token[1:], "Bearer " + token + "x"} {
		s := newSite(t)
		w := s.ask("GET", "/api/x", "", auth(bad))
		require.Equal(t, 401, w.Code, bad)
		require.NotContains(t, w.Body.String(), "secret")
		require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
	}
}

func TestFailedTriesAreSlowed(t *testing.T) {
	s := newSite(t)
	c := s.login(token).Result().Cookies()[0]
	for range 5 {
		require.Equal(t, 401, s.login("wrong").Code)
	}
	w := s.login(token)
	require.Equal(t, 429, w.Code, "not even compared")
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, 429, s.ask("GET", "/api/x", "", auth("Bearer "+token)).Code)
	require.Equal(t, 200, s.ask("GET", "/api/x", "", with(c)).Code, "who is in stays in")
	other := s.ask("POST", "/session", fmt.Sprintf(`{"token":%q}`, token), func(r *http.Request) { r.RemoteAddr = "192.0.2.77:99" })
	require.Equal(t, 204, other.Code, "another address doesn't wait")

	s.now = s.now.Add(time.Second)
	require.Equal(t, 401, s.login("wrong").Code)
	require.Equal(t, "2", s.login("wrong").Header().Get("Retry-After"))
	for range 20 {
		s.now = s.now.Add(time.Minute)
		require.Equal(t, 401, s.login("wrong").Code)
	}
	require.Equal(t, "60", s.login(token).Header().Get("Retry-After"))
	s.now = s.now.Add(time.Minute)
	require.Equal(t, 204, s.login(token).Code)
	require.Equal(t, 401, s.login("wrong").Code, "a success wipes the slate")
	require.NotZero(t, s.gate.Counters()["slowed"])
}

func TestManyAddressesDontGrowMemory(t *testing.T) {
	s := newSite(t)
	for i := range 10_000 {
		w := s.ask("POST", "/session", `{"token":"x"}`, func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/256, i%256) })
		require.Equal(t, 401, w.Code)
	}
	require.EqualValues(t, 10_000, s.gate.Counters()["refused"])
	first := s.login(token).Result().Cookies()[0]
	s.now = s.now.Add(time.Second)
	var last *http.Cookie
	for range 1024 {
		last = s.login(token).Result().Cookies()[0]
	}
	require.Equal(t, 401, s.ask("GET", "/api/x", "", with(first)).Code, "the session idle longest makes room")
	require.Equal(t, 200, s.ask("GET", "/api/x", "", with(last)).Code)
}

func TestAnIPv6HostIsOneAddress(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.ask("POST", "/session", `{"token":"x"}`, func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", i+1) })
	}
	w := s.ask("POST", "/session", `{"token":"x"}`, func(r *http.Request) { r.RemoteAddr = "[2001:db8::ffff]:1" })
	require.Equal(t, 429, w.Code)
}

func TestForeignPagesAreRefused(t *testing.T) {
	s := newSite(t)
	for _, host := range []string{"evil.example", "127.0.0.1", "127.0.0.1:8081", "", "localhost"} {
		w := s.ask("GET", "/api/x", "", func(r *http.Request) { r.Host = host; r.Header.Set("Authorization", "Bearer "+token) })
		require.Equal(t, 421, w.Code, "DNS rebinding: %q", host)
	}
	require.Equal(t, 200, s.ask("GET", "/api/x", "", func(r *http.Request) {
		r.Host = "Console.Example"
		r.Header.Set("Authorization", "Bearer "+token)
	}).Code)
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		w := s.ask("POST", "/session", fmt.Sprintf(`{"token":%q}`, token), func(r *http.Request) { r.Header.Set(h[0], h[1]) })
		require.Equal(t, 403, w.Code)
	}
	w := s.ask("POST", "/session", fmt.Sprintf(`{"token":%q}`, token), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	require.Equal(t, 415, w.Code)
	require.Equal(t, 400, s.ask("POST", "/session", `{"token":`, nil).Code)
	require.Equal(t, 400, s.ask("POST", "/session", `{"token":"`+strings.Repeat("x", 1<<20)+`"}`, nil).Code)
	require.Equal(t, 405, s.ask("PUT", "/session", "", nil).Code)
}

func TestSecureBehindTLS(t *testing.T) {
	g := account.New(account.Options{Token: token, Secure: true, Now: time.Now, Rand: rand.Reader})
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/session", strings.NewReader(fmt.Sprintf(`{"token":%q}`, token)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	require.True(t, w.Result().Cookies()[0].Secure)
}

func TestTokenFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "token")
	first, err := account.FreshToken(file, rand.Reader)
	require.NoError(t, err)
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
	read, err := account.ReadToken(file)
	require.NoError(t, err)
	require.Equal(t, first, read)
	second, err := account.FreshToken(file, rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.GreaterOrEqual(t, len(second), 43)

	require.NoError(t, os.Chmod(file, 0o644))
	_, err = account.ReadToken(file)
	require.ErrorContains(t, err, "others can read it")
	require.NoError(t, os.WriteFile(file, []byte("short\n"), 0o600))
	require.NoError(t, os.Chmod(file, 0o600))
	_, err = account.ReadToken(file)
	require.ErrorContains(t, err, "at least 32")
	_, err = account.ReadToken(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = account.FreshToken(file, strings.NewReader("dry"))
	require.Error(t, err)
}
