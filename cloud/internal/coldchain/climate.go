package coldchain

import (
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Measure applies a climate reading to a box whose latest climate is older: the value becomes
// the box's, and the box is out of its limits when a trusted temperature is, until a trusted
// one is within them again. A faulty or suspect probe shows as such and changes neither.
func Measure(box county.ColdBox, c telemetry.Climate, at time.Time, tq telemetry.Quality) county.ColdBox {
	box.Climate = &county.Live[county.Climate]{
		Value: county.Climate{TemperatureC: ref(c.TemperatureC), HumidityPct: ref(c.HumidityPct), Quality: string(c.Quality)},
		At:    at, TQ: tq,
	}
	t, known := c.TemperatureC.Get()
	if !known || c.Quality != "" && c.Quality != telemetry.ClimateOK {
		return box
	}
	out := t < box.MinC || t > box.MaxC
	switch {
	case out && !box.Out:
		box.OutFrom = &at
	case !out:
		box.OutFrom = nil
	}
	box.Out = out
	return box
}

func ref(o telemetry.Opt[float64]) *float64 {
	if v, ok := o.Get(); ok {
		return &v
	}
	return nil
}
