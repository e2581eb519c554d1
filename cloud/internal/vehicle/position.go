package vehicle

import (
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Position makes the county's position of a reading's body; ok is false without a place.
func Position(p telemetry.Position) (pos county.Position, ok bool) {
	lat, known := p.Lat.Get()
	if !p.Valid || !known {
		return pos, false
	}
	return county.Position{
		Lat: lat, Lon: p.Lon.Or(0), SpeedMPS: ref(p.SpeedMPS), HeadingDeg: ref(p.HeadingDeg),
		AltitudeM: ref(p.AltitudeM), Fix: string(p.Fix), Satellites: ref(p.Satellites),
	}, true
}

func ref[T any](o telemetry.Opt[T]) *T {
	if v, ok := o.Get(); ok {
		return &v
	}
	return nil
}
