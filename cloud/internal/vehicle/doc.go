// Package vehicle is the rules of vehicles: which fix becomes the position, and in which fence a
// vehicle stays. Fences have a hysteresis: a vehicle is inside when a fix lies within the
// fence, and outside when one lies beyond it by a fifth and 30 m. It touches no store and no clock.
//
// A fix is a mark of the vehicle's trace, and the stays are a function of that set of marks alone: Follow makes them in the order of time,
// Refold puts right what a late mark changes, reading no more of the trace than that reaches.
package vehicle
