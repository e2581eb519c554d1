package scenario

import (
	"context"
	"math/rand/v2"
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
	out    bool // on its round when the story begins

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
	wh, out := v.story.County.warehouse(), v.out
	for {
		if !out {
			if err := v.load(ctx); err != nil {
				return err
			}
		}
		at := wh
		for _, st := range v.round {
			next := v.story.County.site(st.locker.Site)
			skip := 0.0
			if out {
				skip = v.drive.skip // nobody else moves it
			}
			if err := v.to(ctx, at, next, skip); err != nil {
				return err
			}
			out = false
			if err := v.unload(ctx, st); err != nil {
				return err
			}
			at = next
		}
		if err := v.to(ctx, at, wh, 0); err != nil {
			return err
		}
	}
}

// headStart puts a van that is out when the story begins to where it has come on its first drive.
func (v *van) headStart() error {
	c := v.story.County
	r, err := c.Roads.route(c.warehouse(), c.site(v.round[0].locker.Site))
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

// load waits at the dock until there is something to drive, and takes it aboard.
func (v *van) load(ctx context.Context) error {
	s := v.story
	arrived := time.Now()
	for {
		enough := 0
		for _, st := range v.round {
			enough += min(len(s.waiting(st)), perRound)
		}
		waited := time.Duration(float64(time.Since(arrived)) * s.Speed)
		if enough >= 3*len(v.round) || enough > 0 && waited > 10*time.Minute {
			break
		}
		if err := s.rest(ctx, 20*time.Second, 500*time.Millisecond); err != nil {
			return err
		}
	}
	if err := s.dock.enter(ctx); err != nil {
		return err
	}
	defer s.dock.leave()
	for _, st := range v.round {
		rssi := v.rssi(v.rng)
		if err := s.carry(ctx, s.DockB, atMost(loads(s.waiting(st)), perRound), 2, 1, v.rng, func(p *Parcel) error {
			freight{p.Bag, []*Parcel{p}}.enter(v.reader, 1, rssi)
			return s.World.move(p, v.id, 0)
		}); err != nil {
			return err
		}
	}
	return s.rest(ctx, 30*time.Second, 3*time.Second) // papers, doors, engine
}
