package scenario

import (
	"context"
	"slices"
	"sync"
	"time"
)

// dock is dock B, where vans are loaded. Of a big fleet one van stands by there: it leaves with what a guest hands in at once,
// wherever that goes, and on its own round when another van has come.
type dock struct {
	gate queue // one van at a time is loaded

	mu      sync.Mutex
	vans    int             // that stand there and haven't decided to leave
	errands map[*stand]bool // lockers that a leaving van goes to for a guest
}

// vanRoom is how many parcels a van takes, or a few more: a bag isn't opened for a number.
const vanRoom = 24

// relief is for how long of the story the van that stands by waits for another one at most.
const relief = time.Hour

// load waits at the dock until there is something to drive, and takes it aboard.
func (v *van) load(ctx context.Context) error {
	s := v.story
	for arrived := time.Now(); len(s.World.at(v.id)) == 0; {
		errand, err := v.standBy(ctx, arrived)
		if err != nil {
			return err
		}
		err = v.takeAboard(ctx, errand)
		s.dock.done(errand)
		if err != nil {
			return err
		}
	}
	return s.rest(ctx, 30*time.Second, 3*time.Second) // papers, doors, engine
}

// standBy waits until a van leaves. An errand is a locker that it goes to because a guest's parcel waits for that; nil: none.
func (v *van) standBy(ctx context.Context, arrived time.Time) (errand *stand, err error) {
	s := v.story
	s.dock.arrive()
	for {
		waited := time.Duration(float64(time.Since(arrived)) * s.Speed)
		if errand, ok := v.leaves(waited); ok {
			return errand, nil
		}
		if err := s.rest(ctx, 20*time.Second, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// leaves decides whether a van leaves that has waited for so long of the story.
func (v *van) leaves(waited time.Duration) (errand *stand, ok bool) {
	s, d := v.story, &v.story.dock
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range s.World.at(inHall) { // the oldest first, but one that goes where the van usually goes before all
		st := s.stock[p.Locker]
		if own := slices.Contains(v.round, st); p.Guest && st != nil && !d.errands[st] && (own || errand == nil) {
			if errand = st; own {
				break
			}
		}
	}
	waiting := 0
	for _, st := range v.round {
		waiting += len(s.waiting(st))
	}
	enough := waiting >= 3*len(v.round) || waiting > 0 && waited > 10*time.Minute
	free := !s.big() || d.vans > 1 || waited > relief
	if errand == nil && !(enough && free) {
		return nil, false
	}
	d.vans--
	if errand != nil {
		d.errands[errand] = true
	}
	return errand, true
}

func (d *dock) arrive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.vans++
}

// done ends an errand's loading: what waited is aboard.
func (d *dock) done(errand *stand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.errands, errand)
}

// takeAboard carries what waits for an errand and for the van's round through the dock, as much as the van takes.
func (v *van) takeAboard(ctx context.Context, errand *stand) error {
	s, room := v.story, vanRoom
	if err := s.dock.gate.enter(ctx); err != nil {
		return err
	}
	defer s.dock.gate.leave()
	stops := slices.DeleteFunc(slices.Clone(v.round), func(st *stand) bool { return st == errand })
	if errand != nil {
		stops = slices.Insert(stops, 0, errand)
	}
	for _, st := range stops {
		rssi := v.rssi(v.rng)
		all := atMost(loads(s.waiting(st)), room)
		if err := s.carry(ctx, s.DockB, all, 2, 1, v.rng, func(l freight) error {
			l.enter(v.reader, 1, rssi)
			return s.World.carry(l, v.id)
		}); err != nil {
			return err
		}
		for _, l := range all {
			room -= len(l.parcels)
		}
	}
	return nil
}
