package edge

import (
	"context"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/config"
)

// alarm takes an alarm of a room without waiting; what doesn't fit is in the log only.
func (e *Edge) alarm(a telemetry.Alarm) {
	select {
	case e.alarms <- a:
	default:
		e.log.Error("alarm not told", "kind", a.Code, "err", a.Detail)
	}
}

// tellAlarms emits alarms as readings of the gateway's own until ctx ends.
func (e *Edge) tellAlarms(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-e.alarms:
			at, q := e.env.Clock.Now()
			if err := e.broker.Accept(ctx, telemetry.New(config.Self, at, q, a)); err != nil && ctx.Err() == nil {
				e.log.Error("alarm not kept", "kind", a.Code, "err", err)
			}
		}
	}
}
