package scenario

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

// inWait is how many parcels of the carrier's wait in the hall for one locker at most: a truck brings no more than the next
// van takes along.
const inWait = 5

// carrier announces parcels and brings them to the warehouse by truck, for ever. First it
// announces what is aboard of the vans that are out already.
func (s *Story) carrier(ctx context.Context) error {
	rng := s.rand(1)
	for _, v := range s.fleet {
		if !v.out {
			continue
		}
		if err := v.preload(ctx, rng); err != nil {
			return err
		}
	}
	for first := true; ; first = false {
		batch, err := s.batch(rng, first)
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := s.announce(ctx, batch); err != nil {
				return err
			}
		}
		if first {
			stray := s.World.stray(nowhere)
			if err := s.ask(ctx, "waybills", func(ctx context.Context) error { return s.Front.Announce(ctx, []*Parcel{stray}) }); err != nil {
				return err
			}
		}
		if err := s.carry(ctx, s.DockA, loads(s.World.at(inTruck)), 1, 2, rng, s.intoHall); err != nil {
			return err
		}
		if err := s.rest(ctx, 8*time.Minute, 2*time.Second); err != nil {
			return err
		}
	}
}

// announce tells the county of parcels and of what is in bags.
func (s *Story) announce(ctx context.Context, parcels []*Parcel) error {
	if err := s.ask(ctx, "waybills", func(ctx context.Context) error { return s.Front.Announce(ctx, parcels) }); err != nil {
		return err
	}
	return s.pack(ctx, parcels)
}

// make makes parcels for a locker: every other lot comes in a bag, and bears no tags.
func (s *Story) make(st *stand, n int, rng *rand.Rand) ([]*Parcel, error) {
	ps, err := s.World.make(st.locker, n)
	if err != nil {
		return nil, err
	}
	if err := s.World.change(func() {
		for _, p := range ps {
			s.person(rng, p)
		}
	}); err != nil {
		return nil, err
	}
	if s.lots++; s.lots%2 == 0 && n > 1 {
		_, err = s.World.bag(ps)
	}
	return ps, err
}

// batch is a truck's load: parcels for lockers that will have room for them.
func (s *Story) batch(rng *rand.Rand, first bool) ([]*Parcel, error) {
	var out []*Parcel
	refused := false // somebody takes no locker
	for _, v := range s.fleet {
		for _, st := range v.round {
			n := rng.IntN(3)
			if first {
				n = 3
			}
			room := len(st.locker.Cells) - 2 - s.World.bound(st.locker.ID)
			if n = min(n, room, inWait-len(s.waiting(st))); n <= 0 || first && v.out {
				continue
			}
			ps, err := s.make(st, n, rng)
			if err != nil {
				return nil, err
			}
			if first && st.Keypad != nil && !refused {
				refused = true
				if err := s.World.change(func() { ps[0].Consent = "no" }); err != nil {
					return nil, err
				}
			}
			out = append(out, ps...)
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

func (s *Story) intoHall(l freight) error { return s.World.carry(l, inHall) }

// waiting lists what lies in the hall for a locker.
func (s *Story) waiting(st *stand) []*Parcel {
	var out []*Parcel
	for _, p := range s.World.at(inHall) {
		if p.Locker == st.locker.ID {
			out = append(out, p)
		}
	}
	return out
}

// carry brings bags and parcels through a portal, one close behind the other, from one antenna to the
// other, and puts each down on the far side.
func (s *Story) carry(ctx context.Context, r Reader, all []freight, from, to int, rng *rand.Rand, put func(freight) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range all {
		rssi := int8(-52 - rng.IntN(12))
		g.Go(func() error {
			if err := s.pass(ctx, r, l, from, to, rssi); err != nil {
				return err
			}
			return put(l)
		})
		if err := s.rest(ctx, 0, 350*time.Millisecond); err != nil {
			break
		}
	}
	return g.Wait()
}

// pass moves something from one antenna's field through both into the other's. A person walks as
// fast as a person walks, whatever the story's speed.
func (s *Story) pass(ctx context.Context, r Reader, l freight, from, to int, rssi int8) error {
	defer l.leave(r, from)
	defer l.leave(r, to)
	l.enter(r, from, rssi)
	if err := s.rest(ctx, 0, 500*time.Millisecond); err != nil {
		return err
	}
	l.enter(r, to, rssi)
	if err := s.rest(ctx, 0, 250*time.Millisecond); err != nil {
		return err
	}
	l.leave(r, from)
	return s.rest(ctx, 0, 500*time.Millisecond)
}
