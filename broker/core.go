package broker

import (
	"errors"
	"fmt"
	"log/slog"

	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A Core is what an Edge does with readings, without network, goroutine or clock: a simulation drives it step by step. What
// it calls done for, and which publishes it acknowledges in which order, is as in an Edge.
type Core struct{ edge *Edge }

// NewCore returns a Core over log.
func NewCore(log Log) *Core {
	e := &Edge{limits: Limits{}.withDefaults(64, 16, 256<<10), log: log, slog: slog.New(slog.DiscardHandler)}
	e.shelf = newShelf(1, &e.count, func(string, []byte) {})
	return &Core{e}
}

// Offer is Accept that doesn't wait: when it returns nil, done is called exactly once, with nil when all is durable. An
// error is of the log, which took nothing. What isn't valid becomes quarantine records.
func (c *Core) Offer(rs []telemetry.Reading, done func(error)) error {
	var good []telemetry.Reading
	var bad []refusal
	for i := range rs {
		if err := rs[i].Validate(); err != nil {
			bad = append(bad, refusal{rs[i].Device, err.Error(), rs[i].AppendJSON(nil)})
		} else {
			good = append(good, rs[i])
		}
	}
	return c.edge.submit(good, bad, done)
}

// Counters returns the counters that the package comment lists.
func (c *Core) Counters() map[string]uint64 { return c.edge.count.all() }

// ErrGone says that the connection has ended.
var ErrGone = errors.New("connection has ended")

// A Visit is the connection of a LAN device to a Core.
type Visit struct {
	core   *Core
	device string
	acks   *acks
	gone   bool
}

// Visit begins a connection of device.
func (c *Core) Visit(device string) *Visit { return &Visit{core: c, device: device, acks: newAcks()} }

// Publish takes a PUBLISH at QoS 1 on dev/{device}/{kind}. ok is false when the client has too many unacknowledged
// and has to wait, and an error ends the connection.
func (v *Visit) Publish(id uint16, kind telemetry.Kind, payload []byte) (ok bool, err error) {
	if v.gone {
		return false, ErrGone
	}
	e := v.core.edge
	good, bad := e.parse(v.device, topic.Device(v.device, kind), payload, true)
	number, ok := v.acks.begin(id, len(payload), &e.limits)
	if !ok {
		e.log.Flush()
		return false, nil
	}
	err = e.submit(good, bad, func(err error) {
		if err != nil {
			v.gone = true
			return
		}
		v.acks.finish(number)
	})
	if err != nil {
		v.gone = true
		return false, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return true, nil
}

// Acks returns the ids of the publishes whose PUBACKs are due, in the order in which they leave, each once.
func (v *Visit) Acks() (ids []uint16, err error) {
	if v.gone {
		return nil, ErrGone
	}
	for b := v.acks.take(nil); len(b) > 0; b = b[4:] {
		ids = append(ids, uint16(b[2])<<8|uint16(b[3]))
	}
	return ids, nil
}
