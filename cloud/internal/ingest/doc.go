// Package ingest takes frames from the cloud's broker to the commit point and acknowledges them.
//
// # Life of a frame
//
// Frame is called in the read goroutine of a gateway's connection. It queues the bytes and
// blocks while the queue is full, which stops reading from that connection: the broker holds
// nothing, the gateway does. The one worker (Run) gathers what lies in the queue, of many
// gateways, into a group bounded by count, bytes and a short linger; verifies each frame's
// signature with the gateway's registered key, unpacks it, hands the group to the Ledger (one
// transaction) and only after its commit hands the frames to history, sends the acks and publishes the changes.
//
// The core (group) has no goroutine and no clock of its own; Run is the shell around it.
//
// # Promises
//
//   - No ack before the commit that covers it; an ack carries all committed ranges of its epoch
//     and lane, so a lost ack is repaired by any later one.
//   - A frame that is no frame, is signed by nobody known, or names another gateway than the one
//     that sent it is refused, kept in quarantine with its reason, and not acknowledged.
//   - A frame that the store can't take (and the store is well) is found by bisection, kept whole in
//     quarantine and then acknowledged, for it is kept; the others are committed.
//   - While the store is away nothing is refused or lost: the group is tried again with back-off,
//     the queue fills, the connections stop, and the gateways of the group are told credit 0 (hold). Once it
//     is back every gateway that is connected is told its credit at once.
//   - Every ack says the cloud's time, for boards without a clock.
//
// It does not: order frames, know things or rules (the store's commit does), or keep anything
// across a restart.
//
// # Counters
//
// frames, records, readings, covered (records that were there already), groups, bad_format,
// bad_signature, bad_gateway, bad_record, forks, poison, retries, hellos, bad_hello, acks, ack_lost.
package ingest
