// Package pickup is what a locker and the cloud must agree on without speaking to each other: the codes that open a cell, and the
// list of parcels that may be put into one. Standard library only; both products import it.
//
// # Keys
//
// The county has one master secret, in the cloud. A locker's key is HKDF-SHA256 (RFC 5869) of it:
//
//	salt  "yizhan pickup 1"
//	info  "locker" 00 LOCKER 00 GENERATION (decimal)
//	len   32 bytes
//
// Only a locker's own key lies on its card. Who steals the card knows that locker's codes until the generation is raised, and nothing
// of another locker or generation.
//
// A key file is one line, LOCKER GENERATION KEY, the key as 64 hex digits.
//
// # Codes
//
// HMAC-SHA256 (RFC 2104) under the locker's key over "code" 00 DEPOSIT 00 N (decimal); its first eight bytes, a big-endian number,
// modulo 1,000,000, as six digits. N numbers the codes of one deposit, 0 for the recipient, 1 to 3 for those they pass on; a code never
// changes. 2^64 isn't a multiple of a million: some codes are more likely than others by less than one part in 10^13.
//
// # Tickets
//
// A ticket is a text for a QR code that opens a cell at the locker's scanner:
//
//	YZP1:DEPOSIT:N:TAG
//
// TAG is the first 16 bytes of HMAC-SHA256 over "ticket" 00 DEPOSIT 00 N, in base32 (RFC 4648, no padding). It can't be guessed, so
// tries need no limit.
//
// # Badges
//
// A courier's badge is a text with the prefix YZB1: and at least 20 characters behind it, best of a random source. Lockers know only its SHA-256.
//
// # Expect
//
// Expect is the JSON that the cloud sends on yz/1/down/{gateway}/expect: see the type.
//
// # It does not
//
// Keep keys, count tries, or know who a parcel is for.
package pickup
