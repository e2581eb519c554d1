package main

const (
	brokeTests   = "./broker"
	edgeTests    = brokeTests + " ^(TestPuback|TestRetry|TestFailed|TestFull|TestInvalid|TestCap|TestWills|TestAcks)"
	frameTests   = "./broker/frame"
	uplinkTests  = "./gateway/internal/uplink"
	commandTests = "./gateway/internal/command"
)

// wireMutations break what takes a record in and on.
var wireMutations = []mutation{
	{"1", "a publish is acknowledged before it is durable", "broker/intake.go",
		"	e.count.add(nPublishes, 1)\n", "	e.count.add(nPublishes, 1)\n	c.acks.finish(number)\n", []string{edgeTests, brokeTests}},
	{"1", "acknowledgements leave out of order", "broker/acks.go",
		"for ; n < len(a.queue) && a.queue[n].done; n++ {", "for ; n < len(a.queue); n++ {", []string{edgeTests, brokeTests}},
	{"1", "mochi acknowledges by itself (D1)", "broker/edgehook.go",
		"	h.edge.publish(cl.Net.Conn.(*conn), &pk)\n	return pk, packets.ErrRejectPacket", "	h.edge.publish(cl.Net.Conn.(*conn), &pk)\n	return pk, nil", []string{edgeTests, brokeTests}},
	{"1", "a client whose readings could not be kept stays connected", "broker/intake.go",
		"			c.Close()\n			return\n		}\n		c.acks.finish(number)", "		}\n		c.acks.finish(number)", []string{edgeTests, brokeTests}},
	{"1", "a retry is a second event", "broker/window.go",
		"	if n, ok := r.serial[key]; ok {", "	if n, ok := r.serial[key]; ok && key == \"\" {", []string{edgeTests, brokeTests}},
	{"1", "a retry is acknowledged by what is not durable yet", "broker/intake.go",
		"	case m.wait(in.part):", "	case m.of == nil && m.wait(in.part):", []string{edgeTests, brokeTests}},
	{"1", "what failed counts as told", "broker/window.go",
		"		if t.durable = err == nil; err != nil {", "		if t.durable = true; false {", []string{edgeTests, brokeTests}},
	{"3", "an invalid reading takes its array with it", "broker/intake.go",
		"	good = rs[:0]\n", "	if len(bad) > 0 {\n		return nil, bad\n	}\n	good = rs[:0]\n", []string{edgeTests, brokeTests}},
	{"1", "wills pass (D2)", "broker/edgehook.go",
		"	if cl.Properties.Will.Flag != 0 {", "	if cl.Properties.Will.Flag > 1 {", []string{edgeTests, brokeTests}},
	{"1", "an ack is believed beyond what was made", "gateway/internal/uplink/core.go",
		"l.committed.add(r.From, min(r.To, max(l.state.Next, 1)-1))", "l.committed.add(r.From, r.To)", []string{uplinkTests}},
	{"1", "what the cloud said outlives the connection", "gateway/internal/uplink/core.go",
		"	c.lanes, c.order = map[laneKey]*lane{}, nil\n	c.pace", "	c.pace", []string{uplinkTests}},
	{"1", "what is under way is never a hole again", "gateway/internal/uplink/send.go",
		"if now.Sub(ch.sent) < ackWait {", "if now.Sub(ch.sent) < 1000*ackWait {", []string{uplinkTests}},
	{"5", "a command's lease is not checked", "gateway/internal/command/command.go",
		"case age > int64(lease):", "case age > int64(lease) && lease < 0:", []string{commandTests}},
	{"5", "a command of another boot runs", "gateway/internal/command/command.go",
		"case cmd.Boot != boot:", "case cmd.Boot != boot && lease < 0:", []string{commandTests}},
	{"5", "the pulse comes before the intent", "gateway/internal/command/command.go",
		"	if err := c.write(e); err != nil { // the act must not begin without it", "	if err := error(nil); err != nil {", []string{commandTests}},
	{"5", "a repeated command runs again", "gateway/internal/command/command.go",
		"	if old, ok := c.book.byID[e.ID]; ok {", "	if old, ok := c.book.byID[e.ID]; ok && e.ID == \"\" {", []string{commandTests}},
	{"5", "an opening asked for at the locker never grows stale", "gateway/internal/command/command.go",
		"		if time.Now().After(cmd.until) {", "		if time.Now().After(cmd.until) && cmd.ID == \"\" {", []string{commandTests}},

	{"1", "a cloud that came back older gets no kept tail", "gateway/internal/uplink/core.go",
		"	if l.told && l.lacks() && !c.behind {", "	if l.told && l.lacks() && !c.behind && l.epoch == 0 {", []string{uplinkTests}},
	{"1", "what the cloud had once is not sent when it lacks it", "gateway/internal/uplink/send.go",
		"	if !l.told {\n		seq = max(seq, l.state.Acked+1)\n	}", "	seq = max(seq, l.state.Acked+1)", []string{uplinkTests}},
	{"1", "an ack of a cloud whose store is away counts", "gateway/internal/uplink/core.go",
		"	if a.Credit > 0 || len(a.Ranges) > 0 {", "	if a.Credit >= 0 {", []string{uplinkTests}},
	{"1", "frames go in version 2 before the cloud reads it", "gateway/internal/uplink/core.go",
		"c.online, c.conn, c.version = true, conn, 1", "c.online, c.conn, c.version = true, conn, 2", []string{uplinkTests}},
	{"1", "a cloud put back to an older release gets version 2", "gateway/internal/uplink/core.go",
		"	c.version = max(1, a.Frames)", "	c.version = max(c.version, a.Frames)", []string{uplinkTests}},
	{"1", "an old reader gets version 2", "broker/frame/codec.go",
		"	if newest >= 2 {", "	if newest >= 1 {", []string{frameTests}},
	{"1", "version 2 forgets the nanoseconds", "broker/frame/body2.go",
		"		fine |= bit(r.MonoNS%1e6 != 0)\n", "", []string{frameTests}},
	{"1", "version 2 takes any number for a decimal", "broker/frame/column.go",
		"		c.kind = colFixed", "		c.kind = colDecimal", []string{frameTests}},
	{"3", "a small frame may unfold to any size", "broker/frame/read2.go",
		"	if r.numbers -= n; r.numbers < 0 {", "	if r.numbers -= n; r.numbers < -1<<40 {", []string{frameTests}},

	{"4", "bytes are counted on the card after they were sent", "gateway/internal/uplink/budget.go",
		"	m.Bytes += ahead", "	m.Bytes += 0 * ahead", []string{uplinkTests + " ^(TestABudget|TestTheCount|TestMonths|TestDataAreSaved)", uplinkTests}},
	{"4", "a clock that steps starts a new month", "gateway/internal/uplink/budget.go",
		"	case mono-b.since < int64(believed):", "	case mono-b.since < 0:", []string{uplinkTests + " ^(TestABudget|TestTheCount|TestMonths|TestDataAreSaved)", uplinkTests}},
	{"4", "a used-up budget saves nothing", "gateway/internal/uplink/core.go",
		"return c.saving && !l.lane.MustKeep()", "return c.saving && l.lane == 0", []string{uplinkTests + " ^(TestABudget|TestTheCount|TestMonths|TestDataAreSaved)", uplinkTests}},
	{"1", "custody waits while data are saved", "gateway/internal/uplink/core.go",
		"return c.saving && !l.lane.MustKeep()", "return c.saving", []string{uplinkTests + " ^(TestABudget|TestTheCount|TestMonths|TestDataAreSaved)", uplinkTests}},
}
