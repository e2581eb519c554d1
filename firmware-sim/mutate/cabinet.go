package main

const cabinetTests = "./gateway/internal/cabinet"

// cabinetMutations break what keeps a locker's doors shut.
var cabinetMutations = []mutation{
	{"5", "a door opens before the intent is on the card", "gateway/internal/cabinet/core.go",
		"		write(x),\n		{Open: &Opening{Op: o.ID, Cell: x.No, Until: now.Mono + pulseWithin}},\n", "		{Open: &Opening{Op: o.ID, Cell: x.No, Until: now.Mono + pulseWithin}},\n		write(x),\n", []string{cabinetTests}},
	{"5", "a door opens though the card took no intent", "gateway/internal/cabinet/cabinet.go",
		"				c.unwritten(fx[i+1:])\n				return true\n", "", []string{cabinetTests}},
	{"5", "an opening has no end", "gateway/internal/cabinet/core.go",
		"Until: now.Mono + pulseWithin}", "Until: now.Mono + 1000*pulseWithin}", []string{cabinetTests}},
	{"5", "an op of before a start goes on as if it were new", "gateway/internal/cabinet/core.go",
		"			o.recovered = true\n", "", []string{cabinetTests}},
	{"5", "a door that may have moved is free again", "gateway/internal/cabinet/core.go",
		"told && r.Outcome == telemetry.Refused {", "told && r.Outcome != \"\" {", []string{cabinetTests}},
	{"7", "a wrong code costs no time", "gateway/internal/cabinet/collect.go",
		"wait := c.tries.wait(ran); wait > 0 {", "wait := c.tries.wait(ran); wait > 0 && x == nil {", []string{cabinetTests}},
	{"7", "wrong codes are forgotten at a start", "gateway/internal/cabinet/collect.go",
		"	return []Effect{c.writeTries(now), c.show(now, \"wrong\", 0, c.tries.wait(ran))}", "	return []Effect{c.show(now, \"wrong\", 0, c.tries.wait(ran))}", []string{cabinetTests}},
	{"7", "a clock that anybody may have set shortens the wait", "gateway/internal/cabinet/core.go",
		"	return q == telemetry.GNSS ||", "	return q != telemetry.Unknown || q == telemetry.GNSS ||", []string{cabinetTests}},
	{"7", "the code of the parcel before opens the next one", "gateway/internal/cabinet/door.go",
		"	x.Next = c.newID(\"d-\")\n	name(l, x.Last)", "	x.Next = x.Last.ID\n	name(l, x.Last)", []string{cabinetTests}},
	{"7", "a blocked deposit opens", "gateway/internal/cabinet/collect.go",
		"	case c.barred[x.Deposit.ID]:", "	case c.barred[\"\"]:", []string{cabinetTests}},
	{"5", "a line of the cabinet's log that rotted is believed", "gateway/internal/cabinet/book.go",
		"if !sound(line) || json", "if len(line) < 9 || json", []string{cabinetTests}},
	{"8", "a ticket goes to the spool", "gateway/internal/cabinet/cabinet.go",
		"if err != nil || !pickup.Secret(strings.TrimSpace(s.Text)) {", "if err != nil || strings.TrimSpace(s.Text) != \"\" {", []string{cabinetTests}},
}
