// Package jt808 is the platform's side of JT/T 808 (2011, 2013 and 2019), the protocol that vehicle terminals in China
// speak: the datasheet of the driver "jt808". The driver listens on TCP; the device behind it is a network of
// terminals, each of which is a device of its own in the readings.
//
//	devices:
//	  - id: terminals
//	    kind: jt808
//	    listen: 0.0.0.0:6808
//	    secret_file: /var/lib/yizhan/jt808.secret
//	    unknown: refuse               # or accept: any terminal, as t and its number
//	    terminals:
//	      "013912345678": {id: v03-term}
//	      "13912345679": {gcj02: true, lenient_checksum: true, utc_offset: 8h, yue_biao: true, auth: any}
//
// # What is read
//
//   - 0x0100 register, 0x0102 authentication, 0x0002 heartbeat, 0x0003 logout, 0x0004 request for the time.
//     Registrations of 2011, 2013 and 2019 are told apart by the version flag, then by length. The auth code is made of
//     the number and the secret, so that a terminal that has one goes on with it after any restart. It keeps
//     terminals apart from typing errors, not from enemies: the protocol gives the code to whoever asks.
//   - 0x0200 location with items, 0x0201 and 0x0704 batches, 0x0104 parameters.
//   - 0x0001 acknowledgements, matched to commands by serial.
//   - Messages in fragments, in any order; what is missing after 3 s is asked for (0x8003), three times; after 5 min
//     they are dropped. At most 4 messages of 64 KiB a terminal, and 16 MiB in all.
//
// Anything else is answered with "unsupported" (result 3): pictures, sound, driver cards and transparent data aren't
// kept, so they aren't acknowledged as if they were. Encrypted messages are too.
//
// # Readings
//
// The device is the id in the config, or t and the number, padded to the 12 digits of 2013 where they hold it, else to
// the 20 of 2019: a terminal that changes version stays itself. A number may be hexadecimal.
//
// position, one a location, with acc, status and alarm (the words in hex, alarm when it isn't 0), mileage_km, fuel_l,
// recorder_kmh, csq; items holds all others in hex by id (a second one of an id as id.2, bytes that are no item as
// rest); replayed marks a blind-zone replay, encrypted coordinates that can't be read.
//
//   - Without a fix, or at 0°N 0°E, valid is false and there is no position, whatever the fields say.
//   - at is the terminal's time (GMT+8 unless utc_offset). An impossible one, or one before 2011, is flagged
//     date_suspect and left out, so that the gateway's time dates the reading; a replayed point with such a time is
//     dropped, for it would pass for the latest.
//   - GCJ-02 coordinates of terminals marked so are moved back to WGS-84.
//   - Blind-zone points are told in their order with their own times, among live ones. Whoever keeps the latest
//     position compares times.
//
// alarm, one for each alarm bit that rises: sos, overspeed, collision and so on, with the location's time. A replay
// rises and falls by itself. A bit that stands when the gateway starts is told again. Bits 15 to 17 count for 2019 only.
//
// climate, probe cabin, for item 06 of 2019. health: a registration (maker, model, plate), and what query_params read.
//
// # What is promised
//
//   - A message is acknowledged (0x8001) when emit has returned, so what a terminal may forget is durable. The messages
//     of one read are handed over together. Fragments are acknowledged with the whole (ack_fragments: each for a
//     terminal that waits for each; it then loses what the gateway loses in between).
//   - A report sent again is acknowledged and not told again: the last 32 of a terminal are known by serial and
//     content; older ones have the same time and body, which the gateway's broker knows.
//   - One connection a terminal: a new login ends the connection before it and waits for it, so that one goroutine at
//     a time has a terminal's state. One terminal a connection.
//   - Before the login, which must come within login_within, only 0x0100 and 0x0102 are taken; the third other message
//     ends the connection. So does silence of three heartbeats, and not reading for 10 s.
//   - An idle connection costs about 15 KiB: a goroutine, 2 KiB to read into, at most 2100 bytes of an open frame.
//
// # Bad input
//
// Every 7E both ends and begins a frame, so that noise costs the frame it hits. A wrong check or length, an escape
// that is none, more than 2100 bytes: dropped without an answer, counted, kept among the last bad frames. A frame that
// sets the version bit over a header of 2013 is told by its length. What is well framed and can't be read is answered
// with "bad" (result 2); of a batch with a wrong inner length the locations before it are kept. lenient_checksum and
// lenient_length take what a terminal gets wrong always.
//
// # Commands
//
// To the terminal's id, or to the driver's with the argument terminal:
//
//   - text {text, show: "urgent display speak board"} (0x8300), GBK; reset (0x8105, 4). Sent once, whatever is lost.
//   - set_params {heartbeat_s, strategy, interval_s, sleep_interval_s, max_speed_kmh, overspeed_s, plate, plate_colour,
//     param_0029 ...} (0x8103), query_params (0x8104), locate (0x8201), track {interval_s, duration_s} (0x8202). These may be
//     obeyed twice without harm: sent again with the same serial after reply_within (5s), and then after 2 and 6 times
//     that.
//
// done: the terminal said so (acknowledged, read, located). refused: unknown_terminal, unknown_action, bad_text,
// not_gbk, too_long, bad_show, bad_param, no_params, bad_track, not_running, offline; failed, bad_message, unsupported
// by the terminal. unknown: no_reply, disconnected.
//
// # It does not
//
// Decrypt, speak UDP, keep pictures (0x0801) or video (JT/T 1078), or ask terminals to upgrade.
//
// # Counters
//
// frames_ok, bad_checksum, bad_length, bad_escape, resync (between marks, too short), too_long, cut, malformed, lenient,
// encrypted, unsupported, unauthorised; connections (a gauge), connects, refused_connections, accept_errors, relogins,
// timeouts, writes_failed; registers, auths, auth_failed, refused_terminals, heartbeats; positions, replayed, undated,
// bad_points, alarms, duplicates; fragments, fragments_lost, fragments_asked; commands, commands_repeated, stray_replies.
package jt808
