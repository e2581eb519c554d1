// Package transcript plays recorded device conversations, and writes them down while they happen (Writer). One transcript serves as unit test in
// memory, on a pty, and in the simulator:
//
//	# comment
//	< "$GPRMC,...*26\r\n"    from the device: a quoted Go string, or hex
//	< 80 01 00 33 B2
//	> 8A 01 01 11 9B         to the device: the player waits for exactly these bytes
//	~ 1s                     the device pauses
//	= again                  the device starts over here (only as the last line)
//
// Adjacent lines need no alignment with reads and writes: the bytes are one stream a direction.
// After the last line the device is silent and keeps the line open.
package transcript
