package notify

import (
	"sync/atomic"

	"yizhan/cloud/internal/county"
)

// counters are those of doc.go.
type counters struct {
	planned, accepted, temporary, permanent, unknown atomic.Uint64
	delivered, refused, failed, full, held           atomic.Uint64
	strangers                                        atomic.Uint64
}

func (c *counters) tried(class string) {
	switch class {
	case county.TryAccepted:
		c.accepted.Add(1)
	case county.TryTemporary:
		c.temporary.Add(1)
	case county.TryPermanent:
		c.permanent.Add(1)
	case county.TryUnknown:
		c.unknown.Add(1)
	}
}

func (c *counters) all() map[string]uint64 {
	return map[string]uint64{
		"planned": c.planned.Load(), "accepted": c.accepted.Load(), "temporary": c.temporary.Load(), "permanent": c.permanent.Load(),
		"unknown": c.unknown.Load(), "delivered": c.delivered.Load(), "refused": c.refused.Load(), "failed": c.failed.Load(),
		"full": c.full.Load(), "held": c.held.Load(), "strangers": c.strangers.Load(),
	}
}
