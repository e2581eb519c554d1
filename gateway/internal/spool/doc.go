// Package spool keeps every record of a gateway on its card until the cloud has committed it, and a while longer.
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
//	spare-00000000000000000004.seg  room for a segment: one that was let go, or blocks taken beforehand
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
//	         born u32 (seconds that the spool had run, over all openings), CRC u32 of all this   136 bytes
//	record   length u32 of the bytes after the CRC, CRC u32,
//	         lane u8, type u8, quality u8, zero u8, synced u32, seq u64, boot 16 bytes, mono i64, wall i64, payload
//	footer   the header again with magic "YZSF", born and CRC left out, then next seq of both lanes u64, end of the
//	         records u64, CRC u32, born u32; only in a segment that is sealed, as the file's last 160 bytes
//
// A record's CRC is seeded with the incarnation and covers the length, so bytes of an older file in
// the same blocks don't count. A footer counts only in a file of its own number. synced is how much of the file was known to be on the card when the
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
// A live file whose write or sync failed is never written or synced again (one that an opening found is, with its last records: see Open
// below): it is left as it is, a new segment is made,
// and the batch is written there; when that fails too its entries fail, and so does what they acknowledge. The next
// batch tries again.
//
// # Disk
//
// A segment begins in a spare where there is one: its header is written and synced while the file is still called a
// spare, then the file gets the segment's name, and the folder is synced before the first record. So no name of a segment ever stands
// over a torn header or another's bytes. A sealed segment that fills its file becomes a spare when it is let go, and the folder
// is synced before the spare is written: in the steady state files keep size and blocks, and a commit is one write and one
// flush of the records' own pages. The incarnation is drawn until its seed differs from that of the records in the
// spare, and sealing fills the file's rest with zeros, so a file never holds records of more than two lives.
//
// A spare that never was a segment is room taken with fallocate. A small write in it puts 256 KiB of zeros behind
// itself, so that the syncs after it need not write the file's map. Without fallocate the file grows by these zeros.
//
// Assumed: a completed fsync is durable; so is a file's name after fsync of its folder; rename is atomic; an
// overwritten or appended block may tear anywhere and blocks of one unsynced write may land in any order; nothing
// older than the last sync is touched by a later write, but any byte may rot. Files are synced with
// fdatasync, the folder after each creation and rename.
//
// Under these: after kill -9 or a power cut at any instant, what done(nil) was told is read back, in order, and
// nothing that was never appended is; a record of a file's life before passes as one of this life with a chance of 2^-32, if
// its bytes happen to stand where the next record is looked for. Where a card rots or lies, the loss is found by CRC and reported as
// a tombstone of reason segment_damaged with the seqs that are known to be lost; only damage to the very last
// sync before a power cut can't be told from a torn tail.
//
// Open always starts when the folder can be made and locked: it cuts the torn tail of an unsealed segment, sets
// aside what can't be read, and needs one read a sealed segment: its time and memory grow with the
// number of segments (about 100 bytes each), not with the records in them. A process that was killed may have left its last write
// in the kernel's memory only, so an unsealed segment is synced before it counts: where the card refuses that, the records of the
// last write are neither told of nor let go, and they are written and synced again every 10 s; so are all of a file that it doesn't open.
//
// # Kept tail
//
// When nothing of a segment waits any more it stays for Options.Keep of the time that the spool runs (which no clock can step,
// and which is at most the true time), and for as long as there is room: a cloud that comes back older than it was is filled
// again from it. Lanes lists what may be news: every epoch of which something waits, the newest other epoch, the
// live one. Kept lists the rest. Read reads both.
//
// # Full
//
// Options.MaxBytes bounds segments and spares, and so does the card (ENOSPC). When room is needed the oldest of the kept tail
// goes first, and then the oldest may-thin segment, after its last words are durable: of each probe's climate readings that the
// cloud doesn't have the lowest, the highest and the last one under their own stamps (see telemetry.Climate), and tombstones of
// reason lane_full, with the tombstones that were among its records. On a card that others' files fill the same order holds.
//
// Last words are bounded. Tombstones of one lane, epoch and reason become one; of more than 64 ranges (in small segments fewer) the
// smallest gaps are told as well, which are with the cloud or told of already. What is left of climate, of at most 256 probes,
// takes what the tombstones leave of half the segment. A segment whose tombstones alone would take half a segment, which are those of
// thousands of openings that no cloud ever heard of, stays.
//
// So last words always have a place: the live may-thin segment has a part that only they take (an eighth, at most 16 KiB), and
// where they are more, or it failed, a new segment begins in the last spare, which nothing else takes; the one that goes then
// becomes that spare. Where the card fails at both, or the last spare went with a file that failed and others took its room, nothing
// goes: what needs the room is refused until the cloud has taken a segment.
//
// When nothing is left to go, Append refuses with ErrFull; a reserve of 1/64 of MaxBytes (at least 64 KiB and two segments), held as up to 8 spares,
// is for lane command and the spool's own records, the last segment of it for these alone. A record that arrives although a tombstone names it was saved by a
// power cut between the two: the record wins.
//
// At admission, acknowledged and counted in tombstones without seqs (at most one a minute, lane and reason). Before the first
// is turned away the cursor says so; where a crash leaves it at that, the next opening tells of the last minute in a tombstone
// of reason thinned_untold and count 0, for nobody knows it:
//
//	thinned            while what waits takes over 7/8 of the room, until it is under 6/8: a position within 30 s and 200 m of the last
//	                   of its device; health within 10 min; climate within 5 min and 0.1 of the extremes that were let in since
//	quarantine_flood   quarantine entries beyond 64 at once and one each 10 s: those let in are the sample
//
// # Mirror
//
// With Options.Mirror every write of the must-keep log is repeated, in the same commit and synced, in a file of the same name in a second
// folder. Open takes from there what the folder lacks or can't read, and mends torn and rotten records; Read reads a rotten
// record from there. A mirror that fails is let go of, looked for each minute, and given the segments it missed, 256 KiB a
// step; nothing waits for it. A folder with another Owner is left alone. A mirror costs every flush twice.
//
// # Counters
//
//	appended       records that became durable
//	commits        batches written and synced
//	written        bytes written to the folder: records, headers, footers, zeros, cursors
//	syncs          fsyncs of files and folder
//	failed         entries whose done got an error
//	refused        Append calls refused with ErrFull
//	thinned        readings turned away while there was little room
//	flooded        quarantine entries turned away
//	summaries      climate readings that were left of dropped segments
//	io_errors      writes, syncs, creations that failed
//	dropped        may-thin records dropped because the spool was full
//	damaged        records known to be lost to damage
//	set_aside      segments renamed to *.damaged
//	torn_bytes     bytes cut behind the last records at this opening: torn tails, zeros, what the file held before
//	restored       segments taken from the mirror
//	mended         records read from the mirror because they were bad here
//	mirror_errors  times that the mirror was found lost; mirror_written, mirror_syncs: what it cost
//	bytes          size of the segments now
//	segments       number of segments now
package spool
