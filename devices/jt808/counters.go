package jt808

import "sync/atomic"

// A counter indexes counters; its name stands in counterNames.
type counter int

const (
	framesOK counter = iota
	badChecksum
	badLength
	badEscape
	resync
	tooLong
	cut
	malformed
	lenient
	encrypted
	unsupported
	unauthorised
	connects
	refusedConnections
	connections
	acceptErrors
	registers
	auths
	authFailed
	refusedTerminals
	relogins
	timeouts
	writesFailed
	heartbeats
	positions
	replayed
	undated
	badPoints
	alarms
	duplicates
	fragments
	fragmentsLost
	fragmentsAsked
	commands
	commandsRepeated
	strayReplies
	numCounters
)

var counterNames = [numCounters]string{
	framesOK: "frames_ok", badChecksum: "bad_checksum", badLength: "bad_length", badEscape: "bad_escape",
	resync: "resync", tooLong: "too_long", cut: "cut", malformed: "malformed", lenient: "lenient", encrypted: "encrypted",
	unsupported: "unsupported", unauthorised: "unauthorised", connects: "connects",
	refusedConnections: "refused_connections", connections: "connections", acceptErrors: "accept_errors",
	registers: "registers", auths: "auths", authFailed: "auth_failed", refusedTerminals: "refused_terminals",
	relogins: "relogins", timeouts: "timeouts", writesFailed: "writes_failed", heartbeats: "heartbeats",
	positions: "positions", replayed: "replayed", undated: "undated", badPoints: "bad_points", alarms: "alarms",
	duplicates: "duplicates", fragments: "fragments", fragmentsLost: "fragments_lost",
	fragmentsAsked: "fragments_asked", commands: "commands", commandsRepeated: "commands_repeated",
	strayReplies: "stray_replies",
}

// counters are counted by all connections at once.
type counters [numCounters]atomic.Uint64

func (c *counters) add(k counter) { c[k].Add(1) }

func (c *counters) snapshot() map[string]uint64 {
	m := make(map[string]uint64, numCounters)
	for k, name := range counterNames {
		m[name] = c[k].Load()
	}
	return m
}
