// Package broker is the MQTT broker that is part of the gateway (Edge) and of the cloud (Cloud). Both
// wrap mochi-mqtt with the guards that it needs; neither uses its storage or its auth hook.
//
// # Edge
//
//	NewEdge(EdgeConfig) (*Edge, error)              binds; Close it if Run is never called
//	(*Edge).Run(ctx) error                          serves until ctx ends
//	(*Edge).Accept(ctx, ...telemetry.Reading) error the one entry for drivers; a devices.Emit
//	(*Edge).Command(device, payload) error          to cmd/{device} of a LAN device, never retained
//	(*Edge).Publish(user, topic, payload, expires)  to a user with a Dialect; ErrAbsent
//	(*Edge).HangUp(user)                            ends its connection, and what wasn't received is lost
//	(*Edge).Addr() net.Addr, (*Edge).Counters() map[string]uint64
//	HashPassword(password) (string, error), CheckPasswordHash(hash) error
//
// Every reading, a driver's by Accept or a LAN device's by PUBLISH on dev/{device}/{kind}, is validated, appended to
// the Log, acknowledged after the Log says it is durable, and then shown as JSON on dev/{device}/{kind}. Who comes later
// gets the last one of each device and kind, also if nobody watched when it came. Promises:
//
//   - A PUBACK follows the fsync of every record of its payload, in the order of the publishes (MQTT-4.6.0-2).
//   - An invalid item becomes a quarantine record in lane command that names the field, and is then
//     acknowledged; the good items of its array are kept. At QoS 1 an item must carry n or at.
//   - When the Log refuses or fails, the connection ends and nothing is acknowledged.
//   - The same reading told twice (telemetry.Reading.Same) within the last 1,024 of its device is stored once; the second is
//     acknowledged when the first is durable. The window is in memory: after a restart a retry is stored again
//     under a new seq, and whoever counts events must tell it by (device, n), as the cloud does.
//   - Raw tag reads (no passage) are shown and not recorded. QoS 0 is best effort and counted. A QoS 2 PUBLISH ends the
//     connection. A retain flag is ignored: the gateway retains.
//   - A client that doesn't read holds nobody: its acknowledgements wait in a bounded queue, every write has a deadline,
//     readings it is too slow for are dropped and counted. A client with too many unacknowledged
//     publishes isn't read until some are acknowledged, and pulls the commit forward; so does one that is seen to wait for
//     an acknowledgement before it goes on, and never lingers again while it keeps that pace.
//   - A client that sends more packets or bytes a second than its share is read more slowly, and loses nothing.
//   - Unknown topics, users and filters are denied. A device publishes under dev/{name} and hears cmd/{name}; a technician hears dev/.
//   - A user with a Dialect may use topics of its own, too. What it says there is translated before it is kept, so that its PUBACK
//     follows the fsync like any other. It has one connection at a time: nothing that it hears is heard twice.
//   - No session outlives its connection; client ids are private to their user; wills are dropped.
//
// # Cloud
//
//	NewCloud(CloudConfig) (*Cloud, error)
//	(*Cloud).Handle(func(ctx, gateway, what string, payload []byte))   before Run; called in the connection's reader
//	(*Cloud).Send(gateway, what string, payload []byte) error          on down/{gateway}/{what}; ErrNotConnected
//	(*Cloud).Key(gateway) (ed25519.PublicKey, bool)                   of the certificate it connected with last
//	(*Cloud).Run(ctx) error, Addr() net.Addr, Connected() []string, Counters() map[string]uint64
//
// The certificate's key must be Ed25519.
// Mutual TLS 1.3 comes before the first MQTT byte. The certificate's common name is the gateway's id and must be the client
// id; a user name is ignored. A gateway publishes on up/{id}/ a lane, hello and state, and hears
// down/{id}/. A PUBACK is sent when Handle returns, which is no promise of a commit: that is the ack message. Only
// up/{id}/state may be retained or a will; the will comes to Handle like a publish. A second connection of the same id
// takes over.
//
// # What mochi v2.7.9 does, the guard here, and the test that fails without it
//
//	D1  acknowledges a publish whose hook failed: the hook answers ErrRejectPacket and acknowledges itself
//	    TestPubackFollowsCommitInOrder, TestFullLogEndsTheConnection, TestFailedCommitEndsTheConnectionAndForgets
//	D2  sends wills past the ACL and OnPublish: dropped (Edge), checked at CONNECT (Cloud)
//	    TestWillsAreDropped, TestCloudRefusesOtherIdentities
//	D3  checks the ACL of an aliased topic as empty: TopicAliasMaximum 0
//	    TestTopicAliasIsRefused
//	D4  a PUBLISH deletes the in-flight command of the same packet id: commands go at QoS 0 and carry their own id
//	    TestCommandsAndPublishesShareNoPacketIDs
//	D5  a session belongs to a client id: ids are made unique by user and connection, no session survives
//	    TestClientIDsArePrivate
//	D6  allocates what a header claims: size checked before CONNECT (8 KiB) and after (MaxPacketBytes)
//	    TestHugeHeadersBeforeConnect, TestClaimedSizesTakeNoHeap
//	D7  waits for CONNECT for ever: 5 s, and caps by address and in total
//	    TestConnectDeadline, TestCloudHandshakeDeadline, TestConnectionCaps, TestTotalCap
//	D8  Deny doesn't deny in its ledger: own ACL, deny by default
//	    TestACLMatrix
//	D9  drops silently for a slow subscriber: counted
//	    TestDeafSubscriberIsDroppedAndCounted
//	D10 its stores don't sync: not used, readings are in the Log before their PUBACK
//	    TestPubackFollowsCommitInOrder
//	D11 gives $share filters to the ACL as they are: stripped
//	    TestACLMatrix
//	D12 one client that doesn't read stops all: a queue of acks by client, a deadline on every write
//	    TestDeafClientHoldsNobody
//
// And what it doesn't bound: packets and bytes a second of one client (TestRateOfOneClientIsLimited,
// TestBytesOfOneClientAreLimited), subscriptions of one client (TestFiltersOfOneClientAreCounted).
//
// # Counters
//
//	connects, connects_refused, auth_failed   connections established, turned away by a cap or guard, refused
//	takeovers, panics                         older connections ended by a new one (Cloud), handlers that panicked
//	publishes, publishes_qos0                 PUBLISH packets accepted at QoS 1, at QoS 0
//	readings, raw_reads, duplicates           readings appended, shown only, told twice
//	translated                                readings that a Dialect made
//	quarantined                               items refused and kept as quarantine records
//	full                                      appends refused because the log was full
//	lost_qos0                                 QoS 0 payloads that could not be kept
//	acks                                      PUBACKs written
//	acl_denied, qos2_refused, wills_dropped   what the names say
//	ack_timeouts                              connections ended because a write met its deadline
//	slowed                                    packets held back because their client sends more than its share
//	filters_refused                           connections ended because of too many subscriptions
//	fanout_dropped, subscriber_dropped        readings not shown: fan-out queue full, subscriber's queue full
package broker
