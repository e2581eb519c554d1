// Package keypad drives what a villager stands in front of at a locker: a touch panel, or a numeric keypad, on a serial line. There
// is no standard for either.
//
//   - id: pad
//     kind: keypad
//     port: serial:/dev/serial/by-id/usb-panel?baud=9600
//     family: panel        # or keys
//
// # Family keys
//
// Any keypad that sends one ASCII character a key (nearly all serial numeric keypads can be set so): 0 to 9, * or ESC, # or CR (LF
// is passed over). 3#483920#, or 3483920#, is an entry; # behind up to three digits divides cell and code; 0# asks for another cell; *
// throws away what was typed, or is an entry of its own when nothing was. What isn't finished 20 s after its last key is thrown away. With
// beep the keypad gets BEL (07) once for each screen that tells of success and three times for one that doesn't.
//
// # Family panel
//
// A touch panel that composes entries itself and shows words. Lines of ASCII, each $ FIELDS * HH CR LF, fields divided by commas, HH
// the XOR of the bytes between $ and * in hex, as in NMEA 0183, at most 64 bytes. From the panel:
//
//	$HI,7f3a09c1,12*HH    its boot, a random word of 1 to 16 hex digits; the number of its last entry, 0 for none. At
//	                      power-on and in answer to $WHO
//	$HB,86400*HH          every 10 s: seconds since power-on
//	$EN,13,3#483920*HH    entry 13, as of family keys; again every second until it is acknowledged, three times at most
//
// To the panel:
//
//	$WHO*HH               once the line is open, and again until it has said $HI
//	$OK,13*HH             entry 13 has come
//	$SC,opening,3,0*HH    show a word, with a cell and seconds (0: none); the last one again when a panel has said $HI
//
// Numbers of entries count up from 1 and are 31 bits long. An entry is taken only after $HI, and only if its number is higher than the
// last: one that was sent before the gateway was there, or may have been taken by it before it was started again, opens nothing, and is
// typed again.
//
// The words are those of the locker (yizhan/gateway/internal/cabinet). A panel shows one that it doesn't know as it is.
//
// # Readings
//
// health: online 1, when the device is first heard and then at most once a minute; uptime_s where a panel tells it. What is typed is no
// reading: it is handed to who listens, and else nobody. It is in no log line, and of bad lines the reason is kept but not the bytes.
//
// # Promises
//
//   - An entry is given to the listener at most once.
//   - A line with a wrong check, of another form or too long is nothing, and counted.
//   - A panel silent for 35 s ends Run. A keypad may be silent for ever.
//
// # It does not
//
// Know which cells or codes there are, or speak the makers' own languages of touch displays (Nextion, DWIN): a panel is programmed to
// speak this one.
//
// # Counters
//
// frames_ok (lines, or keys), bad_checksum, malformed, too_long, entries, repeated (entries that had come before), early (entries before
// $HI), abandoned (typed and not finished), shown.
package keypad
