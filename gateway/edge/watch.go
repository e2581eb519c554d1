package edge

import (
	"context"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/config"
	"yizhan/gateway/internal/status"
	"yizhan/gateway/internal/supervise"
)

// stuckAfter is how long a commit may take before the gateway is called stuck: a worn card stalls for seconds.
const stuckAfter = 30 * time.Second

// Stuck returns what doesn't go on any more, empty when all does: whoever feeds a watchdog asks it before. It asks every
// room, so that it hangs when one of them holds its locks for ever.
func (e *Edge) Stuck() string {
	e.Report()
	return e.pulse.Stuck()
}

// probeSpool goes through the loop that makes readings durable, with nothing to write.
func (e *Edge) probeSpool(back func()) error {
	return e.spool.Append(nil, func(error) { back() })
}

// feedWatchdog feeds the hardware watchdog until ctx ends. It is switched off when the gateway was asked to stop; when it
// failed, the next start must come in time.
func (e *Edge) feedWatchdog(ctx, asked context.Context) {
	err := supervise.Watchdog(ctx, e.cfg.Watchdog.Device, e.log, e.Stuck, func() bool { return asked.Err() != nil })
	if err != nil {
		e.log.Error("no hardware watchdog", "err", err)
		e.alarm(telemetry.Alarm{Code: "no_watchdog", Severity: telemetry.Minor, Detail: "the hardware watchdog isn't fed"})
	}
}

// progress is what a driver counts, all together; nil when it counts nothing.
func progress(d driver) func() uint64 {
	c, ok := d.Driver.(devices.Counting)
	if !ok {
		return nil
	}
	return func() (sum uint64) {
		for _, n := range c.Counters() {
			sum += n
		}
		return sum
	}
}

// watchBoard looks at the board and tells its faults.
func (e *Edge) watchBoard(ctx context.Context) {
	at, q := e.env.Clock.Now()
	for _, a := range e.board.Look(time.Now()).New {
		e.log.Warn("board fault", "code", a.Code, "err", a.Detail)
		if err := e.broker.Accept(ctx, telemetry.New(config.Self, at, q, a)); err != nil && ctx.Err() == nil {
			e.log.Warn("alarm not kept", "err", err, "code", a.Code)
		}
	}
}

// reportBoard adds what the last look at the board found.
func (e *Edge) reportBoard(r *status.Report) {
	h := e.board.Last()
	for name, v := range h.Gauges {
		r.Gauges[name] = v
	}
	for _, f := range h.Faults {
		r.Degraded = append(r.Degraded, f.Code+": "+f.Detail)
	}
}
