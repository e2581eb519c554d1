package door

import (
	"context"
	"sync"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Clock is the board's time.
type Clock interface {
	Mono() (frame.Boot, int64)
	Now() (time.Time, telemetry.Quality)
}

const (
	tickEvery = time.Second
	waiting   = 256 // readings that wait for the spool
)

// Watch follows openings.
type Watch struct {
	clock  Clock
	accept devices.Emit
	tells  chan telemetry.Reading

	mu   sync.Mutex // of all below
	core *core
	lost uint64
}

// New makes a Watch; accept keeps readings.
func New(clock Clock, accept devices.Emit) *Watch {
	return &Watch{clock: clock, accept: accept, tells: make(chan telemetry.Reading, waiting), core: newCore()}
}

// Accepted takes that a command of the cloud's is about to be carried out.
func (w *Watch) Accepted(id, device, action string, args map[string]string) {
	if action != "open_cell" {
		return
	}
	w.step(func(now time.Duration) []telling { return w.core.accepted(now, id, device, args["cell"]) })
}

// Pulsed takes that a command's lock may have been pulsed.
func (w *Watch) Pulsed(id string) {
	w.step(func(now time.Duration) []telling { return w.core.pulsed(now, id) })
}

// Ended takes a command's outcome.
func (w *Watch) Ended(id string, o telemetry.Outcome) {
	w.step(func(now time.Duration) []telling { return w.core.ended(now, id, o) })
}

// Observe takes readings on their way to the spool and returns them, those of doors with their op. It doesn't wait.
func (w *Watch) Observe(rs []telemetry.Reading) []telemetry.Reading {
	doors := false
	for i := range rs {
		doors = doors || rs[i].Kind == telemetry.KindLocker
	}
	if !doors {
		return rs
	}
	out := append([]telemetry.Reading(nil), rs...)
	for i := range out {
		r := &out[i]
		if r.Kind != telemetry.KindLocker {
			continue
		}
		l, err := telemetry.As[telemetry.Locker](*r)
		if err != nil {
			continue // for quarantine
		}
		w.step(func(now time.Duration) []telling {
			told, more := w.core.observe(now, r.Device, r.N, l)
			if told != l {
				r.Body = told.AppendJSON(nil)
			}
			return more
		})
	}
	return out
}

// step does one step, and lines up what there is to tell.
func (w *Watch) step(do func(now time.Duration) []telling) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, mono := w.clock.Mono()
	all := do(time.Duration(mono))
	if len(all) == 0 {
		return
	}
	at, q := w.clock.Now()
	for i := range all {
		r := telemetry.New(all[i].device, at, q, all[i].body)
		r.N = all[i].n()
		select {
		case w.tells <- r:
		default:
			w.lost++
		}
	}
}

// Run tells what there is to tell until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.step(w.core.tick)
		case r := <-w.tells:
			w.tell(ctx, r)
		}
	}
}

// tell hands a reading on until it is kept. Doors that move meanwhile are seen all the same.
func (w *Watch) tell(ctx context.Context, r telemetry.Reading) {
	for pause := time.Second; w.accept(ctx, r) != nil && ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// Counters returns the counters of the package comment.
func (w *Watch) Counters() map[string]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.core
	return map[string]uint64{"followed": c.followed, "opened": c.openedN, "not_opened": c.notOpened, "wrong_doors": c.wrongDoors, "untold": w.lost}
}
