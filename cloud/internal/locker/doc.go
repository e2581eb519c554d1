// Package locker is the rules of lockers: what the events of a cell say of it, and which scan a
// deposit belongs to. It touches no store and no clock, and the order in which events came makes no difference.
//
// # A cell that is reserved
//
// A courier's parcel that the cabinet accepted reserves its cell until the door says something, and for no longer than a minute (Reserved): the
// opening may have been refused.
//
// # What a door did for an order
//
// Truth makes of the events that name an order the steps of its door. It guesses nothing from times: the gateway says which order an event came of.
//
// # What is in a cell
//
// deposited and emptied say that something was put in or taken out. closed with occupied is a board's statement of what
// is, made when it looks for the first time after it was away: where it contradicts what was known, somebody put
// something in, or took it out, meanwhile. That counts as a deposit or a collection at the time of the statement, and
// its time is of quality unknown. On a cell of which nothing was known it is no deposit.
//
// # Which scan a deposit belongs to
//
// A courier scans a parcel, opens a door, puts it in, shuts the door. Boards are polled: a deposit is told up to a
// second after its door was shut (Polled), and the next scan may come first. So a scan goes with the door, not with the
// next deposit. A deposit takes, within 60 s (Window), at the same gateway, of what no other took,
//
//  1. the last scan before its door was opened, if no other door (through which something was put) was opened since, and
//     none stood open then;
//  2. else the last scan while its door was open (who opens first and scans then), but none of its last second;
//  3. else the scan of 1. even if another door stood open (who scans the next parcel before shutting the last door);
//  4. else the last scan, even of its last second.
//
// A deposit whose door's opening wasn't told counts as opened and shut a second before it was told.
package locker
