package main

const (
	stateTests  = "./cloud/internal/state"
	commitTests = stateTests + " ^(TestCovered|TestFork|TestLedger|TestHole|TestLane|TestAStore|TestAlarm|TestProduced|TestSpans|TestLatest|TestUndated|TestOrder|TestBurst|TestVerify|TestSound)"
	ingestTests = "./cloud/internal/ingest"
)

// cloudMutations break what commits a record once.
var cloudMutations = []mutation{
	{"1", "records that are committed are applied again", "cloud/internal/state/commit.go",
		"for _, r := range l.spans.missing(f.First(), f.Last()) {\n			for seq", "for _, r := range []frame.Range{{From: f.First(), To: f.Last()}} {\n			for seq", []string{commitTests, stateTests}},
	{"1", "merging ranges closes a hole", "cloud/internal/state/spans.go",
		"for j < len(s) && s[j].From <= to+1 {", "for j < len(s) && s[j].From <= to+2 {", []string{commitTests, stateTests}},
	{"1", "merging ranges forgets one", "cloud/internal/state/spans.go",
		"from, to = min(from, s[j].From), max(to, s[j].To)", "from = min(from, s[j].From)", []string{commitTests, stateTests}},
	{"1", "a frame whose commit failed is acknowledged", "cloud/internal/ingest/group.go",
		"	case err == nil:\n		in.told(group, verdicts, changes)", "	case err == nil || len(group) == 1:\n		if err != nil {\n			f := group[0].Frame\n			verdicts = []county.Verdict{{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane, Ranges: []frame.Range{{From: f.First(), To: f.Last()}}}}\n		}\n		in.told(group, verdicts, changes)", []string{ingestTests}},
	{"3", "a frame that can't be committed blocks its group", "cloud/internal/ingest/group.go",
		"	case len(group) > 1:\n", "	case len(group) > 1:\n		return err\n	case len(group) > 1<<20:\n", []string{ingestTests}},
	{"1", "a fork is not noticed", "cloud/internal/state/ledger.go",
		"			if !equal(r, &o.Records[r.Seq-o.First()]) {", "			if len(f.Records) == 0 {", []string{commitTests, stateTests}},
	{"1", "the hash before a frame is not compared", "cloud/internal/state/ledger.go",
		"if f.Prev != [32]byte{} && l.tip", "if len(f.Records) == 0 && l.tip", []string{commitTests, stateTests}},
	{"1", "a signature is not verified", "cloud/internal/ingest/ingest.go",
		"if err := h.Verify(key); err != nil {", "if err := h.Verify(key); err != nil && len(key) == 0 {", []string{ingestTests}},
	{"1", "a frame of another gateway is taken", "cloud/internal/ingest/ingest.go",
		"case h.Gateway != gateway:", "case h.Gateway != gateway && lane == \"\":", []string{ingestTests}},
	{"1", "a device's own number does not identify its reading", "cloud/internal/county/sighting.go",
		"case r.N != \"\":", "case r.N != \"\" && seq == 0:", []string{"./cloud/internal/county", commitTests, stateTests}},
	{"1", "the ledger takes what it committed for what was produced", "cloud/internal/state/books.go",
		"	last := b.said[k]\n	if last == 0 {", "	last := b.kept[k].count()\n	if last == 0 {", []string{commitTests, stateTests}},
	{"1", "what an opening says of the epoch before is not heard", "cloud/internal/state/books.go",
		"			b.claim(laneKey{o.Prev, e.Lane}, e.Last)\n", "			_ = e\n", []string{commitTests, stateTests}},
	{"1", "a hello that was overtaken tells what the board holds", "cloud/internal/state/boards.go",
		"			holds = before\n", "", []string{stateTests + " ^(TestAHello|TestVoices)", stateTests}},
	{"5", "a boot that is over takes the clock for commands", "cloud/internal/state/voices.go",
		"+h.MonoNS < said\n", "+h.MonoNS < 0\n", []string{stateTests + " ^(TestAHello|TestVoices)", stateTests}},
	{"1", "a tombstone explains nothing", "cloud/internal/state/books.go",
		"		gone[k] = append(gone[k], ranges...)\n", "		_ = ranges\n", []string{commitTests, stateTests}},
	{"1", "a time from the future becomes state", "cloud/internal/county/dating.go",
		"const Ahead = 2 * time.Minute", "const Ahead = 200 * 24 * time.Hour", []string{"./cloud/internal/county", commitTests, stateTests}},
	{"1", "evidence is folded in the order of its arrival", "cloud/internal/state/evidence.go",
		"inOrder  = \" order by at_ms, gateway, epoch, lane, seq, id\"", "inOrder  = \" order by seq\"", []string{stateTests + " ^TestADayToldBackwards$", stateTests}},
}
