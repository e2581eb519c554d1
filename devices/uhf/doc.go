// Package uhf drives the serial UHF RFID modules and readers of the Chinese market, in four
// families of protocols.
//
//	bb7e    BB .. 7E: MagicRF M100/QM100, R200, YRM100, JRD-4035/100, M5Stack UHF-RFID, EL-UHF-RMT01
//	a0      A0: boards with Impinj's R2000 or E-series, many readers with 4 or 8 ports; TCP 4001
//	lenadr  len addr cmd: UHFReader18/09/288 firmware, Chafon CF-RU5102 and relatives; TCP 6000
//	swct    53 57 / 43 54 ("SW", "CT"): readers with USB, serial and TCP
//
// Standards: the makers' serial protocol manuals (MagicRF M100 and QM100 firmware manual; UHF RFID Reader
// Serial Interface Protocol V3.7; UHF RFID Reader User's Manual V2.0 and V2.20), and frames captured in the
// field for swct; the air side is ISO/IEC 18000-63.
//
//   - id: gate
//     kind: uhf
//     port: serial:/dev/serial/by-id/usb-1a86-if00   # or tcp:192.168.1.60:4001
//     family: auto                    # or bb7e, a0, lenadr, swct: quicker to find
//     bauds: [115200, 57600, 38400, 9600]            # tried in this order, a baud= of the port first
//     address: 1                      # default: whichever answers
//     antennas: [{port: 1, role: outer}, {port: 2, role: inner}]   # default: as the module is set
//     power_dbm: 26                   # default: as the module is set
//     rssi: {profile: auto}           # or signed, minus_129, none, {profile: linear, scale: 0.5, offset: -110}
//     interval: 50ms                  # rounds begin at least this far apart
//     silence: 10s                    # a module that says nothing sound for so long is given up
//     raw_reads: on                   # single reads on dev/#, at most one a second for tag and antenna
//     passage: {min_reads: 2, window: 2s, silence: 3s, min_rssi: -70}
//
// # What it does
//
// It asks "get info" in each family at each speed, beginning where a module answered last, sets the
// region to China 920 to 925 MHz, the power if given, and reads both back: a setting that is right
// already is not written, since it goes into flash. Then it lets the module take inventory: bb7e polls by
// itself, 10,000 rounds at a time (a minute or more), begun anew before they end; the others are asked for one round after
// another, on each antenna in turn. Every 30 s, and whenever an answer stays out, the settings are looked
// at: bb7e is stopped and drained before that, since it obeys nothing while it polls. A module whose
// settings are gone restarted by itself (most often its supply breaks down when the transmitter starts:
// they need 5 V and 2 A); it is set up again. When Run ends bb7e is stopped.
//
// Readings: tag with a passage (arrive, depart, in, out: see devices/passage), tag without one (raw read,
// with the module's own figure of strength as rssi_raw), alarm (module_reset; antenna_lost and
// antenna_back from families that tell; at most one a minute of each cause). Modules have no clock:
// readings are undated and dated by the moment they are recorded; te_ms says how long before that it
// happened.
//
// # Promises
//
//   - Garbage is skipped byte by byte to the next sound frame and counted; buffers are bounded. A frame that
//     pauses for 200 ms is none.
//   - A tag whose length disagrees with its protocol control word is thrown away, and so is one whose own
//     CRC-16 is wrong (bb7e), unless the module never sends a right one: an eight bit sum is a weak check.
//   - What Run couldn't hand over the next Run hands over first, under the same message id, so that it
//     counts once. Raw reads are lost.
//   - A lost module doesn't make tags depart: 1.6 s after it was last heard their time stands still, until
//     it is back.
//   - A region or power that is refused, or doesn't read back, three times in a row is ErrPermanent.
//     A wrong speed, a silent module and garbage never are.
//
// # It does not
//
// Use access operations (read, write, lock, kill); select tags; change a module's speed or address;
// listen for readers that dial out themselves; read the region of swct back, for which no command is
// known (its word that it obeyed must do; counted as unverified); switch a lenadr reader out of its
// own active mode, whose uploads it understands.
//
// # Counters
//
// frames_ok and frame_bytes, bad_checksum (where a frame was due), resync and garbage_bytes (runs of garbage,
// their size), tag_reads, bad_report (senseless contents), bad_tag_crc, empty_epc, rounds and empty_rounds,
// unexpected (answers nobody waited for), heartbeats, refusals, timeouts, probes, connects, resets (settings
// were gone), restarts (of a poll that fell silent), unverified (settings that can't be read back); and those
// of devices/passage.
package uhf
