// Package person keeps what is a person's: names, phone numbers and addresses of recipients. They lie
// sealed in the store (AES-256-GCM, NIST SP 800-38D, a fresh 96-bit nonce each) and are found again by a keyed hash of the phone
// number (HMAC-SHA-256, RFC 2104), so that a copy of the database tells nothing of anybody, and shows not even that two rows
// have the same address. What people see who needn't know is masked.
//
// The key is 32 random bytes in a file of mode 0600, hex in one line, made at the first start. Both keys in use are
// derived from it (HMAC-SHA-256 with the words "seal" and "phone"). Who loses the file loses every name and number, and nothing else.
//
// It promises: a sealed recipient that was changed, or sealed with another key, isn't opened but an error; a
// phone number is found however it was written (spaces, hyphens, +86 before a number of the mainland).
//
// It does not: log, store, or turn keys over. After about 2^32 seals nonces could meet; a county has one for each
// change of a waybill.
package person
