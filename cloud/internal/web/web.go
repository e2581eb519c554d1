package web

import (
	"embed"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// dist holds at least .gitkeep, so that this compiles before the console was built.
//
//go:embed all:dist
var dist embed.FS

// policy: OpenLayers and Preact style elements through the CSSOM, which style-src doesn't govern.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const notBuilt = `<!doctype html><meta charset="utf-8"><title>Yizhan</title>
<h1>The console is not built</h1><p>Run <code>make ui</code> and build this program again. The API works.</p>
`

// Headers puts the security headers on every answer of next.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		camera := "()"
		if strings.HasPrefix(r.URL.Path, "/run/") {
			camera = "(self)" // couriers scan with it
		}
		h.Set("Permissions-Policy", "geolocation=(), camera="+camera+", microphone=(), usb=(), serial=()")
		next.ServeHTTP(w, r)
	})
}

type file struct {
	body     map[string][]byte // by encoding: "", gzip, br
	mimeType string
	forever  bool
}

// Site serves the files of a console.
type Site struct {
	files map[string]*file // by path: /index.html, /assets/app-Bx1k.js
}

// Embedded is the console that this program was built with.
func Embedded() (*Site, error) {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return New(sub)
}

// New reads all files of fsys.
func New(fsys fs.FS) (*Site, error) {
	s := &Site{files: map[string]*file{}}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		b, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		name, encoding := "/"+p, ""
		switch {
		case strings.HasSuffix(name, ".gz"):
			name, encoding = strings.TrimSuffix(name, ".gz"), "gzip"
		case strings.HasSuffix(name, ".br"):
			name, encoding = strings.TrimSuffix(name, ".br"), "br"
		}
		f := s.files[name]
		if f == nil {
			f = &file{body: map[string][]byte{}, mimeType: typeOf(name), forever: strings.HasPrefix(name, "/assets/")}
			s.files[name] = f
		}
		f.body[encoding] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	for name, f := range s.files {
		if f.body[""] == nil {
			return nil, fmt.Errorf("web: %s is there compressed only", name)
		}
	}
	return s, nil
}

// typeOf doesn't ask the machine, whose tables differ.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".webmanifest":
		return "application/json"
	case ".png":
		return "image/png"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// Built reports whether there is a console.
func (s *Site) Built() bool {
	return s.files["/index.html"] != nil && s.files["/run/index.html"] != nil
}

// ServeHTTP serves a file; / and /console are the console, /run/ the courier's page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	name := r.URL.Path
	if name == "/run" { // the page's worker may keep only what is below /run/
		http.Redirect(w, r, "/run/", http.StatusMovedPermanently)
		return
	}
	if name == "/" || name == "/console" || name == "/run/" {
		if name = "/index.html"; r.URL.Path == "/run/" {
			name = "/run/index.html"
		}
		if !s.Built() {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, notBuilt)
			return
		}
	}
	f := s.files[name]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mimeType)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	encoding := f.choose(r.Header.Get("Accept-Encoding"))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(f.body[encoding])))
	if r.Method == http.MethodGet {
		_, _ = w.Write(f.body[encoding])
	}
}

// choose is the smallest encoding that the browser takes. An encoding with q=0 is refused by it (RFC 9110, section 12.5.3).
func (f *file) choose(accept string) string {
	takes := map[string]bool{}
	for part := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if v, ok := strings.CutPrefix(strings.ReplaceAll(q, " ", ""), "q="); ok && strings.Trim(v, "0.") == "" {
			continue
		}
		takes[strings.ToLower(strings.TrimSpace(name))] = true
	}
	for _, e := range []string{"br", "gzip"} {
		if takes[e] && f.body[e] != nil {
			return e
		}
	}
	return ""
}
