// Package lockerbus drives lock boards on an RS-485 line. There is no standard; five families of boards are known,
// and a line has boards of one:
//
//   - 8a80: the 8 to 50 door boards sold in China with five-byte frames that end in the XOR of the bytes before, 9600 8N1
//     (vendors' manuals, "485 lock control board, 24 ways, communication protocol", 2021).
//   - kr-cu16, kr-cu24, kr-cu48: KERONG boards with that many locks, 19200 8N1 (KERONG's manuals).
//   - kr-cu12: the KERONG KR-CU12 and newer boards, 19200 8N1.
//
// What differs between units of a family is a setting:
//
//	devices:
//	  - id: board
//	    kind: lockerbus
//	    port: serial:/dev/ttyUSB2?baud=9600
//	    family: 8a80                 # or kr-cu12, kr-cu16, kr-cu24, kr-cu48
//	    feedback: locked_short       # the contact is closed while locked; or open_short. KERONG: locked_short unless set
//	    bitmap_one_means: locked     # in answers for all doors; absent: as feedback says of 11
//	    occupancy: second_board      # or infrared, or none
//	    item_one_means: present      # of the item sensors; or absent
//	    echo: true                   # the adapter echoes what is sent
//	    boards:
//	      - {board: 1, cells: 24, first_cell: 1, item_board: 2}
//	      - {board: 3, cells: 12, first_cell: 25}
//
// Which feedback a lock gives is found when it is installed, by opening one door: with the wrong setting every closed door
// is told as opened.
//
// # Frames of 8a80
//
// bb is the board 1 to 32, ll the lock 1 to 50, ss 11 or 00:
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
// # Frames of KERONG boards
//
// sum is the low byte of the sum of all bytes before it. S are states, the first S locks 1 to 8, bit 0 the lowest, 1 a
// hook that is closed; I are items in the same order, 1 an item in front of the infrared sensor. Locks count from 0 on the wire.
//
//	kr-cu16  02 bl 30 03 sum                read, b the board 0 to 14, l 0   -> 02 b0 35 S S I I 03 sum
//	         02 bl 31 03 sum                open lock l 0 to 15              no answer, or the same
//	kr-cu24  02 bb 00 50 03 sum             read, bb the board 0 to 239      -> 02 bb ll 65 S S S 03 sum
//	         02 bb ll 51 03 sum             open
//	kr-cu48  02 bb 00 60 03 sum             read                             -> 02 bb ll 75 S S S S S S 03 sum
//	         02 bb ll 61 03 sum             open
//	kr-cu12  02 bb 00 80 00 00 03 sum       read                             -> 02 bb ll 80 ask len 03 sum S.. I..
//	         02 bb ll 81 00 00 03 sum       open                             -> 02 bb ll 81 ask 00 03 sum
//
// A KERONG board tells all its doors or none, and nothing unasked. Some KR-CU16 stay busy after an unlock until the next
// command: it is the read that follows. The data of a kr-cu12 stand after the sum, which covers them on some boards
// only: a state that differs from the last counts when two reads agree (counter disagreed). A KR-CU48 that is set to Modbus is
// none of these: its locks are coils.
//
// # What is inside a cell
//
// With occupancy: infrared it is told by the item bits in the board's own answers (kr-cu16, and kr-cu12 where the data are
// long enough). With occupancy: second_board the cells' item sensors are wired to a second board of the family,
// item_board: it is read with the same read-all command, its input n belonging to cell n of the board. Board 0 of a KERONG
// family can't be an item board. Without sensors occupied is never told.
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
// open_cell {cell: "7"}. The door is read, pulsed once (CommandTo.Pulsed, just before the frame leaves), and read every 200 ms for 3 s:
//
//   - done, opened: the door was seen open.
//   - refused: bad_cell, unknown_action, not_running, busy, no_reply (before the pulse), already_open.
//   - unknown: jammed, or no_reply and stopped after the pulse. Somebody must look.
//
// # Promises
//
//   - A command pulses at most once, whatever is lost; a pulse is never sent again. Pulses are at least
//     300 ms apart, for one supply feeds all locks.
//   - What the board answers to a pulse is not believed. With 8a80 a failed pulse is answered with the very bytes
//     of the request where feedback is locked_short, which an adapter's echo can't be told from. Only a
//     door that was read open counts. (Reading all doors of an 8 door board with all bits 0 answers with
//     the bytes of its request too: set echo where the adapter echoes.)
//   - One goroutine owns the line: one request at a time, gap (50ms) of silence before it.
//   - A frame is taken only with a right check, a board and lock that there are, and with 8a80 a state of 11 or 00.
//     Anything else is skipped byte by byte and counted.
//
// # It does not
//
// Open all or several doors (8A bb 00, 90; 33), hold power (9A, 9B), set a board's times (37, 39), or speak to other
// families (WKLY, Winnsen, YT_LOCKER24).
//
// # Counters
//
// frames_ok, bad_checksum, resync (bytes skipped), timeouts, retries, late_replies, changes (unasked
// frames), echoes, pulses, jams, disagreed (two reads of a kr-cu12), boards_lost (now). The last bad frames are kept.
package lockerbus
