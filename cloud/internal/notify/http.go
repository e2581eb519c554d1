package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"text/template"
	"time"
	"unicode/utf16"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// maxAnswer is how much of a provider's answer is read.
const maxAnswer = 64 << 10

// web is a channel of kind http.
type web struct {
	set     *channels.HTTP
	client  *http.Client
	report  string // URL of the channel's report hook
	url     *template.Template
	body    *template.Template
	over    *template.Template
	headers map[string]*template.Template
	key     []byte
	success *match
	errors  []match
}

// openWeb reads the secrets and templates of a channel of kind http.
func openWeb(name string, set *channels.HTTP, report string) (*web, map[string]string, error) {
	secrets := map[string]string{}
	for word, file := range set.Secrets {
		s, err := readSecret(file)
		if err != nil {
			return nil, nil, fmt.Errorf("secrets.%s: %w", word, err)
		}
		secrets[word] = s
	}
	tlsConfig, err := trust(set.CAFile)
	if err != nil {
		return nil, nil, err
	}
	w := &web{set: set, report: report, headers: map[string]*template.Template{}, client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a message goes where the profile says
	}}
	if set.Report != nil {
		w.report += name + "/" + url.PathEscape(secrets[set.Report.Secret])
	}
	funcs := functions(secrets)
	parse := func(key, text string) (t *template.Template) {
		if err == nil {
			t, err = channels.Parse(key, text, funcs)
		}
		return t
	}
	w.url, w.body = parse("url", set.URL), parse("body", set.Body)
	for k, text := range set.Headers {
		w.headers[k] = parse("headers."+k, text)
	}
	if set.Sign != nil {
		w.over, w.key = parse("sign.over", set.Sign.Over), []byte(secrets[set.Sign.Key])
	}
	if set.Success != nil {
		w.success = newMatch(*set.Success)
	}
	for _, m := range set.Errors {
		w.errors = append(w.errors, *newMatch(m))
	}
	return w, secrets, err
}

func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return s, nil
}

// trust is what certificates are verified with: the system's authorities, or the file's.
func trust(caFile string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate", caFile)
	}
	return c, nil
}

// functions are those that templates may call.
func functions(secrets map[string]string) template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"xml": func(s string) (string, error) {
			var b strings.Builder
			err := xml.EscapeText(&b, []byte(s))
			return b.String(), err
		},
		"query":  url.QueryEscape,
		"ucs2":   ucs2,
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"sha256": func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) },
		"md5":    func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }, // old providers sign so
		"upper":  strings.ToUpper,
		"secret": func(word string) (string, error) {
			if s, ok := secrets[word]; ok {
				return s, nil
			}
			return "", fmt.Errorf("there is no secret %q", word)
		},
	}
}

// ucs2 is a text as hex of UTF-16, high byte first.
func ucs2(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return strings.ToUpper(hex.EncodeToString(b))
}

// fields are what the templates may name.
func (w *web) fields(m Message) channels.Fields {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	tail := m.Waybill[max(0, len(m.Waybill)-4):]
	return channels.Fields{
		Phone: m.Phone, Ext: m.Ext, Email: m.Email, Text: m.Text, Subject: m.Subject, Lang: m.Lang, Code: m.Values["code"], Tail: tail,
		Event: string(m.Event), Waybill: m.Waybill, Template: m.Template, Params: m.Params, Values: m.Values, Ref: m.Ref,
		Nonce: hex.EncodeToString(nonce), Unix: m.At.Unix(), Time: m.At.UTC().Format(time.RFC3339), Report: w.report,
	}
}

// request makes the request of a message, signed.
func (w *web) request(ctx context.Context, m Message) (*http.Request, error) {
	f := w.fields(m)
	var err error
	run := func(t *template.Template) string {
		var b strings.Builder
		if err == nil {
			err = t.Execute(&b, f)
		}
		return b.String()
	}
	signed := strings.Contains(w.set.Body, ".Signature")
	if !signed {
		f.Body = run(w.body)
	}
	if w.over != nil {
		f.Signature = w.sign(run(w.over))
	}
	if signed {
		f.Body = run(w.body)
	}
	method := w.set.Method
	if method == "" {
		method = http.MethodPost
	}
	target := run(w.url)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(f.Body))
	if err != nil {
		return nil, errors.New("url: is none, once it is filled in") // what it says may be a person's
	}
	for k, t := range w.headers {
		r.Header.Set(k, run(t))
	}
	r.Header.Set("User-Agent", "yizhan")
	r.GetBody = nil // never sent a second time on another connection
	return r, err
}

func (w *web) sign(text string) string {
	make := sha256.New
	if w.set.Sign.Hash == "sha1" {
		make = sha1.New
	}
	h := hmac.New(func() hash.Hash { return make() }, w.key)
	_, _ = h.Write([]byte(text))
	if w.set.Sign.Encode == "base64" {
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Send implements Channel. A request that never left is temporary; one whose answer never came is unknown.
func (w *web) Send(ctx context.Context, m Message) Outcome {
	var left atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { left.Store(true) }, // the whole request may be with the provider from here on
	})
	r, err := w.request(ctx, m)
	if err != nil {
		return Outcome{Class: county.TryPermanent, Detail: "profile: " + err.Error()}
	}
	res, err := w.client.Do(r)
	if err != nil {
		if left.Load() {
			return Outcome{Class: county.TryUnknown, Detail: "no_answer"}
		}
		return Outcome{Class: county.TryTemporary, Detail: "unreachable"}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode < 300 && (w.success != nil || len(w.errors) > 0) {
		return Outcome{Class: county.TryUnknown, Detail: "answer_cut"}
	}
	return w.read(res.StatusCode, body)
}

// read classes an answer.
func (w *web) read(status int, body []byte) Outcome {
	a := &answer{status: status, body: body}
	o := Outcome{Detail: strconv.Itoa(status), Provider: a.field(w.set.ID)}
	for i := range w.errors {
		if m := &w.errors[i]; m.fits(a) {
			o.Class = m.set.Class
			if m.set.Field != "" && m.set.Field != "body" {
				o.Detail += " " + shorten(a.field(m.set.Field))
			}
			return o
		}
	}
	switch {
	case status < 300 && status >= 200 && (w.success == nil || w.success.fits(a)):
		o.Class = county.TryAccepted
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		o.Class = county.TryTemporary
	default:
		o.Class = county.TryPermanent
	}
	return o
}

// shorten keeps a provider's word, and nothing that could be a number of somebody.
func shorten(s string) string {
	var b strings.Builder
	digits := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			if digits++; digits > 5 {
				r = '*'
			}
		}
		if b.Len() < 40 && r >= ' ' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// answer is what a provider said.
type answer struct {
	status int
	body   []byte
	tree   any
	read   bool
}

// field is what stands at a JSON path of the body, or the body itself; empty when nothing does.
func (a *answer) field(path string) string {
	if path == "" {
		return ""
	}
	if path == "body" {
		return strings.TrimSpace(string(a.body))
	}
	if !a.read {
		a.read = true
		a.tree = parse(a.body)
	}
	return at(a.tree, path)
}

// parse reads JSON, numbers as they stand there; nil when it is none.
func parse(body []byte) (tree any) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return nil
	}
	return tree
}

// at walks a JSON value by a path such as data.0.code.
func at(v any, path string) string {
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return ""
			}
			v = x[i]
		default:
			return ""
		}
	}
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	}
	return ""
}
