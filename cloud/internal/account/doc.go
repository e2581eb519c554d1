// Package account decides who may ask the cloud anything: deny by default.
//
// There is one token. A program sends it as a bearer token (RFC 6750, section 2.1). A browser
// posts it once to /session and gets a cookie in its place: HttpOnly, SameSite=Strict, and
// Secure behind TLS; the token itself stands in the fragment of a link, which no server and no
// proxy ever sees.
//
// # Promises
//
//   - Guard lets nothing through without a session or the token: 401 with problem+json (RFC 9457).
//   - Tokens and sessions are compared in constant time, as hashes; sessions are random, kept as
//     hashes only, end 12 hours after their last use, and there are at most 1,024.
//   - After five failed tries an address waits 1 s, 2 s, 4 s ... up to a minute between tries
//     (429 with Retry-After); sessions that exist are not disturbed.
//   - A request whose Host is not one of ours is refused (421): another site's name can be pointed
//     at this address, its pages can't speak through it.
//   - A request that changes something and comes from another site's page is refused (403), by
//     Sec-Fetch-Site and Origin.
//   - FreshToken is 256 random bits in a file of mode 0600, replaced as a whole.
//
// It does not know roles or organisations. Nothing here survives a restart: everybody logs in again.
//
// # Counters
//
// logins, refused, slowed, foreign_host, foreign_origin.
package account
