package cabinet

import (
	"time"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// The kinds of an op.
const (
	putIn    = "deposit"  // a courier puts a parcel in
	takeOut  = "pickup"   // a code or ticket takes it out
	again    = "reopen"   // the same code, shortly after
	retrieve = "retrieve" // a courier takes it back
)

// A deposit is a parcel in a cell.
type deposit struct {
	ID         string `json:"id"`                // d- and 16 hex digits
	Waybill    string `json:"waybill,omitempty"` // where a courier scanned one
	Courier    string `json:"courier,omitempty"`
	SinceMS    int64  `json:"since_ms,omitempty"` // Unix; 0 while the board knew no time
	Generation int    `json:"generation,omitempty"`
}

// An op is one opening of a cell, from its intent to the closed door.
type op struct {
	ID        string `json:"id"` // k- and 16 hex digits: also the command's
	Kind      string `json:"kind"`
	By        string `json:"by"` // code, ticket, courier
	Deposit   string `json:"deposit"`
	Waybill   string `json:"waybill,omitempty"`
	Courier   string `json:"courier,omitempty"`
	Cancelled bool   `json:"cancelled,omitempty"` // the courier has changed their mind

	seen      bool // its door was open
	recovered bool // from before the start: what became of it, the doors tell
}

// A cell is one door and what lies behind it. What has a name in JSON is on the card.
type cell struct {
	No       int      `json:"cell"`
	Next     string   `json:"next"` // id of the next deposit: drawn before anything is put in, so that a crash doesn't change it
	Deposit  *deposit `json:"deposit,omitempty"`
	Last     *deposit `json:"last,omitempty"`     // taken out last
	ReopenMS int64    `json:"reopen,omitempty"`   // of running time, until which its code opens the empty cell
	Op       *op      `json:"op,omitempty"`       // that has begun and isn't over
	Fault    bool     `json:"fault,omitempty"`    // jammed, or nobody knows what is in it
	Occupied string   `json:"occupied,omitempty"` // as it was told last: yes, no, blind (there is no sensor); empty is unknown
	Ajar     bool     `json:"ajar,omitempty"`     // opened by somebody else, and empty before: whatever is put in has the id Next

	size     pickup.Size
	open     telemetry.Opt[bool]
	presumed telemetry.CellEvent // what its last shutting was taken for, where no sensor tells; until it opens
}

// idle reports whether a cell is empty and shut for all that is known: no event that is under way can have told its next deposit.
func (x *cell) idle() bool {
	return x.Deposit == nil && x.Op == nil && !x.Ajar && (x.Occupied == "no" || x.Occupied == "blind")
}

// A change is what one line of the log holds: whole cells, and the tries.
type change struct {
	Cells []cell `json:"cells,omitempty"`
	Tries *tries `json:"tries,omitempty"`
}

// tries are the wrong codes of the last day, in running time: how long the cabinet has been at work, over all its starts. It stands still
// while the board is off, unless two readings of a known clock say how long that was.
type tries struct {
	RanMS   int64   `json:"ran_ms"`             // when this was written
	WallMS  int64   `json:"wall_ms,omitempty"`  // the same on the clock, where it was known
	WrongMS []int64 `json:"wrong_ms,omitempty"` // running time of each
}

const day = 24 * time.Hour

// delays is how long nothing is tried after the first, second ... wrong code of a day, in minutes; later ones as the last.
// Their sum over twenty is more than a day.
var delays = [...]int64{0, 0, 1, 2, 4, 8, 15, 30, 45, 60, 128}

// MaxTries is how many wrong codes a locker takes in a day.
const MaxTries = 20

// forget leaves out what is older than a day.
func (t *tries) forget(ran time.Duration) {
	for len(t.WrongMS) > 0 && ran-time.Duration(t.WrongMS[0])*time.Millisecond >= day {
		t.WrongMS = t.WrongMS[1:]
	}
}

// wait is how long no code is looked at.
func (t *tries) wait(ran time.Duration) time.Duration {
	t.forget(ran)
	n := len(t.WrongMS)
	if n == 0 {
		return 0
	}
	ms := func(i int) time.Duration { return time.Duration(t.WrongMS[i]) * time.Millisecond }
	until := ms(n-1) + time.Duration(delays[min(n, len(delays))-1])*time.Minute
	if n >= MaxTries {
		until = max(until, ms(n-MaxTries)+day)
	}
	return max(0, until-ran)
}

// wrong counts one.
func (t *tries) wrong(ran time.Duration) {
	t.forget(ran)
	t.WrongMS = append(t.WrongMS[:len(t.WrongMS):len(t.WrongMS)], ran.Milliseconds())
}
