// Package epcis is the county's EPCIS repository: each business step of a parcel is an event that partners can ask for, and
// partners' events are taken in.
//
// Standards: GS1 EPCIS 2.0 (sections 7.4 event types, 8.2.7.1 query parameters, 12 REST binding), GS1 CBV 2.0 (7 standard
// words, 8.9 event hash id), GS1 EPC Tag Data Standard 1.13 and GS1 Digital Link URI Syntax 1.2 (4.11), RFC 6920 (ni URIs).
//
// # Steps and events
//
//	step of the timeline           event        action   bizStep           disposition
//	created                        Object       ADD      commissioning     active
//	aboard / off (a vehicle)       Aggregation  ADD/DEL  loading/unloading in_transit / in_progress
//	into / out of a container      Aggregation  ADD/DEL  packing/unpacking in_progress
//	left_site / reached_site       Object       OBSERVE  departing/arriving in_transit
//	deposited                      Object       OBSERVE  storing           available
//	collected                      Object       OBSERVE  accepting         in_progress
//	refused, cancelled (no stage)  Object       OBSERVE  holding           non_sellable_other
//	damaged (no stage)             Object       OBSERVE  inspecting        damaged
//	any other, by the stage it led to:
//	  at_warehouse                 Object       OBSERVE  receiving         in_progress
//	  sorted                       Object       OBSERVE  staging_outbound  in_progress
//	  loaded, out_for_delivery     Object       OBSERVE  shipping          in_transit
//	  in_transit                   Object       OBSERVE  transporting      in_transit
//	  at_outlet                    Object       OBSERVE  receiving         available
//	  in_locker                    Object       OBSERVE  storing           available
//	  picked_up, signed_for        Object       OBSERVE  accepting         in_progress
//	  completed                    Object       DELETE   decommissioning   inactive
//	  returned                     Object       OBSERVE  receiving         returned
//	  lost_closed                  Object       DELETE   decommissioning   unknown
//
// Evidence that led to no stage and moved nothing is no business step and has no event. readPoint is the device that told it,
// bizLocation the site or locker where the parcel rests, the waybill a bizTransaction of type bol, the outlet a destination. Goods
// that must be cold carry what their cold box measured in the 10 minutes before (least, most, mean; ALARM_CONDITION where
// that was outside the box's limits). Extensions are in the namespace that @context declares: confidence, timeQuality, via, cell, telling.
//
// # Promises
//
//   - A step has one event. Its id is the hash of its content (HashID), its key the fact's: told again, by restarts, replays or a second
//     worker, it stays one.
//   - A step that isn't so any more is told as the same event with errorDeclaration: did_not_occur, or incorrect_data with
//     the id of the event that tells the same evidence rightly, where one was told with it. A step that became true again
//     after that has the extension telling, and so an id of its own.
//   - What a partner captures is checked field by field before it is stored; each fault names its place in the document. The same event twice is
//     stored once; another event under a known id is a fault. Rollback stores all or nothing, proceed what is good.
//   - A page's token goes on behind the page's last event, whatever was captured since, and with no other query.
//   - An identifier is found in either of its forms: EPC URI or Digital Link.
//
// # What partners say
//
// ObjectEvents and AggregationEvents that partners capture, of parcels of ours, are evidence (words of a witness "partner", at eventTime, of
// the time quality that the extension timeQuality states, else unknown):
//
//	arriving, receiving, unloading, storing, stocking          at_warehouse, at_outlet, or in_locker, by bizLocation or readPoint; elsewhere nothing
//	accepting with a bizLocation of ours                       the same; else signed_for
//	staging_outbound at a warehouse    sorted                  loading                            loaded, in the vehicle of parentID
//	shipping, departing, transporting  in_transit              retail_selling / collecting        signed_for / picked_up
//	decommissioning                    completed               destroying                         lost_closed
//	any, with disposition returned / damaged / stolen, destroyed, disposed                        returned / damaged / lost_closed
//
// A parcel is named by its EPC in either form, its parcel URI, or, where an event is of one object, a waybill among its bizTransactions. An
// errorDeclaration takes the word of its event back, in whatever order they come. Our own events that come back, by their hash id or as what
// tells the same step of the same waybill at the same moment, are no evidence.
//
// # The hash where the text leaves room
//
// Of a pair with a type (bizTransaction, source, destination) the type stands first; the name sensorElementList is not written;
// extension fields of readPoint, bizLocation and sensor elements stand behind everything else, under their parent's name. So do
// the implementations in public use that write ver=CBV2.0.
//
// It does not: capture XML, keep master data, run subscriptions, or offer parameters over sensor values, ILMD and extension
// fields (501 ImplementationException).
package epcis
