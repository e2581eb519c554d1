package parcel

import (
	"maps"
	"slices"
	"time"
)

// A Ride is from when until when it matters for a parcel where a vehicle was: from its first being told to be aboard until the last, or until
// what took it out, and as long afterwards as a witness may be asked. Until is zero while it is aboard still.
type Ride struct {
	Vehicle      string
	First, Until time.Time
}

// After is how long after a ride where the vehicle was may still be asked for.
const After = Near + slack

// ride notes that an event is of a vehicle, or comes while the parcel is aboard of one.
func (f *fold) ride(e *Event) {
	if f.rides == nil {
		f.rides = map[string]*Ride{}
	}
	if e.Vehicle != "" && !fence(e) {
		if r := f.rides[e.Vehicle]; r == nil {
			f.rides[e.Vehicle] = &Ride{e.Vehicle, e.At, e.At}
		} else {
			r.Until = e.At
		}
	}
	if r := f.rides[f.aboard]; r != nil {
		r.Until = e.At
	}
}

// ridden are the rides, by vehicle.
func (f *fold) ridden() (out []Ride) {
	for _, id := range slices.Sorted(maps.Keys(f.rides)) {
		r := *f.rides[id]
		if r.Until = r.Until.Add(After); f.aboard == id && !f.kept() {
			r.Until = time.Time{}
		}
		out = append(out, r)
	}
	return out
}
