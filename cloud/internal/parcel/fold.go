package parcel

import (
	"time"

	"yizhan/cloud/internal/county"
)

// Fold tells what the events make of a parcel, and its timeline with what is wrong. Order and repetition of the
// events make no difference.
func Fold(facts Facts, events []Event) county.Timeline {
	t, _ := FoldRides(facts, events)
	return t
}

// FoldRides is Fold with the rides of the parcel: what was told otherwise of where its vehicles were then would change it.
func FoldRides(facts Facts, events []Event) (county.Timeline, []Ride) {
	f := fold{facts: facts, events: sorted(events), now: county.Parcel{Waybill: facts.Waybill.Canonical(), Stage: county.Created, Since: facts.Created}}
	f.testify()
	f.timeline = make([]county.Evidence, 0, len(f.events))
	for i := range f.events {
		f.step(i)
	}
	f.judge()
	t := county.Timeline{Parcel: f.now, Evidence: f.timeline, Exceptions: f.troubles()}
	for i := range t.Exceptions {
		t.Wrong += oneIf(t.Exceptions[i].Ended == nil)
	}
	t.Views = county.ViewsOf(t.Stage, t.Direction, t.Wrong > 0)
	return t, f.ridden()
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

type fold struct {
	facts    Facts
	events   []Event
	now      county.Parcel
	timeline []county.Evidence
	of       []int             // the event of each row
	aboard   string            // the vehicle, while it is aboard of one
	fences   map[string]string // vehicle -> the site in whose fence it is
	taken    string            // the id of what told its pick-up

	trails  map[string][]stop // of vehicles, for testimony
	denied  [][]int           // by event: the events that say what can't be
	wrong   []county.Exception
	astray  *Event // what brought it to an outlet that isn't its own, while it is there
	refused *Event
	damaged *Event
	lost    *Event
	held    *Event // what took it away although it is held
	spells  []spell
	rides   map[string]*Ride
}

func (f *fold) out() bool { return f.now.Direction == county.FromVillage }

// home reports whether it is to be brought to its recipient's door.
func (f *fold) home() bool { return f.facts.Waybill.Plan() == county.WishHome }

func (f *fold) step(i int) {
	e := &f.events[i]
	before := f.now
	f.ride(e)
	if f.overruled(i) {
		f.row(i)
		return
	}
	if !f.apply(e) {
		return
	}
	row := f.row(i)
	if f.now.Stage == before.Stage && (e.Step != Created || f.now.Stage != county.Created) {
		return
	}
	f.now.Since = e.At
	row.Stage = f.now.Stage
	if !f.expected(before.Stage, f.now.Stage) {
		row.Flag = BadSequence
		f.trouble(county.DataError, BadSequence, string(f.now.Stage)+" after "+string(before.Stage), e)
	}
	f.moved(e)
}

// moved notes what a new stage means for what is wrong.
func (f *fold) moved(e *Event) {
	switch f.now.Stage {
	case county.Loaded, county.InTransit:
		if f.facts.Waybill.Hold && f.held == nil {
			f.held = e
		}
	case county.AtWarehouse:
		f.held = nil
	case county.PickedUp, county.SignedFor:
		f.taken, f.refused = e.ID, nil
	case county.Returned, county.Completed:
		f.refused, f.damaged = nil, nil
	}
	if f.now.Stage != county.AtOutlet { // a scan at the locker itself says no more than that it is there
		f.turnedTo(e)
	}
	f.lost = nil
	if f.now.Stage == county.LostClosed {
		f.lost = e
	}
}

func (f *fold) row(i int) *county.Evidence {
	e := &f.events[i]
	f.timeline = append(f.timeline, county.Evidence{
		ID: e.ID, At: e.At, TQ: e.TQ, Step: e.Step, Cell: e.Cell, Device: e.Device, Antenna: e.Antenna, Reads: e.Reads, RSSIDBm: e.RSSIDBm, Via: e.Via,
		Place: place(e), Actor: e.Actor, Reason: e.Reason, Deposit: e.Deposit, Generation: e.KeyNo, ErrMS: e.ErrMS,
	})
	f.of = append(f.of, i)
	row := &f.timeline[len(f.timeline)-1]
	if e.ErrMS > 0 {
		bound := time.Duration(e.ErrMS) * time.Millisecond
		row.From, row.To = e.At.Add(-bound), e.At.Add(bound)
	}
	return row
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
		f.where(e, e.Site)
	case Collected:
		f.collect(e)
	case Scanned:
		f.scan(e)
	case TurnedAway:
		f.turn(e)
	case TimedOut:
		if f.taken != e.After || f.now.Stage != county.PickedUp && f.now.Stage != county.SignedFor {
			return false
		}
		f.now.Stage = county.Completed
	default:
		if e.person() {
			f.say(e)
			return true
		}
		f.door(e)
	}
	return true
}

// be moves the parcel to a stage and to the place of the event.
func (f *fold) be(s county.Stage, e *Event) {
	f.now.Stage, f.now.Place, f.now.Inferred, f.now.Cell = s, place(e), e.Via != "", 0
	f.astray = nil
}

// where notes at which site it lies: an outlet that isn't its own is wrong.
func (f *fold) where(e *Event, site string) {
	f.astray = nil
	if f.facts.Waybill.Site != "" && site != "" && site != f.facts.Waybill.Site && f.facts.Kind(site) == county.Outlet {
		f.astray = e
	}
}

// kept reports whether the parcel is in a locker, with its receiver or closed: then a tag seen from afar moves it no
// more.
func (f *fold) kept() bool {
	switch f.now.Stage {
	case county.InLocker, county.PickedUp, county.SignedFor, county.Completed, county.Returned:
		return true
	}
	return false
}

func (f *fold) collect(e *Event) {
	stage := county.PickedUp
	if f.out() { // by the courier
		stage = county.AtOutlet
	}
	f.be(stage, e)
	f.now.Place, f.now.Cell = "", 0
}

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
	switch {
	case e.Step != LeftSite || f.now.Stage == county.OutForDelivery:
	case e.Site == f.facts.Waybill.Site && f.home():
		f.now.Stage = county.OutForDelivery
	case f.now.Stage != county.InTransit:
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
		f.board(e, seen && site == "")
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
	f.where(e, site)
}

// board puts it aboard of a vehicle that stands, or is on the road.
func (f *fold) board(e *Event, road bool) {
	f.aboard = e.Vehicle
	stage := f.now.Stage
	switch stage {
	case county.Created, county.AtWarehouse, county.Sorted, county.Loaded, county.LostClosed:
		stage = county.Loaded
		if road {
			stage = county.InTransit
		}
	case county.AtOutlet:
		stage = county.InTransit
		switch {
		case f.out() && !road:
			stage = county.Loaded
		case f.home() && f.now.Place == "site/"+f.facts.Waybill.Site:
			stage = county.OutForDelivery
		}
	}
	f.be(stage, e)
}

func (f *fold) scan(e *Event) {
	if e.Door != "" {
		f.door(e)
		return
	}
	switch kind := f.facts.Kind(e.Site); {
	case f.kept() || e.Site == "":
	case e.Site == f.facts.Waybill.Site:
		f.aboard = ""
		f.be(county.AtOutlet, e)
	case kind == county.Warehouse && (f.now.Stage == county.Created || f.now.Stage == county.AtWarehouse || f.out() && f.now.Stage != county.Sorted):
		f.be(county.AtWarehouse, e)
	}
}

// door takes what a reader at a dock door or sorter, or one that watches a site, saw.
func (f *fold) door(e *Event) {
	if f.kept() || e.Step == Departed || e.Site == "" {
		return
	}
	warehouse := f.facts.Kind(e.Site) == county.Warehouse
	switch {
	case e.Door == county.Sorting:
		f.aboard = ""
		f.be(county.Sorted, e)
	case e.Door == county.Outbound && e.Step != PassedIn:
		f.dispatch(e, warehouse)
	case e.Door != county.Outbound && e.Step == PassedOut: // carried out where goods come in: seen, and no stage
	case warehouse && f.now.Stage == county.Sorted && e.Door != county.Outbound: // seen from the hall
	case warehouse:
		f.aboard = ""
		f.be(county.AtWarehouse, e)
	case e.Site == f.facts.Waybill.Site:
		f.aboard = ""
		f.be(county.AtOutlet, e)
	}
}

func (f *fold) dispatch(e *Event, warehouse bool) {
	switch {
	case f.out() && warehouse:
		f.be(county.Completed, e)
	case f.aboard == "":
		f.be(county.Loaded, e)
	}
}

// say takes what a person says.
func (f *fold) say(e *Event) {
	switch e.Step {
	case Refused:
		f.refused = e
		return
	case Damaged:
		f.damaged = e
		return
	case Cancelled:
		switch f.now.Stage {
		case county.Created, county.AtWarehouse, county.Sorted:
			f.be(county.Returned, e)
		}
		return
	}
	stage, ok := Words[e.Step]
	if !ok || stage == "" {
		return
	}
	was := f.now.Place
	f.be(stage, e)
	f.aboard = ""
	switch stage {
	case county.Loaded, county.InTransit, county.OutForDelivery:
		f.aboard = e.Vehicle
	case county.InLocker:
		f.now.Cell = e.Cell
		f.where(e, e.Site)
	case county.AtOutlet:
		f.where(e, e.Site)
		f.turnedTo(e) // somebody keeps it
	case county.PickedUp, county.SignedFor, county.Completed:
		f.now.Place = ""
	default:
		if f.now.Place == "" {
			f.now.Place = was
		}
	}
}
