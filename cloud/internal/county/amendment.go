package county

import "time"

// Amendment changes a waybill; what is nil stays.
type Amendment struct {
	EPC, Site, Locker, Handling, Size *string
	Wish                              *Wish // of the recipient: consent follows
	Consent                           *Consent
	Hold                              *bool
	Recipient                         []byte // sealed; nil stays
	PhoneHash                         string // with it
	Actor                             string
}

// Of is w with the amendment.
func (a *Amendment) Of(w Waybill) Waybill {
	set := func(to *string, v *string) {
		if v != nil {
			*to = *v
		}
	}
	if a.Site != nil && *a.Site != w.Site {
		w.Locker = "" // it stood at the old one
	}
	set(&w.EPC, a.EPC)
	set(&w.Site, a.Site)
	set(&w.Locker, a.Locker)
	set(&w.Handling, a.Handling)
	set(&w.Size, a.Size)
	if a.Wish != nil {
		w.Wish, w.Consent = *a.Wish, a.Wish.Consent()
	}
	if a.Consent != nil {
		w.Consent = *a.Consent
	}
	if w.Wish.Consent() != w.Consent {
		w.Wish = "" // what they wished no longer holds
	}
	if a.Hold != nil {
		w.Hold = *a.Hold
	}
	return w
}

// Amended is what a waybill was before a change.
type Amended struct {
	N      int       `json:"n"` // of the change, from 1
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"` // who changed it
	Before Waybill   `json:"before"`
}
