package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cookieName  = "yizhan"
	sessionIdle = 12 * time.Hour
	maxSessions = 1024
	maxLogin    = 4 << 10 // bytes of POST /session
)

// Options of a Gate.
type Options struct {
	Token  string           // the one token
	Hosts  []string         // host:port (or host) that requests may name
	Secure bool             // browsers come by https
	Now    func() time.Time //
	Rand   io.Reader        //
}

type hash [sha256.Size]byte

// Gate keeps the token, the sessions and the tries.
type Gate struct {
	opt   Options
	token hash
	hosts map[string]bool
	cross *http.CrossOriginProtection

	mu       sync.Mutex
	sessions map[hash]time.Time // last use
	tries    tries

	logins, refused, slowed, foreignHost, foreignOrigin atomic.Uint64
}

// New makes a Gate.
func New(opt Options) *Gate {
	g := &Gate{
		opt: opt, token: sha256.Sum256([]byte(opt.Token)), hosts: map[string]bool{},
		cross: http.NewCrossOriginProtection(), sessions: map[hash]time.Time{}, tries: newTries(),
	}
	for _, h := range opt.Hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// Counters returns the counters of doc.go.
func (g *Gate) Counters() map[string]uint64 {
	return map[string]uint64{
		"logins": g.logins.Load(), "refused": g.refused.Load(), "slowed": g.slowed.Load(),
		"foreign_host": g.foreignHost.Load(), "foreign_origin": g.foreignOrigin.Load(),
	}
}

// Host refuses requests that name another host, and changes that another site's page asks for. It goes
// around everything.
func (g *Gate) Host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.hosts[strings.ToLower(r.Host)] {
			g.foreignHost.Add(1)
			problem(w, http.StatusMisdirectedRequest, "this server does not answer for that host name")
			return
		}
		if err := g.cross.Check(r); err != nil {
			g.foreignOrigin.Add(1)
			problem(w, http.StatusForbidden, "a page of another site asked for this")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Guard lets only those through who hold a session or the token.
func (g *Gate) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(cookieName); err == nil && g.use(c.Value) {
			next.ServeHTTP(w, r)
			return
		}
		token, ok := bearer(r)
		if !ok {
			deny(w)
			return
		}
		if wait := g.try(r, token); wait != 0 {
			g.answer(w, wait)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP is /session: POST {"token": ...} opens a session, GET tells whether there is one, DELETE
// ends it.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	c, err := r.Cookie(cookieName)
	switch r.Method {
	case http.MethodPost:
		g.login(w, r)
	case http.MethodGet, http.MethodHead:
		if err != nil || !g.use(c.Value) {
			deny(w)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		if err == nil {
			g.mu.Lock()
			delete(g.sessions, sha256.Sum256([]byte(c.Value)))
			g.mu.Unlock()
		}
		g.setCookie(w, "", -1)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		problem(w, http.StatusMethodNotAllowed, "use POST, GET or DELETE")
	}
}

func (g *Gate) login(w http.ResponseWriter, r *http.Request) {
	// A form can't send application/json, so a page of another site can't log a browser in.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "send application/json")
		return
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLogin)).Decode(&body); err != nil {
		problem(w, http.StatusBadRequest, `send {"token": "..."}`)
		return
	}
	if wait := g.try(r, body.Token); wait != 0 {
		g.answer(w, wait)
		return
	}
	raw := make([]byte, 32)
	if _, err := io.ReadFull(g.opt.Rand, raw); err != nil {
		problem(w, http.StatusInternalServerError, "no randomness to be had")
		return
	}
	session := base64.RawURLEncoding.EncodeToString(raw)
	g.open(session)
	g.logins.Add(1)
	g.setCookie(w, session, 0)
	w.WriteHeader(http.StatusNoContent)
}

func (g *Gate) setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: g.opt.Secure, SameSite: http.SameSiteStrictMode,
	})
}

// open keeps a session; the one that was idle longest goes when there are too many.
func (g *Gate) open(session string) {
	now := g.opt.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sessions) >= maxSessions {
		var oldest hash
		at := now.Add(time.Hour)
		for k, t := range g.sessions {
			if t.Before(at) {
				oldest, at = k, t
			}
		}
		delete(g.sessions, oldest)
	}
	g.sessions[sha256.Sum256([]byte(session))] = now
}

// use reports whether there is such a session, and prolongs it. The key of the map is a hash of what
// was sent, so how long the look-up takes tells nothing about sessions.
func (g *Gate) use(session string) bool {
	now, key := g.opt.Now(), hash(sha256.Sum256([]byte(session)))
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.sessions[key]
	if !ok {
		return false
	}
	if now.Sub(t) > sessionIdle {
		delete(g.sessions, key)
		return false
	}
	g.sessions[key] = now
	return true
}

// try compares a token. It returns 0 when it is right, a wait when this address must wait before
// the next try, and -1 when it is wrong.
func (g *Gate) try(r *http.Request, token string) time.Duration {
	got, now, who := sha256.Sum256([]byte(token)), g.opt.Now(), address(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait := g.tries.wait(who, now); wait > 0 {
		g.slowed.Add(1)
		return wait
	}
	if subtle.ConstantTimeCompare(got[:], g.token[:]) == 1 {
		g.tries.forget(who)
		return 0
	}
	g.tries.failed(who, now)
	g.refused.Add(1)
	return -1
}

func (g *Gate) answer(w http.ResponseWriter, wait time.Duration) {
	if wait < 0 {
		deny(w)
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	problem(w, http.StatusTooManyRequests, "too many failed tries; wait and try again")
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// address is who tries: an IPv4 address, or an IPv6 network of 64 bits, for one host owns all of those.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return host
}

func deny(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="yizhan"`)
	problem(w, http.StatusUnauthorized, "log in, or send the bearer token")
}

// problem answers as RFC 9457 says.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "{\"status\":%d,\"title\":%q,\"detail\":%q}\n", status, http.StatusText(status), detail)
}
