// Package supervise keeps drivers running.
//
// Keep runs a part until its context ends. When the part returns or panics it is run again after a pause of
// 1 s, doubling up to 1 min, each pause shortened by up to half at random so that devices on one bus don't
// march in step; a minute of good running starts the pauses over. A part whose error wraps
// devices.ErrPermanent is parked: it isn't run again until Restart.
//
// A part that tells its progress, got on in each of five minutes and then doesn't for five more is taken for hung: it is ended and
// run again, once for each silence. One that doesn't end within a minute after it was asked to is shown as stuck.
//
// Pulse tells whether the loops that all depend on still turn, by sending a probe through them. Who feeds a watchdog asks it
// before: systemd's, and with Watchdog the board's own.
//
// Whether to stop is asked of Keep's own context, never of the error: a driver's timeout looks like
// a context's.
//
// # Promises
//
//   - One part's failure or panic touches no other part.
//   - The first failure is logged at Warn; the same again at Debug, so that an unplugged device doesn't fill
//     the log. Running well for a minute forgets it.
//   - States tells of every part what it does, since when, how often it was restarted and why.
//
// # Counters
//
//	restarts   times the part was run again
//	panics     times it panicked
package supervise
