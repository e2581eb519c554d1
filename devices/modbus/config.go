package modbus

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Config is one line with its units.
type Config struct {
	Port    string `yaml:"port" strict:"required"`
	Framing string `yaml:"framing"` // rtu or tcp; empty: as the port's scheme says

	Every      time.Duration `yaml:"every"`       // between rounds; 10s
	Timeout    time.Duration `yaml:"timeout"`     // for a reply; 500ms
	Silence    time.Duration `yaml:"silence"`     // before a request, RTU; 20ms, never under 3.5 characters
	FaultEvery time.Duration `yaml:"fault_every"` // a lasting fault is told again; 1m
	StuckAfter time.Duration `yaml:"stuck_after"` // 0: a value may stand still for ever

	Units    []Unit             `yaml:"units" strict:"required"`
	Profiles map[string]Profile `yaml:"profiles"`
}

// Unit is one device on the line.
type Unit struct {
	Unit    int    `yaml:"unit" strict:"required"`
	Probe   string `yaml:"probe" strict:"required"` // name of what it measures, in its readings
	Profile string `yaml:"profile" strict:"required"`
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := port.Check(c.Port); err != nil {
		fail("port: %w", err)
	}
	switch c.Framing {
	case "", "rtu", "tcp":
	default:
		fail("framing: %.20q is neither rtu nor tcp", c.Framing)
	}
	for _, d := range []struct {
		key    string
		v      time.Duration
		lo, hi time.Duration
	}{
		{"every", c.Every, 100 * time.Millisecond, 24 * time.Hour},
		{"timeout", c.Timeout, 20 * time.Millisecond, 30 * time.Second},
		{"silence", c.Silence, time.Millisecond, time.Second},
		{"fault_every", c.FaultEvery, time.Second, 24 * time.Hour},
		{"stuck_after", c.StuckAfter, time.Minute, 30 * 24 * time.Hour},
	} {
		if d.v != 0 && (d.v < d.lo || d.v > d.hi) {
			fail("%s: %v is outside %v to %v", d.key, d.v, d.lo, d.hi)
		}
	}
	for name, p := range c.Profiles {
		if _, ours := profiles[name]; ours {
			fail("profiles.%s: comes with the driver, take another name", name)
		}
		errs = append(errs, p.validate("profiles."+name))
	}
	return errors.Join(append(errs, c.validateUnits())...)
}

func (c Config) validateUnits() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Units) == 0 {
		fail("units: is empty")
	}
	lo, hi := 1, 247
	if c.framing() == "tcp" {
		lo, hi = 0, 255
	}
	taken := map[string]bool{}
	for i, u := range c.Units {
		at := fmt.Sprintf("units[%d]", i)
		if u.Unit < lo || u.Unit > hi {
			fail("%s.unit: %d is outside %d to %d", at, u.Unit, lo, hi)
		}
		if !telemetry.ValidID(u.Probe) {
			fail("%s.probe: %.40q must be 1 to 32 of a-z, 0-9 and '-'", at, u.Probe)
		}
		p, ok := c.profile(u.Profile)
		if !ok {
			fail("%s.profile: %.40q is unknown; there are %s", at, u.Profile, strings.Join(c.profileNames(), ", "))
		}
		for _, pr := range p.probes(u.Probe) {
			if taken[pr.name] {
				fail("%s.probe: %q is taken by an earlier unit", at, pr.name)
			}
			taken[pr.name] = true
		}
	}
	return errors.Join(errs...)
}

func (c Config) profile(name string) (Profile, bool) {
	if p, ok := profiles[name]; ok {
		return p, true
	}
	p, ok := c.Profiles[name]
	return p, ok
}

func (c Config) profileNames() []string {
	var names []string
	for n := range profiles {
		names = append(names, n)
	}
	for n := range c.Profiles {
		names = append(names, n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c Config) framing() string {
	if c.Framing == "" && strings.HasPrefix(c.Port, "tcp:") {
		return "tcp"
	}
	if c.Framing == "" {
		return "rtu"
	}
	return c.Framing
}

func (c Config) withDefaults() Config {
	c.Framing = c.framing()
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Every, 10*time.Second)
	set(&c.Timeout, 500*time.Millisecond)
	set(&c.FaultEvery, time.Minute)
	if c.Framing == "rtu" {
		set(&c.Silence, 20*time.Millisecond)
		c.Silence = max(c.Silence, minSilence(c.Port))
	}
	return c
}

// minSilence is 3.5 characters of 11 bits at the port's speed, 1.75 ms above 19200 baud (serial
// line guide V1.02, 2.5.1.1).
func minSilence(addr string) time.Duration {
	baud := 9600
	if _, query, ok := strings.Cut(addr, "?"); ok {
		if keys, err := url.ParseQuery(query); err == nil {
			if n, err := strconv.Atoi(keys.Get("baud")); err == nil && n > 0 {
				baud = n
			}
		}
	}
	if baud > 19200 {
		return 1750 * time.Microsecond
	}
	return 38500 * time.Millisecond / time.Duration(baud)
}
