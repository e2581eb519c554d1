// Package vehicle is the rules of vehicles: which fix becomes the position, and in which fence a
// vehicle stays. Fences have a hysteresis: a vehicle is inside when a fix lies within the
// fence, and outside when one lies beyond it by a fifth and 30 m. It touches no store and no clock.
//
// Fixes give the same stays in any order, but for two cases that are not promised: fixes between
// a fence and its outer edge (they say where the vehicle was before), and two places told for one millisecond.
package vehicle
