// Package frame is the batch in which a gateway ships records of one lane to the cloud.
//
// # Identity
//
// A record is (gateway, epoch, lane, seq). Each opening of a spool starts a new random epoch;
// seq is gap-free within (epoch, lane) and starts at 1. Record 1 is always an opening record
// (TypeOpening) that names the previous epoch and its last durable seq in every lane. A frame
// holds consecutive records; it may be cut anew on every resend, and in another version.
//
// Record.Hash is over the record, never over a frame: it is the same whichever version carried the record, for
// every version gives back each payload byte for byte.
//
// # Bytes
//
// Numbers are unsigned varints (encoding/binary) unless said; svarint is the zigzag form. A text is
// its length as a varint and its bytes.
//
//	magic     3 bytes  59 5A 46 ("YZF")
//	version   1 byte   01 or 02
//	gateway   text
//	epoch     8 bytes, big-endian, never zero
//	lane      1 byte   1 command, 2 custody, 3 condition, 4 track
//	first     varint   seq of the first record, >= 1
//	count     varint   1 to MaxRecords
//	prev      32 bytes SHA-256 of the record before the first (see Record.Hash); zeros when first is 1
//	size      varint   length of the body before compression, at most MaxBody
//	packed    varint   length of the body as it follows
//	body      zstd frame (RFC 8878) of the records; in version 2 with the dictionary of id 2
//	signature 64 bytes Ed25519 over all bytes before it
//
// The dictionary of version 2 is version2.dict as raw content: texts that bodies often hold. It is part of the version
// and never changes.
//
// # Body, version 1
//
// A table of boots (varint count, 16 bytes each), then the records:
//
//	type      1 byte   1 reading, 2 opening, 3 tombstone, 4 quarantine
//	quality   1 byte   of wall: 0 unknown, 1 gnss, 2 ntp, 3 cloud, 4 rtc, 5 retro
//	boot      varint   index into the table of boots
//	mono      svarint  nanoseconds of CLOCK_BOOTTIME, difference to the record before (first: to 0)
//	wall      svarint  Unix milliseconds of the gateway's clock, difference to the record before
//	payload   text     JSON
//
// # Body, version 2
//
// The same, turned round: one column after the other. Numbers are 64 bits and wrap.
//
//	boots     varint count, 16 bytes each
//	unit      1 byte   of mono: 0 milliseconds, 1 nanoseconds
//	type, quality, boot, mono, wall: numbers, one a record, as above; wall as its distance from mono's whole
//	          milliseconds (rounded towards 0)
//	shapes    varint count, 0 to 256, then a text each: a payload in which the byte 00 stands for each value
//	shape     numbers, one a record: the index of its shape
//	sets      the values of the records of each shape, in the order of the shapes
//
// A payload is its shape with the values of its record in the places of the 00. Values are JSON's strings (with their
// quotes), numbers and words, but an object's keys belong to the shape. A payload that can't be cut so (it holds a 00, or
// more than 256 values), or whose shape comes once, has the shape 00 and itself as the one value. A reader
// doesn't ask whether a payload is JSON.
//
//	keys      1 byte n, 0 to 2, then n bytes: indices of values, each less than the number of values in the shape
//	columns   of the keys, in their order, which must be of kind 1; their rows are the records in the frame's order.
//	          Then the other columns in the order of the values: their rows are sorted by the indices of the words of
//	          the first key, then of the second; equal ones stay in the frame's order and are a group. Without keys all
//	          rows are one group.
//
// A column is a byte that says of which kind it is, and:
//
//	0 texts    numbers: lengths; then the bytes of all rows
//	1 words    varint count, 1 to the number of rows, a text each; if there is more than one, numbers: the index of each row's
//	2 time     numbers: Unix milliseconds, written as a quoted telemetry.TimeLayout
//	3 since    the same less the record's wall
//	4 decimal  varint places, 0 to 18; numbers: the value times 10^places, written without zeros at the end of a fraction
//	5 fixed    the same, written with all places
//	6 hex      text before, text after, varint digits (0 to 96), byte case (0 lower, 1 upper); for each 12 digits, the last
//	           may be fewer, numbers
//	7 digits   text in which 00 stands for each of up to 8 runs of digits; a byte each: the width to which it is filled
//	           with zeros, 0 to 18; for each run numbers
//	8 minutes  varint places, 0 to 7; numbers: parts of 1/10^places of a minute of arc, written as degrees like
//	           kind 4 with 9 places, rounded half up
//
// Numbers, n of them in groups, are nothing when n is 0, and else a byte: its two high bits are the order (0 to 2) of the differences, its six
// low bits the width. With order 1 the first number of each group follows, with order 2 the first and the difference from it to the second:
// svarints, each less the same of the group before. The rest are differences of that order within their group: if there are any, svarint base, the smallest; then each
// difference less base as width bits, the lowest first in each byte, filled up to a whole byte at the end; with width 63 a
// varint each.
//
// # Versions
//
// The cloud reads all versions. A gateway may write version 2 only to a cloud that said so on the same connection (Ack.Frames): until
// the first ack, and to a cloud that doesn't say, it writes version 1.
//
// # Promises
//
// Decode never panics and allocates at most a small multiple of MaxBody, whatever the bytes;
// Verify fails when any byte of the frame has changed. Neither says who a key belongs to.
package frame
