package gnss

import "sync/atomic"

// A counter indexes counters; its name stands in counterNames.
type counter int

const (
	framesOK counter = iota
	badChecksum
	noChecksum
	cut
	tooLong
	malformed
	resync
	skippedBytes
	ignored
	epochs
	noFix
	zeroPosition
	disagree
	notMeasured
	duplicateEpochs
	splitEpochs
	dateSuspect
	dateCorrected
	timeouts
	setUp
	setUpRefused
	setUpUnanswered
	gpsdErrors
	satellitesInView
	numCounters
)

var counterNames = [numCounters]string{
	framesOK: "frames_ok", badChecksum: "bad_checksum", noChecksum: "no_checksum", cut: "cut",
	tooLong: "too_long", malformed: "malformed", resync: "resync", skippedBytes: "skipped_bytes",
	ignored: "ignored", epochs: "epochs", noFix: "no_fix", zeroPosition: "zero_position", disagree: "disagree",
	notMeasured: "not_measured", duplicateEpochs: "duplicate_epochs", splitEpochs: "split_epochs",
	dateSuspect: "date_suspect", dateCorrected: "date_corrected", timeouts: "timeouts",
	setUp: "set_up", setUpRefused: "set_up_refused", setUpUnanswered: "set_up_unanswered", gpsdErrors: "gpsd_errors",
	satellitesInView: "satellites_in_view",
}

// counters may be read while the decoder counts.
type counters [numCounters]atomic.Uint64

func (c *counters) add(k counter) { c[k].Add(1) }

func (c *counters) snapshot() map[string]uint64 {
	m := make(map[string]uint64, numCounters)
	for k, name := range counterNames {
		m[name] = c[k].Load()
	}
	return m
}
