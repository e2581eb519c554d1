package county

import "time"

// Fact is a line of the outbox: something that has become true of the county and that others have to be told. Facts are
// written in the transaction that made them true and numbered in commit order without a gap, so whoever follows
// them by number misses none and sees none twice.
type Fact struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`     // of the commit
	Object string    `json:"object"` // parcel/YZ123456, locker/lk-qingshi, container/bag-7, exception/...
	Event  FactEvent `json:"event"`
	Key    string    `json:"key"` // names the fact for good; no two have the same
	Doc    RawJSON   `json:"doc"` // a StepTold, Exception ... as the event says; nothing personal
}

// FactEvent is what kind of thing a fact tells.
type FactEvent string

// The events of facts.
const (
	FactStep      FactEvent = "step"      // a parcel has a step more in its timeline; Doc is a StepTold
	FactRetracted FactEvent = "retracted" // a step told before is not in the timeline any more; Doc is the StepTold
	FactWaybill   FactEvent = "waybill"   // a waybill was taken in, changed or cancelled; Doc is its StepTold of stage created, returned or lost_closed
	FactException FactEvent = "exception" // an exception was opened or ended; Doc is an Exception
	FactDue       FactEvent = "due"       // a deadline of a deposit came: reminder, last day, expired; Doc is a Due
)

// StepTold is a step of a parcel's timeline as the outbox tells it: what an EPCIS event, a message or a callback is made of.
type StepTold struct {
	Waybill   string    `json:"waybill"`
	EPC       string    `json:"epc,omitempty"`
	Direction Direction `json:"direction"`
	Handling  string    `json:"handling,omitempty"`
	Site      string    `json:"site"`             // where the parcel is to go
	Before    Stage     `json:"before,omitempty"` // the stage before the step
	Row       Evidence  `json:"row"`              // the step with its witnesses; Row.Stage is the stage it led to
	Deposit   string    `json:"deposit,omitempty"`
	Until     time.Time `json:"until,omitzero"` // end of free keeping, of a deposit
}

// Due is a deadline of a deposit that has come.
type Due struct {
	Waybill string    `json:"waybill"`
	Deposit string    `json:"deposit"`
	Locker  string    `json:"locker"`
	Cell    int       `json:"cell"`
	What    string    `json:"what"` // reminder, last_day, expired, extended, recoded
	Until   time.Time `json:"until"`

	Generation int `json:"generation,omitempty"` // of the key that its codes come from
}
