package pickup

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Expect is what may be put into a locker and what may not be taken out: {"series","version","parcels","blocked","couriers"}. It replaces
// the list before it. Nothing in it is a person's.
type Expect struct {
	// Series names the source of the versions; a new one where they begin anew, as after a restored database.
	Series string `json:"series"`
	// Version grows with each change. A list of the same series with a lower one is late, and passed over.
	Version int64 `json:"version"`

	Parcels  []Expected `json:"parcels"`
	Blocked  []string   `json:"blocked,omitempty"`  // deposits that only a courier may take out: overdue, held
	Couriers []Courier  `json:"couriers,omitempty"` // with any, a deposit needs a badge first; without, the waybill alone opens a cell

	Settings Settings `json:"settings,omitzero"`
}

// Settings are what a county may choose. Zero is what is usual.
type Settings struct {
	ReopenS int `json:"reopen_s,omitempty"` // how long an emptied cell's code opens it again; 180, at most 900, -1: not at all
	Codes   int `json:"codes,omitempty"`    // how many codes of a deposit are good; Codes, at least 1
}

// Expected is a parcel on its way to a locker.
type Expected struct {
	Waybill  string `json:"waybill"`            // 6 to 32 of A-Z, 0-9 and '-'
	Size     Size   `json:"size,omitempty"`     // empty: the smallest
	Consent  string `json:"consent"`            // only yes lets it into a cell
	Handling string `json:"handling,omitempty"` // chilled and frozen go into no cell
}

// Courier is somebody who may put in and take out.
type Courier struct {
	ID    string `json:"id"`    // c1
	Badge string `json:"badge"` // BadgeHash
}

// Size is that of a parcel or a cell: s, m, l or xl.
type Size string

// The sizes, the smallest first.
const (
	Small  Size = "s"
	Medium Size = "m"
	Large  Size = "l"
	Huge   Size = "xl"
)

// Rank orders sizes: 1 to 4, and 0 for what is none. Empty is Small.
func (s Size) Rank() int {
	switch s {
	case "", Small:
		return 1
	case Medium:
		return 2
	case Large:
		return 3
	case Huge:
		return 4
	}
	return 0
}

// Bounds of a list: what a gateway keeps, and what passes its broker.
const (
	MaxParcels = 2000
	MaxBlocked = 1024
	MaxExpect  = 256 << 10
)

// ParseExpect reads and checks a list.
func ParseExpect(b []byte) (*Expect, error) {
	if len(b) > MaxExpect {
		return nil, fmt.Errorf("expect: %d bytes are more than %d", len(b), MaxExpect)
	}
	var e Expect
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return &e, nil
}

// Validate reports the first wrong field.
func (e *Expect) Validate() error {
	switch {
	case e.Version < 0:
		return errors.New("expect: version is negative")
	case len(e.Series) > 64:
		return errors.New("expect: series is longer than 64")
	case len(e.Parcels) > MaxParcels:
		return fmt.Errorf("expect: parcels: %d are more than %d", len(e.Parcels), MaxParcels)
	case len(e.Blocked) > MaxBlocked:
		return fmt.Errorf("expect: blocked: %d are more than %d", len(e.Blocked), MaxBlocked)
	case len(e.Couriers) > MaxBlocked:
		return fmt.Errorf("expect: couriers: %d are more than %d", len(e.Couriers), MaxBlocked)
	}
	if r := e.Settings.ReopenS; r < -1 || r > 900 {
		return fmt.Errorf("expect: settings.reopen_s: %d is outside -1 to 900", r)
	}
	if n := e.Settings.Codes; n < 0 || n > Codes {
		return fmt.Errorf("expect: settings.codes: %d is outside 0 to %d", n, Codes)
	}
	for i, p := range e.Parcels {
		switch {
		case !ValidWaybill(p.Waybill):
			return fmt.Errorf("expect: parcels[%d].waybill: is not 6 to 32 of A-Z, 0-9 and '-'", i)
		case p.Size.Rank() == 0:
			return fmt.Errorf("expect: parcels[%d].size: %.20q is none of s, m, l, xl", i, p.Size)
		}
	}
	for i, d := range e.Blocked {
		if !ValidDeposit(d) {
			return fmt.Errorf("expect: blocked[%d]: is no deposit", i)
		}
	}
	for i, c := range e.Couriers {
		if !word(c.ID) {
			return fmt.Errorf("expect: couriers[%d].id: is not 1 to 32 of a-z, 0-9 and '-'", i)
		}
		if len(c.Badge) != 64 || strings.Trim(c.Badge, "0123456789abcdef") != "" {
			return fmt.Errorf("expect: couriers[%d].badge: is not 64 hex digits", i)
		}
	}
	return nil
}

// ValidWaybill reports whether a text may be a waybill: 6 to 32 of A-Z, 0-9 and '-'.
func ValidWaybill(s string) bool {
	return len(s) >= 6 && len(s) <= 32 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
