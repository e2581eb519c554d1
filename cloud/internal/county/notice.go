package county

import "time"

// NoticeEvent is what a recipient is told of.
type NoticeEvent string

// The events of notices.
const (
	NoticeArrived   NoticeEvent = "arrived"   // at the outlet, and in no locker
	NoticeDeposited NoticeEvent = "deposited" // in a locker: cell, code, until when
	NoticeReminder  NoticeEvent = "reminder"  // half of the keeping is over
	NoticeLastDay   NoticeEvent = "last_day"  //
	NoticeExpired   NoticeEvent = "expired"   // the code opens no more
	NoticeExtended  NoticeEvent = "extended"  // kept for longer
	NoticeRecoded   NoticeEvent = "recoded"   // the locker has another key, the parcel another code
	NoticeCollected NoticeEvent = "collected" // picked up or signed for
	NoticeLate      NoticeEvent = "late"      // an exception of class delay
	NoticeException NoticeEvent = "exception" // another exception that a recipient has to know of
	NoticeResolved  NoticeEvent = "resolved"  // it ended
	NoticeSignIn    NoticeEvent = "sign_in"   // a code to see their parcels, that they asked for
	NoticeOffline   NoticeEvent = "offline"   // the locker it lies in can't be reached
)

// NoticeStatus is how far a notice came.
type NoticeStatus string

// The statuses. A notice that is unknown or failed waits for a person; delivered, dropped and told are the end.
const (
	NoticeDue       NoticeStatus = "due"       // to be sent, at Next
	NoticeSending   NoticeStatus = "sending"   // the intent is written; it may be on its way
	NoticeOpen      NoticeStatus = "open"      // nobody knows whether the last try went out; a report would tell
	NoticeSent      NoticeStatus = "sent"      // a provider took it; its report is awaited
	NoticeDelivered NoticeStatus = "delivered" // the provider says that it arrived, or took it where it never says
	NoticeFailed    NoticeStatus = "failed"    // no channel is left: a person's task
	NoticeUnknown   NoticeStatus = "unknown"   // older than what a restored database knows of: a person decides
	NoticeDropped   NoticeStatus = "dropped"   // not to be sent any more, Reason says why
	NoticeTold      NoticeStatus = "told"      // a person told the recipient
)

// Notice is one thing that one recipient is told, by whatever channel. There is one of (waybill, event, occasion, kind).
// Neither its text nor the recipient stands in it: both are made of the sealed waybill when it is sent.
type Notice struct {
	ID       string       `json:"id"` // n- and 20 hex digits, of waybill, event, occasion and kind
	Waybill  string       `json:"waybill"`
	Event    NoticeEvent  `json:"event"`
	Occasion string       `json:"occasion,omitempty"` // which of several: the deposit, the site, the exception
	Kind     string       `json:"kind"`               // recipient; others may be told too one day
	Status   NoticeStatus `json:"status"`
	Reason   string       `json:"reason,omitempty"`
	About    NoticeAbout  `json:"about"`
	Tries    []NoticeTry  `json:"tries,omitempty"`
	Seq      int64        `json:"seq"`      // of the fact
	Evidence time.Time    `json:"evidence"` // when what it tells of happened
	Due      time.Time    `json:"due"`      // when it was to be sent first
	Next     time.Time    `json:"next,omitzero"`
	Task     time.Time    `json:"task,omitzero"`    // since when it is a person's task; zero: it isn't
	Owner    string       `json:"owner"`            // whose task it is then: the outlet's keeper
	Result   string       `json:"result,omitempty"` // what the person says: told, no_answer, wrong_number, refused
	By       string       `json:"by,omitempty"`     // who
	Created  time.Time    `json:"created"`
	Changed  time.Time    `json:"changed"`
	Version  int64        `json:"version"`
}

// NoticeAbout is what the text of a notice is made of.
type NoticeAbout struct {
	Site      string         `json:"site,omitempty"`
	Locker    string         `json:"locker,omitempty"`
	Cell      int            `json:"cell,omitempty"`
	Deposit   string         `json:"deposit,omitempty"`
	Until     time.Time      `json:"until,omitzero"`
	KeyNo     int            `json:"generation,omitempty"` // of the key that the deposit's codes come from
	Class     ExceptionClass `json:"class,omitempty"`
	Cause     string         `json:"cause,omitempty"`
	Exception string         `json:"exception,omitempty"`
}

// The outcomes of a try; empty while the intent stands alone.
const (
	TryAccepted  = "accepted"  // a provider took it
	TryPending   = "pending"   // handed on, its outcome is asked for
	TryTemporary = "temporary" // didn't go out; another try may
	TryPermanent = "permanent" // didn't go out, and won't by this channel
	TryUnknown   = "unknown"   // may have gone out
	TryDelivered = "delivered" // reported to have arrived
	TryFailed    = "failed"    // reported not to have arrived
)

// NoticeTry is one try to send a notice.
type NoticeTry struct {
	Ref      string    `json:"ref"` // the notice's id, '-' and the number of the try
	Channel  string    `json:"channel"`
	At       time.Time `json:"at"`
	Outcome  string    `json:"outcome,omitempty"`
	Detail   string    `json:"detail,omitempty"`   // a class or status, nothing personal
	Provider string    `json:"provider,omitempty"` // the provider's id of the message
	Answered time.Time `json:"answered,omitzero"`
}

// NoticeReport is what a channel said later about a try.
type NoticeReport struct {
	Ref       string // a try's ref, or channel, '/' and the provider's id
	Delivered bool   // else it failed for good
	Detail    string
	At        time.Time
}

// Quota is how often something may be done within a window that its key names.
type Quota struct {
	Key   string    // sms-a/2026-11-22, sms-a/2026-11-22T08:01
	Max   int64     //
	Until time.Time // when the window is over
}

// NoticePrefs is what a recipient wants.
type NoticePrefs struct {
	Off       []NoticeEvent `json:"off,omitempty"` // not to be told of
	AllOff    bool          `json:"all_off,omitempty"`
	QuietFrom string        `json:"quiet_from,omitempty"` // 21:30, of the county's clock
	QuietTo   string        `json:"quiet_to,omitempty"`
}

// NoticeCount is how many notices of a status there are, and how old the oldest is.
type NoticeCount struct {
	Status NoticeStatus `json:"status"`
	Count  int          `json:"count"`
	Oldest time.Time    `json:"oldest,omitzero"`
}

// NoticeQuery narrows a list of notices.
type NoticeQuery struct {
	Status  NoticeStatus
	Site    string
	Waybill string
	Tasks   bool // only those that are a person's task
	After   string
	Limit   int
}

// NoticePlan is what facts make of notices.
type NoticePlan struct {
	Put  []Notice
	Void []NoticeVoid
}

// NoticeVoid says that notices that weren't sent aren't to be sent any more.
type NoticeVoid struct {
	Waybill  string
	Events   []NoticeEvent
	Occasion string // only of this one; empty: of any
	Before   int64  // only of facts up to this one
	Reason   string // retracted: the same told again brings them back; collected, deposited ...
}

// The reasons of NoticeVoid and of notices that were dropped.
const (
	VoidRetracted = "retracted"
	VoidOvertaken = "overtaken"
)

// NoticeDesk is what planning may ask, in the transaction that the plan is written in.
type NoticeDesk struct {
	Restored time.Time                             // evidence up to then may have been told by a database that is gone
	At       func(place string) ([]Waybill, error) // the parcels at locker/lk-x
	Of       func(waybill string) (Waybill, error) // the waybill; a zero one when there is none
}

// NoticeHead tells one database from another, and an older one from a newer.
type NoticeHead struct {
	Store  string    // made with the database, kept in its backups
	Cursor int64     // the last fact that notices were made of
	End    int64     // the last fact
	Beat   time.Time // when a worker was last at it
}
