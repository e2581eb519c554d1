package county

import "time"

// Run is one trip of a vehicle along its stops on a day: a van's round, or that of a rural bus that takes parcels along.
type Run struct {
	ID        string    `json:"id"`                // 1 to 64 of a-z, A-Z, 0-9, '-', '_', '.'; unique within the day
	Day       string    `json:"day"`               // 2026-06-03, of the county's clock
	Name      string    `json:"name,omitempty"`    // as people call it
	Vehicle   string    `json:"vehicle,omitempty"` // empty while none is given
	Cancelled bool      `json:"cancelled,omitempty"`
	Stops     []RunStop `json:"stops"` // in their order
	Version   int64     `json:"version"`
}

// RunStop is where a run stops.
type RunStop struct {
	Site   string `json:"site"`
	Arrive string `json:"arrive,omitempty"` // 08:40 of the county's clock; 25:10 is 1:10 of the next day, as in GTFS
	Depart string `json:"depart,omitempty"`
}

// Act is something that a courier or keeper did, as their phone noted it.
type Act struct {
	ID        string    `json:"id"`                  // the client's own: the same again is the same act
	Kind      ActKind   `json:"kind"`                //
	Actor     string    `json:"actor"`               // the badge that was signed on with; no session vouches for it
	At        time.Time `json:"at"`                  // by the client's clock, set by the server's where it knew that
	Of        string    `json:"of,omitempty"`        // the waybill; of a count: the container, if it was one's
	Site      string    `json:"site,omitempty"`      //
	Run       string    `json:"run,omitempty"`       // its id, and
	Day       string    `json:"day,omitempty"`       // its day
	Vehicle   string    `json:"vehicle,omitempty"`   // loaded into
	Container string    `json:"container,omitempty"` // packed into, taken out of
	Locker    string    `json:"locker,omitempty"`    // deposited in, and
	Cell      int       `json:"cell,omitempty"`      // where
	N         int       `json:"n,omitempty"`         // counted, and
	Expected  *int      `json:"expected,omitempty"`  // by the manifest
	Reason    string    `json:"reason,omitempty"`    // of a refusal
	Photo     bool      `json:"photo,omitempty"`     // there is one
}

// ActKind is what was done.
type ActKind string

// The kinds of acts.
const (
	ActSignOn  ActKind = "sign_on"
	ActSignOff ActKind = "sign_off"
	ActLoad    ActKind = "load"      // a parcel into a vehicle
	ActUnload  ActKind = "unload"    // out of it, at a site
	ActPack    ActKind = "pack"      // a parcel into a bag or cage
	ActUnpack  ActKind = "unpack"    //
	ActDeposit ActKind = "deposit"   // a parcel into a cell
	ActDoor    ActKind = "to_door"   // a parcel on its way from the outlet to its recipient's door
	ActHand    ActKind = "hand_over" // a parcel to its recipient, who signed
	ActRefuse  ActKind = "refuse"    // its recipient doesn't want it
	ActCount   ActKind = "count"     // at a hand-over, of a run's parcels for a site or of a container's
)
