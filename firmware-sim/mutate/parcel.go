package main

const (
	factTests    = stateTests + " ^(TestSteps|TestFollowers|TestTwoFollowers|TestFacts|TestToldFacts|TestPrune)"
	noticeTests  = "./cloud/internal/notify"
	sendTests    = noticeTests + " ^(TestAThousandCrashRuns|TestTwoWorkers)"
	claimTests   = stateTests + " ^(TestNotices|TestTwoWorkersNever|TestQuotas|TestReports|TestWhatIsVoid)"
	depositTests = stateTests + " ^(TestDeposits|TestADeposit)"
)

// parcelMutations break what tells others of a parcel once.
var parcelMutations = []mutation{
	{"1", "numbers of facts have gaps", "cloud/internal/state/facts.go",
		"draw(ctx, c, \"facts\", len(facts))", "draw(ctx, c, \"facts\", len(facts)+1)", []string{factTests, stateTests}},
	{"1", "a fact that was told is told again", "cloud/internal/state/facts.go",
		"		was := seen[f.Key]\n", "		was := seen[f.Key] && false\n", []string{factTests, stateTests}},
	{"1", "a follower's cursor moves though its rows were not written", "cloud/internal/state/facts.go",
		"		return apply(Tx{s, c, s.opt.Now(), &told}, facts)\n", "		_ = apply(Tx{s, c, s.opt.Now(), &told}, facts)\n		return nil\n", []string{factTests, stateTests}},
	{"1", "two workers of a follower read the same cursor", "cloud/internal/state/facts.go",
		"		after, err := draw(ctx, c, cursor, 0)\n", "		var after int64\n		err := c.each(ctx, func(scan func(...any) error) error { return scan(&after) }, \"select value from counters where name = $1\", cursor)\n", []string{factTests, stateTests}},
	{"1", "facts go before all followers have them", "cloud/internal/state/facts.go",
		"(select min(value) from counters where name = 'facts' or name like 'follower %')", "(select min(value) from counters where name = 'facts')", []string{factTests, stateTests}},
	{"1", "a step that is not so any more is not taken back", "cloud/internal/state/told.go",
		"		if e := &t[i]; !e.stands && !e.gone {", "		if e := &t[i]; !e.stands && !e.gone && e.name == \"\" {", []string{factTests, stateTests}},

	{"1", "a message goes out without its intent", "cloud/internal/notify/worker.go",
		"		ok, used, err := w.store.IntendNotice(ctx, &try, quotas)\n", "		ok, used, err := true, \"\", error(nil)\n", []string{sendTests, noticeTests}},
	{"1", "what may have gone out is sent again at once", "cloud/internal/notify/rules.go",
		"		n.Status, n.Next = county.NoticeOpen, r.within(n, t.At.Add(r.ReportWait), now)", "		n.Status, n.Next = county.NoticeDue, now", []string{sendTests, noticeTests}},
	{"1", "what may have gone out is sent again and again", "cloud/internal/notify/rules.go",
		"	if handed(n) >= mostHanded {\n		fail(n, \"no_report\", now)", "	if handed(n) >= 100*mostHanded {\n		fail(n, \"no_report\", now)", []string{sendTests, noticeTests}},
	{"1", "two workers get the same notice", "cloud/internal/state/notices.go",
		"w.in(\"id\", \"$2\"), ms(now.Add(lease)), w.list(ids))", "w.in(\"id\", \"$2\"), ms(now), w.list(ids))", []string{claimTests, stateTests}},
	{"1", "a notice is written over what it became meanwhile", "cloud/internal/state/notices.go",
		"where id = $11 and version = $12`", "where id = $11 and $12 >= 0`", []string{claimTests, stateTests}},
	{"1", "a message that nobody needs any more is sent", "cloud/internal/state/notices.go",
		"and status in ('due', 'unknown')\"", "and status in ('unknown')\"", []string{claimTests, stateTests}},

	{"1", "a deadline comes up again after it was told", "cloud/internal/state/deposits.go",
		"			d.told = now\n", "", []string{depositTests, stateTests}},
	{"1", "a deposit told otherwise begins anew", "cloud/internal/state/deposits.go",
		"	if len(old) > 0 { // told again", "	if len(old) > 1<<20 { // told again", []string{depositTests, stateTests}},
	{"1", "a deposit is not named as its cabinet does", "cloud/internal/state/deposits.go",
		"return cmp.Or(s.Deposit, s.Row.ID)", "return cmp.Or(s.Row.ID, s.Deposit)", []string{depositTests, stateTests}},
	{"1", "a parcel's later callback overtakes one that waits", "cloud/internal/state/callbacks.go",
		"and e.seq < callbacks.seq and e.next_ms > 0)", "and e.seq < 0 and e.next_ms > 0)", []string{"./cloud/internal/callback"}},
}
