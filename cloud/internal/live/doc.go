// Package live carries committed changes to browsers: server-sent events (HTML Living Standard,
// section 9.2) on GET /api/v1/stream.
//
//	id: 1786514400123-42
//	event: vehicle
//	data: {"id":"v03", ... ,"version":1881}
//
// Events are vehicle, parcel, locker, coldbox, gateway and command (of orders that open a cell), each with the same object as its GET, and
// reset: what you hold may have a hole, fetch the lists. Ids grow by one and begin with the run of
// this process, so that an id of another run is told apart.
//
// # Promises
//
//   - An object is encoded once for all clients. Publish never waits for a client.
//   - A client that comes back with Last-Event-ID gets what it missed from a ring of the last
//     Ring events; when the id is unknown or has left the ring it gets reset first. A new client gets reset.
//   - A client reads the ring at its own pace; it holds no queue. One that is slower than
//     a write deadline, or falls off the ring, is dropped and comes back with its id.
//   - Positions of a vehicle are gathered for Tick and the last one is sent; nothing else is
//     gathered. Versions of an object never go back on a connection.
//   - A comment every Heartbeat, so that a dead link is noticed at both ends.
//   - A stream ends after MaxAge, so that who may see is asked again.
//
// # Counters
//
// events, streams, resumed, resets, slow (clients dropped), refused (over MaxClients); clients is a gauge.
package live
