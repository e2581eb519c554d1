package parcel

import (
	"slices"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

const (
	// Near is how far apart two may tell of the same.
	Near = 10 * time.Minute
	// Apart is within what time nothing gets from one place to another.
	Apart = 2 * time.Minute
	// slack is how much later or earlier than it seems a vehicle may have crossed a fence.
	slack = time.Minute
	// neighbours is how many steps before and after one are asked for what they tell.
	neighbours = 24
)

// A stop says that a vehicle was at a site from a time on; no site is outside of all fences.
type stop struct {
	from time.Time
	site string
}

// testify notes where the vehicles were, and which events can't both be.
func (f *fold) testify() {
	f.trails = map[string][]stop{}
	for i := range f.events {
		e := &f.events[i]
		switch e.Step {
		case ReachedSite:
			f.trails[e.Vehicle] = append(f.trails[e.Vehicle], stop{e.At, e.Site})
		case LeftSite:
			f.trails[e.Vehicle] = append(f.trails[e.Vehicle], stop{e.At, ""})
		}
	}
	apart := Apart
	if f.facts.Pace > 1 {
		apart = time.Duration(float64(Apart) / f.facts.Pace)
	}
	f.denied = make([][]int, len(f.events))
	for i := range f.events {
		a := &f.events[i]
		if !tells(a) || a.TQ == telemetry.Unknown || fence(a) {
			continue
		}
		for j := i + 1; j < len(f.events) && j <= i+neighbours; j++ {
			b := &f.events[j]
			if b.At.Sub(a.At) > apart {
				break
			}
			if !tells(b) || b.TQ == telemetry.Unknown || fence(b) || source(a) == source(b) || !f.excludes(a, b) {
				continue
			}
			f.denied[i], f.denied[j] = append(f.denied[i], j), append(f.denied[j], i)
		}
	}
}

// tells reports whether an event says where the parcel is.
func tells(e *Event) bool {
	switch e.Step {
	case Created, Departed, TimedOut, Cancelled, TurnedAway: // what is turned away was scanned: the scan tells
		return false
	}
	return e.Vehicle != "" || e.Site != ""
}

// source is who tells an event: two of one source are one witness.
func source(e *Event) string {
	switch {
	case e.Kind == KindPartner:
		return "partner/" + e.Actor
	case e.person():
		return "person/" + e.Actor
	case fence(e):
		return "fence/" + e.Vehicle
	case e.Step == Deposited || e.Step == Collected:
		return "door/" + e.Locker
	}
	return e.Device
}

// during lists where a vehicle was from one time to another; known is false where that isn't known throughout.
func (f *fold) during(vehicle string, from, to time.Time) (sites []string, known bool) {
	trail := f.trails[vehicle]
	for i, s := range trail {
		if s.from.After(to) {
			break
		}
		if i+1 < len(trail) && !trail[i+1].from.After(from) {
			continue
		}
		known = known || !s.from.After(from)
		sites = append(sites, s.site)
	}
	return sites, known
}

// excludes reports that a and b can't both be.
func (f *fold) excludes(a, b *Event) bool {
	switch {
	case a.Vehicle != "" && b.Vehicle != "":
		if a.Vehicle == b.Vehicle {
			return false
		}
		in, ok := f.during(a.Vehicle, a.At.Add(-slack), b.At.Add(slack))
		other, alsoOK := f.during(b.Vehicle, a.At.Add(-slack), b.At.Add(slack))
		return ok && alsoOK && !slices.ContainsFunc(in, func(s string) bool { return s != "" && slices.Contains(other, s) })
	case a.Vehicle != "":
		return f.away(a.Vehicle, b)
	case b.Vehicle != "":
		return f.away(b.Vehicle, a)
	}
	return a.Site != b.Site
}

// away reports that a vehicle was not at the site of e then.
func (f *fold) away(vehicle string, e *Event) bool {
	sites, known := f.during(vehicle, e.At.Add(-slack), e.At.Add(slack))
	return known && !slices.Contains(sites, e.Site)
}

// agrees reports that a and b tell the same place: a vehicle is at a site that it stood in at both times.
func (f *fold) agrees(a, b *Event) bool {
	switch {
	case a.Vehicle != "" && b.Vehicle != "":
		return a.Vehicle == b.Vehicle
	case a.Vehicle != "":
		return f.stood(a, b)
	case b.Vehicle != "":
		return f.stood(b, a)
	}
	return a.Site == b.Site
}

// stood reports that the vehicle of v was at the site of e, when v was told and when e was.
func (f *fold) stood(v, e *Event) bool {
	if v.Site != "" { // it crosses this fence
		return v.Site == e.Site
	}
	then, _ := f.during(v.Vehicle, v.At, v.At)
	at, _ := f.during(v.Vehicle, e.At, e.At)
	return slices.Contains(then, e.Site) && slices.Contains(at, e.Site)
}

// overruled reports that devices deny what a person says, so that it moves nothing.
func (f *fold) overruled(i int) bool {
	e := &f.events[i]
	if !e.person() {
		return false
	}
	if slices.ContainsFunc(f.denied[i], func(j int) bool { return !f.events[j].person() }) {
		return true
	}
	stage := Words[e.Step]
	if f.now.Stage != county.InLocker || stage == "" || stage == county.InLocker || stage == county.LostClosed || stage == county.Completed {
		return false
	}
	// It is said to be out of a locker: its door must have told so.
	deposit := -1
	for j := range f.events {
		o := &f.events[j]
		if gap := o.At.Sub(e.At).Abs(); o.Step == Collected && gap <= Near {
			return false
		}
		if o.Step == Deposited && j < i {
			deposit = j
		}
	}
	if deposit < 0 {
		return false // it was put in by a person's word
	}
	f.denied[i] = append(f.denied[i], deposit)
	return true
}

// judge gives every row its witnesses and its confidence.
func (f *fold) judge() {
	aboard := -1
	for r := range f.timeline {
		row, i := &f.timeline[r], f.of[r]
		e := &f.events[i]
		if e.Step == Created || e.Step == TimedOut {
			continue
		}
		row.Witnesses = append(row.Witnesses, witness(e, false))
		carrier := ""
		if fence(e) && aboard >= 0 && f.events[aboard].Vehicle == e.Vehicle {
			row.Witnesses = append(row.Witnesses, witness(&f.events[aboard], false))
			carrier = source(&f.events[aboard])
		}
		own := f.near(r, row, carrier)
		switch {
		case f.deny(i, row):
			row.Confidence = county.Contradicted
		case own, sure(e), fence(e) && carrier != "" && f.events[aboard].Via == "", !fence(e) && e.Via == "" && len(row.Witnesses) > 1:
			row.Confidence = county.Confirmed
		default:
			row.Confidence = county.Inferred
		}
		if e.Step == Aboard {
			aboard = i
		}
	}
}

// fence tells that GPS says so, and of the vehicle only.
func fence(e *Event) bool { return e.Step == LeftSite || e.Step == ReachedSite }

// near adds the rows around that tell the same, but those of source known; and reports whether one of them is of the
// parcel itself.
func (f *fold) near(r int, row *county.Evidence, known string) (own bool) {
	e := &f.events[f.of[r]]
	if !tells(e) {
		return false
	}
	seen := map[string]bool{source(e): true, known: true}
	add := func(o int) bool {
		b := &f.events[f.of[o]]
		if b.At.Sub(e.At).Abs() > Near {
			return false
		}
		if tells(b) && !seen[source(b)] && f.agrees(e, b) {
			seen[source(b)] = true
			own = own || b.Via == "" && !fence(b)
			row.Witnesses = append(row.Witnesses, witness(b, false))
		}
		return true
	}
	for o := r - 1; o >= max(0, r-neighbours) && add(o); o-- {
	}
	for o := r + 1; o < min(len(f.of), r+neighbours+1) && add(o); o++ {
	}
	return own
}

// deny adds those that tell what can't be; each pair is an exception. Against a device a person's word isn't counted.
func (f *fold) deny(i int, row *county.Evidence) (denied bool) {
	e := &f.events[i]
	for _, j := range f.denied[i] {
		o := &f.events[j]
		if !e.person() && o.person() {
			continue
		}
		denied = true
		row.Witnesses = append(row.Witnesses, witness(o, true))
		a, b := e, o
		if b.Before(a.Sighting) {
			a, b = b, a
		}
		f.trouble(county.DataError, Contradiction, a.Step+" at "+place(a)+" and "+b.Step+" at "+place(b), a, b)
	}
	return denied
}

// sure tells what can't be mistaken.
func sure(e *Event) bool {
	switch e.Step {
	case Scanned:
		return e.Via == "" && e.TQ != telemetry.Unknown
	case Deposited, Collected:
		return !e.Late
	case TurnedAway: // a machine's own doing
		return true
	}
	return false
}

func witness(e *Event, disagree bool) county.Witness {
	w := county.Witness{ID: e.ID, At: e.At, TQ: e.TQ, Device: e.Device, Place: place(e), Reads: e.Reads, RSSIDBm: e.RSSIDBm, Disagree: disagree}
	switch {
	case e.Channel == "sms":
		w.Kind = "sms"
	case e.Kind == KindPartner:
		w.Kind = "partner"
	case e.person():
		w.Kind = "person"
	case fence(e):
		w.Kind = "fence"
	case e.Step == Deposited || e.Step == Collected:
		w.Kind = "door"
	case e.Step == Scanned || e.Step == TurnedAway:
		w.Kind = "scan"
	case e.Vehicle != "":
		w.Kind = "reader"
	default:
		w.Kind = "portal"
	}
	return w
}
