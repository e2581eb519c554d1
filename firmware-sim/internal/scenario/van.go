package scenario

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// van is a vehicle and its driver.
type van struct {
	story  *Story
	id     string
	reader Reader
	round  []*stand // the lockers it serves, in order
	rng    *rand.Rand

	out     bool   // on its round when the story begins
	heading *stand // where to then

	mu    sync.Mutex
	drive drive
}

// drive is where a van is: on a route since a moment, or at its end. Since a zero moment it stands there.
type drive struct {
	route *route
	since time.Time
	skip  float64 // seconds of the route that lay behind it then
}

// Place is where a vehicle is and how it moves.
type Place struct {
	Lat, Lon, AltitudeM, SpeedMPS, HeadingDeg float64
}

// Where is where a vehicle truly is. Its speed is what it truly covers in a second.
func (s *Story) Where(vehicle string, now time.Time) Place {
	for _, v := range s.fleet {
		if v.id == vehicle {
			return v.where(now)
		}
	}
	wh := s.County.warehouse()
	return Place{Lat: wh.Lat, Lon: wh.Lon}
}

func (v *van) where(now time.Time) Place {
	v.mu.Lock()
	d := v.drive
	v.mu.Unlock()
	if d.since.IsZero() {
		p, heading, _ := d.route.where(d.skip)
		return Place{Lat: p.lat, Lon: p.lon, AltitudeM: p.alt, HeadingDeg: heading}
	}
	at := d.skip + max(now.Sub(d.since).Seconds(), 0)*v.story.Speed
	p, heading, speed := d.route.where(at)
	return Place{p.lat, p.lon, p.alt, speed * v.story.Speed, heading}
}

// to drives from one site to another and returns on arrival.
func (v *van) to(ctx context.Context, from, to *Site, skip float64) error {
	r, err := v.story.County.Roads.route(from, to)
	if err != nil {
		return err
	}
	skip = min(max(skip, 0), r.seconds())
	v.mu.Lock()
	v.drive = drive{route: r, since: time.Now(), skip: skip}
	v.mu.Unlock()
	left := time.Duration((r.seconds() - skip) * float64(time.Second))
	return v.story.rest(ctx, left, 0)
}

// run drives rounds for ever.
func (v *van) run(ctx context.Context) error {
	if len(v.round) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	for out := v.out; ; out = false {
		if !out {
			if err := v.load(ctx); err != nil {
				return err
			}
		}
		if err := v.deliver(ctx, out); err != nil {
			return err
		}
	}
}

// deliver drives where what is aboard goes, and back to the warehouse. A van that is out when the story begins is on its way already.
func (v *van) deliver(ctx context.Context, out bool) error {
	wh := v.story.County.warehouse()
	at, been := wh, map[*stand]bool{}
	st := v.next(been)
	if out {
		st = v.heading
	}
	for ; st != nil; st = v.next(been) {
		next, skip := v.story.County.site(st.locker.Site), 0.0
		if out {
			skip = v.drive.skip // nobody else moves it
		}
		if err := v.to(ctx, at, next, skip); err != nil {
			return err
		}
		if err := v.unload(ctx, st); err != nil {
			return err
		}
		at, out, been[st] = next, false, true
	}
	return v.to(ctx, at, wh, 0)
}

// next is where a van goes: to the locker that a guest's parcel aboard goes to, then along its round, then wherever else something
// goes, but nowhere twice. It is nil where nothing is left to deliver.
func (v *van) next(been map[*stand]bool) *stand {
	var guests, others []*stand
	for _, p := range v.story.World.at(v.id) {
		st := v.story.stock[p.Locker]
		switch {
		case st == nil || been[st]:
		case p.Guest:
			guests = append(guests, st)
		default:
			others = append(others, st)
		}
	}
	for _, st := range slices.Concat(guests, v.round, others) {
		if slices.Contains(guests, st) || slices.Contains(others, st) {
			return st
		}
	}
	return nil
}

// headStart puts a van that is out when the story begins to where it has come on its first drive.
func (v *van) headStart() error {
	c := v.story.County
	if v.heading = v.next(nil); v.heading == nil {
		v.heading = v.round[0]
	}
	r, err := c.Roads.route(c.warehouse(), c.site(v.heading.locker.Site))
	if err != nil {
		return err
	}
	v.out, v.drive = true, drive{route: r, skip: max(r.seconds()-200-v.rng.Float64()*400, r.seconds()*0.2)}
	return nil
}

// preload lays parcels into a van that is out when the story begins, as its driver did before
// the day's first light, and announces them.
func (v *van) preload(ctx context.Context, rng *rand.Rand) error {
	s := v.story
	for _, st := range v.round {
		n := min(2+rng.IntN(2), len(st.locker.Cells)-2-s.World.bound(st.locker.ID))
		if n <= 0 || len(s.World.at(v.id)) >= 2*len(v.round) {
			continue
		}
		ps, err := s.make(st, n, rng)
		if err != nil {
			return err
		}
		if err := s.announce(ctx, ps); err != nil {
			return err
		}
		for _, p := range ps {
			if err := s.World.move(p, v.id, 0); err != nil {
				return err
			}
		}
	}
	for _, l := range loads(s.World.at(v.id)) {
		l.enter(v.reader, 1, v.rssi(rng))
	}
	return nil
}

func (v *van) rssi(rng *rand.Rand) int8 { return int8(-48 - rng.IntN(14)) }
