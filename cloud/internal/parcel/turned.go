package parcel

import (
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

// NoConsent is the cause of what a locker let not in because its recipient hasn't agreed to one.
const NoConsent = "no_consent"

// UnknownWaybill is the cause of what a locker let not in because nobody told it of it.
const UnknownWaybill = "unknown_waybill"

// TurnedFor is what follows for the county from a cabinet's words on why a parcel doesn't go in. Words that aren't here ask
// nothing of anybody but who stands there: to sign on, or to wait.
var TurnedFor = map[string]struct {
	Class county.ExceptionClass
	Cause string
}{
	"no_consent":      {county.Delay, NoConsent},
	"needs_cold":      {county.Delay, "needs_cold"},
	"full":            {county.Delay, "locker_full"},
	"no_list":         {county.Delay, "locker_unready"},
	"unknown_waybill": {county.DataError, UnknownWaybill},
}

// maxTries is how many tries at a locker are named as evidence of one exception.
const maxTries = 8

// A spell is how long a parcel stood before a locker that took it not.
type spell struct {
	why, locker string
	tries       []*Event
	ended       *time.Time // nil: it stands there still
}

// turn takes that a locker let the parcel not in. The last locker, and the last reason, are what matters.
func (f *fold) turn(e *Event) {
	if _, ok := TurnedFor[e.Reason]; !ok {
		return
	}
	if n := len(f.spells); n > 0 && f.spells[n-1].ended == nil && f.spells[n-1].why == e.Reason && f.spells[n-1].locker == e.Locker {
		if s := &f.spells[n-1]; len(s.tries) < maxTries {
			s.tries = append(s.tries, e)
		}
		return
	}
	f.turnedTo(e)
	f.spells = append(f.spells, spell{why: e.Reason, locker: e.Locker, tries: []*Event{e}})
}

// turnedTo says that somebody did with the parcel what there was to do.
func (f *fold) turnedTo(e *Event) {
	if n := len(f.spells); n > 0 && f.spells[n-1].ended == nil {
		f.spells[n-1].ended = &e.At
	}
}

// turnedAway are the exceptions of lockers that took the parcel not: one of a locker and reason, however often. Those that are over
// have their end.
func (f *fold) turnedAway() {
	for i := range f.spells {
		s := &f.spells[i]
		why := TurnedFor[s.why]
		if s.ended == nil && why.Cause == NoConsent && f.facts.Waybill.Consent == county.ConsentYes {
			continue // its recipient agreed since
		}
		x := TurnedAwayFrom(f.facts.Waybill.Waybill, s.locker, s.why)
		x.Ended = s.ended
		for _, e := range s.tries {
			x.Evidence = append(x.Evidence, e.ID)
		}
		if j := slices.IndexFunc(f.wrong, func(o county.Exception) bool { return o.ID == x.ID }); j >= 0 {
			x.Evidence = append(f.wrong[j].Evidence, x.Evidence...)
			x.Evidence = x.Evidence[:min(len(x.Evidence), maxTries)]
			f.wrong[j] = x
			continue
		}
		f.wrong = append(f.wrong, x)
	}
}

// TurnedAwayFrom is the exception, without its evidence, of a parcel that a locker let not in.
func TurnedAwayFrom(waybill, locker, why string) county.Exception {
	x := county.Exception{Class: TurnedFor[why].Class, Cause: TurnedFor[why].Cause, Object: "parcel/" + waybill, Source: "device", Detail: "locker " + locker + " takes it not: " + why}
	x.ID = county.ExceptionID(x.Class, x.Cause, x.Object, "locker/"+locker)
	return x
}
