package uhf

import "sync/atomic"

type counter uint8

const (
	framesOK counter = iota
	frameBytes
	badChecksum
	resync
	garbageBytes
	tagReads
	badReport
	badTagCRC
	emptyEPC
	emptyRounds
	rounds
	unexpected
	heartbeats
	refusals
	timeouts
	probes
	connects
	resets
	restarts
	unverified
	numCounters
)

var counterNames = [numCounters]string{
	framesOK: "frames_ok", frameBytes: "frame_bytes", badChecksum: "bad_checksum", resync: "resync", garbageBytes: "garbage_bytes",
	tagReads: "tag_reads", badReport: "bad_report", badTagCRC: "bad_tag_crc", emptyEPC: "empty_epc", emptyRounds: "empty_rounds",
	rounds: "rounds", unexpected: "unexpected", heartbeats: "heartbeats", refusals: "refusals", timeouts: "timeouts",
	probes: "probes", connects: "connects", resets: "resets", restarts: "restarts", unverified: "unverified",
}

// counts may be read while it counts.
type counts struct{ v [numCounters]atomic.Uint64 }

func (c *counts) add(i counter, n uint64) { c.v[i].Add(n) }

func (c *counts) snapshot() map[string]uint64 {
	m := make(map[string]uint64, numCounters+16)
	for i, name := range counterNames {
		m[name] = c.v[i].Load()
	}
	return m
}
