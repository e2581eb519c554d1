// Command bench-gateway measures what a gateway costs, and prints tables in Markdown.
//
//	bench-gateway [-only acks,footprint,backlog] [-gateway bin/gateway] [-dir FOLDER] [-pairs 7] [-slice 1.2s]
//	              [-length 6s] [-records 10000000] [-patience 10s] [-cpuprofile FILE]
//
// acks: publishes at QoS 1 that are on the card when they are acknowledged, beside bare mochi with a hook that counts, and
// the way of a driver's readings from Accept to the spooled record. Each broker runs in a process of its own; this one
// plays the publishers, byte by byte. Pairs of samples are taken in turn (ours, bare, bare, ours, ...). Ratios are medians
// of the pairs' ratios, with the median distance from it.
//
// footprint: the gateway's program with GOMAXPROCS=1, before a cloud that commits at once, under steady loads of each
// kind of reading: processor time, allocations and bytes on the wire a reading (TCP payload both ways: TLS, MQTT, acks and
// all), memory. The last line says what the machine itself takes to make one record durable.
//
// backlog: the same program without a link, filled with records: its memory, and how long it takes to come up again.
//
// On a busy machine: a sample begins when no other process uses a quarter of a core, or when patience ends; pairs that
// others disturbed are dropped while three are left, and a row that isn't clean says so.
package main
