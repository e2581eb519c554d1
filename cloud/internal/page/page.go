package page

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"yizhan/cloud/internal/county"
)

// Path is where the pages are; a token follows.
const Path = "/p/"

// Keep is how long a parcel's page is there after its life ended.
const Keep = 30 * 24 * time.Hour

// Store is what the page reads and writes.
type Store interface {
	Timeline(ctx context.Context, waybill string) (county.Timeline, bool, error)
	Locker(ctx context.Context, id string) (county.Locker, bool, error)
	// Amend keeps what a recipient wants.
	Amend(ctx context.Context, waybill string, a county.Amendment) (county.Parcel, []county.Change, error)
	// Report opens an exception that a recipient reports.
	Report(ctx context.Context, x county.Exception) (county.Exception, error)
	// Rate keeps a rating of 1 to 5; ok is false where there is one already.
	Rate(ctx context.Context, r county.Rating) (ok bool, err error)
	Rated(ctx context.Context, waybill string) (score int, err error)
}

// Keeping tells until when deposits lie in lockers. It may be nil: then nothing is said of it.
type Keeping interface {
	Kept(ctx context.Context, deposit string) (Kept, error)                  // a zero one where it isn't known
	Extend(ctx context.Context, waybill string) (until time.Time, err error) // by a day
}

// Kept is how long a deposit lies in its locker.
type Kept struct {
	Until      time.Time
	More       bool // it may be extended
	Generation int  // of the key that its codes come from now
}

// Options of a Page.
type Options struct {
	Store    Store
	Keeping  Keeping
	Tokens   *Tokens
	My       *My                                                    // nil: nobody signs in
	Code     func(locker, deposit string, generation, n int) string // what opens the cell; nil, or "": none
	Ticket   func(locker, deposit string, generation int) string    // the same as text of a QR code; nil, or "": none
	Registry *county.Registry
	Changed  func([]county.Change) // hands on what a form changed; may be nil
	Now      func() time.Time
	Log      *slog.Logger
}

// Page serves the pages.
type Page struct {
	opt    Options
	zone   *time.Location
	html   *template.Template
	policy string
	sites  map[string]*county.Site
	mine   *template.Template
	missed misses
	posts  misses // forms of MyPath
	origin *http.CrossOriginProtection

	shown, refused, limited, acts, away atomic.Uint64
}

//go:embed page.html
var source string

//go:embed page.css
var style string

// New makes a Page.
func New(opt Options) *Page {
	zone, err := time.LoadLocation(opt.Registry.Timezone)
	if err != nil {
		zone = time.UTC
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.Sum256([]byte(style))
	funcs := template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}
	p := &Page{
		opt: opt, zone: zone, sites: map[string]*county.Site{}, origin: http.NewCrossOriginProtection(),
		html: template.Must(template.New("page").Funcs(funcs).Parse(source)),
		mine: template.Must(template.New("my").Funcs(funcs).Parse(mySource)), posts: misses{most: myPosts},
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	}
	for i := range opt.Registry.Sites {
		p.sites[opt.Registry.Sites[i].ID] = &opt.Registry.Sites[i]
	}
	return p
}

// Counters returns the counters of doc.go.
func (p *Page) Counters() map[string]uint64 {
	return map[string]uint64{
		"shown": p.shown.Load(), "refused": p.refused.Load(), "limited": p.limited.Load(), "acts": p.acts.Load(), "away": p.away.Load(),
	}
}

// Link is the path of a parcel's page.
func (p *Page) Link(waybill string) string { return Path + p.opt.Tokens.Token(waybill) }

// ServeHTTP answers below Path, and at MyPath.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Language")
	words := speak(r)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		h.Set("Allow", "GET, HEAD, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == MyPath && p.opt.My != nil {
		p.serveMy(w, r)
		return
	}
	waybill, ok := p.opt.Tokens.Open(strings.TrimPrefix(r.URL.Path, Path))
	var tl county.Timeline
	if ok {
		var err error
		if tl, ok, err = p.opt.Store.Timeline(r.Context(), waybill); err != nil {
			p.away.Add(1)
			p.opt.Log.Warn("store does not answer", "err", err)
			p.say(w, http.StatusServiceUnavailable, words, words.Away)
			return
		}
	}
	if !ok || p.expired(&tl.Parcel) {
		p.refuse(w, r, words)
		return
	}
	if r.Method == http.MethodPost {
		p.act(w, r, words, &tl)
		return
	}
	v, err := p.view(r.Context(), words, &tl, r.URL.Query())
	if err != nil {
		p.away.Add(1)
		p.say(w, http.StatusServiceUnavailable, words, words.Away)
		return
	}
	p.shown.Add(1)
	p.write(w, http.StatusOK, v)
}

// expired reports whether the parcel's life ended too long ago.
func (p *Page) expired(x *county.Parcel) bool {
	return x.Stage.Over() && p.opt.Now().Sub(x.Since) > Keep
}

// refuse answers everything that is no parcel's token alike.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, words *words) {
	p.refused.Add(1)
	status := http.StatusNotFound
	if p.missed.miss(address(r), p.opt.Now()) {
		p.limited.Add(1)
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(missWindow/time.Second)))
	}
	p.say(w, status, words, words.Nothing)
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// say answers with one sentence.
func (p *Page) say(w http.ResponseWriter, status int, words *words, sentence string) {
	p.write(w, status, &view{Words: words, Sentence: sentence})
}

func (p *Page) write(w http.ResponseWriter, status int, v *view) {
	w.WriteHeader(status)
	if err := p.html.Execute(w, v); err != nil {
		p.opt.Log.Debug("page not written", "err", err)
	}
}

// act does what a form asks for and sends the browser back to the page, so that loading it again does nothing twice.
func (p *Page) act(w http.ResponseWriter, r *http.Request, words *words, tl *county.Timeline) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := p.origin.Check(r); err != nil || r.ParseForm() != nil {
		p.say(w, http.StatusForbidden, words, words.Nothing)
		return
	}
	said := ""
	var err error
	switch do := r.PostForm.Get("do"); do {
	case "extend":
		if said = "extended"; p.opt.Keeping == nil || tl.Stage != county.InLocker {
			said = "cannot"
		} else if _, err = p.opt.Keeping.Extend(r.Context(), tl.Waybill.Waybill); err != nil {
			said, err = "cannot", nil
		}
	case "cannot_open", "not_mine":
		said = "reported"
		class := county.Delay
		if do == "not_mine" {
			class = county.Misdelivery
		}
		x := county.Exception{Class: class, Cause: do, Object: "parcel/" + tl.Waybill.Waybill, Source: "customer"}
		if d := deposit(tl); d != nil {
			x.Evidence = []string{d.ID}
		}
		_, err = p.opt.Store.Report(r.Context(), x)
	case "locker", "station", "home":
		said, err = p.wish(r.Context(), tl, county.Wish(do))
	case "rate":
		said, err = p.rate(r, tl)
	default:
		said = "cannot"
	}
	if err != nil {
		p.away.Add(1)
		p.opt.Log.Warn("form not taken", "err", err)
		p.say(w, http.StatusServiceUnavailable, words, words.Away)
		return
	}
	p.acts.Add(1)
	http.Redirect(w, r, r.URL.Path+"?lang="+words.Lang+"&said="+said, http.StatusSeeOther)
}

// actor is who changes a waybill from here.
const actor = "recipient"

// wish keeps where the recipient wants a parcel that is on its way.
func (p *Page) wish(ctx context.Context, tl *county.Timeline, w county.Wish) (said string, err error) {
	if !slices.Contains(p.wishes(&tl.Parcel), w) {
		return "cannot", nil
	}
	_, changes, err := p.opt.Store.Amend(ctx, tl.Waybill.Waybill, county.Amendment{Wish: &w, Actor: actor})
	switch {
	case errors.Is(err, county.ErrClosed):
		return "cannot", nil
	case err != nil:
		return "", err
	}
	if p.opt.Changed != nil {
		p.opt.Changed(changes)
	}
	return "wished", nil
}

// wishes are the places that a parcel's recipient may still choose; none where somebody else chose, or it is too late.
func (p *Page) wishes(x *county.Parcel) (all []county.Wish) {
	switch x.Stage {
	case county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit, county.AtOutlet:
	default:
		return nil
	}
	if x.Direction == county.FromVillage || x.Consent != county.ConsentUnknown && x.Wish == "" {
		return nil
	}
	cold := x.Handling == "chilled" || x.Handling == "frozen"
	if !cold && slices.ContainsFunc(p.opt.Registry.Lockers, func(l county.Locker) bool { return l.Site == x.Site }) {
		all = append(all, county.WishLocker)
	}
	return append(all, county.WishStation, county.WishHome)
}

func (p *Page) rate(r *http.Request, tl *county.Timeline) (said string, err error) {
	score, bad := strconv.Atoi(r.PostForm.Get("score"))
	if bad != nil || score < 1 || score > 5 || !tl.Stage.Received() {
		return "cannot", nil
	}
	ok, err := p.opt.Store.Rate(r.Context(), county.Rating{Waybill: tl.Waybill.Waybill, Site: tl.Site, Score: score, At: p.opt.Now()})
	if !ok {
		return "cannot", err
	}
	return "thanks", err
}
