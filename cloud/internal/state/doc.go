// Package state is the commit point: one Store over Postgres or SQLite that holds what the
// county is now, the evidence it follows from, the ranges of records committed, and the archive
// of the frames themselves.
//
// # Faces
//
//   - Open(ctx, url, Options) with url postgres://... or sqlite:FILE; Run prunes and makes partitions.
//   - Seed takes the registry of a county folder, as often as one likes.
//   - Commit takes verified frames, in one transaction: it locks the ranges rows in key order,
//     drops records already covered, archives the frames, applies the readings, merges the ranges.
//     Hello, Quarantine and Poison are its smaller sisters.
//   - The read face of the API: Vehicles, Vehicle, Lockers, Locker, ColdBoxes, ColdBox, Gateways,
//     Gateway, Devices, Device, Parcels, Timeline, PutWaybills, PutCommand, Command, Commands,
//     GatewayClock, Counts, Ledger. Verify is for the tool.
//   - EPCIS, CaptureEPCIS, EPCISCapture, TellEPCIS: events of room epcis. GiveTag, TagRead, LabelRead, ParcelsNamed: tags of labels.
//   - Waybills and people: Announce, Amend, Cancel, Say, Expire; PutContainer, Pack, Unpack, Break, Count; Recipient (sealed),
//     ParcelsOf, Amended. Exceptions, Exception; Report and EndException for what somebody reports.
//   - Signing in to see one's parcels: AskSignIn, TrySignIn, Visitor, Leave.
//   - The outbox: Facts, FollowFacts, Wake; Update and Tx for rooms whose rows are written with it.
//   - The source of history: Frames, Cursor, SetCursor, Thing; and its table where no other store is set.
//
// # Rules of state
//
// Latest values go by measured time with an upper bound: a time more than 2 min after receipt
// never becomes state. Undated readings are dated from their record (see dating). Parcel and cell
// state is a pure fold over evidence in one total order (dated time, gateway, epoch, lane, seq),
// recomputed under the object's lock whenever evidence arrives: late, doubled and reordered
// evidence gives the same state. A reading told twice (same device and n; or, without n, same
// device, kind, at and body) is one piece of evidence. The rules themselves are pure functions of
// the rooms parcel, vehicle, locker and coldchain.
//
// What doors did for an order that opens a cell is found by the order's id, which the gateway put into the readings (kindDoor), and told by
// locker.Truth when it is asked for.
//
// Which scan belongs to which deposit is read as pairings of a stretch of a gateway's time, before and after fresh evidence
// is put: what differs is folded again. What is read grows with what happened at doors, not with scans.
//
// Stays of vehicles and spells of boxes out of their limits are functions of marks: one word for each millisecond of which something was
// told, kept as traces of ten minutes, the last in the row of its thing, those before it in tracks for 60 days. What comes in order
// reads no more than that row; what comes late reads the traces that it reaches.
//
// Of each parcel and vehicle rides say from when until when it matters to the parcel where the vehicle was, as its last fold had it; a change
// of stays, however late, folds again those whose rides it touches and reads no others. Kept for 60 days after their end.
//
// A fix or climate that nothing dates moves nothing and is put by, for 60 days. When a record of its boot that knew the time, a hello of that
// boot or its neighbours tell when the boot was, the next commit of the gateway takes it as if it had come dated: the tables are
// the same in any order. What was once dated between its neighbours stays where it is.
//
// # Facts
//
// What others have to be told is written in the transaction that made it true and numbered there without a gap, under the lock of
// the counter's row, which is taken last: numbers become visible in their order. A follower's cursor moves in the transaction of what
// it writes (FollowFacts), so each fact is applied once, by however many workers. A step of a parcel is told once by
// its key; when a fold doesn't find it any more, or finds that it says something else, it is taken back, and told again under a key that
// counts. Late, doubled and reordered evidence leaves the same steps standing. Facts are kept 90 days, and longer for a follower that
// hasn't come to them.
//
// # Ledger
//
// Of each lane of each epoch, produced = committed + spooled + dropped + unexplained:
//
//	produced     the highest seq that the board named: next-1 of its hellos, in a tombstone, or the end that an opening record gives
//	             the epoch before; the most of all that was ever said, and never a number found in the database
//	committed    the ranges; a record that arrived although a tombstone names it counts here
//	dropped      named by a tombstone, whose reasons and counts stand beside
//	spooled      neither, and within first..next of the hello that the board said last, which one that comes late is not
//	unexplained  the rest
//
// Committed records above what was said yet are newer; quarantined ones are among the committed.
//
// A hello alarms what is unexplained (ledger_hole), each seq once, and not before everything that could explain it is
// here: the board holds no more of that lane, or the hole was there at the hello before and all that was held then has
// come, for the tombstone of what is gone may be on its way. What a card lost goes by tombstone; what is alarmed
// was lost without anybody saying so, be it by a board, a card put back, or by this store when it came back
// older than it was.
//
// # Archive
//
// Verify reads what the archive has of a gateway, lane by lane: every frame must bear a signature of a key that its
// certificate had (NoteKey), stand where its row says, and continue the hash of the record before it; every
// committed record must be in a frame of the archive or of quarantine, or be pruned. Prune keeps, of what goes, the seqs
// and of each lane the signed frame that reaches furthest: the checkpoint, from which the chain goes on. It proves nothing of
// who removes a record from ranges and archive alike: the gateway's next hello and its ledger do.
//
// # Notices and callbacks
//
// FollowNotices and FollowCallbacks write rows in the transaction that moves their cursor over the facts, so each fact counts once.
// Rows are claimed for a while (skip locked on Postgres) and saved over the version that they were read with: a worker that
// comes too late writes nothing. Quotas are counted with the intent, or the intent isn't written. Of callbacks only
// the oldest that isn't done of each subscriber and object is claimed.
//
// # SQL
//
// Keyed get, put and range, behind one small dialect layer: rows go in as arrays through unnest or by
// COPY on Postgres, one by one through a prepared statement on SQLite; times are Unix milliseconds, documents JSON. Migrations are goose's, under a session lock on Postgres.
// SQLite: WAL, synchronous FULL, one writer connection. Postgres: one generic plan a statement, by keys; correct with two ingest
// workers; archive numbers are taken under a row lock, so that they count in commit order and a
// reader of the archive never skips a late one.
//
// It does not: retry (its caller does; ErrAway tells when that helps), publish, or hold
// anything in memory but the registry.
package state
