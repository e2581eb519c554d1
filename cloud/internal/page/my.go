package page

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// MyPath is where somebody finds all parcels of their phone.
const MyPath = "/my"

const (
	visitFor   = 12 * time.Hour // after signing in
	myCookie   = "yizhan_my"
	myParcels  = 50
	myPosts    = 30 // forms of one address, a minute
	codeDigits = 1_000_000
)

// Visits is where sign-ins are kept.
type Visits interface {
	// AskSignIn makes a sign-in of a phone and has its code sent, if there are parcels of it. It does nothing where it was asked too
	// lately or too often. Whether it did, it doesn't tell.
	AskSignIn(ctx context.Context, phone, nonce string) error
	// TrySignIn opens a session where right says so of the nonce that was asked for last; it counts tries.
	TrySignIn(ctx context.Context, phone string, right func(nonce string) bool, session string, until time.Time) (ok bool, err error)
	// Visitor is the phone of a session; empty where there is none.
	Visitor(ctx context.Context, session string) (phone string, err error)
	Leave(ctx context.Context, session string) error
	ParcelsOf(ctx context.Context, phone string, limit int) ([]county.Parcel, error)
}

// My is what signing in needs. Phones are their keyed hashes, sessions the hashes of what lies in the cookie.
type My struct {
	Visits Visits
	Hash   func(phone string) string
	Key    []byte // what codes are derived from
	Secure bool   // the browser comes by HTTPS
}

// SignInCode is the code of a nonce: six digits.
func SignInCode(key []byte, nonce string) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum(key, "sign in\x00"+nonce))%codeDigits)
}

//go:embed my.html
var mySource string

// myView is what the page shows: a list, the form for a code, or that for a phone.
type myView struct {
	Words  *words
	Said   string
	Phone  string // as it was typed, while its code is asked for
	In     bool
	Mine   []mine
	Answer string // instead of all else
}

type mine struct{ Link, Tail, What, When string }

// serveMy answers at MyPath.
func (p *Page) serveMy(w http.ResponseWriter, r *http.Request) {
	words := speak(r)
	var err error
	switch {
	case r.Method == http.MethodPost:
		err = p.myForm(w, r, words)
	default:
		err = p.myList(w, r, words)
	}
	if err != nil {
		p.away.Add(1)
		p.opt.Log.Warn("store does not answer", "err", err)
		p.writeMy(w, http.StatusServiceUnavailable, &myView{Words: words, Answer: words.Away})
	}
}

func (p *Page) writeMy(w http.ResponseWriter, status int, v *myView) {
	w.WriteHeader(status)
	if err := p.mine.Execute(w, v); err != nil {
		p.opt.Log.Debug("page not written", "err", err)
	}
}

// session is the hash of what the browser holds; empty where it holds nothing.
func session(r *http.Request) string {
	c, err := r.Cookie(myCookie)
	if err != nil || len(c.Value) < 20 || len(c.Value) > 64 {
		return ""
	}
	return hashed(c.Value)
}

func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func (p *Page) myList(w http.ResponseWriter, r *http.Request, words *words) error {
	v := &myView{Words: words}
	id := session(r)
	if id == "" {
		p.writeMy(w, http.StatusOK, v)
		return nil
	}
	phone, err := p.opt.My.Visits.Visitor(r.Context(), id)
	if err != nil {
		return err
	}
	if phone != "" {
		all, err := p.opt.My.Visits.ParcelsOf(r.Context(), phone, myParcels)
		if err != nil {
			return err
		}
		v.In = true
		now := p.opt.Now()
		for i := range all {
			x := &all[i]
			if p.expired(x) {
				continue
			}
			v.Mine = append(v.Mine, mine{
				Link: p.Link(x.Waybill.Waybill) + "?lang=" + words.Lang, Tail: x.Waybill.Waybill[max(0, len(x.Waybill.Waybill)-4):], What: p.what(words, x), When: p.when(words, x.Since, now),
			})
		}
	}
	p.writeMy(w, http.StatusOK, v)
	return nil
}

// what says in a few words where a parcel is.
func (p *Page) what(words *words, x *county.Parcel) string {
	if s := words.Stage[x.Stage]; s != "" {
		return s
	}
	return words.Row[x.Stage]
}

func (p *Page) myForm(w http.ResponseWriter, r *http.Request, words *words) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := p.origin.Check(r); err != nil || r.ParseForm() != nil {
		p.writeMy(w, http.StatusForbidden, &myView{Words: words, Answer: words.MyAgain})
		return nil
	}
	if r.PostForm.Get("do") == "leave" {
		return p.myLeave(w, r, words)
	}
	if p.posts.miss(address(r), p.opt.Now()) {
		p.limited.Add(1)
		w.Header().Set("Retry-After", strconv.Itoa(int(missWindow/time.Second)))
		p.writeMy(w, http.StatusTooManyRequests, &myView{Words: words, Answer: words.MyAgain})
		return nil
	}
	phone := strings.TrimSpace(r.PostForm.Get("phone"))
	hash := ""
	if n := len(phone); n >= 5 && n <= 24 {
		hash = p.opt.My.Hash(phone)
	}
	if hash == "" {
		p.writeMy(w, http.StatusOK, &myView{Words: words, Said: words.MyNumber})
		return nil
	}
	v := &myView{Words: words, Phone: phone}
	if !r.PostForm.Has("code") {
		if err := p.opt.My.Visits.AskSignIn(r.Context(), hash, rand.Text()); err != nil {
			return err
		}
		p.writeMy(w, http.StatusOK, v)
		return nil
	}
	secret := rand.Text()
	code := strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, r.PostForm.Get("code"))
	right := func(nonce string) bool { return hmac.Equal([]byte(SignInCode(p.opt.My.Key, nonce)), []byte(code)) }
	ok, err := p.opt.My.Visits.TrySignIn(r.Context(), hash, right, hashed(secret), p.opt.Now().Add(visitFor))
	if err != nil {
		return err
	}
	if !ok {
		v.Said = words.MyWrong
		p.writeMy(w, http.StatusOK, v)
		return nil
	}
	p.acts.Add(1)
	p.setMy(w, secret, 0)
	http.Redirect(w, r, MyPath+"?lang="+words.Lang, http.StatusSeeOther)
	return nil
}

func (p *Page) myLeave(w http.ResponseWriter, r *http.Request, words *words) error {
	if id := session(r); id != "" {
		if err := p.opt.My.Visits.Leave(r.Context(), id); err != nil {
			return err
		}
	}
	p.setMy(w, "", -1)
	http.Redirect(w, r, MyPath+"?lang="+words.Lang, http.StatusSeeOther)
	return nil
}

// setMy hands the browser its session, until it is closed.
func (p *Page) setMy(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: myCookie, Value: value, Path: MyPath, MaxAge: age, HttpOnly: true, Secure: p.opt.My.Secure, SameSite: http.SameSiteStrictMode})
}

// MyKey derives what sign-in codes come from of the county's key of links.
func MyKey(links []byte) []byte { return sum(links, "page sign in") }
