// Package locker is the rules of lockers: what the events of a cell say of it, and which scan a
// deposit belongs to (the last one before it, within 60 s, at the same gateway, with no other
// deposit in between). It touches no store and no clock.
package locker
