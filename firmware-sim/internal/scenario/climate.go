package scenario

import (
	"math"
	"math/rand/v2"
	"time"
)

// climate is a slow swing around a mean.
type climate struct{ mean, swing, periodMin, phase float64 }

func (c climate) at(minutes float64) float64 {
	return c.mean + c.swing*math.Sin(2*math.Pi*(minutes/c.periodMin+c.phase))
}

// Climate is the temperature and relative humidity in a cold box. One box is weak and leaves its
// limits for part of its swing.
func (s *Story) Climate(box *ColdBox, index int, now time.Time) (celsius, humidity float64) {
	minutes := now.Sub(s.start).Minutes() * s.Speed
	rng := rand.New(rand.NewPCG(s.Seed, 300+uint64(index)))
	span := box.MaxC - box.MinC
	c := climate{mean: box.MinC + span*(0.4+0.2*rng.Float64()), swing: span * 0.12, periodMin: 25 + 20*rng.Float64(), phase: rng.Float64()}
	if box.Vehicle != "" && index%7 == 6 {
		c.mean, c.swing, c.periodMin = box.MaxC-0.1*span, 0.3*span, 90
	}
	h := climate{mean: 62, swing: 9, periodMin: 38, phase: rng.Float64()}
	ripple := climate{swing: 0.15, periodMin: 1.7}
	return c.at(minutes) + ripple.at(minutes), h.at(minutes)
}
