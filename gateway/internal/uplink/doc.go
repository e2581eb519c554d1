// Package uplink carries records from the spool to the cloud.
//
// Core decides, and is a step function: it is told of connections and acknowledgements and asked, with the time, for
// the next message to publish. It has no goroutine, no clock and no socket, so a simulation can
// drive it and replay a failure. Uplink is the thin shell around it: MQTT 3.1.1 by paho, TLS 1.3, reconnecting.
//
// # What is sent
//
// After each connect: birth on up/{id}/state, then hello, which lists what the spool holds. The cloud answers with an ack a
// lane: the ranges of seqs it has committed, and a credit. A hole is a record on the card that is not in those
// ranges and not on its way. Then, in this order:
//
//  1. live records, those made since the connect, the urgent lanes first;
//  2. the backlog, the urgent lanes first and in them the oldest epoch first, as fast as the credit (records a
//     second, valid 60 s) allows. Credit 0, no credit and an expired one hold it.
//
// Frames are cut anew each time, at most MaxRecords records, about MaxRaw bytes and a quarter of the window. The window is
// what may be unacknowledged, the lane command aside: a second of the measured rate (4 KiB to 1 MiB packed; up to three seconds where
// the way is long). The backlog has at most half of it, and a quarter while live records press, who then have the rest. A live record goes at once when its lane was
// quiet, and gathers with others for up to 200 ms when it wasn't, for a frame of many costs a tenth a record. When live
// records lag by more than 8,192, all but the newest become backlog.
//
// # Promises
//
//   - A record is given up (Source.Commit) only for an ack that names it, never for a PUBACK, and never one
//     that the spool has not made yet.
//   - What is sent and not acknowledged within 30 s counts as a hole again; so does everything under way when the
//     connection is lost. Acks may be lost, doubled, late and out of order.
//   - What a cloud that answers doesn't commit, for it is a fork or poison and kept there in quarantine, is sent again at once, then after
//     1 min, 2 min and so on to an hour, and at each connect. Nothing else waits for it.
//   - What the cloud says it has is forgotten at each connect: a cloud that came back older is sent again what
//     the card still holds. Hello lists what waits and the newest epoch of the kept tail; when the cloud's word
//     ends below what it once acknowledged, hello is said again with all of the tail, until the cloud has it.
//   - What the cloud once acknowledged is sent again only after its word on that lane.
//   - While something was held for 30 s and no ack came, hello is said again, at most every 5 min.
//   - A connection on which nothing is heard for 45 s, although something was asked, is given up, and begun anew.
//   - Frames are of version 1 until the cloud says, on the same connection, that it reads newer ones.
//   - Bytes are counted at the connection, with what the kernel tells of headers and repetitions. Over the month's budget (Budget)
//     condition and track gather for a minute and their backlog holds; the other lanes go on.
//   - A message on down/{id}/config is refused and logged: the configuration is read from the file only.
//   - Pauses between connections are random, up to a bound that doubles from RetryMin to RetryMax; the first after a good
//     5 minutes is at most a second.
//   - Without a key or certificate it waits and says so once; the files are looked at before each connect.
//
// # Counters
//
//	connects, connect_failed        connections made, tried in vain
//	frames, records, bytes          published, sent again included (bytes packed)
//	frames_backlog                  of them from the backlog
//	resent_frames                   frames whose ack did not come in time
//	acks, acks_bad                  acks heard, acks that were no JSON or of no lane here
//	hellos                          hellos said
//	cloud_behind                    times that the cloud was found to be older than it was
//	bytes_sent, bytes_heard         of TLS
//	bytes_headers                   of TCP/IP's headers, and what was sent again
//	messages_sent, messages_heard   MQTT PUBLISHes
//	unsendable                      records that fit no frame
//	read_errors                     failed reads of the spool
package uplink
