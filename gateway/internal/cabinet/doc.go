// Package cabinet keeps a locker, with or without the cloud: it knows what lies in each cell, lets couriers put parcels in that the county
// expects, and lets people take them out who have a code.
//
// # A parcel goes in
//
//  1. A courier scans their badge, where the list names couriers, and the parcel's waybill. It must be in the list (broker/pickup.Expect), with
//     consent yes, and not need cold.
//  2. The smallest free cell that fits is chosen: empty, shut, no fault, best one that nobody may open again just now. The intent is
//     written to the log and synced. Only then the relay is asked.
//  3. The door tells the rest. Shut with something inside: deposited. Shut and empty: cancelled. A jammed lock: the next cell. Key 0 gives
//     another, larger cell; key * is for a change of mind. Boards without item sensors: shut is deposited, unless * was pressed.
//
// # A parcel comes out
//
//  1. Somebody types cell and code, or holds a ticket to the scanner. A code is right when it is one of the codes of what lies in that cell.
//  2. As above: intent, relay, door. Shut and empty: emptied. For three minutes (a setting of the list) the same code opens the empty cell again.
//
// A deposit that the list blocks (overdue, held) is opened by no code: a courier who has signed on scans its waybill.
//
// # Wrong codes
//
// A wrong try is a code that isn't one of an occupied cell's. After the third of a day nothing is tried for a minute, then 2, 4, 8, 15, 30, 45, 60 and 128: no
// more than 20 in any day, and never a longer wait. What is typed meanwhile isn't looked at, isn't counted and makes nothing longer. Entries that name no
// occupied cell, and the last wrong ones again, cost nothing. It counts for the locker, not for the cell, and over restarts: the time that counts is the
// time the cabinet has run, and that of being off where a known clock tells it. Tickets, couriers and the cloud's commands don't wait. gateway/DESIGN.md has
// the sum.
//
// # The relay
//
// An op opens a cell through the gateway's own commands (gateway/internal/command.Local), in line with the cloud's, at most once: after a crash
// nothing is opened by itself, and what became of an op is told by the doors. An entry is looked at when it comes or never; its pulse
// comes within five seconds or never. No network is on that way.
//
// # Readings
//
// The board's own readings of kind locker, on their way to the spool, get what is known here: deposit, waybill, generation, op, by. A deposit's
// id is drawn and written before anything is put into the cell, so the same event has the same id after any crash (but of a card that takes no writes when the power
// goes); cells that are empty and shut draw anew at each start, so a restored card repeats no id. A closing that ends
// a deposit or a pickup is told as deposited or emptied. Besides: locker accepted (a code or scan was good), pulse_sent (and no door seen open),
// wrong_door (also when it is seen up to three seconds after a driver has watched the right one in vain); alarm deposit_refused (why, and the waybill; 30 an hour) and cell_inspect. The op's outcome is a result.
//
// Tickets and badges are held back: what is typed or held to the scanner to open a door is on no topic, in no spool and in no log.
//
// # The words on the screen
//
// ready, cell_and_code, opening, take, put, done, emptied, closed, cancelled, close_empty, close_door, next_cell, scan_first, welcome, wrong, wait (with seconds), overdue,
// nothing_here, stands_open, busy, try_again, jammed, wrong_door, out_of_order; and for couriers unknown_waybill, no_consent, needs_cold, already_here, full, sign_on, no_list.
//
// # The log
//
// Lines of 8 hex digits CRC-32C, a space, JSON: whole cells, and the wrong tries. The last word on each counts; a torn last line is cut, a damaged one
// counted and passed over. Rewritten at each start and at 1,024 lines. It holds ids and waybills, no code, no key and no person. When it can't be
// written no code or scan opens anything; when it can't be read, until the next start.
//
// # Core
//
// Core is a step function: inputs in, effects out, in order; what follows a Write is done only if it is durable. Cabinet is its shell: a lock, a
// goroutine that does the effects, one a relay, and one that hands readings on, so that a full spool holds no door shut.
//
// The gateway's health carries locker_held, locker_wrong, locker_expect_version and locker_key_generation (Gauges).
//
// # Another key
//
// When its key file holds a newer generation the cabinet has that key alone, within a minute: what was put in under the old one opens with the new
// key's codes and tickets only, for the old card may be in somebody's hands. The generation in a deposit's readings stays that of its putting in; the
// cloud takes the new codes from when it hears of the gauge locker_key_generation, and tells the recipients. Between the two, minutes on a
// link that is up, the old code is wrong here and the new one not told yet: a keeper changes keys when the link is up.
//
// # It does not
//
// Know who a parcel is for, expire anything (the cloud blocks), or decide who is told what.
//
// # Counters
//
//	entries, scans      what was typed, what was scanned
//	wrong, waits        wrong tries, entries that came too early after one
//	refused             parcels that weren't let in
//	opened, unopened    ops begun, ops whose door wasn't seen open
//	deposits, pickups   parcels put in, pickups begun
//	wrong_doors         another door opened than was asked for
//	unwritten, damaged  ops given up for the card, lines that couldn't be read
//	untold              readings dropped, for the spool has taken none for long
//	lists_bad           lists of parcels that were refused
//	held                parcels in cells, now
package cabinet
