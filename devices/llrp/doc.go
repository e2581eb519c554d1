// Package llrp drives fixed UHF RFID readers over the Low Level Reader Protocol.
//
// Standard: EPCglobal LLRP 1.0.1 (13 August 2007), sections 8 to 18. Messages of version 1.1 are
// understood too; the driver itself speaks 1.0.1, as every 1.1 reader does until told otherwise.
//
//   - id: dock-a
//     kind: llrp
//     port: tcp:192.168.1.40:5084
//     antennas:                       # default: all antennas, each a field of its own
//   - {port: 1, role: outer}      # outer and inner antennas of a zone tell in from out
//   - {port: 2, role: inner}
//     power_dbm: 30                   # default: as the reader is set
//     session: 1                      # Gen2 session, default: as the reader is set
//     keepalive: 10s
//     raw_reads: on                   # single reads on dev/#, at most one a second for tag and antenna
//     passage: {min_reads: 2, window: 2s, silence: 3s, min_rssi: -70}
//     inputs:                         # optional: doors or light beams on the reader's inputs
//   - {port: 1, door: gate, open: high}
//
// # What it does
//
// It connects, waits up to 10 s for the reader's ConnectionAttemptEvent before it sends anything,
// asks for the capabilities, deletes all ROSpecs, sets keepalives and events, adds, enables and
// starts one ROSpec that never ends and reports every read, and folds the reports into passages.
// Keepalives are answered; a reader that is silent for 2.5 keepalives is given up. When ctx ends
// it stops, disables and deletes the ROSpec and closes the connection, within half a second.
//
// Readings: tag with a passage (arrive, depart, in, out: see devices/passage), tag without one
// (raw read), door (a configured input changed), alarm (antenna_lost and antenna_back,
// reader_exception, reader_overflow; at most one a minute of each cause).
//
// # Time
//
// Where the reader's UTC clock agrees with the gateway's within max_clock_skew, or the gateway's was
// never set, readings carry the reader's time, quality rtc. Otherwise (a clock far off, uptime
// only) they are undated, are dated by the moment they are recorded, and te_ms says how long
// before that it happened.
//
// # Promises
//
//   - Garbage is skipped to the next message and counted; a parameter of unknown type is skipped by
//     its length; a TV parameter of unknown size ends its report, not the connection.
//   - A field that a report leaves out is unknown, never that of the report before.
//   - What Run couldn't hand over (passages, alarms, doors) the next Run hands over first, under the same
//     message id, so that it counts once. Raw reads are lost.
//   - A lost connection doesn't make tags depart: their time stands still until the reader is back.
//   - A reader that serves another client gives ErrBusy, and the next Run waits 5 s before it
//     connects. A setting refused three times in a row is ErrPermanent.
//
// # It does not
//
// Speak TLS (port 5085), use access operations (read, write, lock, kill), or ask for the state of
// inputs at start: a door is told from its first change on.
//
// # Counters
//
// frames_ok, resync and garbage_bytes (runs of garbage, their size), tag_reports, bad_report
// (broken or without EPC), empty_epc, unknown_param (of unknown size), unexpected (messages nobody
// waited for), keepalives, reader_events, reader_errors, timeouts, connects, busy, clock_refused
// (reads dated by receipt), raw_emitted, raw_dropped, alarms_held; and those of devices/passage.
package llrp
