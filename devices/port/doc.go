// Package port opens byte streams by address:
//
//	serial:/dev/serial/by-id/usb-...?baud=9600&data=8&parity=N&stop=1
//	tcp:192.168.1.40:5084
//
// A Port is what drivers read and write; the address is what technicians write into the
// config. Serial keys may be left out: 9600 8N1 is the default. baud is 50 to 4000000, data 7
// or 8, parity N, E or O, stop 1 or 2. A key that does not exist, a key given twice and a value
// out of range are errors: a typing error must not become a port with other settings. Name
// serial ports by /dev/serial/by-id or by-path: ttyUSB numbers move after a reset.
//
// # Promises
//
//   - A Port keeps the contract of the Port interface for both kinds of address.
//   - A missing serial device fails with an error for which errors.Is(err, fs.ErrNotExist)
//     holds: the normal state of a van whose receiver is unplugged.
//   - One process and one Port own a serial device at a time (flock(2) besides TIOCEXCL, which
//     root passes); the second Open fails.
//   - A TCP peer that vanished without a word is noticed by keepalive within 30 s.
//
// # It does not
//
// Reconnect, retry or log: that is the runtime's. It has no write deadline: without flow
// control a UART always drains. RS-485 direction is the adapter's or the kernel's (TIOCSRS485).
package port
