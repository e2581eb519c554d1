// Package gnss reads satellite receivers that speak NMEA 0183 (IEC 61162-1) on a serial line or
// a TCP port: the datasheet of the driver "gnss".
//
//   - {id: gps, kind: gnss, port: "serial:/dev/ttyUSB0?baud=9600"}
//
// # What is read
//
// Sentences RMC GGA GSA VTG GNS GLL ZDA GSV (NMEA 0183 version 4.11, section 8.3) of the talkers
// GP GPS, GL GLONASS, GA Galileo, GB and BD BeiDou, GQ and QZ QZSS, GI NavIC, GN and IN combined. Fields are
// taken by presence, never by a fixed count. An empty field is unknown, never zero. Other
// sentences, other talkers, proprietary ($P...) and encapsulated (!...) ones are counted as ignored.
//
// All sentences with one time of day are one epoch and become one position reading. The first
// sentence of another time closes it; on a live line a pause of 100 ms closes it as well, so that
// a 1 Hz receiver isn't shown a second late (the pause grows to 500 ms for a receiver that pauses
// within an epoch). GSA and VTG carry no time and belong to the epoch they stand in.
//
// # What a reading promises
//
//   - valid is true only when every sentence of the epoch agrees that there is a fix: one RMC or GLL
//     with status V, mode N, quality 0 or a GNS of only N makes it false. Without a fix there is no
//     position, altitude, speed or heading, whatever the fields say.
//   - Sentences of one epoch whose positions lie more than 0.001° apart are no position: a checksum of
//     8 bits passes one garbled sentence in 256.
//   - 0°N 0°E is no position (some units send it with status A). Manual input and simulator
//     modes are no position either.
//   - speed is there only when RMC or VTG gave one, and is 0 when it said 0.
//   - fix is what GSA says; without GSA 3d when there is an altitude, 2d when not; dr for dead reckoning.
//   - at is the receiver's date and time. The date comes from RMC or ZDA of the same epoch, else from
//     the epoch before, nearest day: so midnight is right even when RMC is lost, or rolls late.
//     Without any date at is unknown. Two-digit years 80 to 99 are 19xx, others 20xx.
//   - tq is gnss with a fix, rtc without (the receiver's own clock). A date before this release
//     existed (GPS week roll-over units are 1024 weeks behind) is flagged date_suspect with tq
//     unknown, and the live driver leaves at out, so that the gateway's time dates it.
//   - An epoch told again (USB re-enumeration replays buffers) is dropped.
//   - Silence of stale_after (5 s) gives one reading that isn't valid; reopen_after (30 s) without a
//     good sentence ends Run with an error, so that the port is opened anew. A line that
//     speaks, but nothing that can be read (a wrong baud), is silent.
//
// # Bad input
//
// A sentence is at most 256 bytes. A wrong checksum, or none (unless allow_missing_checksum), a '$' before
// the end, a control or 8-bit byte in it, a field that is no number: dropped, counted, kept
// among the last bad frames. Binary protocols on the same line (UBX, CASIC) are skipped; since every
// '$' starts anew, no sentence is lost to them.
//
// # Counters
//
// frames_ok, bad_checksum, no_checksum, cut, too_long, malformed, resync (runs of foreign bytes),
// skipped_bytes, ignored, epochs, no_fix, zero_position, disagree, not_measured, duplicate_epochs, split_epochs,
// date_suspect, date_corrected, timeouts (silences), satellites_in_view (a gauge).
//
// # It does not
//
// Configure receivers, speak UBX, judge whether a position is plausible, or move it to GCJ-02.
package gnss
