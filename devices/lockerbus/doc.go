// Package lockerbus drives lock boards of the "8A/80 XOR" family on an RS-485 line: the 8 to 50
// door boards sold in China with five-byte frames that end in the XOR of the bytes before. There
// is no standard; the layout is that of the vendors' manuals ("485 lock control board, 24 ways,
// communication protocol", 2021), and its two variants are settings.
//
//	devices:
//	  - id: board
//	    kind: lockerbus
//	    port: serial:/dev/ttyUSB2?baud=9600
//	    feedback: locked_short       # the contact is closed while locked; or open_short
//	    bitmap_one_means: locked     # in read-all answers; absent: as feedback says of 11
//	    occupancy: second_board      # or none
//	    item_one_means: present      # of the item board; or absent
//	    boards:
//	      - {board: 1, cells: 24, first_cell: 1, item_board: 2}
//	      - {board: 3, cells: 12, first_cell: 25}
//
// Frames, bb the board 1 to 32, ll the lock 1 to 50, ss 11 or 00:
//
//	8A bb ll 11 xor   open one            -> 8A bb ll ss xor
//	80 bb ll 33 xor   read one            -> 80 bb ll ss xor
//	80 bb 00 33 xor   read all            -> 80 bb S..S 33 xor, the last S locks 1 to 8, bit 0 the lowest
//	81 bb ll ss xor   change, unasked
//
// Old boards read all with function 99 instead of 33 (read_all_function: 0x99). A read-all answer
// has one S for eight doors of the board: doors says how many it has (24, 32 or 50, the smallest that
// holds the cells, unless set).
//
// # What is inside a cell
//
// The family knows doors only. With occupancy: second_board the cells' item sensors are wired to a
// second board of the family, item_board: it is read with the same read-all command, its input n
// belonging to cell n of the board. Without sensors occupied is never told.
//
// # Readings
//
// locker, one an event. The boards have no clock and no counter: at and n are absent and the
// record's own time dates them.
//
//   - At the first sight of a board each cell's door is told as opened or closed, with occupied where
//     it is known. That is a statement of what is, not an event seen: a change that happened while nobody
//     looked shows as a statement that contradicts the last one. Who folds them takes closed with
//     occupied on a cell that was empty for a deposit seen late, and closed without occupied for a pickup.
//   - opened: the door opened after a pulse. forced: it opened and no pulse explains it; a pulse
//     explains an opening up to 30 s later, and one that came while the line was broken.
//   - closed; deposited or emptied instead, when the item sensor says so: the cell is now occupied, or
//     empty, and wasn't when the door opened. An item that comes or goes without a door seen open is
//     told too, once two reads in a row agree.
//   - jammed: pulsed, and three seconds later the door still reads locked.
//
// alarm: board_lost (no answer to three reads), door_open (longer than open_alarm), each once.
//
// # Commands
//
// open_cell {cell: "7"}. The door is read, pulsed once, and read every 200 ms for 3 s:
//
//   - done, opened: the door was seen open.
//   - refused: bad_cell, unknown_action, not_running, busy, no_reply (before the pulse), already_open.
//   - unknown: jammed, or no_reply and stopped after the pulse. Somebody must look.
//
// # Promises
//
//   - A command pulses at most once, whatever is lost; a pulse is never sent again. Pulses are at least
//     300 ms apart, for one supply feeds all locks.
//   - What the board answers to a pulse is not believed: a failed pulse is answered with the very bytes
//     of the request where feedback is locked_short, which an adapter's echo can't be told from. Only a
//     door that was read open counts. (Reading all doors of an 8 door board with all bits 0 answers with
//     the bytes of its request too: set echo where the adapter echoes.)
//   - One goroutine owns the line: one request at a time, gap (50ms) of silence before it.
//   - A frame is taken only with a right check, a board and lock of the config, and a state of 11 or 00.
//     Anything else is skipped byte by byte and counted.
//
// # It does not
//
// Open all or several doors (8A bb 00, 90), hold power (9A, 9B), or speak to KERONG and other families.
//
// # Counters
//
// frames_ok, bad_checksum, resync (bytes skipped), timeouts, retries, late_replies, changes (unasked
// frames), echoes, pulses, jams, boards_lost (now). The last bad frames are kept.
package lockerbus
