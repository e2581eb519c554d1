package county

import (
	"time"

	"yizhan/devices/telemetry"
)

// Stage is where a parcel is in its life.
type Stage string

// The stages (requirements section 5).
const (
	Created        Stage = "created"
	AtWarehouse    Stage = "at_warehouse"
	Sorted         Stage = "sorted"
	Loaded         Stage = "loaded"
	InTransit      Stage = "in_transit"
	AtOutlet       Stage = "at_outlet"
	InLocker       Stage = "in_locker"
	OutForDelivery Stage = "out_for_delivery"
	PickedUp       Stage = "picked_up"
	SignedFor      Stage = "signed_for"
	Completed      Stage = "completed"
	Returned       Stage = "returned"
	LostClosed     Stage = "lost_closed"
)

// Received reports whether the recipient has the parcel.
func (s Stage) Received() bool { return s == PickedUp || s == SignedFor || s == Completed }

// Over reports whether the parcel's life has ended.
func (s Stage) Over() bool { return s.Received() || s == Returned || s == LostClosed }

// Waybill is what a carrier announces: the parcel, its tag, and where it goes.
type Waybill struct {
	Waybill   string    `json:"waybill"`                                                        // 6 to 32 of A-Z, 0-9 and '-'
	EPC       string    `json:"epc,omitempty"`                                                  // pure identity URI or hex of its tag, where it has one
	Direction Direction `json:"direction,omitempty" enum:"inbound,outbound"`                    // absent is inbound
	Site      string    `json:"site,omitempty"`                                                 // the outlet it goes to, or comes from when it is outbound; empty while no outlet is known
	Locker    string    `json:"locker,omitempty"`                                               // the locker there, where one is chosen
	Handling  string    `json:"handling,omitempty" enum:"ambient,chilled,frozen,fragile"`       // absent is ambient
	Size      string    `json:"size,omitempty" enum:"s,m,l"`                                    // absent is unknown
	Consent   Consent   `json:"consent,omitempty" enum:"yes,no,unknown"`                        // of its recipient, for a locker; absent is unknown
	Wish      Wish      `json:"wish,omitempty" enum:"locker,station,home"`                      // where its recipient, or its sender for them, said that it shall go; consent follows
	Hold      bool      `json:"hold,omitempty"`                                                 // upstream says it must not leave the warehouse
	Order     string    `json:"order,omitempty" maxLength:"64" doc:"of which it is one parcel"` // an order may be several parcels
}

// Canonical is w with what was left out filled in.
func (w Waybill) Canonical() Waybill {
	if w.Direction == "" {
		w.Direction = ToVillage
	}
	if w.Consent == "" {
		w.Consent = w.Wish.Consent()
	}
	return w
}

// Intake is a waybill as it is taken in. What is a person's comes sealed (room person); empty is none.
type Intake struct {
	Waybill
	Recipient []byte // sealed
	PhoneHash string // keyed, of the recipient's phone
}

// Parcel is a waybill with what the evidence says of it.
type Parcel struct {
	Waybill
	Stage    Stage     `json:"stage"`
	Since    time.Time `json:"since"`              // when it came to this stage
	Place    string    `json:"place,omitempty"`    // site/wh, vehicle/v03, locker/lk-qingshi
	Cell     int       `json:"cell,omitempty"`     // in that locker
	Inferred bool      `json:"inferred,omitempty"` // by its container, not seen itself
	Views    Views     `json:"views"`
	Wrong    int       `json:"open_exceptions,omitempty"` // how many
	Version  int64     `json:"version"`
}

// Evidence is one row of a parcel's timeline, as a device or person told it.
type Evidence struct {
	ID      string            `json:"id"` // stable: the identity of the record it comes from
	At      time.Time         `json:"at"`
	TQ      telemetry.Quality `json:"tq"`
	ErrMS   int64             `json:"te_ms,omitempty"`   // bound of At's error in milliseconds, as tq is known; absent: not stated
	From    time.Time         `json:"earliest,omitzero"` // where te_ms is stated: it was between these two
	To      time.Time         `json:"latest,omitzero"`   //
	Step    string            `json:"step"`              // created, arrived, departed, passed_in, passed_out, aboard, off, left_site, reached_site, scanned, deposited, collected, turned_away
	Stage   Stage             `json:"stage,omitempty"`   // the stage it led to; empty when it led to none
	Place   string            `json:"place,omitempty"`   // site/wh, vehicle/v03, locker/lk-qingshi
	Cell    int               `json:"cell,omitempty"`    //
	Device  string            `json:"device,omitempty"`  // gateway/device
	Antenna int               `json:"antenna,omitempty"` //
	Reads   int               `json:"reads,omitempty"`   //
	RSSIDBm *float64          `json:"rssi_dbm,omitempty"`
	Via     string            `json:"via,omitempty"` // the container whose tag was seen

	Confidence Confidence `json:"confidence,omitempty"`
	Witnesses  []Witness  `json:"witnesses,omitempty"`  // who else tells the same, or otherwise
	Flag       string     `json:"flag,omitempty"`       // bad_sequence where it doesn't follow from what was before
	Actor      string     `json:"actor,omitempty"`      // who did or said it, where a person did
	Reason     string     `json:"reason,omitempty"`     // a person's
	Deposit    string     `json:"deposit,omitempty"`    // id of the deposit, of deposited and collected
	Generation int        `json:"generation,omitempty"` // of the locker's key then: what the codes come from
}

// Confidence is how sure a step is.
type Confidence string

// The confidences.
const (
	Confirmed    Confidence = "confirmed"    // two independent witnesses, or one that can't be mistaken
	Inferred     Confidence = "inferred"     // one witness, or by its container
	Contradicted Confidence = "contradicted" // a witness says otherwise
)

// Witness is one that tells of a step.
type Witness struct {
	Kind     string            `json:"kind"` // portal, reader, fence, door, scan, sms, person, partner
	ID       string            `json:"id"`   // of its evidence
	At       time.Time         `json:"at"`
	TQ       telemetry.Quality `json:"tq"`
	Device   string            `json:"device,omitempty"`
	Place    string            `json:"place,omitempty"`
	Reads    int               `json:"reads,omitempty"`
	RSSIDBm  *float64          `json:"rssi_dbm,omitempty"`
	Disagree bool              `json:"disagree,omitempty"`
}

// Timeline is a parcel with its evidence in the total order.
type Timeline struct {
	Parcel
	Evidence   []Evidence  `json:"evidence"`
	Exceptions []Exception `json:"exceptions,omitempty"` // of it, open and ended
}

// RawJSON is a JSON value kept as it came.
type RawJSON []byte

// MarshalJSON returns the bytes.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps the bytes.
func (r *RawJSON) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
