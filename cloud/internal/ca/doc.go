// Package ca is the county's own certificate authority: it says which board is which gateway,
// and proves the cloud's MQTT listener to the boards.
//
// Every key is Ed25519 (RFC 8032, RFC 8410) and made where it is used: a gateway's private key
// never leaves its board, which sends a certificate request (RFC 2986) whose common name is its
// id. A gateway's certificate is for client authentication only, the listener's for server
// authentication only (RFC 5280, section 4.2.1.12).
//
// # Promises
//
//   - Nothing is overwritten: Init and Server fail when their key exists.
//   - Sign refuses a request that isn't signed by its own key, whose key isn't Ed25519, or whose
//     common name is no id, and takes nothing else from it: not its names, not its extensions.
//   - Private keys are written with mode 0600, completely or not at all.
//   - A locker's key (Locker) comes from one master secret, made when it is first needed, and shows nothing of it or of another's
//     (broker/pickup). A lost card is answered with a new generation.
//
// A certificate's validity starts in 1970: a board without a clock battery wakes up there and must
// still be able to prove itself and to trust the cloud. It does not: revoke; a board that is lost is
// unbound in the registry.
package ca
