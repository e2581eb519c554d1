package channels

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

var deviceForm = regexp.MustCompile(`^[a-z0-9-]{1,32}/[a-z0-9-]{1,32}$`)

func (c *Channel) validate(at string, bad Bad) {
	want := map[string]bool{"http": c.HTTP != nil, "smtp": c.SMTP != nil, "modem": c.Device != "", "outbox": true}
	has, known := want[c.Kind]
	switch {
	case !known:
		bad(at+".kind", "%q is none of modem, http, smtp, outbox", c.Kind)
	case !has:
		bad(at, "a channel of kind %s needs %s", c.Kind, map[string]string{"http": "http", "smtp": "smtp", "modem": "device"}[c.Kind])
	}
	for part, there := range map[string]bool{"http": c.HTTP != nil, "smtp": c.SMTP != nil, "device": c.Device != ""} {
		if there && c.Kind != part && (part != "device" || c.Kind != "modem") {
			bad(at+"."+part, "is for another kind than %s", c.Kind)
		}
	}
	if c.Device != "" && !deviceForm.MatchString(c.Device) {
		bad(at+".device", "%q is not gateway/device", c.Device)
	}
	if !slices.Contains([]string{"", "text", "speech", "mail", "data"}, c.Form) {
		bad(at+".form", "%q is none of text, speech, mail, data", c.Form)
	}
	if !slices.Contains([]string{"", "skip", "dial", "text"}, c.Extension) {
		bad(at+".extension", "%q is none of skip, dial, text", c.Extension)
	}
	if c.DailyCap < 0 || c.PerMinute < 0 {
		bad(at, "daily_cap and per_minute must not be below 0")
	}
	if c.Tries < 0 || c.Tries > 20 {
		bad(at+".tries", "%d is outside 0 to 20", c.Tries)
	}
	if c.Timeout < 0 || c.Timeout > time.Minute {
		bad(at+".timeout", "%v is outside 0s to 1m", c.Timeout)
	}
	checkEvents(at+".events", c.Events, bad)
	checkTemplates(at+".templates", c.Templates, bad)
	if c.Quiet != nil {
		c.Quiet.validate(at+".quiet", bad)
	}
	if c.HTTP != nil {
		c.HTTP.validate(at+".http", bad)
	}
	if c.SMTP != nil {
		c.SMTP.validate(at+".smtp", bad)
	}
}

// Functions stands in for those of notify, so that a template can be read before there are secrets.
func Functions() template.FuncMap {
	word := func(any) string { return "" }
	return template.FuncMap{"json": word, "query": word, "xml": word, "ucs2": word, "base64": word, "sha256": word, "md5": word, "upper": word, "secret": word}
}

func (h *HTTP) validate(at string, bad Bad) {
	texts := map[string]string{"url": h.URL, "body": h.Body}
	for k, v := range h.Headers {
		texts["headers."+k] = v
	}
	if h.Sign != nil {
		texts["sign.over"] = h.Sign.Over
		if h.Secrets[h.Sign.Key] == "" {
			bad(at+".sign.key", "%q is none of the secrets", h.Sign.Key)
		}
		if !slices.Contains([]string{"", "sha256", "sha1"}, h.Sign.Hash) {
			bad(at+".sign.hash", "%q is none of sha256, sha1", h.Sign.Hash)
		}
		if !slices.Contains([]string{"", "hex", "base64"}, h.Sign.Encode) {
			bad(at+".sign.encode", "%q is none of hex, base64", h.Sign.Encode)
		}
	}
	for path, text := range texts {
		t, err := Parse(path, text, Functions())
		if err == nil {
			err = t.Execute(new(strings.Builder), Fields{Values: map[string]string{}})
		}
		if err != nil {
			bad(at+"."+path, "%v", err)
		}
	}
	if !strings.HasPrefix(h.URL, "http://") && !strings.HasPrefix(h.URL, "https://") {
		bad(at+".url", "must begin http:// or https://")
	} else if u, err := url.Parse(strings.SplitN(h.URL, "{{", 2)[0]); err != nil || u.Host == "" || u.Scheme == "http" && !loopback(u.Hostname()) {
		bad(at+".url", "must be https, for it carries phone numbers; http goes to this machine only")
	}
	if !slices.Contains([]string{"", "GET", "POST", "PUT"}, h.Method) {
		bad(at+".method", "%q is none of GET, POST, PUT", h.Method)
	}
	if h.Success != nil {
		h.Success.validate(at+".success", false, bad)
	}
	for i := range h.Errors {
		h.Errors[i].validate(fmt.Sprintf("%s.errors[%d]", at, i), true, bad)
	}
	h.Report.validate(at+".report", h.Secrets, bad)
}

func (m *Match) validate(at string, class bool, bad Bad) {
	if _, err := regexp.Compile(m.Match); err != nil {
		bad(at+".match", "%v", err)
	}
	if len(m.Status) == 0 && m.Field == "" {
		bad(at, "needs status or field")
	}
	if class != slices.Contains([]string{"temporary", "permanent", "unknown", "accepted"}, m.Class) {
		bad(at+".class", "%q: an error has one of temporary, permanent, unknown, accepted, and success has none", m.Class)
	}
}

func (r *Report) validate(at string, secrets map[string]string, bad Bad) {
	if r == nil {
		return
	}
	if secrets[r.Secret] == "" {
		bad(at+".secret", "%q is none of the secrets", r.Secret)
	}
	if (r.Ref == "") == (r.ID == "") {
		bad(at, "needs ref or id, and not both")
	}
	for _, f := range [][2]string{{"delivered", r.Delivered}, {"failed", r.Failed}} {
		if _, err := regexp.Compile(f[1]); err != nil {
			bad(at+"."+f[0], "%v", err)
		}
	}
}

func (s *SMTP) validate(at string, bad Bad) {
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		bad(at+".server", "%q is not host:port", s.Server)
	}
	if a, err := mail.ParseAddress(s.From); err != nil || a.Address == "" {
		bad(at+".from", "%q is no mail address", s.From)
	}
	if (s.User == "") != (s.Password == "") {
		bad(at, "user and password_file go together")
	}
	switch s.TLS {
	case "", "starttls":
	case "none":
		if !loopback(host) {
			bad(at+".tls", "none is for a server on this machine")
		}
	default:
		bad(at+".tls", "%q is none of starttls, none", s.TLS)
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
