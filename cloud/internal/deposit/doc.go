// Package deposit keeps parcels that lie in lockers: it follows the county's facts, tells deadlines as they come, sends each locker the list of
// what may be put into it, and says when a locker can't be reached.
//
// # What a locker hears
//
// On yz/1/down/{gateway}/expect (broker/pickup.Expect): the parcels on their way to its outlet, with size, handling and consent; the
// deposits that are overdue, which only a courier opens; how many codes of a deposit are good. It is sent when the gateway says
// hello and when it would say something else. Series is this process's, versions count up in it.
//
// # Promises
//
//   - A deposit, and each of its deadlines, once: through restarts, with any number of workers (room state).
//
//   - A parcel without consent, on hold or not known is in no list, or in it with the consent it has.
//
//   - A list is bounded (pickup.MaxParcels, the oldest first); what doesn't fit is counted.
//
//   - A locker with something inside that was not heard of for OfflineAfter is an exception of class delay, cause offline, until it
//     is heard of again.
//
//   - Codes come from the key that a deposit was put in under, so that raising pickup.generations changes none that was told. Once the
//     locker's gateway reports a newer key, it knows the codes of that one only (that is what a new key is for): what lies in it has
//     other codes from then on, here too, and each recipient is told (county.DueRecoded).
//
// # It does not
//
// Open cells (room command), derive codes (broker/pickup), or tell people (room notify follows the deadlines).
//
// # Counters
//
// dues, lists (sent), cut (parcels that a list had no room for), offline (exceptions opened), recoded (deposits that have other codes), errors (of the store).
package deposit
