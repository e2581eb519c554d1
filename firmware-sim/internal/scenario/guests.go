package scenario

import (
	"context"
	"slices"
	"time"
)

// Known is a waybill as the county knows it.
type Known struct {
	Waybill   string `json:"waybill"`
	Direction string `json:"direction"`
	Site      string `json:"site"`
	Locker    string `json:"locker"`
	Size      string `json:"size"`
	Consent   string `json:"consent"`
	Hold      bool   `json:"hold"`
	Stage     string `json:"stage"`
}

// bagRoom is how many parcels of guests are in one bag at most.
const bagRoom = 12

// inbox reads what changed, as the systems of those do who send parcels: what somebody else announced, people at the console above
// all, is brought to the warehouse; what its recipient has is completed a while later.
func (s *Story) inbox(ctx context.Context) error {
	rng := s.rand(2)
	had := map[string]time.Time{} // waybills that their recipients have
	for {
		news, err := s.Front.News(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.Debug("asked in vain", "kind", "waybills", "err", err)
		}
		if err := s.adopt(news); err != nil {
			return err
		}
		coming := s.World.at(inPost)
		if err := s.pack(ctx, coming); err != nil {
			return err
		}
		if err := s.carry(ctx, s.DockA, loads(coming), 1, 2, rng, s.intoHall); err != nil {
			return err
		}
		if err := s.complete(ctx, news, had); err != nil {
			return err
		}
		if err := s.rest(ctx, 0, 3*time.Second); err != nil {
			return err
		}
	}
}

// adopt makes the parcels of waybills that others announced, in bags. Who announced one comes for it too.
func (s *Story) adopt(news []Known) error {
	bags := map[*Locker][]*Parcel{}
	for _, k := range slices.Backward(news) { // the newest is the first of them
		l := s.lockerOf(k)
		if k.Stage != "created" || k.Hold || k.Direction == "outbound" || l == nil {
			continue // it is on its way, or its sender keeps it, or nobody knows yet where it is to go
		}
		p, err := s.World.adopt(k, l)
		if err != nil {
			return err
		}
		if p != nil {
			bags[l] = append(bags[l], p)
		}
	}
	for i := range s.County.Lockers {
		for some := range slices.Chunk(bags[&s.County.Lockers[i]], bagRoom) {
			if _, err := s.World.bag(some); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockerOf is the locker of the story where a waybill goes, or nil.
func (s *Story) lockerOf(k Known) *Locker {
	for id, st := range s.stock {
		if id == k.Locker || k.Locker == "" && k.Site != "" && st.locker.Site == k.Site {
			return st.locker
		}
	}
	return nil
}

// complaints is for how long of the story a sender waits for them before a parcel is completed.
const complaints = 10 * time.Minute

// complete says that parcels are completed, some time after their recipients got them. had is what to say it of.
func (s *Story) complete(ctx context.Context, news []Known, had map[string]time.Time) error {
	for _, k := range news {
		if delete(had, k.Waybill); k.Stage == "picked_up" || k.Stage == "signed_for" {
			had[k.Waybill] = time.Now()
		}
	}
	wait := max(time.Duration(float64(complaints)/s.Speed), 5*time.Second)
	for waybill, since := range had {
		if time.Since(since) < wait {
			continue
		}
		if err := s.Front.Say(ctx, &Parcel{Waybill: waybill}, "completed", ""); err != nil {
			s.Logger.Debug("asked in vain", "kind", "completed", "err", err)
			return ctx.Err() // later
		}
		delete(had, waybill)
	}
	return nil
}
