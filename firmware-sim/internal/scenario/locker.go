package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long somebody stands before a door that doesn't open. An order to open is
// void after less than that, so a door never opens on nobody.
const patience = 40 * time.Second

// unload puts what is aboard for a locker into its cells. What it doesn't take goes to the outlet's keeper, for a van has its round; and
// who has stood in vain before a locker that doesn't answer tries no second parcel there.
func (v *van) unload(ctx context.Context, st *stand) error {
	s, answers := v.story, true
	if err := s.rest(ctx, time.Minute, 2*time.Second); err != nil {
		return err
	}
	for _, l := range loads(s.World.at(v.id)) {
		if l.parcels[0].Locker != st.locker.ID {
			continue
		}
		l.leave(v.reader, 1)
		if err := s.unpack(ctx, l); err != nil {
			return err
		}
		for _, p := range l.parcels {
			err := errSilent
			if answers {
				err = s.deposit(ctx, st, p)
			}
			switch {
			case err == nil:
				continue
			case ctx.Err() != nil:
				return ctx.Err()
			}
			answers = answers && !errors.Is(err, context.DeadlineExceeded)
			s.Logger.Info("parcel goes to the counter", "device", st.Board, "err", err)
			if err := s.toCounter(ctx, p, "at_outlet", "the locker did not take it; it is at the counter"); err != nil {
				return err
			}
		}
	}
	return s.rest(ctx, time.Minute, time.Second)
}

var errSilent = errors.New("it doesn't answer today")

var errFull = errors.New("no cell is free")

// deposit is a courier's work: scan the parcel, have a cell opened, lay it in, shut the door. Whose recipient takes no locker goes to
// the counter.
func (s *Story) deposit(ctx context.Context, st *stand, p *Parcel) error {
	if err := st.line.enter(ctx); err != nil {
		return err
	}
	defer st.line.leave()
	cell := s.World.freeCell(st.locker)
	if cell == 0 {
		return errFull
	}
	scan, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := st.Scanner.Scan(scan, "code128", p.Waybill); err != nil {
		return err
	}
	switch {
	case st.Keypad != nil:
		return s.handIn(ctx, st, p)
	case p.Consent == "no" || p.Consent == "unknown":
		return s.toCounter(ctx, p, "refused", noLocker)
	}
	if err := s.open(ctx, st, cell); err != nil {
		return err
	}
	return s.layIn(ctx, st, p, cell)
}

// layIn lays a parcel into a cell that stands open.
func (s *Story) layIn(ctx context.Context, st *stand, p *Parcel, cell int) error {
	defer st.Cabinet.Shut(cell)
	if err := s.rest(ctx, 8*time.Second, 800*time.Millisecond); err != nil {
		return err
	}
	if err := st.Cabinet.Put(cell, true); err != nil {
		return err
	}
	if err := s.World.move(p, st.locker.ID, cell); err != nil {
		return err
	}
	st.expect(p, s.Speed)
	return s.shut(ctx, st, cell)
}

// open asks for a cell to be opened and waits for its door.
func (s *Story) open(ctx context.Context, st *stand, cell int) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.Front.Open(wait, st.Board, cell); err != nil {
		return fmt.Errorf("open cell %d: %w", cell, err)
	}
	return st.Cabinet.AwaitOpen(wait, cell)
}

// shut closes a door and steps back. The board looks at its doors twice a second, and nobody scans
// the next parcel with the hand still on the last door.
func (s *Story) shut(ctx context.Context, st *stand, cell int) error {
	if err := s.rest(ctx, 4*time.Second, 400*time.Millisecond); err != nil {
		return err
	}
	st.Cabinet.Shut(cell)
	return s.rest(ctx, 5*time.Second, 2*time.Second)
}

// guestStays is after how long somebody comes for what a guest left.
const guestStays = 30 * time.Minute

// expect decides when a parcel's receiver comes: 4 to 34 minutes of the story later. Guests have their time.
func (st *stand) expect(p *Parcel, speed float64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	after := max(time.Duration((4+30*st.rng.Float64())/speed*float64(time.Minute)), 5*time.Second)
	if p.Guest {
		after = guestStays
	}
	st.due[p.Waybill] = time.Now().Add(after)
}

func (st *stand) forget(waybill string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.due, waybill)
}

// postpone lets a receiver come back later.
func (st *stand) postpone(waybill string, after time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.due[waybill] = time.Now().Add(after)
}

func (st *stand) isDue(p *Parcel, speed float64) bool {
	st.mu.Lock()
	at, known := st.due[p.Waybill]
	st.mu.Unlock()
	if !known { // it lay there before this run, or at the counter
		st.expect(p, speed)
		return false
	}
	return !time.Now().Before(at)
}

// villagers come and collect, one after the other.
func (s *Story) villagers(ctx context.Context, st *stand) error {
	for {
		for _, p := range append(s.World.at(st.locker.ID), s.World.at(counter(st.locker.Site))...) {
			if !st.isDue(p, s.Speed) {
				continue
			}
			err := s.visit(ctx, st, p)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.Logger.Info("villager comes again later", "device", st.Board, "err", err)
				st.postpone(p.Waybill, 20*time.Second)
			}
		}
		if err := s.rest(ctx, 5*time.Second, time.Second); err != nil {
			return err
		}
	}
}

// visit is a villager who comes for a parcel.
func (s *Story) visit(ctx context.Context, st *stand, p *Parcel) error {
	switch {
	case p.Place != st.locker.ID:
		return s.sign(ctx, p)
	case st.Keypad != nil:
		return s.fetch(ctx, st, p)
	}
	return s.collect(ctx, st, p)
}

// collect is a villager at the locker, with a phone: have the cell opened, take the parcel, shut the door.
func (s *Story) collect(ctx context.Context, st *stand, p *Parcel) error {
	if err := st.line.enter(ctx); err != nil {
		return err
	}
	defer st.line.leave()
	if err := s.open(ctx, st, p.Cell); err != nil {
		return err
	}
	return s.takeOut(ctx, st, p.Cell)
}
