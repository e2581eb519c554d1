package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

func secretFile(t testing.TB, text string) string {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
	return file
}

var hello = Message{
	Ref: "n-1-1", Event: county.NoticeDeposited, Waybill: "YZ2600000001", Phone: "13800138000", Lang: "zh", Text: `取件码"483920"`, Template: "SMS_1",
	Params: []string{"483920", "3"}, Values: map[string]string{"code": "483920"}, At: t0,
}

func TestARequestIsMadeAndSignedAsTheProfileSays(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"code":"OK","id":77}`)
	}))
	defer srv.Close()
	set := &channels.HTTP{
		URL:     srv.URL + "/send?key={{query (secret \"id\")}}",
		Body:    `{"to":{{json .Phone}},"text":{{json .Text}},"tpl":{{json .Template}},"params":{{json .Params}},"ref":{{json .Ref}}}`,
		Headers: map[string]string{"Content-Type": "application/json", "X-Time": "{{.Unix}}", "X-Sign": "{{.Signature}}"},
		Secrets: map[string]string{"id": secretFile(t, "a&b"), "key": secretFile(t, "topsecret")},
		Sign:    &channels.Sign{Key: "key", Over: "{{.Unix}}\n{{.Body}}", Encode: "base64"},
		Success: &channels.Match{Field: "code", Match: "OK"}, ID: "id",
	}
	set2 := channels.Notify{Channels: []channels.Channel{{Name: "sms", Kind: "http", HTTP: set}}}
	var wrong []string
	set2.Validate("notify", func(path, format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) })
	require.NotContains(t, strings.Join(wrong, "\n"), "http.")
	w, _, err := openWeb("sms", set, "https://county/hook/notice/")
	require.NoError(t, err)
	o := w.Send(t.Context(), hello)
	require.Equal(t, Outcome{Class: county.TryAccepted, Detail: "200", Provider: "77"}, o)
	require.Equal(t, "POST", got.Method)
	require.Equal(t, "a&b", got.URL.Query().Get("key"))
	var v map[string]any
	require.NoError(t, json.Unmarshal(body, &v))
	require.Equal(t, hello.Text, v["text"])
	require.Equal(t, []any{"483920", "3"}, v["params"])
	h := hmac.New(sha256.New, []byte("topsecret"))
	fmt.Fprintf(h, "%d\n%s", hello.At.Unix(), body)
	require.Equal(t, base64.StdEncoding.EncodeToString(h.Sum(nil)), got.Header.Get("X-Sign"))
}

func TestAnswersHaveClasses(t *testing.T) {
	status, body := 200, ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	w, _, err := openWeb("sms", &channels.HTTP{
		URL: srv.URL, Success: &channels.Match{Field: "data.0.code", Match: "0|OK"},
		Errors: []channels.Match{
			{Field: "data.0.code", Match: "LIMIT.*", Class: "temporary"}, {Field: "data.0.code", Match: "MAYBE", Class: "unknown"},
			{Status: []int{403}, Field: "body", Match: "slow down", Class: "temporary"},
		},
	}, "")
	require.NoError(t, err)
	for _, c := range []struct {
		status int
		body   string
		class  string
		detail string
	}{
		{200, `{"data":[{"code":0}]}`, county.TryAccepted, "200"},
		{200, `{"data":[{"code":"OK"}]}`, county.TryAccepted, "200"},
		{200, `{"data":[{"code":"LIMIT_13800138000"}]}`, county.TryTemporary, "200 LIMIT_13800******"},
		{200, `{"data":[{"code":"MAYBE"}]}`, county.TryUnknown, "200 MAYBE"},
		{200, `{"data":[]}`, county.TryPermanent, "200"},
		{200, `<html>`, county.TryPermanent, "200"},
		{400, ``, county.TryPermanent, "400"},
		{403, `slow down`, county.TryTemporary, "403"},
		{429, ``, county.TryTemporary, "429"},
		{503, ``, county.TryTemporary, "503"},
		{302, ``, county.TryPermanent, "302"},
	} {
		status, body = c.status, c.body
		o := w.Send(t.Context(), hello)
		require.Equal(t, c.class, o.Class, "%d %s", c.status, c.body)
		require.Equal(t, c.detail, o.Detail)
	}
}

// What never left may be tried again; what left and wasn't answered may be with somebody.
func TestALinkThatBreaksIsTemporaryBeforeAndUnknownAfter(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}
	}()
	w, _, err := openWeb("sms", &channels.HTTP{URL: "http://" + l.Addr().String()}, "")
	require.NoError(t, err)
	require.Equal(t, county.TryUnknown, w.Send(t.Context(), hello).Class)
	require.NoError(t, l.Close())
	w.client.CloseIdleConnections()
	require.Equal(t, Outcome{Class: county.TryTemporary, Detail: "unreachable"}, w.Send(t.Context(), hello))
}

func TestReportsComeInByTheirSecretOnly(t *testing.T) {
	w := calm(t)
	w.set.Channels = []channels.Channel{
		{Name: "ours", Kind: "http", HTTP: &channels.HTTP{
			URL: "http://127.0.0.1:1/", Secrets: map[string]string{"hook": secretFile(t, "s3cret")},
			Report: &channels.Report{Secret: "hook", Ref: "ref", Status: "status", Delivered: "1|DELIVRD", Failed: "2|UNDELIV"},
		}},
		{Name: "theirs", Kind: "http", HTTP: &channels.HTTP{
			URL: "http://127.0.0.1:1/", Secrets: map[string]string{"hook": secretFile(t, "other")},
			Report: &channels.Report{Secret: "hook", ID: "sid", Status: "state.code", Delivered: "0", Failed: "[1-9]", Answer: `{"code":0}`},
		}},
	}
	w.via = nil
	w.start(1)
	h := w.workers[0].Hooks()
	ask := func(method, path, kind, body string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	for _, bad := range []string{"/hook/notice/ours/wrong?ref=n-1-1&status=1", "/hook/notice/nobody/s3cret?ref=n-1-1&status=1", "/hook/notice/ours?ref=n-1-1&status=1", "/hook/notice/theirs/s3cret?sid=1"} {
		code, said := ask("GET", bad, "", "")
		require.Equal(t, 404, code)
		require.Equal(t, "404 page not found\n", said, "all the same")
	}
	require.Empty(t, w.store.reports)
	code, said := ask("GET", "/hook/notice/ours/s3cret?ref=n-1-1&status=1", "", "")
	require.Equal(t, 200, code)
	require.Equal(t, "ok", said)
	require.Equal(t, county.NoticeReport{Ref: "n-1-1", Delivered: true, Detail: "1", At: w.now}, w.store.reports["n-1-1true"])
	_, _ = ask("POST", "/hook/notice/ours/s3cret", "application/x-www-form-urlencoded", url.Values{"ref": {"n-2-1"}, "status": {"UNDELIV"}}.Encode())
	require.False(t, w.store.reports["n-2-1false"].Delivered)
	_, _ = ask("GET", "/hook/notice/ours/s3cret?ref=n-3-1&status=8", "", "")
	require.NotContains(t, w.store.reports, "n-3-1true", "on its way is no end")
	_, said = ask("POST", "/hook/notice/theirs/other", "application/json", `[{"sid":"a","state":{"code":0}},{"sid":"b","state":{"code":4}}]`)
	require.Equal(t, `{"code":0}`, said)
	require.True(t, w.store.reports["theirs/atrue"].Delivered)
	require.Contains(t, w.store.reports, "theirs/bfalse")
}

func FuzzReport(f *testing.F) {
	f.Add("ref=a&status=1", "application/json", []byte(`{"ref":"n-1-1","status":"DELIVRD"}`))
	f.Add("", "application/x-www-form-urlencoded", []byte("ref=a&status=2"))
	f.Add("", "application/json", []byte(`[{"ref":1},null,[]]`))
	h := newHook(&channels.Report{Ref: "ref", Status: "status", Delivered: "1|DELIVRD", Failed: "2"}, "s")
	f.Fuzz(func(t *testing.T, query, kind string, body []byte) {
		q, _ := url.ParseQuery(query)
		for _, r := range h.read(q, kind, body) {
			if r.Ref == "" {
				t.Fatal("a report of nothing")
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"data":[{"code":"OK"}]}`), "data.0.code")
	f.Add([]byte(`[[1]]`), "0.0")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		a := &answer{body: body}
		_ = a.field(path)
		if n := len(shorten(a.field("body"))); n > 44 {
			t.Fatalf("%d bytes", n)
		}
	})
}

func TestQuietTimeOut(t *testing.T) {
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer srv.Close()
	defer close(done)
	w := calm(t)
	w.set.Channels = []channels.Channel{{Name: "slow", Kind: "http", Timeout: 20 * time.Millisecond, HTTP: &channels.HTTP{URL: srv.URL}}}
	w.via = nil
	w.start(1)
	w.deposit("YZ0000001", "d-1", 1)
	w.until(w.now.Add(time.Second))
	n := w.only(t, county.NoticeDeposited)
	require.Equal(t, county.NoticeOpen, n.Status)
	require.Equal(t, "no_answer", lastTry(&n).Detail)
}
