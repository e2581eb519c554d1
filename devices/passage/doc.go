// Package passage folds the reads of an RFID portal into passages: a tag arrived, departed, went
// in or out. A portal makes hundreds of reads a second of tags that stand still; what counts is
// the parcel that came, or went through.
//
// # How reads are folded
//
// A presence is one tag in one zone. A zone is one antenna, or the antennas that the config
// gives the same zone name; all antennas with a role and no zone name are one zone, the portal.
//
//   - arrive: the zone saw the tag MinReads times within Window. Reads weaker than MinRSSI do
//     not count.
//   - depart: Silence went by without a read. A tag that is back soon after its departure
//     is shaking at the edge of the field: each time it returns its silence doubles, up to
//     MaxSilence, until it has been away for MaxSilence. A crossing resets that.
//   - in, out: the zone has outer and inner antennas, and the tag was first and last seen by
//     different sides. Which side was first and which last must agree (further apart than
//     Margin; the moments of strongest signal decide where one of them is a draw), or nothing is
//     said. It is decided when one side has been silent for Silence, so a tag that turns
//     back in the middle crosses nothing. The same crossing isn't told twice in a row.
//
// Arrive and depart come in pairs around a crossing: arrive, in, depart.
//
// # Promises
//
//   - No goroutine and no clock: the caller says what time it is. Deadlines run on the caller's
//     (monotonic) time; the times in the readings and the order of antennas are those of the reads.
//   - The events depend on what a call of Add is given, not on the order of its reads.
//   - Memory is bounded by MaxTags presences: beyond, the one unseen for longest
//     departs at once and is counted.
//   - While suspended (the reader is away) no time passes: a lost connection makes nobody depart.
//
// Presences live in memory: a tag in the field when the process starts again arrives again.
//
// # What drivers share
//
// A Teller makes readings of reads: raw ones, thinned, and passages and alarms under message ids of
// its own, which it keeps until they were taken over. Edges tell what comes and goes (antennas,
// inputs) without a storm. Names remembers what tags are called.
//
// # Counters
//
// tracked (now), arrived, departed, crossed, weak (reads below MinRSSI), fleeting (tags seen
// too seldom to arrive), evicted (departed for lack of room), repeated (a crossing told before). A
// Teller adds raw_emitted, raw_dropped (a tag too many) and alarms_held (not told, or not at once).
package passage
