// Package telemetry is the shared vocabulary of Yizhan: what a reading is, which
// kinds there are, which lane each kind travels in, and how a reading looks as JSON.
// Every room may import it; it imports only the standard library.
//
// # A reading
//
// A Reading says that a device saw something at a time. On every wire and in every
// store that holds one it is the same JSON object:
//
//	{"device":"gps","kind":"position","at":"2026-08-05T05:52:34.200Z","tq":"gnss",
//	 "te_ms":100,"n":"17","body":{"lat":47.661981667,"lon":-122.326393667}}
//
// device is unique within its gateway. at is RFC 3339 in UTC with milliseconds and may be
// absent (then tq is unknown and the record's boot id and monotonic time date it later).
// te_ms bounds the error of at. n is the device's own message id where it has one (boot and
// counter, a serial number, an event number). body is an object whose fields depend on the
// kind; units follow the SenML registry (RFC 8428, section 12.1) and stand in the field name.
//
// # Promises
//
//   - Absent means unknown, never zero: optional fields are Opt values.
//   - A field this release does not know is kept and forwarded: Body holds the bytes.
//   - Parse accepts one object or an array; good items of an array are kept when others
//     are bad, and each bad item comes back as a Rejected with the field that is wrong.
//   - Parse never panics, keeps no reference to the caller's buffer that the caller could
//     not see (Readings alias the payload), and is linear in its input.
//
// It does not: convert units, order readings, or decide what is latest.
package telemetry
