// Package service is the face of the cloud: it wires the rooms and runs them.
//
//	s, err := service.New(ctx, cfg, service.Env{})
//	...
//	err = s.Run(ctx)
//
// New opens in order (registry, state, history, gateways' broker, listeners) and fails with everything
// closed again; Run runs all parts in one group and closes in reverse. A part that fails ends
// the process: nothing lives only in memory, so a restart is the repair.
//
// # The paths through it
//
//	frame:   broker.Cloud -> ingest -> state (one transaction) -> ack -> live -> history
//	hello:   broker.Cloud -> ingest -> state -> acks -> command (who waits for a fresh clock)
//	order:   api -> command -> state -> broker.Cloud; its result comes back as a frame
//	page:    account -> web, api -> state, history; live for changes
//
// # Ports
//
// listen serves the console, the courier's page and the API, by TLS where the configuration has a certificate (renewed files are
// read within a minute); /healthz, /metrics and /openapi.json are served without a login
// on ops, or on listen where only this machine reaches it.
//
// # Metrics
//
// yizhan_{room}_{counter} for the counters that each room's package comment lists, yizhan_state_{what}
// for what the store holds, yizhan_history_lag_seconds, yizhan_gateways_connected, and Go's own.
package service
