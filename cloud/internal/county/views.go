package county

// Views are a stage in the words that others use for it. One table derives them, so that nobody keeps a state
// of their own (requirements section 5).
type Views struct {
	Tracking  string `json:"tracking"`            // the seven of S4-02: order, processing, carrier_dispatch, in_transit, signed_for, completed; exception while one is open
	Logistics string `json:"logistics,omitempty"` // the three of S4-17: dispatched, in_transit, delivered; empty before it is on its way
	Leg       string `json:"leg,omitempty"`       // of S0: warehouse, sorting, delivery, terminal
	Order     string `json:"order"`               // the shop's, S1-15: awaiting_dispatch, awaiting_receipt, completed, closed
}

var views = map[Stage]Views{
	Created:        {"order", "", "", "awaiting_dispatch"},
	AtWarehouse:    {"processing", "", "warehouse", "awaiting_dispatch"},
	Sorted:         {"processing", "", "sorting", "awaiting_dispatch"},
	Loaded:         {"carrier_dispatch", "dispatched", "delivery", "awaiting_receipt"},
	InTransit:      {"in_transit", "in_transit", "delivery", "awaiting_receipt"},
	AtOutlet:       {"in_transit", "delivered", "terminal", "awaiting_receipt"},
	InLocker:       {"in_transit", "delivered", "terminal", "awaiting_receipt"},
	OutForDelivery: {"in_transit", "in_transit", "terminal", "awaiting_receipt"},
	PickedUp:       {"signed_for", "delivered", "terminal", "awaiting_receipt"},
	SignedFor:      {"signed_for", "delivered", "terminal", "awaiting_receipt"},
	Completed:      {"completed", "delivered", "", "completed"},
	Returned:       {"completed", "", "", "closed"},
	LostClosed:     {"completed", "", "", "closed"},
}

// outbound is what differs where a parcel comes from a village: its dispatch by the warehouse ends it here, and what it
// passes before is not the last leg.
var outbound = map[Stage]Views{
	AtOutlet:    {"processing", "", "terminal", "awaiting_dispatch"},
	AtWarehouse: {"in_transit", "in_transit", "warehouse", "awaiting_receipt"},
	Sorted:      {"in_transit", "in_transit", "sorting", "awaiting_receipt"},
	Completed:   {"completed", "dispatched", "", "completed"},
}

// ViewsOf derives the views of a stage. wrong tells that an exception is open, which overlays the tracking stage alone: a
// late parcel can still be delivered.
func ViewsOf(s Stage, d Direction, wrong bool) Views {
	v := views[s]
	if o, ok := outbound[s]; ok && d == FromVillage {
		v = o
	}
	if wrong && s != Completed && s != Returned && s != LostClosed {
		v.Tracking = "exception"
	}
	return v
}
