// Package clock says what time it is on a board that may have no clock.
//
// The one time that never lies is CLOCK_BOOTTIME together with the kernel's boot id: it counts through
// suspend and never steps. Every record carries it, in whole milliseconds: what is finer takes three bytes a record on
// the way to the cloud and tells nothing. Wall time is added where it can be trusted, with its quality:
//
//	gnss     a satellite fix anchored it within the last hour
//	ntp      the kernel says its clock is synchronised (adjtimex, STA_UNSYNC clear)
//	gnss     an older anchor, counted on by CLOCK_BOOTTIME
//	cloud    the cloud told its time
//	rtc      the board's own clock, where it has a clock chip or is no board (see Options.RTC)
//	unknown  none of these: the record is dated afterwards from its boot id and monotonic time
//
// # Promises
//
//   - A date before Floor or after the year 2100 anchors nothing: a receiver's week roll-over, a board that booted in 1970.
//   - A satellite time anchors only when a second one, at least a second later, agrees with it to 2 s; so a
//     recording that is played back, or one garbled date, anchors nothing.
//   - The system's clock is never set.
//
// Not promised: that wall time never steps back. Order comes from sequence numbers, never from here.
package clock
