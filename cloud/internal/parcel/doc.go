// Package parcel is the rule of a parcel's life: a pure fold of its evidence, in the total order, into its stage,
// place, timeline and what is wrong with it. The same evidence in any order, told any number of times, gives the
// same parcel. It touches no store and no clock.
//
// # Stages
//
// created, at_warehouse, sorted, loaded, in_transit, at_outlet, in_locker or out_for_delivery, picked_up or
// signed_for, completed; returned and lost_closed. Devices move a parcel, and people do (Words); what others call a
// stage is derived (county.ViewsOf). A parcel from a village begins with a scan at its outlet and is completed when the
// warehouse dispatches it. Any other is completed by upstream, or 7 days after it was picked up (CompleteAfter): a timer
// puts that down as evidence, which counts as long as that pick-up does.
//
// A parcel that is to be brought home (county.Waybill.Plan) goes out for delivery when it leaves its outlet aboard of a vehicle: put aboard
// there, or passed by it; or when somebody says so.
//
// A step that doesn't follow (a parcel sorted that was never seen in the warehouse, or delivered and seen again) is
// taken as data all the same, and flagged bad_sequence; follows is the table. Stages may be passed over, for few
// parcels bear tags. In a locker, with its recipient or closed, a parcel isn't moved by a tag seen from afar.
//
// # Witnesses and confidence
//
// Every step says where the parcel was: at a site, in a vehicle, in a locker. What tells the same within 10 minutes
// (Near), from another device or person, is a witness too:
//
//	portal   the reader of a door or site (reads, RSSI)        fence   GPS fixes of the vehicle, in the fence
//	reader   the reader of a vehicle (reads, RSSI)             door    a cell's door and occupancy sensor
//	scan     a barcode read on the spot                        person, sms  somebody says so
//	partner  an event of a partner's says so, at the time that it gives: a word like a person's
//
//	the same place     the same site; the same vehicle; a site and a vehicle that stood in its fence both times
//	can't both be      at most 2 min (Apart; less where a demonstration drives faster) apart, two sites; a site and a vehicle that wasn't in its fence from a minute
//	                   before till a minute after; two vehicles that were nowhere together then. What isn't dated, or of whose
//	                   vehicle no position is known, denies nothing.
//
//	confirmed      a second witness tells the same; or it is a scan with a dated time, or a cell's door that was seen to
//	               shut: these can't be mistaken. What only a container's tag tells needs a witness of the parcel itself.
//	inferred       one witness; or by its container; or a cell's content that was stated later
//	contradicted   a witness tells what can't be. Where a person and a device disagree, the device is believed and
//	               the person's step moves nothing; else both are in doubt. A parcel that a person says was taken out of a
//	               locker whose door told nothing within 10 minutes is contradicted by the deposit.
//
// # What is wrong
//
//	data_error   contradiction, bad_sequence, unmatched_address (no outlet known), held (left although upstream holds it)
//	misdelivery  wrong_outlet: it lies at an outlet, or in a locker, that isn't its own
//	damage       damaged: a person says so          delay  refused: by its recipient
//	loss         lost: it was closed as lost
//
// A parcel that a cabinet turned away (TurnedFor) is late: no_consent, needs_cold, locker_full, locker_unready; or its data are wrong:
// unknown_waybill. One exception of a locker and cause, however often it was tried; it ends when somebody did something with the
// parcel (into a cell, to the counter, back, to the door), and no_consent also when the recipient agrees. It is in the list with its end then.
//
// Each has an id made of what it is about, so it is opened once, and ends when a fold doesn't find it any more.
package parcel
