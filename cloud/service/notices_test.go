package service_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// noticeOf is the notice of a parcel's event, when it has the status.
func (w *town) noticeOf(waybill, event, status string) (n map[string]any) {
	w.Helper()
	require.Eventually(w, func() bool {
		code, v := w.ask("GET", "/api/v1/notices?waybill="+waybill, nil)
		require.Equal(w, 200, code, v)
		for _, item := range v["items"].([]any) {
			if n = item.(map[string]any); n["event"] == event && n["status"] == status {
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond, "%s %s %s", waybill, event, status)
	return n
}

// deposit has a courier scan a parcel and put it into a cell of the locker of qingshi.
func (b *board) deposit(waybill string, cellNo int, id string) {
	now := time.Now()
	l := telemetry.Locker{Cell: telemetry.Some(cellNo), Event: telemetry.CellDeposited, Occupied: telemetry.Some(true), Deposit: id, Waybill: waybill, Generation: telemetry.Some(1)}
	b.send(telemetry.New("handheld", now.Add(-time.Second), telemetry.NTP, telemetry.Scan{Text: waybill}),
		telemetry.New("board", now, telemetry.NTP, l))
	b.committed(telemetry.Custody)
}

// From the door that closed to the message with the code, and what an outlet's keeper sees.
func TestADepositIsToldWithItsCode(t *testing.T) {
	w := newTown(t)
	w.stop()
	tool(t, "ca", "locker", filepath.Join(w.dir, "ca"), "lk-qingshi")
	w.start()
	t.Cleanup(func() { w.stop() })
	var mu sync.Mutex
	var calls []string
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, string(body))
	}))
	t.Cleanup(shop.Close)
	code, v := w.ask("PUT", "/api/v1/callbacks/shop", map[string]any{"url": shop.URL, "stages": []string{"in_locker"}})
	require.Equal(t, 200, code, v)
	require.Contains(t, v["secret"], "whsec_")
	code, v = w.ask("POST", "/api/v1/waybills", []map[string]any{
		{"waybill": "YZ2600000001", "site": "out-qingshi", "consent": "yes", "recipient": map[string]any{"name": "王小明", "phone": "13800138000"}},
		{"waybill": "YZ2600000002", "site": "out-qingshi", "consent": "yes"},
	})
	require.Equal(t, 201, code, v)
	b := w.board("lk-qingshi-1")
	b.deposit("YZ2600000001", 3, "d-0123456789abcdef")
	n := w.noticeOf("YZ2600000001", "deposited", "delivered")
	require.Equal(t, "138****8000", n["to"])
	require.Regexp(t, regexp.MustCompile(`^【云岭驿站】取件码\d{6}，快件在青石村智能柜3号格`), n["text"])
	require.NotContains(t, n["text"], "王小明")
	require.Regexp(t, ` http://127\.0\.0\.1:\d+/p/[\w-]{20,}$`, n["text"], "a demonstration's texts have the page's address")
	_, link, _ := strings.Cut(n["text"].(string), "/p/")
	status, shown := w.page("/p/"+link, "")
	require.Equal(t, 200, status)
	told := regexp.MustCompile(`取件码(\d\d)(\d\d)(\d\d)`).FindStringSubmatch(n["text"].(string))
	require.Contains(t, shown, strings.Join(told[1:], " "), "the page and the message say the same")

	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(calls) == 1 && strings.Contains(calls[0], `"type":"yizhan.step"`) && strings.Contains(calls[0], "ObjectEvent")
	}, time.Minute, 20*time.Millisecond)
	require.NotContains(t, calls[0], "13800138000")
	_, v = w.ask("GET", "/api/v1/callbacks/shop/queue", nil)
	require.Len(t, v["items"], 1)

	code, v = w.ask("GET", "/api/v1/sites/out-qingshi/uncollected", nil)
	require.Equal(t, 200, code)
	require.Len(t, v["items"], 1)
	row := v["items"].([]any)[0].(map[string]any)
	require.Equal(t, "138****8000", row["phone"])
	require.EqualValues(t, 3, row["cell"])
	status, paper := w.page("/print/uncollected/out-qingshi", w.token())
	require.Equal(t, 200, status)
	require.Contains(t, paper, "YZ2600000001")
	require.Contains(t, paper, "138****8000")
	status, _ = w.page("/print/uncollected/out-qingshi", "")
	require.Equal(t, 401, status)
	status, _ = w.page("/print/uncollected/nowhere", w.token())
	require.Equal(t, 404, status)
	status, _ = w.page("/hook/notice/outbox/x", "")
	require.Equal(t, 404, status, "providers show a secret")

	// The county raises the generation: what was told stays.
	w.stop()
	w.cfg.Pickup.Generations = map[string]int{"lk-qingshi": 2}
	w.start()
	_, shown = w.page("/p/"+link, "")
	require.Contains(t, shown, strings.Join(told[1:], " "))

	// The locker has the new key: its parcel has another code, and the recipient hears of it.
	b = w.board("lk-qingshi-1")
	b.send(telemetry.New("gateway", time.Now(), telemetry.NTP, telemetry.Health{{Name: "locker_key_generation", Value: 2}}))
	b.committed(telemetry.Track)
	w.stop() // it looks at keys when it starts, and twice a minute
	w.start()
	n = w.noticeOf("YZ2600000001", "recoded", "delivered")
	fresh := regexp.MustCompile(`取件码已换为(\d\d)(\d\d)(\d\d)，旧码作废`).FindStringSubmatch(n["text"].(string))
	require.NotEqual(t, told[1:], fresh[1:])
	_, shown = w.page("/p/"+link, "")
	require.Contains(t, shown, strings.Join(fresh[1:], " "))
	require.NotContains(t, shown, strings.Join(told[1:], " "))
}

func (w *town) page(path, token string) (int, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.svc.Addr().String()+path, nil)
	require.NoError(w, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	return resp.StatusCode, string(b)
}

// From a phone number to the list of its parcels, by a code that came as a message.
func TestMyParcels(t *testing.T) {
	w := newTown(t)
	code, _ := w.ask("POST", "/api/v1/waybills", map[string]any{"waybill": "YZ2600000001", "site": "out-qingshi", "recipient": map[string]any{"name": "王小明", "phone": "13800138000"}})
	require.Equal(t, 201, code)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	post := func(form url.Values) string {
		resp, err := browser.PostForm("http://"+w.svc.Addr().String()+"/my?lang=zh", form)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(b)
	}
	require.Contains(t, post(url.Values{"phone": {"+86 138-0013-8000"}}), "登录码已用短信发出")
	n := w.noticeOf("YZ2600000001", "sign_in", "delivered")
	digits := regexp.MustCompile(`登录码(\d{6})`).FindStringSubmatch(n["text"].(string))
	body := post(url.Values{"phone": {"13800138000"}, "code": {digits[1]}})
	require.Contains(t, body, `href="/p/`)
	require.Contains(t, body, "..0001")
	require.NotContains(t, body, "王小明")
	require.Contains(t, post(url.Values{"do": {"leave"}}), "获取登录码")
}

func TestPreferencesAndSubscriptionsAreChecked(t *testing.T) {
	w := newTown(t)
	code, v := w.ask("PUT", "/api/v1/notice-preferences", map[string]any{"phone": "+86 138-0013-8000", "off": []string{"deposited"}, "quiet_from": "20:00", "quiet_to": "08:00"})
	require.Equal(t, 200, code, v)
	code, v = w.ask("POST", "/api/v1/notice-preferences/lookup", map[string]any{"phone": "13800138000"})
	require.Equal(t, 200, code)
	require.Equal(t, "20:00", v["quiet_from"], "however it is written")
	code, _ = w.ask("PUT", "/api/v1/notice-preferences", map[string]any{"phone": "13800138000", "quiet_from": "20:00"})
	require.Equal(t, 422, code)
	code, _ = w.ask("POST", "/api/v1/waybills", map[string]any{"waybill": "YZ2600000001", "site": "out-qingshi", "consent": "yes", "recipient": map[string]any{"phone": "13800138000"}})
	require.Equal(t, 201, code)
	b := w.board("lk-qingshi-1")
	_, _ = w.ask("PUT", "/api/v1/notice-preferences", map[string]any{"phone": "13800138000", "off": []string{"deposited"}})
	b.deposit("YZ2600000001", 3, "d-0123456789abcdef")
	n := w.noticeOf("YZ2600000001", "deposited", "dropped")
	require.Equal(t, "opted_out", n["reason"])
	id := n["id"].(string)
	code, _ = w.ask("POST", "/api/v1/notices/"+id+"/send", nil)
	require.Equal(t, 409, code)
	code, _ = w.ask("POST", "/api/v1/notices/n-00000000000000000000/told", nil)
	require.Equal(t, 404, code)
	code, _ = w.ask("POST", "/api/v1/notices/"+id+"/dance", nil)
	require.Equal(t, 422, code)
	code, v = w.ask("PUT", "/api/v1/callbacks/shop", map[string]any{"url": "ftp://x/"})
	require.Equal(t, 422, code, v)
	code, _ = w.ask("DELETE", "/api/v1/callbacks/nobody", nil)
	require.Equal(t, 404, code)
	code, _ = w.ask("POST", "/api/v1/callbacks/nobody/replay", map[string]any{"from": 1})
	require.Equal(t, 404, code)
	code, v = w.ask("GET", "/api/v1/notices?after=garbage", nil)
	require.Equal(t, 422, code, v)
}
