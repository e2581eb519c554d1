// Package porttest gives tests the other end of a port: PTY a real serial line whose device side
// the test plays, Pipe a line in memory that works under synctest.
//
// Both are buffered like a UART's line: a device may speak while nobody reads. Closing the
// device's end is the unplugged cable.
package porttest
