package soak

import "math/rand/v2"

// plan is how nasty a seed is: which faults there are, and how often. Many seeds have few kinds, so that what one of them
// breaks isn't hidden by another.
type plan struct {
	rounds  int
	boards  int
	workers int // of ingest

	lose, double, delay float64 // of a message
	cut                 float64 // of the link of a board, a round
	wipe                float64 // of the broker
	crashBefore         float64 // of a worker, a commit
	crashAfter          float64
	away                float64
	restart             float64 // of the cloud
	restore             float64 // of the database from a copy
	kill                float64 // of a gateway
	power               float64
	ioError             float64 // of an operation of a card, while its bad hours last
	badHours            float64
	full                float64 // of a card, by others' files
	putBack             float64 // of a card
	twin                float64
	rot                 float64
	step                float64 // of a clock
	repeat              float64 // of what was acknowledged
	order               float64 // of a command

	clockless bool // devices without clocks, boards without time
	smallRoom bool // the spool must drop
	shortKeep bool // and nothing is kept after its commit
	mirror    bool
}

func newPlan(r *rand.Rand) plan {
	some := func(share, most float64) float64 {
		if r.Float64() >= share {
			return 0
		}
		return most * r.Float64()
	}
	p := plan{
		rounds: 40 + r.IntN(50), boards: 1 + r.IntN(3), workers: 1 + r.IntN(2),
		lose: some(.5, .3), double: some(.5, .3), delay: some(.7, .5),
		cut: some(.6, .1), wipe: some(.4, .05),
		crashBefore: some(.4, .2), crashAfter: some(.5, .2), away: some(.2, .3), restart: some(.4, .05), restore: some(.3, .04),
		kill: some(.5, .08), power: some(.6, .1), ioError: some(.3, .3), badHours: .05, full: some(.25, .05),
		putBack: some(.15, .03), twin: some(.15, .03), rot: some(.1, .5),
		step: some(.5, .1), repeat: some(.6, .3), order: some(.6, .2),
		clockless: r.Float64() < .3, smallRoom: r.Float64() < .25, shortKeep: r.Float64() < .15, mirror: r.Float64() < .1,
	}
	return p
}

// destroys reports whether the plan has faults that may destroy what was acknowledged.
func (p *plan) destroys() bool {
	return p.putBack > 0 || p.rot > 0 || p.restore > 0 && (p.shortKeep || p.smallRoom)
}
