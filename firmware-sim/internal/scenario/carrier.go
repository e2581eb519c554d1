package scenario

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

// perRound is how many parcels a van takes for one locker at most.
const perRound = 5

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
			if err := s.ask(ctx, "waybills", func(ctx context.Context) error { return s.Front.Announce(ctx, batch) }); err != nil {
				return err
			}
		}
		in := func(p *Parcel) error { return s.World.move(p, inHall, 0) }
		if err := s.carry(ctx, s.DockA, s.World.at(inTruck), 1, 2, rng, in); err != nil {
			return err
		}
		if err := s.rest(ctx, 8*time.Minute, 2*time.Second); err != nil {
			return err
		}
	}
}

// batch is a truck's load: parcels for lockers that will have room for them.
func (s *Story) batch(rng *rand.Rand, first bool) ([]*Parcel, error) {
	var out []*Parcel
	for _, v := range s.fleet {
		for _, st := range v.round {
			n := rng.IntN(3)
			if first {
				n = 3
			}
			room := len(st.locker.Cells) - 2 - s.World.bound(st.locker.ID)
			if n = min(n, room, perRound+2-len(s.waiting(st))); n <= 0 || first && v.out {
				continue
			}
			ps, err := s.World.make(st.locker, n)
			if err != nil {
				return nil, err
			}
			out = append(out, ps...)
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

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

// carry brings parcels through a portal, one close behind the other, from one antenna to the
// other, and puts each down on the far side.
func (s *Story) carry(ctx context.Context, r Reader, parcels []*Parcel, from, to int, rng *rand.Rand, put func(*Parcel) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range parcels {
		rssi := int8(-52 - rng.IntN(12))
		g.Go(func() error {
			if err := s.pass(ctx, r, p.Tag(), from, to, rssi); err != nil {
				return err
			}
			return put(p)
		})
		if err := s.rest(ctx, 0, 350*time.Millisecond); err != nil {
			break
		}
	}
	return g.Wait()
}

// pass moves a tag from one antenna's field through both into the other's. A person walks as
// fast as a person walks, whatever the story's speed.
func (s *Story) pass(ctx context.Context, r Reader, tag [12]byte, from, to int, rssi int8) error {
	defer r.Leave(tag, from)
	defer r.Leave(tag, to)
	r.Enter(tag, from, rssi)
	if err := s.rest(ctx, 0, 500*time.Millisecond); err != nil {
		return err
	}
	r.Enter(tag, to, rssi)
	if err := s.rest(ctx, 0, 250*time.Millisecond); err != nil {
		return err
	}
	r.Leave(tag, from)
	return s.rest(ctx, 0, 500*time.Millisecond)
}
