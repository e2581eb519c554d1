package power

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// The directions of a Sky: from the board to the county network, and back.
const (
	Up   = 0
	Down = 1
)

// Weather is how a mobile network is at the moment, the same both ways. The zero Weather lets everything through at once.
type Weather struct {
	Rate  float64       // bytes a second of each direction; 0: any
	Delay time.Duration // one way
	Loss  float64       // share of packets that are lost; a stream loses none
	Deaf  [2]bool       // nothing comes through in that direction, and nobody is told
}

// Sky is what is between a board and the county network. Its zero value is clear.
type Sky struct {
	mu      sync.Mutex
	weather Weather
	changed chan struct{}
	free    [2]time.Time // when a direction has sent all that it was given
	through [2]uint64
}

// maxQueue is how long a packet may wait for its turn before it is lost, as at a base station.
const maxQueue = 4 * time.Second

// Set changes the weather.
func (s *Sky) Set(w Weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weather = w
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Through returns how many bytes came through so far, up and down.
func (s *Sky) Through() (up, down uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.through[Up], s.through[Down]
}

type packet struct {
	at time.Time
	b  []byte
}

// Packets carries one direction, packet by packet, until read or write fails or ctx ends. What is lost is lost.
func (s *Sky) Packets(ctx context.Context, dir int, read func([]byte) (int, error), write func([]byte) error) error {
	return s.carry(ctx, dir, read, write, func(n int) (time.Time, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.weather.Deaf[dir] || s.weather.Loss > 0 && rand.Float64() < s.weather.Loss || time.Until(s.free[dir]) > maxQueue {
			return time.Time{}, false
		}
		return s.turn(dir, n), true
	})
}

// Stream carries one direction of a stream, as Packets does; what doesn't come through waits until it does.
func (s *Sky) Stream(ctx context.Context, dir int, read func([]byte) (int, error), write func([]byte) error) error {
	return s.carry(ctx, dir, read, write, func(n int) (time.Time, bool) {
		for {
			s.mu.Lock()
			if !s.weather.Deaf[dir] {
				defer s.mu.Unlock()
				return s.turn(dir, n), true
			}
			if s.changed == nil {
				s.changed = make(chan struct{})
			}
			changed := s.changed
			s.mu.Unlock()
			select {
			case <-changed:
			case <-ctx.Done():
				return time.Time{}, false
			}
		}
	})
}

// turn returns when n bytes arrive that are sent now. mu is held.
func (s *Sky) turn(dir, n int) time.Time {
	s.through[dir] += uint64(n)
	at := time.Now()
	if s.weather.Rate > 0 {
		if s.free[dir].Before(at) {
			s.free[dir] = at
		}
		at = s.free[dir].Add(time.Duration(float64(n) / s.weather.Rate * float64(time.Second)))
		s.free[dir] = at
	}
	return at.Add(s.weather.Delay)
}

func (s *Sky) carry(ctx context.Context, dir int, read func([]byte) (int, error), write func([]byte) error, when func(n int) (time.Time, bool)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	under := make(chan packet, 256)
	var writing sync.WaitGroup
	writing.Go(func() {
		for p := range under {
			if !sleepUntil(ctx, p.at) {
				continue // drained
			}
			if err := write(p.b); err != nil {
				cancel(err)
			}
		}
	})
	defer writing.Wait()
	defer close(under)
	buf := make([]byte, 1500)
	for {
		n, err := read(buf)
		if n > 0 {
			if at, ok := when(n); ok {
				select {
				case under <- packet{at, append([]byte(nil), buf[:n]...)}:
				case <-ctx.Done():
				}
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
