package county

import "time"

// Registry is what stands where in the county: the things, the boards, and which device is
// bound to which thing. A folder of the config says it (cloud/internal/registry reads it).
type Registry struct {
	Name       Text
	Note       Text
	Timezone   string
	GS1        GS1
	Sites      []Site
	Vehicles   []Vehicle
	Lockers    []Locker
	ColdBoxes  []ColdBox
	Boundaries []Boundary
	Gateways   []Gateway
	Places     []Place
	Keeping    Keeping
	Bindings   map[string]string // gateway/device -> vehicle/v03, locker/lk-x, coldbox/cb-v03, boundary/dock-a, courier/c1
}

// Place says which outlet an address belongs to that contains one of the names.
type Place struct {
	Site  string
	Names []string // in signs or letters, at least two
}

// Site is a place with a fence: the warehouse or a village outlet.
type Site struct {
	ID       string  `json:"id" yaml:"id"`
	Kind     string  `json:"kind" yaml:"kind"` // warehouse, outlet
	Name     Text    `json:"name" yaml:"name"`
	Village  Text    `json:"village" yaml:"village"`
	Township Text    `json:"township" yaml:"township"`
	Lat      float64 `json:"lat" yaml:"lat"`
	Lon      float64 `json:"lon" yaml:"lon"`
	FenceM   float64 `json:"fence_m" yaml:"fence_m"`
	SGLN     string  `json:"sgln,omitempty" yaml:"sgln"` // its GS1 location number as urn:epc:id:sgln:..., where it has one
}

// GS1 is how the county appears in the identifiers of GS1.
type GS1 struct {
	Prefix string // its company prefix, 6 to 12 digits; empty: it has none, and gives no tags
	Base   string // an http or https URL below which things without a GS1 key have their URIs
}

// The kinds of sites.
const (
	Warehouse = "warehouse"
	Outlet    = "outlet"
)

// Boundary is a line that goods cross and a reader watches: a dock door.
type Boundary struct {
	ID   string `json:"id" yaml:"id"`
	Site string `json:"site" yaml:"site"`
	Kind string `json:"kind" yaml:"kind"` // inbound, outbound, sorting
}

// The kinds of boundaries.
const (
	Inbound  = "inbound"
	Outbound = "outbound"
	Sorting  = "sorting"
)

// Stay is a stretch of time in which every fix of a vehicle was inside the fence of Site, or
// outside of all fences when Site is empty.
type Stay struct {
	Vehicle  string
	Site     string
	From, To time.Time // of its first and last fix
}
