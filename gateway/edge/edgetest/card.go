// Package edgetest lends the card of the gateway's own tests to simulations outside of gateway/.
package edgetest

import "yizhan/gateway/internal/spool/spooltest"

// Card is a file system in memory that loses what wasn't synced, tears writes, runs full and fails.
type Card = spooltest.FS

// Keep decides what of the unsynced changes a power cut leaves.
type Keep = spooltest.Keep

// Op is a call that changes the card.
type Op = spooltest.Op

// NewCard returns an empty card.
func NewCard() *Card { return spooltest.New() }
