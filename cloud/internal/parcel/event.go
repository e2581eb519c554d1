package parcel

import (
	"cmp"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// The steps of evidence. People's steps are Words.
const (
	Created     = "created"
	Arrived     = "arrived"      // its tag came into the field of a site's or a door's reader
	Departed    = "departed"     // its tag left that field
	PassedIn    = "passed_in"    // it went inwards through a door
	PassedOut   = "passed_out"   // it went outwards through a door
	Aboard      = "aboard"       // its tag came into the field of a vehicle's reader
	Off         = "off"          // its tag left that field
	LeftSite    = "left_site"    // the vehicle that it is aboard of left a fence (no Site: is outside of all fences from now on)
	ReachedSite = "reached_site" // the vehicle that it is aboard of came into a fence
	Scanned     = "scanned"
	Deposited   = "deposited"
	Collected   = "collected"
	TimedOut    = "timed_out"   // CompleteAfter passed since its pick-up
	TurnedAway  = "turned_away" // a locker let it not in; Reason is the cabinet's word
)

// Words are the steps that people can say besides, with the stage that each leads to; some lead to none.
var Words = map[string]county.Stage{
	"at_warehouse": county.AtWarehouse, "sorted": county.Sorted, "loaded": county.Loaded, "in_transit": county.InTransit, "at_outlet": county.AtOutlet,
	"in_locker": county.InLocker, "out_for_delivery": county.OutForDelivery, "picked_up": county.PickedUp, "signed_for": county.SignedFor,
	"completed": county.Completed, "returned": county.Returned, "lost_closed": county.LostClosed,
	Refused: "", Damaged: "", Cancelled: "",
}

// Words that lead to no stage by themselves.
const (
	Refused   = "refused"   // its recipient doesn't want it
	Damaged   = "damaged"   //
	Cancelled = "cancelled" // its sender takes it back: returned, where it hasn't left the warehouse
)

// CompleteAfter is how long after its pick-up a parcel is completed.
const CompleteAfter = 7 * 24 * time.Hour

// KindPerson, KindTimer and KindPartner are the kinds of evidence that no device tells.
const (
	KindPerson telemetry.Kind = "person"
	KindTimer  telemetry.Kind = "timer"
	// KindPartner is what a partner's EPCIS event says: a word like a person's.
	KindPartner telemetry.Kind = "partner"
)

// Event is one thing that may concern a parcel. Fence events of a vehicle are given whether the
// parcel is aboard then or not; the fold takes those that concern it.
type Event struct {
	county.Sighting
	Step    string
	Vehicle string // of aboard, off, fence events and people's
	Site    string // where: the site of the door, fence, scan or locker
	Door    string // inbound, outbound or sorting, of a boundary
	Locker  string
	Cell    int
	Antenna int
	Reads   int
	RSSIDBm *float64
	Via     string // the container whose tag was seen
	Deposit string // its id, of deposited and collected
	KeyNo   int    // generation of the locker's key then; 0: not told
	Late    bool   // a cell's content as it was stated later

	Actor, Reason, Channel string // of people's
	After                  string // of timed_out: the id of the pick-up
}

// person reports that no device of the county tells it: a person, or a partner.
func (e *Event) person() bool { return e.Kind == KindPerson || e.Kind == KindPartner }

// Facts are what the fold has to know of the county.
type Facts struct {
	Waybill county.Waybill
	Created time.Time
	Kind    func(site string) string // warehouse, outlet, or empty
	Pace    float64                  // how many times as fast as in life vehicles drive, in a demonstration; 0 and 1: as in life
}

// sorted brings events into the total order, each once.
func sorted(events []Event) []Event {
	order := make([]int, len(events)) // an event is large
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(events[a].Compare(events[b].Sighting), cmp.Compare(a, b)) })
	out := make([]Event, len(events))
	for i, n := range order {
		out[i] = events[n]
	}
	return slices.CompactFunc(out, func(a, b Event) bool { return a.ID == b.ID && a.Step == b.Step && a.Via == b.Via })
}

// follows tells from which stages a step to a stage is expected. Staying in a stage always is.
var follows = map[county.Stage][]county.Stage{
	county.AtWarehouse:    {county.Created, county.Loaded, county.InTransit},
	county.Sorted:         {county.AtWarehouse},
	county.Loaded:         {county.Created, county.AtWarehouse, county.Sorted, county.InTransit},
	county.InTransit:      {county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.AtOutlet},
	county.AtOutlet:       {county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit, county.OutForDelivery, county.InLocker},
	county.InLocker:       {county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit, county.AtOutlet, county.OutForDelivery},
	county.OutForDelivery: {county.Loaded, county.InTransit, county.AtOutlet, county.InLocker},
	county.PickedUp:       {county.InLocker, county.AtOutlet, county.OutForDelivery},
	county.SignedFor:      {county.InTransit, county.AtOutlet, county.InLocker, county.OutForDelivery},
	county.Completed:      {county.PickedUp, county.SignedFor},
	county.Returned:       {county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit, county.AtOutlet, county.InLocker, county.OutForDelivery},
	county.LostClosed:     {county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit, county.AtOutlet, county.InLocker, county.OutForDelivery},
}

// followsOut is what differs for a parcel from a village.
var followsOut = map[county.Stage][]county.Stage{
	county.AtWarehouse: {county.Created, county.AtOutlet, county.InLocker, county.Loaded, county.InTransit},
	county.Loaded:      {county.Created, county.AtOutlet, county.InLocker},
	county.AtOutlet:    {county.Created, county.InLocker, county.Loaded, county.InTransit},
	county.InLocker:    {county.Created, county.AtOutlet},
	county.Completed:   {county.AtWarehouse, county.Sorted, county.Loaded, county.InTransit},
}

func (f *fold) expected(from, to county.Stage) bool {
	if from == to {
		return true
	}
	if f.out() {
		if allowed, ok := followsOut[to]; ok {
			return slices.Contains(allowed, from)
		}
	}
	return slices.Contains(follows[to], from)
}
