package county

import (
	"time"

	"yizhan/cloud/internal/county/channels"
)

// Subscriber is who is called back, and how that goes.
type Subscriber struct {
	channels.Subscription
	Origin string    `json:"origin"` // config, api
	Fails  int       `json:"fails"`  // calls in a row that reached nobody
	Next   time.Time `json:"next,omitzero" doc:"nobody is called before, for nobody was reached"`
}

// The statuses of callbacks. One that waits or failed holds those of the same object after it.
const (
	CallbackWaiting = "waiting"
	CallbackDone    = "done"
	CallbackFailed  = "failed"  // given up: a person says retry or skip
	CallbackSkipped = "skipped" // a person said so
)

// Callback is a fact that a subscriber is told.
type Callback struct {
	Subscription string    `json:"subscription"`
	Seq          int64     `json:"seq"`
	Subject      string    `json:"subject"` // the fact's object: parcel/YZ123456
	Key          string    `json:"key"`     // the fact's, and the call's id
	Status       string    `json:"status"`
	Tries        int       `json:"tries"`
	Next         time.Time `json:"next,omitzero"`
	Detail       string    `json:"detail,omitempty"` // of the last try
	Created      time.Time `json:"created"`
	Changed      time.Time `json:"changed"`
	Version      int64     `json:"version"`
	Fact         Fact      `json:"-"` // what is told, of a callback that was claimed
}

// CallbackCount is how a subscriber's callbacks stand.
type CallbackCount struct {
	Subscription string    `json:"subscription"`
	Status       string    `json:"status"`
	Count        int       `json:"count"`
	Oldest       time.Time `json:"oldest,omitzero"`
}

// Matches tells whether a subscriber is told a fact. s is what a step or waybill fact tells, else nil.
func (u *Subscriber) Matches(f *Fact, s *StepTold) bool {
	return within(u.Events, string(f.Event)) && (s == nil || within(u.Stages, string(s.Row.Stage)) && within(u.Sites, s.Site))
}

// within tells that a list doesn't narrow, or has s.
func within(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return len(list) == 0
}
