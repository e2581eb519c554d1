// Package page is what a villager sees of a parcel: one page, /p/{token}, made by the server, that works without JavaScript, on an
// old phone and on a thin link.
//
// It says where the parcel is as far as that is confirmed, with the age of it; what opens the cell and until when; the way
// so far in plain words. With forms it takes where a parcel on its way shall go (locker, station or home: nothing goes into a locker that its
// recipient wasn't asked about), a further day, gives a code for somebody of the family, takes a report (can't open,
// not mine), and after the pick-up a rating, once.
//
// # Tokens
//
// A token is the waybill, sealed with a key of the county: a tag of 8 bytes (HMAC-SHA256 over the waybill) and the
// waybill masked with HMAC-SHA256 over the tag, in base64url. It needs no table, is the same each time, and can't be guessed or
// changed. It ends Keep after the parcel's life did. Who has the link sees the parcel and may act on it: it
// goes to the recipient's phone only.
//
// # My parcels
//
// At /my somebody types their phone number, gets six digits by message, and sees links to the pages of all their parcels. A code is derived of a random
// nonce with the county's key and stands in no row; it is good once, for ten minutes and five tries. One goes out a minute, and five a day, to a
// phone. Every answer is the same for a phone that nobody knows. A session is a random word in a cookie (HttpOnly, SameSite=Strict, Secure where
// the service is reached by HTTPS) of which the store has the hash; it ends after twelve hours, or by signing out.
//
// # Promises
//
//   - At most 30 KB with all that belongs to it, in one answer; no script, no cookie (but at /my), no request elsewhere.
//   - Nothing of others: no driver, no vehicle's place, no other address, no name or number.
//   - No token, a wrong one, one of no parcel and an expired one get the same bytes and the same status; who asks for
//     many of them waits (429, with the same words).
//   - A form of another site does nothing.
//   - Never older than it says: every place has its time, and what a witness contradicts is said to be looked into.
//
// The code shown is that of the key which the locker has now: after a change of key that of the new one.
//
// It does not know a code itself (broker/pickup derives it, through Options.Code), or send anything.
//
// # Counters
//
// shown, refused (tokens), limited, acts (forms that did something), away (the store didn't answer).
package page
