// Package parcel is the rule of a parcel's life: a pure fold of its evidence, in the total order, into
// its stage, place and timeline. The same evidence in any order, told any number of times, gives
// the same parcel. It touches no store and no clock.
package parcel
