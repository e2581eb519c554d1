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

// Act is something that a courier or keeper did, that isn't said of one parcel: signing on, a count.
type Act struct {
	ID    string    `json:"id"`   // the client's own: the same again is the same act
	Kind  string    `json:"kind"` // sign_on, sign_off, count, photo
	Actor string    `json:"actor"`
	Site  string    `json:"site,omitempty"`
	Run   string    `json:"run,omitempty"`
	At    time.Time `json:"at"` // by the client's clock
	N     int       `json:"n,omitempty"`
	Of    string    `json:"of,omitempty"` // of a photo: the waybill; of a count: the container
}
