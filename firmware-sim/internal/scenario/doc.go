// Package scenario is the county's day: a carrier announces parcels, they pass the warehouse's
// doors, vans drive them along the roads to the villages, couriers put them into lockers, and
// villagers collect them.
//
// The story moves things only: tags in front of antennas, vans on roads, hands at locker doors and keypads.
// What the county's systems know of it they learn from the devices; unplug a portal and parcels
// stop. What people say goes the way it goes in real life too, to the public API: waybills, what is in
// a bag, a refusal, a signature, and at lockers without a keypad the order to open a cell.
//
// # Who does what
//
//	carrier    every other lot for a locker comes in a bag with a GRAI, and its parcels bear no tags
//	guests     what somebody else announced, at the console say, comes in bags too; whoever announced it collects it
//	vans       take all that waits for where they go; a guest's parcel is on the next van that leaves, whichever that is, and its
//	           village comes first. Of a big fleet one van stands by at the dock, until another one has come or an hour has passed
//	couriers   scan each parcel off the van; at a locker with a keypad hold it to its scanner, and lay it where a door opens
//	villagers  wait for their message, and type the cell and the code that stand in it
//
// So that there is something to see: one address of the first lot names no village, one recipient takes no locker (the
// parcel is refused there, goes to the counter, and is signed for), and in a new world the first at a keypad mistypes, and complains
// on the page that the message links to.
//
// Nothing waits for ever: a truck brings no more than the next van takes; what a locker doesn't take goes to the outlet's keeper, and a
// van waits before a locker that doesn't answer once, not for each parcel; what a recipient has its sender completes a while later.
//
// Speed scales the story: how fast vans drive, how long people take. It never scales a clock:
// every device tells real time, and a van at speed 10 truly covers ten times the distance. What
// physics or protocols need stays as it is (a tag is in front of an antenna for over a second).
//
// Promises: which parcel goes where in which van follows from the seed; the physical world (what lies
// in which cell, van or hall) is kept in a file, so that the day goes on after a restart.
// It does not promise when: that depends on how fast the systems answer.
package scenario
