package coldchain

import (
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// The words of a box's marks. Of two at one moment the greater counts: out.
const (
	In  = "in"
	Out = "out"
)

// Climate is the county's climate of a reading's body; what isn't known stays unknown.
func Climate(c *telemetry.Climate) county.Climate {
	return county.Climate{TemperatureC: ref(c.TemperatureC), HumidityPct: ref(c.HumidityPct), Quality: string(c.Quality)}
}

// Word tells whether a reading is within the limits of a box. It is not trusted when it has no temperature or its probe is faulty or
// suspect: then it says nothing.
func Word(box *county.ColdBox, c *telemetry.Climate) (word string, trusted bool) {
	t, known := c.TemperatureC.Get()
	switch {
	case !known || c.Quality != "" && c.Quality != telemetry.ClimateOK:
		return "", false
	case t < box.MinC || t > box.MaxC:
		return Out, true
	}
	return In, true
}

// Spell is since when a box is out of its limits: the first mark out after the last one in. Times are Unix milliseconds.
type Spell struct {
	In  int64 // when it was within its limits last, 0 never
	Out int64 // since when it is out, 0 when it isn't
}

// Next takes a mark that comes after all others.
func (s Spell) Next(m county.Mark) Spell {
	switch {
	case m.Word == In:
		return Spell{In: m.At}
	case s.Out == 0:
		s.Out = m.At
	}
	return s
}

// Late takes a mark that isn't the last. ok is false when the other marks have to be looked at again: see Back.
func (s Spell) Late(m county.Mark) (next Spell, ok bool) {
	switch {
	case m.At < s.In:
		return s, true
	case m.At > s.In && m.Word == Out && s.Out != 0:
		s.Out = min(s.Out, m.At)
		return s, true
	}
	return s, false
}

// Back makes s of marks from the last one backwards, a stretch at a time; it starts with the zero Spell and is done when a mark within the limits
// was found, or when there are no more.
func (s Spell) Back(stretch county.Trace) (next Spell, done bool) {
	for i := len(stretch) - 1; i >= 0; i-- {
		if stretch[i].Word == In {
			s.In = stretch[i].At
			return s, true
		}
		s.Out = stretch[i].At
	}
	return s, false
}

func ref(o telemetry.Opt[float64]) *float64 {
	if v, ok := o.Get(); ok {
		return &v
	}
	return nil
}
