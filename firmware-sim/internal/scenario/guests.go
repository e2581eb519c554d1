package scenario

import (
	"context"
	"time"
)

// Announced is a waybill that the county knows of and that hasn't come yet.
type Announced struct {
	Waybill string `json:"waybill"`
	Site    string `json:"site"`
	Locker  string `json:"locker"`
	Size    string `json:"size"`
	Consent string `json:"consent"`
	Stage   string `json:"stage"`
}

// guests brings what others announced, people at the console above all, to the warehouse, in bags. Who announced it comes for it
// too.
func (s *Story) guests(ctx context.Context) error {
	rng := s.rand(2)
	for {
		all, err := s.Front.Awaited(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.Debug("asked in vain", "kind", "waybills", "err", err)
		}
		bags := map[string][]*Parcel{}
		for _, a := range all {
			l := s.lockerOf(a)
			if l == nil {
				continue // nobody knows yet where it is to go, or no van goes there
			}
			p, err := s.World.adopt(a, l)
			if err != nil {
				return err
			}
			if p != nil {
				bags[l.ID] = append(bags[l.ID], p)
			}
		}
		for _, parcels := range bags {
			if _, err := s.World.bag(parcels); err != nil {
				return err
			}
		}
		coming := s.World.at(inPost)
		if err := s.pack(ctx, coming); err != nil {
			return err
		}
		in := func(p *Parcel) error { return s.World.move(p, inHall, 0) }
		if err := s.carry(ctx, s.DockA, loads(coming), 1, 2, rng, in); err != nil {
			return err
		}
		if err := s.rest(ctx, 0, 3*time.Second); err != nil {
			return err
		}
	}
}

// lockerOf is the locker of the story where a waybill goes, or nil.
func (s *Story) lockerOf(a Announced) *Locker {
	for id, st := range s.stock {
		if id == a.Locker || a.Locker == "" && a.Site != "" && st.locker.Site == a.Site {
			return st.locker
		}
	}
	return nil
}
