// Package soak runs gateways and their cloud through faults, all of them decided by one seed, on one goroutine and in
// made-up time, and judges afterwards what became of every reading that was acknowledged.
//
//	r, err := soak.Run(soak.Options{Seed: 42, County: registry, Dir: "/dev/shm/x"})
//
// The product runs as it is: the cores of gateway/edge (clock, spool, broker, uplink, commands) over a card in memory that tears
// and loses what it may, and the cores of cloud/service (ingest, state, commands) over SQLite. Between them is a
// network of this package that loses, doubles, delays and reorders. Nothing else is there: no socket, no real
// clock, no second goroutine; so a seed replays, and its trace (every message, every commit, every fault) has the same
// hash each time.
//
// # Faults
//
// Link cuts, half-open links, lost, doubled, delayed and reordered messages both ways, a wiped broker; ingest killed before and
// after its commit, two ingest workers, a store that is away, a database put back to an older copy; kill -9 of a
// gateway, power cut at any operation of its card with torn writes, I/O errors, full cards, a small spool that must drop;
// a card put back to an older image, a twin board with a copy of it, bits that rot; devices that repeat what was
// acknowledged, before and after a crash; boards without time, clocks that step by years; commands that arrive late, twice
// and at the wrong board.
//
// # What must hold
//
// After every step: no command ran twice or after its lease; a spool stays within its bounds. After all faults are over
// and everything has drained:
//
//   - every acknowledged reading is in the archive; or a tombstone or a hole of the ledger that was alarmed names it, where
//     the seed did what may destroy it. Where a card was destroyed before its gateway told anybody of a record, and
//     only then, a loss that nobody could know of is counted apart
//   - no event is in the evidence twice, and nothing is in the archive that no device said
//   - the ledger adds up: produced is what the boards made, counted by this package at the spool
//   - evidence, latest values, cells, parcels, vehicles with their stays and tracks, and cold boxes are as a fresh store makes them of
//     the same frames in another order, where all readings are dated
//   - the archive verifies, from the first record to the last
//
// # Running
//
// "go test ./firmware-sim/internal/soak" runs 150 seeds; YIZHAN_SEEDS says how many, YIZHAN_FIRST from which on; YIZHAN_SEED runs one
// with its trace. "make soak" runs 1,000 (SEEDS), "SEED=42 make soak" one. A failure prints its seed.
package soak
