package main

const (
	uplinkTests  = "./gateway/internal/uplink"
	commandTests = "./gateway/internal/command"
)

// wireMutations break what takes a record in and on.
var wireMutations = []mutation{
	{"1", "a publish is acknowledged before it is durable", "broker/intake.go",
		"	e.count.add(\"publishes\", 1)\n", "	e.count.add(\"publishes\", 1)\n	c.acks.finish(s)\n", []string{brokeTests}},
	{"1", "acknowledgements leave out of order", "broker/acks.go",
		"for ; n < len(a.queue) && a.queue[n].done; n++ {", "for ; n < len(a.queue); n++ {", []string{brokeTests}},
	{"1", "mochi acknowledges by itself (D1)", "broker/edgehook.go",
		"	h.edge.publish(cl.Net.Conn.(*conn), &pk)\n	return pk, packets.ErrRejectPacket", "	h.edge.publish(cl.Net.Conn.(*conn), &pk)\n	return pk, nil", []string{brokeTests}},
	{"1", "a client whose readings could not be kept stays connected", "broker/intake.go",
		"			c.Close()\n			return\n		}\n		c.acks.finish(s)", "		}\n		c.acks.finish(s)", []string{brokeTests}},
	{"1", "a retry is a second event", "broker/window.go",
		"	if t = r.told[key]; t != nil {", "	if t = r.told[key]; t != nil && key == \"\" {", []string{brokeTests}},
	{"1", "a retry is acknowledged by what is not durable yet", "broker/intake.go",
		"		case !t.durable:\n", "		case !t.durable && key == \"\":\n", []string{brokeTests}},
	{"1", "what failed counts as told", "broker/window.go",
		"		m.told.durable = err == nil\n", "		m.told.durable = true\n		err = nil\n", []string{brokeTests}},
	{"3", "an invalid reading takes its array with it", "broker/intake.go",
		"	good = rs[:0]\n", "	if len(bad) > 0 {\n		return nil, bad\n	}\n	good = rs[:0]\n", []string{brokeTests}},
	{"1", "wills pass (D2)", "broker/edgehook.go",
		"	if cl.Properties.Will.Flag != 0 {", "	if cl.Properties.Will.Flag > 1 {", []string{brokeTests}},
	{"1", "an ack is believed beyond what was made", "gateway/internal/uplink/core.go",
		"l.committed.add(r.From, min(r.To, max(l.state.Next, 1)-1))", "l.committed.add(r.From, r.To)", []string{uplinkTests}},
	{"1", "what the cloud said outlives the connection", "gateway/internal/uplink/core.go",
		"	c.lanes, c.order = map[laneKey]*lane{}, nil\n	c.underway", "	c.underway", []string{uplinkTests}},
	{"1", "what is under way is never a hole again", "gateway/internal/uplink/send.go",
		"if now.Sub(ch.sent) < ackWait {", "if now.Sub(ch.sent) < 1000*ackWait {", []string{uplinkTests}},
	{"5", "a command's lease is not checked", "gateway/internal/command/command.go",
		"case age > int64(lease):", "case age > 1<<62:", []string{commandTests}},
	{"5", "a command of another boot runs", "gateway/internal/command/command.go",
		"case cmd.Boot != boot:", "case cmd.Boot != boot && lease < 0:", []string{commandTests}},
	{"5", "the pulse comes before the intent", "gateway/internal/command/command.go",
		"	if err := c.write(e); err != nil { // the act must not begin without it", "	if err := error(nil); err != nil {", []string{commandTests}},
	{"5", "a repeated command runs again", "gateway/internal/command/command.go",
		"	if old, ok := c.book.byID[e.ID]; ok {", "	if old, ok := c.book.byID[e.ID]; ok && e.ID == \"\" {", []string{commandTests}},
}
