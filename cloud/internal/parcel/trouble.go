package parcel

import (
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
)

// The causes of exceptions that a fold finds.
const (
	Contradiction    = "contradiction"
	BadSequence      = "bad_sequence"
	UnmatchedAddress = "unmatched_address"
	Held             = "held"
	WrongOutlet      = "wrong_outlet"
	WasDamaged       = "damaged"
	WasRefused       = "refused"
	WasLost          = "lost"
)

// trouble notes an exception of the parcel with the events that show it. Of two who contradict each other there is
// one, with the first events that show it.
func (f *fold) trouble(class county.ExceptionClass, cause, detail string, events ...*Event) {
	x := county.Exception{Class: class, Cause: cause, Object: "parcel/" + f.facts.Waybill.Waybill, Source: "device", Detail: detail}
	for _, e := range events {
		x.Evidence = append(x.Evidence, e.ID)
		switch e.Kind {
		case KindPerson:
			x.Source = "staff"
		case KindPartner:
			x.Source = "carrier"
		}
	}
	about := x.Evidence
	if cause == Contradiction {
		about = nil
		for _, e := range events {
			about = append(about, source(e))
		}
		slices.Sort(about)
	}
	x.ID = county.ExceptionID(class, cause, x.Object, about...)
	if !slices.ContainsFunc(f.wrong, func(o county.Exception) bool { return o.ID == x.ID }) {
		f.wrong = append(f.wrong, x)
	}
}

// troubles are all exceptions that stand when everything is told, and those of lockers that are over, ordered by their ids.
func (f *fold) troubles() []county.Exception {
	if f.held != nil {
		f.trouble(county.DataError, Held, "left the warehouse although it is held", f.held)
	}
	if f.astray != nil {
		f.trouble(county.Misdelivery, WrongOutlet, "lies at "+place(f.astray)+", its outlet is "+f.facts.Waybill.Site, f.astray)
	}
	if f.refused != nil {
		f.trouble(county.Delay, WasRefused, "refused by its recipient", f.refused)
	}
	if f.damaged != nil {
		f.trouble(county.Damage, WasDamaged, "reported damaged", f.damaged)
	}
	if f.lost != nil {
		f.trouble(county.Loss, WasLost, "closed as lost", f.lost)
	}
	f.turnedAway()
	if f.facts.Waybill.Site == "" && f.now.Stage != county.Returned && f.now.Stage != county.LostClosed {
		f.trouble(county.DataError, UnmatchedAddress, "its address names no outlet of the county")
	}
	slices.SortFunc(f.wrong, func(a, b county.Exception) int { return strings.Compare(a.ID, b.ID) })
	return f.wrong
}
