package uhf

import (
	"errors"
	"fmt"
	"math"

	"yizhan/devices/telemetry"
)

// RSSI tells how a module's byte of strength becomes dBm. Makers differ within one family; with
// rssi_raw in the raw readings a technician sees which formula fits.
type RSSI struct {
	Profile string  `yaml:"profile"` // auto (default), signed, minus_129, linear, none
	Scale   float64 `yaml:"scale"`   // linear: dBm = scale * byte + offset
	Offset  float64 `yaml:"offset"`
}

// The profiles.
const (
	profileAuto     = "auto"      // as the family usually has it
	profileSigned   = "signed"    // two's complement, dBm
	profileMinus129 = "minus_129" // dBm = byte - 129
	profileLinear   = "linear"
	profileNone     = "none" // no formula is known: passages don't weigh strength
)

func (r RSSI) withDefaults() RSSI {
	if r.Profile == "" {
		r.Profile = profileAuto
	}
	return r
}

func (r RSSI) validate() error {
	switch r.Profile {
	case profileLinear:
		finite := func(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= 1000 }
		if !finite(r.Scale) || !finite(r.Offset) || r.Scale == 0 {
			return fmt.Errorf("scale %v and offset %v make no formula", r.Scale, r.Offset)
		}
		return nil
	case profileAuto, profileSigned, profileMinus129, profileNone:
		if r.Scale != 0 || r.Offset != 0 {
			return errors.New("scale and offset belong to profile linear")
		}
		return nil
	}
	return fmt.Errorf("profile %.20q is none of auto, signed, minus_129, linear, none", r.Profile)
}

// dBm applies the formula. What is outside of what a radio can measure is unknown.
func (r RSSI) dBm(f family, t *tag) telemetry.Opt[float64] {
	profile := r.Profile
	if profile == profileAuto {
		profile = f.profile()
	}
	var v float64
	switch {
	case !t.strong || profile == profileNone:
		return telemetry.Opt[float64]{}
	case profile == profileSigned:
		v = float64(int8(t.rssi))
	case profile == profileMinus129:
		v = float64(t.rssi) - 129
	default:
		v = r.Scale*float64(t.rssi) + r.Offset
	}
	if v < -128 || v > 0 {
		return telemetry.Opt[float64]{}
	}
	return telemetry.Some(v)
}
