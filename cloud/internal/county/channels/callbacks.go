package channels

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Callbacks says who else is told of facts, by HTTP.
type Callbacks struct {
	KeyFile       string         `yaml:"key_file"`   // what subscribers' secrets come from, made at the first start; empty: callback.key beside token_file
	Private       bool           `yaml:"private"`    // subscribers may be within this network
	LateAfter     time.Duration  `yaml:"late_after"` // what isn't told by then is alarmed
	Subscriptions []Subscription `yaml:"subscriptions"`
}

// Subscription is one who is called back. What is empty doesn't narrow.
type Subscription struct {
	ID     string   `json:"id" yaml:"id" strict:"required" pattern:"^[a-z0-9-]{1,24}$"`
	URL    string   `json:"url" yaml:"url" strict:"required" maxLength:"500"`
	Events []string `json:"events,omitempty" yaml:"events" doc:"step, retracted, waybill, exception, due"`
	Stages []string `json:"stages,omitempty" yaml:"stages" doc:"of steps: those that led to one of these"`
	Sites  []string `json:"sites,omitempty" yaml:"sites" doc:"of steps: parcels that go there"`
	Paused bool     `json:"paused,omitempty" yaml:"paused" doc:"facts queue up, and nothing is sent"`
}

// DefaultCallbacks is what holds where nothing else is said.
func DefaultCallbacks() Callbacks { return Callbacks{LateAfter: 15 * time.Minute} }

// FactEvents are the events that may be subscribed to.
var FactEvents = []string{"step", "retracted", "waybill", "exception", "due"}

var subscriptionForm = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)

// Validate names all keys below at that are wrong.
func (c *Callbacks) Validate(at string, bad Bad) {
	if c.LateAfter < time.Minute || c.LateAfter > 7*24*time.Hour {
		bad(at+".late_after", "%v is outside 1m to 168h", c.LateAfter)
	}
	seen := map[string]bool{}
	for i := range c.Subscriptions {
		s, path := &c.Subscriptions[i], fmt.Sprintf("%s.subscriptions[%d]", at, i)
		if seen[s.ID] {
			bad(path+".id", "%q is given twice", s.ID)
		}
		seen[s.ID] = true
		s.Validate(c.Private, func(field, format string, args ...any) { bad(path+"."+field, format, args...) })
	}
}

// Validate names the fields that are wrong. private allows http, within this network.
func (s *Subscription) Validate(private bool, bad Bad) {
	if !subscriptionForm.MatchString(s.ID) {
		bad("id", "%.30q must be 1 to 24 of a-z, 0-9 and '-'", s.ID)
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		bad("url", "is no URL of a server, without a name and password in it")
	case u.Scheme != "https" && (u.Scheme != "http" || !private):
		bad("url", "must begin https://")
	}
	for _, e := range s.Events {
		if !slices.Contains(FactEvents, e) {
			bad("events", "%.20q is none of step, retracted, waybill, exception, due", e)
		}
	}
}
