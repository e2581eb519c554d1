// Package spool keeps every record of a gateway on its card until the cloud has committed it.
//
// # Shape
//
// A spool is a folder with two logs of segments: keep (lanes command and custody) and thin
// (condition and track), a cursor and a lock:
//
//	keep-00000000000000000007.seg   segments, numbered upwards for as long as the folder lives
//	thin-00000000000000000008.seg
//	cursor                          what the cloud has committed, JSON, replaced by rename
//	lock                            held by flock while a spool is open
//	*.damaged                       segments set aside because nothing of them can be trusted
//
// Each opening starts a new random epoch. Each of the four lanes counts its records of an epoch
// from 1 without a gap; record 1 is an opening record (frame.Opening) that names the epoch before
// and its last durable seq in every lane. A segment holds records of one log of one epoch.
//
//	s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: clock})
//	go s.Run(ctx)                              // the only one that writes
//	err = s.Append(entries, func(err error) {  // staged; done follows the fsync
//	recs, prev, err := s.Read(epoch, lane, 1, 100, 64<<10)
//	s.Commit(epoch, lane, []frame.Range{{From: 1, To: 100}})
//
// # Segment, version 1
//
// Numbers are little-endian. CRCs are CRC-32C.
//
//	header   magic "YZS1", log u8, 3 zero bytes, number u64, incarnation u64 (random), epoch u64,
//	         then for both lanes of the log: lane u8, 7 zero bytes, first seq u64, SHA-256 of the record before;
//	         4 zero bytes, CRC u32 of all this                                   136 bytes
//	record   length u32 of the bytes after the CRC, CRC u32,
//	         lane u8, type u8, quality u8, zero u8, synced u32, seq u64, boot 16 bytes, mono i64, wall i64, payload
//	footer   the header again with magic "YZSF", its CRC left out, then next seq of both lanes u64, end of the
//	         records u64, CRC u32, 4 zero bytes; only in a segment that is sealed, as its last 160 bytes
//
// A record's CRC is seeded with the incarnation and covers the length, so bytes of an older file in
// the same blocks never count. synced is how much of the file was known to be on the card when the
// record was written: damage before it hit records that were acknowledged, anything behind it may
// be the torn tail of a last write. A header's first seqs bound the segment before it: records
// there with those seqs or later were never acknowledged and don't count.
//
// # Commit
//
// Append stages; one goroutine (Run, or a simulation calling Step) writes everything that is staged, in order, syncs
// the files it touched and then calls done in the order of staging. Must-keep entries don't linger; may-thin
// entries linger for at most Options.Linger, ended early by a must-keep entry, by 64 KiB or by Flush. Seqs are
// given when a batch is written, so entries that failed leave no gap.
//
// A file whose write or sync failed is never written or synced again: it is sealed as it is, a new segment is made,
// and the batch is written there; when that fails too its entries fail, and so does what they acknowledge. The next
// batch tries again.
//
// # Disk
//
// A small write puts 32 KiB of zeros behind itself, so that the syncs after it need not write the file's size; zeros
// behind the last record are no damage.
//
// Assumed: a completed fsync is durable; so is a file's name after fsync of its folder; rename is atomic; an
// overwritten or appended block may tear anywhere and blocks of one unsynced write may land in any order; nothing
// older than the last sync is touched by a later write, but any byte may rot. Files are synced with
// fdatasync, the folder after each creation and rename.
//
// Under these: after kill -9 or a power cut at any instant, what done(nil) was told is read back, in order, and
// nothing that was never appended is. Where a card rots or lies, the loss is found by CRC and reported as
// a tombstone of reason segment_damaged with the seqs that are known to be lost; only damage to the very last
// sync before a power cut can't be told from a torn tail.
//
// Open always starts when the folder can be made and locked: it cuts the torn tail of an unsealed segment, sets
// aside what can't be read, and needs one read a sealed segment: its time and memory grow with the
// number of segments (about 100 bytes each), not with the records in them.
//
// # Full
//
// Options.MaxBytes bounds the folder, and so does the card (ENOSPC). The oldest may-thin segment goes
// first, after a tombstone of reason lane_full in each lane that lost uncommitted records; tombstones among them are
// kept. When there is none, Append refuses with ErrFull; a reserve of 1/64 of MaxBytes (at least 64 KiB) is for lane command
// and the spool's own records. A record that arrives although a tombstone names it was saved by a power cut between the
// two: the record wins.
//
// # Counters
//
//	appended       records that became durable
//	commits        batches written and synced
//	syncs          fsyncs of segment files
//	failed         entries whose done got an error
//	refused        Append calls refused with ErrFull
//	io_errors      writes, syncs, creations that failed
//	dropped        may-thin records dropped because the spool was full
//	damaged        records known to be lost to damage
//	set_aside      segments renamed to *.damaged
//	torn_bytes     bytes cut behind the last records at this opening: torn tails and zeros
//	bytes          size of the segments now
//	segments       number of segments now
package spool
