package broker

import "sync/atomic"

// counter names an event that is counted.
type counter int

// The counters, as the package comment explains them.
const (
	nConnects counter = iota
	nConnectsRefused
	nAuthFailed
	nTakeovers
	nPanics
	nPublishes
	nPublishesQoS0
	nReadings
	nRawReads
	nDuplicates
	nTranslated
	nQuarantined
	nFull
	nLostQoS0
	nAcks
	nACLDenied
	nQoS2Refused
	nWillsDropped
	nAckTimeouts
	nSlowed
	nFiltersRefused
	nFanoutDropped
	nSubscriberDropped
	nCounters
)

var counterNames = [nCounters]string{
	nConnects: "connects", nConnectsRefused: "connects_refused", nAuthFailed: "auth_failed", nTakeovers: "takeovers", nPanics: "panics",
	nPublishes: "publishes", nPublishesQoS0: "publishes_qos0", nReadings: "readings", nRawReads: "raw_reads", nDuplicates: "duplicates",
	nTranslated: "translated", nQuarantined: "quarantined", nFull: "full", nLostQoS0: "lost_qos0", nAcks: "acks", nACLDenied: "acl_denied",
	nQoS2Refused: "qos2_refused", nWillsDropped: "wills_dropped", nAckTimeouts: "ack_timeouts", nSlowed: "slowed",
	nFiltersRefused: "filters_refused", nFanoutDropped: "fanout_dropped", nSubscriberDropped: "subscriber_dropped",
}

// counters count events.
type counters [nCounters]atomic.Uint64

func (c *counters) add(which counter, n int) {
	if n > 0 {
		c[which].Add(uint64(n))
	}
}

func (c *counters) all() map[string]uint64 {
	m := make(map[string]uint64, nCounters)
	for i, name := range counterNames {
		m[name] = c[i].Load()
	}
	return m
}
