// Package gnss reads satellite receivers: NMEA 0183 (IEC 61162-1) and UBX of u-blox, mixed as they come, on a serial line or
// a TCP port, or through a gpsd: the datasheet of the driver "gnss".
//
//   - {id: gps, kind: gnss, port: "serial:/dev/ttyUSB0?baud=9600"}
//   - {id: gps, kind: gnss, port: "serial:/dev/ttyACM0", messages: ubx, every: 200ms}
//   - {id: gps, kind: gnss, port: "tcp:127.0.0.1:2947", protocol: gpsd}
//
// # What is read
//
// Sentences RMC GGA GSA VTG GNS GLL ZDA GSV (NMEA 0183 version 4.11, section 8.3) of the talkers
// GP GPS, GL GLONASS, GA Galileo, GB and BD BeiDou, GQ and QZ QZSS, GI NavIC, GN and IN combined. Fields are
// taken by presence, never by a fixed count. An empty field is unknown, never zero. Other
// sentences, other talkers, proprietary ($P...) and encapsulated (!...) ones are counted as ignored.
//
// UBX (u-blox M8 receiver description UBX-13003221, M10 interface description UBX-21035062): NAV-PVT of 84 or 92
// bytes is a whole epoch; where its position, date or time isn't flagged valid, or its second not yet sure, that is unknown.
// NAV-SAT counts satellites. Other messages are counted as ignored. A fraction of a second is rounded to milliseconds; NAV-PVT and
// sentences within 10 ms of each other are one epoch, whichever comes first.
//
// gpsd (gpsd_json, protocol 3): TPV and SKY; unknown classes and keys are ignored, absent ones unknown. gpsd_device picks one
// of several receivers. A fix that gpsd calls simulated is no position.
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
// # What is set
//
// Nothing, unless every or messages is given. Then the receiver is asked for MON-VER, three times a second apart. One that
// answers is a u-blox (or says so): those of protocol 27 and later (M9, F9, M10) are set by CFG-VALSET in the RAM layer, on
// their first serial port and their USB alike; older ones by CFG-RATE and CFG-MSG on the port in use. One question at a
// time waits for its ACK, three times for a second. Sentences are switched off only where NAV-PVT was granted. Other makes
// (CASIC, MediaTek) don't answer and are left as they are. Nothing outlives the receiver's power, so it is set again when the
// port is opened anew and when it speaks after a silence. Baud rates are never touched.
//
// # Bad input
//
// A UBX frame is at most 4104 bytes. Until its check is right it is no frame: what it holds is then read for
// sentences and frames of its own, and a pause of 500 ms ends the waiting, so that lost bytes cost their own message only. A
// line of gpsd is at most 16 KiB. A sentence is at most 256 bytes. A wrong checksum, or none (unless allow_missing_checksum), a '$' before
// the end, a control or 8-bit byte in it, a field that is no number: dropped, counted, kept
// among the last bad frames. Other binary protocols on the same line (CASIC, SiRF) are skipped; since every
// '$' outside a good UBX frame starts anew, no sentence is lost to them.
//
// # Counters
//
// frames_ok, bad_checksum, no_checksum, cut, too_long, malformed, resync (runs of foreign bytes),
// skipped_bytes, ignored, epochs, no_fix, zero_position, disagree, not_measured, duplicate_epochs, split_epochs,
// date_suspect, date_corrected, timeouts (silences), set_up (settings acknowledged), set_up_refused, set_up_unanswered,
// gpsd_errors, satellites_in_view (a gauge).
//
// # It does not
//
// Keep settings in a receiver's memory, read UBX from before NAV-PVT (u-blox 6), judge whether a position is plausible, or move it to GCJ-02.
package gnss
