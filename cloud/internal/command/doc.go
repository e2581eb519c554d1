// Package command sends orders to devices: open a cell, identify, restart.
//
// An order is stored, then sent on down/{gateway}/command with a lease: the boot and monotonic time that
// the gateway reported last, and how long after that it may run, so that transit counts in full and
// no wall clock is trusted. When that report is older than a third of the lease the gateway is pinged and
// answers with a fresh hello. The outcome comes back as a reading of kind result, through the
// same frames, ranges and commit as everything else; the store keeps it.
//
// # Promises
//
//   - An order is stored before it leaves, and leaves at most once: nothing resends it. The same id asked
//     again with the same content is the same order; with other content it is ErrConflict.
//   - An order to a gateway that can't be reached within PingWait is refused, detail unreachable, and
//     was not sent.
//   - An order that was sent and whose outcome hasn't come within Patience is shown as unknown, detail
//     no_result: somebody must look. Only shown: the real outcome still counts when it comes.
//   - After a restart nothing is sent that was stored before.
//   - Orders that wait are bounded (ErrBusy).
//
// # Counters
//
// issued, sent, pings, unreachable, lost (the store failed on the way).
package command
