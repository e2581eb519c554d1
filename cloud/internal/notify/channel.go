package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// Outcome is what became of a try.
type Outcome struct {
	Class    string // county.TryAccepted, TryPending, TryTemporary, TryPermanent, TryUnknown
	Detail   string // a status or a word of the provider's, nothing personal
	Provider string // its id of the message, where it gives one
}

// Message is what a channel sends. It lives in memory only.
type Message struct {
	Ref      string // of the try; a provider that is given the same one twice may send once
	Event    county.NoticeEvent
	Waybill  string
	Phone    string // digits, maybe + in front
	Ext      string // of a virtual number
	Email    string
	Lang     string // zh, en
	Text     string
	Subject  string
	Template string   // the provider's, where there is one
	Params   []string //
	Values   map[string]string
	At       time.Time
}

// Channel sends a message to the place it is for. It returns when the provider said what it did with it, or when
// ctx ends: then TryUnknown, unless nothing had left.
type Channel interface {
	Send(ctx context.Context, m Message) Outcome
}

// Asked is a Channel whose outcomes come later. Ask returns TryPending while nothing is known, and TryTemporary when
// it never heard of ref.
type Asked interface {
	Ask(ctx context.Context, ref string) Outcome
}

// lane is a channel with its settings, and how it does.
type lane struct {
	set channels.Channel
	via Channel

	mu       sync.Mutex
	failures int       // tries in a row that didn't go out, of whatever notices
	rests    time.Time // until then it isn't tried
}

// A channel that failed so often in a row rests for a while: the next one is taken without waiting for it to fail again.
const (
	tired = 5
	rest  = 30 * time.Second
)

// did counts how a try went.
func (l *lane) did(class string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch class {
	case county.TryTemporary, county.TryUnknown:
		if l.failures++; l.failures >= tired {
			l.rests = now.Add(rest)
		}
	case county.TryAccepted, county.TryPermanent:
		l.failures, l.rests = 0, time.Time{}
	}
}

// resting tells until when the channel isn't tried.
func (l *lane) resting(now time.Time) (until time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rests, now.Before(l.rests)
}

// fits reports whether a channel reaches somebody with a notice.
func (l *lane) fits(n *county.Notice, who *county.Recipient) bool {
	if len(l.set.Events) > 0 && !slices.Contains(l.set.Events, string(n.Event)) {
		return false
	}
	if len(l.set.Sites) > 0 && !slices.Contains(l.set.Sites, n.About.Site) {
		return false
	}
	if n.Event == county.NoticeSignIn && (l.set.Form == "mail" || l.set.Form == "data") {
		return false
	}
	switch l.set.Form {
	case "mail":
		return who.Email != ""
	case "data":
		return true
	}
	_, ext, _ := strings.Cut(who.Phone, ",")
	if ext != "" && (l.set.Extension == "" || l.set.Extension == "skip") {
		return false
	}
	return who.Phone != "" || l.set.Kind == "outbox"
}

// quotas are what a try by the channel counts against.
func (l *lane) quotas(local time.Time) (all []county.Quota) {
	if l.set.DailyCap > 0 {
		day := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, local.Location())
		all = append(all, county.Quota{Key: l.set.Name + "/" + local.Format("2006-01-02"), Max: l.set.DailyCap, Until: day})
	}
	if l.set.PerMinute > 0 {
		minute := local.Truncate(time.Minute)
		all = append(all, county.Quota{Key: l.set.Name + "/" + minute.UTC().Format("2006-01-02T15:04"), Max: l.set.PerMinute, Until: minute.Add(time.Minute)})
	}
	return all
}

// message makes the message of a notice for a channel.
func (s *names) message(n *county.Notice, who *county.Recipient, l *lane, texts map[string]channels.Template) Message {
	english := who.Lang == "en"
	m := Message{Event: n.Event, Waybill: n.Waybill, Email: who.Email, Lang: "zh"}
	m.Phone, m.Ext, _ = strings.Cut(who.Phone, ",")
	t := textOf(n, l.set.Templates, texts)
	m.Values = s.values(n, english)
	text := t.ZH
	if english {
		m.Lang = "en"
		if t.EN != "" {
			text = t.EN
		}
	}
	m.Template = t.ID
	for _, p := range t.Params {
		m.Params = append(m.Params, m.Values[p])
	}
	if l.set.Form == "speech" {
		spoken(m.Values, english)
	}
	m.Text = fill(text, m.Values)
	if l.set.Form == "" || l.set.Form == "text" || l.set.Form == "mail" {
		m.Text = linked(m.Text, m.Values["link"], l.set.Form != "mail" && l.set.Kind != "outbox")
	}
	m.Subject = m.Values["sign"] + " " + m.Values["tail"]
	if m.Ext != "" && l.set.Extension == "text" {
		m.Text = fmt.Sprintf("[%s]%s", m.Ext, m.Text)
	}
	return m
}
