package parcel

import (
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

// The steps of evidence.
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
	Cancelled   = "cancelled" // the sender took it back
)

// Event is one thing that may concern a parcel. Fence events of a vehicle are given whether the
// parcel is aboard then or not; the fold takes those that concern it.
type Event struct {
	county.Sighting
	Step    string
	Vehicle string // of aboard, off and fence events
	Site    string // where: the site of the door, fence or scan
	Door    string // inbound or outbound, of a dock door
	Locker  string
	Cell    int
	Antenna int
	Reads   int
	RSSIDBm *float64
	Via     string // the container whose tag was seen
}

// Facts are what the fold has to know of the county.
type Facts struct {
	Waybill county.Waybill
	Created time.Time
	Kind    func(site string) string // warehouse, outlet, or empty
}

// Fold tells what the events make of a parcel, and its timeline. Order and repetition of the
// events make no difference.
func Fold(facts Facts, events []Event) county.Timeline {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b Event) int { return a.Compare(b.Sighting) })
	events = slices.CompactFunc(events, func(a, b Event) bool { return a.ID == b.ID && a.Step == b.Step && a.Via == b.Via })
	f := fold{facts: facts, now: county.Parcel{Waybill: facts.Waybill, Stage: county.Created, Since: facts.Created}}
	f.timeline = []county.Evidence{}
	for i := range events {
		f.step(&events[i])
	}
	return county.Timeline{Parcel: f.now, Evidence: f.timeline}
}

type fold struct {
	facts    Facts
	now      county.Parcel
	timeline []county.Evidence
	aboard   string            // the vehicle, while it is aboard of one
	fences   map[string]string // vehicle -> the site in whose fence it is
}

func (f *fold) step(e *Event) {
	before := f.now.Stage
	if !f.apply(e) {
		return
	}
	ev := county.Evidence{
		ID: e.ID, At: e.At, TQ: e.TQ, Step: e.Step, Cell: e.Cell, Device: e.Device, Antenna: e.Antenna,
		Reads: e.Reads, RSSIDBm: e.RSSIDBm, Via: e.Via, Place: place(e),
	}
	if f.now.Stage != before || e.Step == Created {
		f.now.Since = e.At
		ev.Stage = f.now.Stage
	}
	f.timeline = append(f.timeline, ev)
}

func place(e *Event) string {
	switch {
	case e.Locker != "":
		return "locker/" + e.Locker
	case e.Step == LeftSite || e.Step == ReachedSite:
		return "site/" + e.Site
	case e.Vehicle != "":
		return "vehicle/" + e.Vehicle
	case e.Site != "":
		return "site/" + e.Site
	}
	return ""
}

// apply takes an event and reports whether it concerns the parcel.
func (f *fold) apply(e *Event) bool {
	switch e.Step {
	case Created:
		return true
	case LeftSite, ReachedSite:
		return f.fence(e)
	case Aboard, Off:
		f.reader(e)
	case Deposited:
		f.be(county.InLocker, e)
		f.aboard, f.now.Cell = "", e.Cell
	case Collected:
		f.be(county.PickedUp, e)
		f.now.Place, f.now.Cell = "", 0
	case Scanned:
		f.scan(e)
	default:
		f.door(e)
	}
	return true
}

// be moves the parcel to a stage and to the place of the event.
func (f *fold) be(s county.Stage, e *Event) {
	f.now.Stage, f.now.Place, f.now.Inferred, f.now.Cell = s, place(e), e.Via != "", 0
}

// kept reports whether the parcel is in a locker or with its receiver: then a tag seen from
// afar moves it no more.
func (f *fold) kept() bool { return f.now.Stage == county.InLocker || f.now.Stage == county.PickedUp }

func (f *fold) fence(e *Event) bool {
	if f.fences == nil {
		f.fences = map[string]string{}
	}
	f.fences[e.Vehicle] = ""
	if e.Step == ReachedSite {
		f.fences[e.Vehicle] = e.Site
	}
	if f.aboard != e.Vehicle || f.kept() || e.Site == "" {
		return false
	}
	if e.Step == LeftSite && f.now.Stage != county.InTransit {
		f.now.Stage = county.InTransit
	}
	return true
}

func (f *fold) reader(e *Event) {
	site, seen := f.fences[e.Vehicle]
	if f.kept() {
		return
	}
	if e.Step == Aboard {
		f.aboard = e.Vehicle
		stage := f.now.Stage
		switch stage {
		case county.Created, county.AtWarehouse, county.Sorted, county.Loaded:
			stage = county.Loaded
			if seen && site == "" {
				stage = county.InTransit
			}
		case county.AtOutlet:
			stage = county.InTransit
		}
		f.be(stage, e)
		return
	}
	// A tag that falls silent on the road is shadowed, not gone: it is still aboard.
	if f.aboard != e.Vehicle || site == "" {
		return
	}
	f.aboard = ""
	stage := f.now.Stage
	switch {
	case site == f.facts.Waybill.Site:
		stage = county.AtOutlet
	case f.facts.Kind(site) == county.Warehouse:
		stage = county.AtWarehouse
	}
	f.be(stage, e)
	f.now.Place = "site/" + site
}

func (f *fold) scan(e *Event) {
	switch kind := f.facts.Kind(e.Site); {
	case f.kept() || e.Site == "":
	case e.Site == f.facts.Waybill.Site:
		f.aboard = ""
		f.be(county.AtOutlet, e)
	case kind == county.Warehouse && (f.now.Stage == county.Created || f.now.Stage == county.AtWarehouse):
		f.be(county.AtWarehouse, e)
	}
}

// door takes what a reader at a dock door, or one that watches a site, saw.
func (f *fold) door(e *Event) {
	if f.kept() || e.Step == Departed || e.Site == "" {
		return
	}
	out := e.Door == county.Outbound
	switch {
	case out && (e.Step == PassedOut || e.Step == Arrived):
		if f.aboard == "" {
			f.be(county.Loaded, e)
		}
	case !out && e.Step == PassedOut: // carried out where goods come in: seen, and no stage
	case f.facts.Kind(e.Site) == county.Warehouse:
		f.aboard = ""
		f.be(county.AtWarehouse, e)
	case e.Site == f.facts.Waybill.Site:
		f.aboard = ""
		f.be(county.AtOutlet, e)
	}
}
