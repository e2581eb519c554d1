package notify

import (
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// HookPath is where providers report: HookPath, channel, '/' and the channel's secret.
const HookPath = "/hook/notice/"

const maxHook = 64 << 10

// hook reads the delivery reports of a channel.
type hook struct {
	set               *channels.Report
	secret            [sha256.Size]byte
	delivered, failed *regexp.Regexp
}

func newHook(set *channels.Report, secret string) *hook {
	return &hook{set: set, secret: sha256.Sum256([]byte(secret)), delivered: whole(set.Delivered), failed: whole(set.Failed)}
}

// Hooks takes delivery reports below HookPath. Whoever doesn't know a channel's secret learns nothing.
func (n *Notifier) Hooks() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		channel, secret, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, HookPath), "/")
		h := n.hooks[channel]
		sum := sha256.Sum256([]byte(secret))
		if h == nil || subtle.ConstantTimeCompare(sum[:], h.secret[:]) != 1 {
			n.count.strangers.Add(1)
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
		if err != nil {
			http.Error(w, "body: too long, or cut short", http.StatusBadRequest)
			return
		}
		for _, report := range h.read(r.URL.Query(), r.Header.Get("Content-Type"), body) {
			report.At = n.opt.Now()
			if report.Ref, err = h.ref(channel, report.Ref); err != nil {
				continue
			}
			if err := n.opt.Store.PutNoticeReport(r.Context(), report); err != nil {
				n.opt.Log.Warn("report not kept", "err", err)
				http.Error(w, "try again", http.StatusServiceUnavailable)
				return
			}
		}
		answer := h.set.Answer
		if answer == "" {
			answer = "ok"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, answer)
	})
}

// ref names a try: ours as it is, the provider's behind the channel.
func (h *hook) ref(channel, id string) (string, error) {
	if id == "" || len(id) > 200 {
		return "", http.ErrMissingFile
	}
	if h.set.Ref != "" {
		return id, nil
	}
	return channel + "/" + id, nil
}

// read takes the reports out of a request: one in its query or form, or in JSON one or a list of them.
func (h *hook) read(query url.Values, kind string, body []byte) (out []county.NoticeReport) {
	sources := []func(string) string{query.Get}
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil {
			sources = append(sources, form.Get)
		}
	}
	var trees []any
	if v := parse(body); v != nil {
		if list, ok := v.([]any); ok {
			trees = list
		} else {
			trees = []any{v}
		}
	}
	if len(trees) == 0 {
		trees = []any{nil}
	}
	for _, tree := range trees {
		get := func(path string) string {
			for _, s := range sources {
				if got := s(path); got != "" {
					return got
				}
			}
			return at(tree, path)
		}
		if r, ok := h.one(get); ok {
			out = append(out, r)
		}
	}
	return out
}

func (h *hook) one(get func(string) string) (r county.NoticeReport, ok bool) {
	status := get(h.set.Status)
	r = county.NoticeReport{Ref: get(h.set.Ref + h.set.ID), Detail: shorten(status)}
	switch {
	case h.delivered.MatchString(status):
		r.Delivered = true
	case h.failed.MatchString(status):
	default:
		return r, false // on its way: no end
	}
	return r, r.Ref != ""
}
