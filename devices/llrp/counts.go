package llrp

import "sync/atomic"

type counter uint8

const (
	framesOK counter = iota
	resync
	garbageBytes
	tagReports
	badReport
	emptyEPC
	unknownParam
	unexpected
	keepalives
	readerEvents
	readerErrors
	timeouts
	connects
	busy
	clockRefused
	numCounters
)

var counterNames = [numCounters]string{
	framesOK: "frames_ok", resync: "resync", garbageBytes: "garbage_bytes", tagReports: "tag_reports",
	badReport: "bad_report", emptyEPC: "empty_epc", unknownParam: "unknown_param", unexpected: "unexpected",
	keepalives: "keepalives", readerEvents: "reader_events", readerErrors: "reader_errors",
	timeouts: "timeouts", connects: "connects", busy: "busy", clockRefused: "clock_refused",
}

// counts may be read while it counts.
type counts struct{ v [numCounters]atomic.Uint64 }

func (c *counts) add(i counter, n uint64) { c.v[i].Add(n) }

func (c *counts) snapshot() map[string]uint64 {
	m := make(map[string]uint64, numCounters+8)
	for i, name := range counterNames {
		m[name] = c.v[i].Load()
	}
	return m
}
