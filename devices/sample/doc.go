// Package sample is a driver to copy: a thermometer that nobody sells, on a serial line, 9600 8N1.
//
//   - {id: room, kind: sample, port: "serial:/dev/ttyUSB0?baud=9600", probe: shelf}
//
// Here stands what a driver's doc.go must tell: the standard or manual, with section and edition, and
// which models speak it; wiring; every key of the config; and then, under these headings:
//
// # What is read
//
// A line a second, "T=23.5,H=45*2B" and CR LF: degrees Celsius, per cent of relative humidity, and the
// XOR of all bytes before '*' as two hex digits. Each is one climate reading. The device tells no time, so
// at is absent and the record's own time dates it.
//
// # Promises
//
//   - A line with a wrong checksum, of more than 64 bytes, or with a value outside -40 to 85 °C or 0 to
//     100 % is dropped, counted, and kept among the last bad frames.
//   - A line silent for 30 s ends Run, so that the port is opened anew.
//
// # It does not
//
// Set the device up.
//
// # Counters
//
// frames_ok, bad_checksum, malformed.
package sample
