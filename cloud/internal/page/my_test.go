package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

// book keeps sign-ins in memory; its rules are the store's.
type book struct {
	desk   *desk
	nonce  map[string]string
	visits map[string]string
	asked  int
	told   func(phone, code string)
	away   error
}

var signInKey = MyKey(make([]byte, 32))

func (b *book) AskSignIn(_ context.Context, phone, nonce string) error {
	b.asked++
	b.nonce[phone] = nonce
	if b.told != nil && phone == "hash 13800138000" {
		b.told(phone, SignInCode(signInKey, nonce))
	}
	return b.away
}

func (b *book) TrySignIn(_ context.Context, phone string, right func(string) bool, session string, _ time.Time) (bool, error) {
	if b.nonce[phone] == "" || !right(b.nonce[phone]) {
		return false, b.away
	}
	delete(b.nonce, phone)
	b.visits[session] = phone
	return true, b.away
}

func (b *book) Visitor(_ context.Context, session string) (string, error) {
	return b.visits[session], b.away
}

func (b *book) Leave(_ context.Context, session string) error {
	delete(b.visits, session)
	return b.away
}

func (b *book) ParcelsOf(_ context.Context, phone string, _ int) (all []county.Parcel, _ error) {
	if phone == "hash 13800138000" {
		for _, w := range []string{"YZ-IN-LOCKER", "YZ-ON-THE-WAY", "YZ-LONG-AGO"} {
			all = append(all, b.desk.parcels[w].Parcel)
		}
	}
	return all, b.away
}

func openMy(t *testing.T) (*Page, *book) {
	p, d := open(t)
	b := &book{desk: d, nonce: map[string]string{}, visits: map[string]string{}}
	p.opt.My = &My{Visits: b, Hash: func(phone string) string { return "hash " + phone }, Key: signInKey, Secure: true}
	return p, b
}

func visit(p *Page, c *http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, MyPath+"?lang=en", nil)
	if c != nil {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestSomebodyFindsTheirParcels(t *testing.T) {
	p, b := openMy(t)
	code := ""
	b.told = func(_, c string) { code = c }
	require.Contains(t, visit(p, nil).Body.String(), "Your phone number")
	w := post(p, MyPath+"?lang=en", url.Values{"phone": {" 13800138000 "}}, "same-origin")
	require.Contains(t, w.Body.String(), "If there are parcels for this number")
	require.Regexp(t, `^\d{6}$`, code)
	form := url.Values{"phone": {"13800138000"}, "code": {code[:3] + " " + code[3:]}}
	w = post(p, MyPath+"?lang=en", form, "same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code)
	c := w.Result().Cookies()[0]
	require.True(t, c.HttpOnly && c.Secure && c.SameSite == http.SameSiteStrictMode && c.Path == MyPath && c.MaxAge == 0)
	require.NotContains(t, b.visits, c.Value, "a store that is read lets nobody in")
	require.Contains(t, post(p, MyPath+"?lang=en", form, "same-origin").Body.String(), "wrong, or too old", "good once")

	w = visit(p, c)
	require.Contains(t, w.Body.String(), p.Link("YZ-IN-LOCKER"))
	require.Contains(t, w.Body.String(), p.Link("YZ-ON-THE-WAY"))
	require.NotContains(t, w.Body.String(), p.Link("YZ-LONG-AGO"), "past its time")
	require.NotContains(t, w.Body.String(), "13800138000")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.LessOrEqual(t, w.Body.Len(), 30<<10)

	r := httptest.NewRequest(http.MethodPost, MyPath, nil)
	r.AddCookie(c)
	r.PostForm, r.Form = url.Values{"do": {"leave"}}, url.Values{}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w = httptest.NewRecorder()
	p.ServeHTTP(w, r)
	require.Negative(t, w.Result().Cookies()[0].MaxAge)
	require.NotContains(t, visit(p, c).Body.String(), p.Link("YZ-IN-LOCKER"))
	require.Contains(t, visit(p, &http.Cookie{Name: myCookie, Value: "made-up-made-up-made-up"}).Body.String(), "Your phone number")
}

// Who asks learns nothing of whom they ask about.
func TestAnswersDontTellWhoIsKnown(t *testing.T) {
	p, b := openMy(t)
	answer := func(form url.Values) string {
		w := post(p, MyPath+"?lang=zh", form, "same-origin")
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String()
	}
	replace := func(s, phone string) string { return strings.ReplaceAll(s, phone, "-") }
	known, unknown := answer(url.Values{"phone": {"13800138000"}}), answer(url.Values{"phone": {"13900139000"}})
	require.Equal(t, replace(known, "13800138000"), replace(unknown, "13900139000"))
	known, unknown = answer(url.Values{"phone": {"13800138000"}, "code": {"000000x"}}), answer(url.Values{"phone": {"13900139000"}, "code": {"000000x"}})
	require.Equal(t, replace(known, "13800138000"), replace(unknown, "13900139000"))
	require.Contains(t, answer(url.Values{"phone": {"12"}}), "请核对手机号")
	require.Equal(t, 2, b.asked)
	require.Equal(t, http.StatusForbidden, post(p, MyPath, url.Values{"phone": {"13800138000"}}, "cross-site").Code)
	for range myPosts {
		post(p, MyPath, url.Values{"phone": {"13800138000"}}, "same-origin")
	}
	w := post(p, MyPath, url.Values{"phone": {"13800138000"}}, "same-origin")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	b.away = context.DeadlineExceeded
	c := &http.Cookie{Name: myCookie, Value: "made-up-made-up-made-up"}
	require.Equal(t, http.StatusServiceUnavailable, visit(p, c).Code)
	p.opt.My = nil
	require.Equal(t, http.StatusNotFound, visit(p, nil).Code)
}
