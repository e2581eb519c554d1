// Package edge is a gateway: the rooms below gateway/internal and the LAN broker, wired.
//
//	cfg, err := edge.Load("gateway.yaml", kinds)   // every error at once
//	e, err := edge.New(cfg, edge.Env{Kinds: kinds})
//	err = e.Run(ctx)                               // until ctx ends
//
// New opens in order: data folder, clock, spool, LAN broker, uplink, commands, what doors do (gateway/internal/door), the locker's cabinet, status page; Run starts what drives them and closes
// in reverse. Everything that a gateway takes from the machine comes through Env, so that a test runs one in memory and in made-up time.
// What Env leaves out is the machine's own.
//
// # Promises
//
//   - A reading has one way: driver or LAN publish, Accept, spool, uplink. What Accept returned for, or a PUBACK was sent for, is
//     on the card and stays there until the cloud says it is committed.
//   - The cloud may be away, its certificate missing and every device unplugged: the gateway runs and spools.
//   - The spool closes last. Nothing else is drained: stopping is a polite crash.
//   - A vital part that fails (spool, broker, status page) ends Run with its error; a driver never does.
//   - Once a minute the gateway reports on itself as device "gateway", kind health: rss_bytes, heap_bytes, goroutines,
//     disk_free_bytes, spool_bytes, spool_pending, spool_fill, spool_oldest_s, spool_written_bytes_per_hour,
//     spool_syncs_per_hour, card_written_bytes_per_hour, card_life_years, uplink_connected, devices_down, cpu_temp_c
//     where the board tells, and of a locker what gateway/internal/cabinet says. The spool's alarms (spool_full, spool_damaged,
//     spool_mirror_lost) are told then, when they begin and when they end.
//
// # Files in the data folder
//
//	spool/       see gateway/internal/spool
//	commands     see gateway/internal/command
//	cabinet      see gateway/internal/cabinet, where the gateway keeps a locker
//	expect       what may be put into it, as the cloud sent it last
//	connection   the connection numbers that may have been used
//	record.sock  where "gateway record" asks, see gateway/internal/record
package edge
