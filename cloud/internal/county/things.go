package county

import (
	"time"

	"yizhan/devices/telemetry"
)

// Position is the place of a vehicle at a moment.
type Position struct {
	Lat        float64  `json:"lat"`
	Lon        float64  `json:"lon"`
	SpeedMPS   *float64 `json:"speed_mps,omitempty"`
	HeadingDeg *float64 `json:"heading_deg,omitempty"`
	AltitudeM  *float64 `json:"altitude_m,omitempty"`
	Fix        string   `json:"fix,omitempty"`
	Satellites *int     `json:"satellites,omitempty"`
}

// Motion is the state word of a vehicle: moving, stopped, stale, offline.
type Motion string

// The motions of the console's shared language.
const (
	Moving  Motion = "moving"  // fix at most 60 s old, faster than 3 km/h
	Stopped Motion = "stopped" // fix at most 10 min old
	Stale   Motion = "stale"   // older than 10 min, at most 20 min
	Offline Motion = "offline" // older, or never
)

// MotionAt tells how a vehicle with this last position is drawn at now.
func MotionAt(p *Live[Position], now time.Time) Motion {
	if p == nil {
		return Offline
	}
	fast := p.Value.SpeedMPS != nil && *p.Value.SpeedMPS > 3/3.6
	switch age := now.Sub(p.At); {
	case age > 20*time.Minute:
		return Offline
	case age > 10*time.Minute, fast && age > time.Minute:
		return Stale
	case fast:
		return Moving
	default:
		return Stopped
	}
}

// Vehicle is a van or bus with a gateway aboard.
type Vehicle struct {
	ID       string          `json:"id"`
	Plate    string          `json:"plate"`
	Kind     string          `json:"kind"` // postal_van, carrier_van, rural_bus, freight
	Name     Text            `json:"name"`
	Gateway  string          `json:"gateway,omitempty"`
	Position *Live[Position] `json:"position,omitempty"`
	Motion   Motion          `json:"motion"`             // as of the answer
	Site     string          `json:"site,omitempty"`     // the site whose fence it stands in
	ColdBox  string          `json:"cold_box,omitempty"` // id of the cold box aboard
	Aboard   int             `json:"aboard"`             // parcels aboard by evidence
	Waybills []string        `json:"waybills,omitempty"` // them, in GET /vehicles/{id} only
	Version  int64           `json:"version"`
}

// CellState of a locker cell.
type CellState string

// The cell states.
const (
	CellEmpty    CellState = "empty"
	CellOccupied CellState = "occupied"
	CellDoorOpen CellState = "door_open"
	CellFault    CellState = "fault"
	CellOverdue  CellState = "overdue"  // occupied for longer than the county keeps parcels
	CellReserved CellState = "reserved" // a courier's parcel was accepted for it; its door is about to open
	CellUnknown  CellState = "unknown"  // no evidence yet
)

// Cell is one compartment of a locker, numbered from 1.
type Cell struct {
	Cell    int        `json:"cell"`
	Size    string     `json:"size"` // s, m, l
	State   CellState  `json:"state"`
	Since   *time.Time `json:"since,omitempty"`
	Waybill string     `json:"waybill,omitempty"` // the parcel inside, where evidence binds one
}

// Locker is a parcel locker in a village.
type Locker struct {
	ID      string    `json:"id"`
	Name    Text      `json:"name"`
	Site    string    `json:"site"`
	Village Text      `json:"village"`
	Place   Point     `json:"place"`
	Gateway string    `json:"gateway,omitempty"`
	Device  string    `json:"device,omitempty"` // gateway/device of its lock board
	Online  bool      `json:"online"`
	Cells   []Cell    `json:"cells"`
	Last    time.Time `json:"last,omitzero"` // last evidence from its gateway
	Version int64     `json:"version"`
}

// Climate is what a cold box measures.
type Climate struct {
	TemperatureC *float64 `json:"temperature_c,omitempty"`
	HumidityPct  *float64 `json:"humidity_pct,omitempty"`
	Quality      string   `json:"quality,omitempty"`
}

// ColdBox is a cold room or a cold box in a van, with the limits that its goods need.
type ColdBox struct {
	ID      string         `json:"id"`
	Name    Text           `json:"name"`
	Site    string         `json:"site,omitempty"`    // where it stands, or
	Vehicle string         `json:"vehicle,omitempty"` // what it rides in
	MinC    float64        `json:"min_c"`
	MaxC    float64        `json:"max_c"`
	Climate *Live[Climate] `json:"climate,omitempty"`
	Out     bool           `json:"out"`                // outside its limits now
	OutFrom *time.Time     `json:"out_from,omitempty"` // since when
	Version int64          `json:"version"`
}

// Gateway is a board as the cloud knows it.
type Gateway struct {
	ID        string     `json:"id"`
	Site      string     `json:"site,omitempty"`
	Vehicle   string     `json:"vehicle,omitempty"`
	Online    bool       `json:"online"`               // from the last committed frame
	LastFrame *time.Time `json:"last_frame,omitempty"` // receive time
	Version   string     `json:"software,omitempty"`
	Boot      string     `json:"boot,omitempty"`
	Epochs    int        `json:"epochs"`
	Committed uint64     `json:"committed"` // records
	Backlog   uint64     `json:"backlog"`   // records the board said it holds and the cloud doesn't
	Revision  int64      `json:"version"`
}

// Device is a device as the registry binds it.
type Device struct {
	ID         string                     `json:"id"` // gateway/device
	Registered bool                       `json:"registered"`
	Thing      string                     `json:"thing,omitempty"` // vehicle/v03, locker/lk-qingshi, coldbox/cb-v03, boundary/dock-a
	Since      *time.Time                 `json:"since,omitempty"`
	Last       map[string]*Live[LastBody] `json:"last,omitempty"` // by kind
}

// LastBody is the body of a reading as it came.
type LastBody = RawJSON

// Command is an order to a device and what became of it.
type Command struct {
	ID       string            `json:"id"`
	Issuer   string            `json:"issuer"`
	Device   string            `json:"device"` // gateway/device
	Action   string            `json:"action"`
	Args     map[string]string `json:"args,omitempty"`
	Secret   map[string]string `json:"-"` // more arguments, a person's: they go to the device, and are stored and shown nowhere
	Created  time.Time         `json:"created"`
	Sent     *time.Time        `json:"sent,omitempty"`    // when it left for the gateway
	Outcome  telemetry.Outcome `json:"outcome,omitempty"` // empty while nothing came back
	Detail   string            `json:"detail,omitempty"`
	Answered *time.Time        `json:"answered,omitempty"`
	Door     []DoorStep        `json:"door,omitempty"` // of open_cell: what was seen of its door, in order
	Version  int64             `json:"version"`        // grows with what comes back
}

// DoorStep is a step of a door that was ordered to open, as devices saw it.
type DoorStep struct {
	Step    string            `json:"step" doc:"accepted (kept by the gateway, about to be done), pulse_sent (the lock may have been pulsed), opened, forced, jammed (still locked after its pulse), not_opened (nobody saw it move for waited_s), wrong_door (cell, another one, opened instead), closed, deposited, emptied"`
	Cell    int               `json:"cell"`
	At      time.Time         `json:"at"`
	TQ      telemetry.Quality `json:"tq"`
	ErrMS   int64             `json:"te_ms,omitempty"` // bound of At's error; 0 means not stated
	WaitedS int               `json:"waited_s,omitempty"`
}
