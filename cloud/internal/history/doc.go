// Package history is where vehicles were and what cold boxes measured, over time: a projection of
// the frame archive into InfluxDB, or into a table beside the state.
//
// # Faces
//
//   - Open(ctx, url, Table) with url sqlite: (the table) or influx+http://host:port/db?token=...
//   - Track(ctx, vehicle, from, to, max) ([]Point, error) and Climate(ctx, coldbox, from, to, max)
//     ([]Sample, error): at most max points, thinned so that extremes stay.
//   - Projector.Run follows the archive from a cursor kept in the state; Take hands it frames right from their commit;
//     Lag tells how far it is behind; Rebuild projects a window of the archive again.
//
// # Promises
//
// A reading's point has a stable place: its series (kind, device, thing) and its time, whose
// digits below the millisecond are a hash of the reading's identity. Writing it twice is writing
// it once, and two readings of one millisecond don't overwrite each other. A batch is tried again
// until it is taken; a batch that the server refuses is bisected, and a point that is refused
// alone is counted and left out. An EPC is never a tag. Undated records, and records dated more than 2 min after
// their receipt, wait in the archive. While InfluxDB is away nothing else waits.
//
// Frames that were handed over needn't be read and decoded again. They wait in memory, bounded by the records they hold:
// what there is no room for, what nobody handed over and what was committed before the start is read from the archive in its
// turn. The cursor counts the archive's numbers and is only moved behind what is written: a start writes at most
// the last second again. Batches of 5,000 points are made while two others are on their way (one, into the table).
//
// Flux is only used to write and to read ranges (InfluxDB 1.8 and 2.x).
//
// # Counters
//
// points, batches, retries, bisected, refused, undated, skipped.
package history
