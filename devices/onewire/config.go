package onewire

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"yizhan/devices/telemetry"
)

// Config is one bus with its probes.
type Config struct {
	Root    string        `yaml:"root"`    // folder of the probes' folders; /sys/bus/w1/devices
	Every   time.Duration `yaml:"every"`   // between rounds; 10s
	Timeout time.Duration `yaml:"timeout"` // for one read; 5s

	FaultEvery time.Duration `yaml:"fault_every"` // a lasting fault is told again; 1m
	StuckAfter time.Duration `yaml:"stuck_after"` // 0: a value may stand still for ever

	Probes []Probe `yaml:"probes"` // none: all that are found
}

// Probe is one probe on the bus.
type Probe struct {
	Address string `yaml:"address" strict:"required"` // its folder: 28-0316a2795e50
	Probe   string `yaml:"probe" strict:"required"`   // name of what it measures, in its readings
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Root != "" && !filepath.IsAbs(c.Root) {
		fail("root: %.120q must be absolute", c.Root)
	}
	for _, d := range []struct {
		key    string
		v      time.Duration
		lo, hi time.Duration
	}{
		{"every", c.Every, time.Second, 24 * time.Hour},
		{"timeout", c.Timeout, 2 * time.Second, time.Minute},
		{"fault_every", c.FaultEvery, time.Second, 24 * time.Hour},
		{"stuck_after", c.StuckAfter, time.Minute, 30 * 24 * time.Hour},
	} {
		if d.v != 0 && (d.v < d.lo || d.v > d.hi) {
			fail("%s: %v is outside %v to %v", d.key, d.v, d.lo, d.hi)
		}
	}
	addresses, names := map[string]bool{}, map[string]bool{}
	for i, p := range c.Probes {
		if !validAddress(p.Address) {
			fail("probes[%d].address: %.40q is no address like 28-0316a2795e50 of family 10, 22, 28, 3b or 42", i, p.Address)
		}
		if addresses[p.Address] {
			fail("probes[%d].address: %.40q is taken by an earlier probe", i, p.Address)
		}
		if !telemetry.ValidID(p.Probe) {
			fail("probes[%d].probe: %.40q must be 1 to 32 of a-z, 0-9 and '-'", i, p.Probe)
		}
		if names[p.Probe] {
			fail("probes[%d].probe: %.40q is taken by an earlier probe", i, p.Probe)
		}
		addresses[p.Address], names[p.Probe] = true, true
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Every, 10*time.Second)
	set(&c.Timeout, 5*time.Second)
	set(&c.FaultEvery, time.Minute)
	if c.Root == "" {
		c.Root = "/sys/bus/w1/devices"
	}
	return c
}

// validAddress reports whether s names the folder of a probe that w1_therm reads.
func validAddress(s string) bool {
	if len(s) != 15 || s[2] != '-' || familyOf(s) == 0 {
		return false
	}
	for _, c := range []byte(s[3:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// familyOf is the family that an address begins with, 0 when it is none of w1_therm's. What isn't an
// address is taken for the commonest.
func familyOf(address string) byte {
	if len(address) != 15 {
		return 0x28
	}
	switch address[:2] {
	case "10":
		return familyS20
	case "22":
		return 0x22
	case "28":
		return 0x28
	case "3b":
		return 0x3B
	case "42":
		return 0x42
	}
	return 0
}
