// Package scenario is the county's day: a carrier announces parcels, they pass the warehouse's
// doors, vans drive them along the roads to the villages, couriers put them into lockers, and
// villagers collect them.
//
// The story moves things only: tags in front of antennas, vans on roads, hands at locker doors.
// What the county's systems know of it they learn from the devices; unplug a portal and parcels
// stop. Two things go the way they go in real life too: waybills and orders to open a cell are
// sent to the public API, by an upstream system and by a phone.
//
// Speed scales the story: how fast vans drive, how long people take. It never scales a clock:
// every device tells real time, and a van at speed 10 truly covers ten times the distance. What
// physics or protocols need stays as it is (a tag is in front of an antenna for over a second).
//
// Promises: which parcel goes where in which van follows from the seed; the physical world (what lies
// in which cell, van or hall) is kept in a file, so that the day goes on after a restart.
// It does not promise when: that depends on how fast the systems answer.
package scenario
