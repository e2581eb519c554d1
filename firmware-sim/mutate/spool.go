package main

const (
	spoolTests = "./gateway/internal/spool"
	brokeTests = "./broker"
)

var mutations = append(append(spoolMutations, wireMutations...), cloudMutations...)

// spoolMutations break what keeps a record on the card.
var spoolMutations = []mutation{
	{"1", "a batch is not synced", "gateway/internal/spool/commit.go",
		"if err := a.f.Sync(); err != nil {\n\t\treturn fmt.Errorf(\"spool: sync", "if err := error(nil); err != nil {\n\t\treturn fmt.Errorf(\"spool: sync", []string{spoolTests}},
	{"1", "a new segment's header is not synced", "gateway/internal/spool/commit.go",
		"if err = f.Sync(); err == nil {\n\t\t\terr = s.fs.SyncDir(s.dir)", "if err == nil {\n\t\t\terr = s.fs.SyncDir(s.dir)", []string{spoolTests}},
	{"1", "the folder is not synced at rotation", "gateway/internal/spool/commit.go",
		"err = s.fs.SyncDir(s.dir)\n", "err = nil\n", []string{spoolTests}},
	{"1", "waiting clients are told before the sync", "gateway/internal/spool/commit.go",
		"	var errs [logs]error\n	for log := range batch {", "	for i := range groups {\n		groups[i].done(nil)\n		groups[i].done = func(error) {}\n	}\n	var errs [logs]error\n	for log := range batch {", []string{spoolTests}},
	{"1", "a failed write is acknowledged", "gateway/internal/spool/commit.go",
		"groups[i].done(err)", "groups[i].done(nil)", []string{spoolTests}},
	{"1", "a file whose sync failed is written again", "gateway/internal/spool/commit.go",
		"		s.abandon(log)\n		if errors.Is(err, unix.ENOSPC)", "		if errors.Is(err, unix.ENOSPC)", []string{spoolTests}},
	{"1", "a record's CRC is not checked", "gateway/internal/spool/segment.go",
		"b[11] != 0 || recordSum(seed, b) != binary.LittleEndian.Uint32(b[4:])", "b[11] != 0", []string{spoolTests}},
	{"1", "the CRC is not seeded with the incarnation", "gateway/internal/spool/segment.go",
		"return crc32.Checksum(b[:], castagnoli)\n}\n\nfunc (h *header) append", "return uint32(len(b))\n}\n\nfunc (h *header) append", []string{spoolTests}},
	{"1", "a torn tail is not told from damage", "gateway/internal/spool/walk.go",
		"if open >= 0 && r.synced > open {", "if open >= 0 {", []string{spoolTests}},
	{"1", "records behind the next segment's first seq count", "gateway/internal/spool/open.go",
		"		if behind != nil {\n", "		if false {\n", []string{spoolTests}},
	{"2", "a damaged segment ends the opening", "gateway/internal/spool/open.go",
		"		case keep:\n			r.aside", "		case keep:\n			panic(name)\n			r.aside", []string{spoolTests}},
	{"1", "damage is not reported", "gateway/internal/spool/open.go",
		"Count: count(miss), Reason: reasonDamaged}, true", "Count: count(miss), Reason: reasonDamaged}, false", []string{spoolTests}},
	{"1", "every opening has the same epoch", "gateway/internal/spool/open.go",
		"if e := frame.Epoch(binary.BigEndian.Uint64(b[:])); e != 0 && !s.knows(e) {", "if e := frame.Epoch(binary.BigEndian.Uint64(b[:])&0 | 7); e != 0 {", []string{spoolTests}},
	{"1", "an epoch does not name the one before", "gateway/internal/spool/open.go",
		"frame.Opening{Prev: prev, Ends: ends}", "frame.Opening{}", []string{spoolTests}},
	{"1", "a segment that is not committed goes", "gateway/internal/spool/room.go",
		"free = free && s.lane(laneKey{g.epoch, lane}).gone.covers(g.first[slot], g.next[slot])", "free = free && (lane != 0)", []string{spoolTests}},
	{"1", "what is dropped leaves no tombstone", "gateway/internal/spool/room.go",
		"if miss := missing(gone, g.first[slot], g.next[slot]); len(miss) > 0 {", "if miss := missing(gone, g.first[slot], g.next[slot]); len(miss) > 1<<20 {", []string{spoolTests}},
	{"1", "a segment goes before its tombstone is durable", "gateway/internal/spool/room.go",
		"		s.doom(g)\n	}\n}", "		s.doom(g)\n		s.bury()\n	}\n}", []string{spoolTests}},
	{"1", "a segment goes before the cursor says so", "gateway/internal/spool/room.go",
		"	s.saveCursor()\n	for _, g := range dead {", "	for _, g := range dead {", []string{spoolTests}},
}
