package county

import (
	"time"

	"yizhan/devices/telemetry"
)

// EPCISEvent is an EPCIS event as the repository keeps it: its document, and beside it what queries look for. Words are in
// their bare form, identifiers as canonical Digital Links where they have one.
type EPCISEvent struct {
	No          int64  // in the order of capture; the store gives it
	ID          string // eventID
	Type        string
	At          time.Time // eventTime
	Recorded    time.Time // recordTime
	Action      string
	BizStep     string
	Disposition string
	ReadPoint   string
	BizLocation string
	Declared    time.Time // of its errorDeclaration; zero: it has none
	Reason      string    // of that
	Terms       []EPCISTerm
	Key         string  // of the fact that it tells; empty where a partner captured it
	Waybill     string  // where it is about one of ours
	Digest      string  // of its content: two events of one id must have the same
	Doc         RawJSON // without recordTime

	Hash  string        // its hash id, whatever its id is; of captured ones, not kept
	Words []PartnerWord // what a partner says by it of parcels; not kept
}

// PartnerWord is what an event says of one parcel or container.
type PartnerWord struct {
	Subject string // parcel/WAYBILL, or link/ and the canonical Digital Link of a tag
	Step    string // a stage or another word that people say; empty where it only takes back
	Site    string
	Vehicle string
	Locker  string
	TQ      telemetry.Quality // of eventTime, as stated
}

// EPCISTerm is something that an event names, for queries that match it.
type EPCISTerm struct {
	Kind  string // epc, parent, input, output, class, inputclass, outputclass, bt/po, source/owning_party, destination/location, corrective, transformation
	Value string
}

// EPCISMatch wants an event to name one of some values, or one that begins so, as one of some kinds.
type EPCISMatch struct {
	Kinds    []string
	Values   []string
	Prefixes []string
}

// EPCISQuery is what events are wanted. Empty lists and zero times want nothing particular.
type EPCISQuery struct {
	Types, Actions, BizSteps, Dispositions, ReadPoints, BizLocations, IDs, Reasons []string

	From, Until                 time.Time // eventTime, Until not included
	RecordedFrom, RecordedUntil time.Time
	DeclaredFrom, DeclaredUntil time.Time
	Declared                    bool // only those with an errorDeclaration
	Matches                     []EPCISMatch
	ByRecord                    bool // in the order of recordTime, not eventTime
	Up                          bool // the oldest first
	AfterMS, AfterNo            int64
	After                       bool // go on behind that place in the order
	Limit                       int
}

// EPCISCapture is what a partner sent and what became of it.
type EPCISCapture struct {
	ID       string
	At       time.Time
	Finished time.Time
	Rollback bool // all or nothing
	Success  bool
	Events   int    // in the document
	EventID  string // of the event, where one was captured alone; not kept
	Stored   int    // that were new
	Errors   []EPCISFault
}

// EPCISFault is what is wrong with a document, at a place in it: epcisBody.eventList[2].action.
type EPCISFault struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}
