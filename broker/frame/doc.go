// Package frame is the batch in which a gateway ships records of one lane to the cloud.
//
// # Identity
//
// A record is (gateway, epoch, lane, seq). Each opening of a spool starts a new random epoch;
// seq is gap-free within (epoch, lane) and starts at 1. Record 1 is always an opening record
// (TypeOpening) that names the previous epoch and its last durable seq in every lane. A frame
// holds consecutive records; it may be cut anew on every resend.
//
// # Bytes, version 1
//
// Numbers are unsigned varints (encoding/binary) unless said; svarint is the zigzag form.
//
//	magic     3 bytes  59 5A 46 ("YZF")
//	version   1 byte   01
//	gateway   varint length, bytes
//	epoch     8 bytes, big-endian, never zero
//	lane      1 byte   1 command, 2 custody, 3 condition, 4 track
//	first     varint   seq of the first record, >= 1
//	count     varint   1 to MaxRecords
//	prev      32 bytes SHA-256 of the record before the first (see Record.Hash); zeros when first is 1
//	size      varint   length of the body before compression, at most MaxBody
//	packed    varint   length of the body as it follows
//	body      zstd frame of the records
//	signature 64 bytes Ed25519 over all bytes before it
//
// The body is a table of boots (varint count, 16 bytes each), then the records:
//
//	type      1 byte   1 reading, 2 opening, 3 tombstone, 4 quarantine
//	quality   1 byte   of wall: 0 unknown, 1 gnss, 2 ntp, 3 cloud, 4 rtc, 5 retro
//	boot      varint   index into the table of boots
//	mono      svarint  nanoseconds of CLOCK_BOOTTIME, difference to the record before (first: to 0)
//	wall      svarint  Unix milliseconds of the gateway's clock, difference to the record before
//	payload   varint length, bytes: JSON
//
// The payload of a reading is telemetry JSON; of an opening, a tombstone and a quarantine the JSON of
// the types Opening, Tombstone and Quarantine.
//
// # Promises
//
// Decode never panics and allocates at most a small multiple of MaxBody, whatever the bytes;
// Verify fails when any byte of the frame has changed. Neither says who a key belongs to.
package frame
