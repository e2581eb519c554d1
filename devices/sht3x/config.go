package sht3x

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Config is one bus with its sensors.
type Config struct {
	// Port is the bus: i2c:/dev/i2c-1, sc18im:serial:/dev/ttyUSB0?baud=9600, sc18im:tcp:host:port.
	Port    string        `yaml:"port" strict:"required"`
	Every   time.Duration `yaml:"every"`   // between rounds; 10s
	Timeout time.Duration `yaml:"timeout"` // for a bridge's answer; 500ms

	Repeatability string        `yaml:"repeatability"` // high, medium or low; high
	FaultEvery    time.Duration `yaml:"fault_every"`   // a lasting fault is told again; 1m
	StuckAfter    time.Duration `yaml:"stuck_after"`   // 0: a value may stand still for ever

	Sensors []Sensor `yaml:"sensors" strict:"required"`
}

// Sensor is one sensor on the bus.
type Sensor struct {
	Address int    `yaml:"address"`                 // 0x44 or 0x45; 0x44
	Probe   string `yaml:"probe" strict:"required"` // name of what it measures, in its readings
}

// A command starts a measurement that takes at most wait (datasheet 4.3 and table 4).
type command struct {
	code [2]byte
	wait time.Duration
}

var commands = map[string]command{
	"high":   {[2]byte{0x24, 0x00}, 15500 * time.Microsecond},
	"medium": {[2]byte{0x24, 0x0B}, 6500 * time.Microsecond},
	"low":    {[2]byte{0x24, 0x16}, 4500 * time.Microsecond},
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := checkBus(c.Port); err != nil {
		fail("port: %w", err)
	}
	if _, ok := commands[c.withDefaults().Repeatability]; !ok {
		fail("repeatability: %.20q is none of high, medium, low", c.Repeatability)
	}
	for _, d := range []struct {
		key    string
		v      time.Duration
		lo, hi time.Duration
	}{
		{"every", c.Every, 500 * time.Millisecond, 24 * time.Hour},
		{"timeout", c.Timeout, 50 * time.Millisecond, 10 * time.Second},
		{"fault_every", c.FaultEvery, time.Second, 24 * time.Hour},
		{"stuck_after", c.StuckAfter, time.Minute, 30 * 24 * time.Hour},
	} {
		if d.v != 0 && (d.v < d.lo || d.v > d.hi) {
			fail("%s: %v is outside %v to %v", d.key, d.v, d.lo, d.hi)
		}
	}
	if len(c.Sensors) == 0 {
		fail("sensors: is empty")
	}
	addresses, probes := map[int]bool{}, map[string]bool{}
	for i, s := range c.withDefaults().Sensors {
		if s.Address != 0x44 && s.Address != 0x45 {
			fail("sensors[%d].address: %#x is neither 0x44 nor 0x45", i, s.Address)
		}
		if addresses[s.Address] {
			fail("sensors[%d].address: %#x is taken by an earlier sensor", i, s.Address)
		}
		if !telemetry.ValidID(s.Probe) {
			fail("sensors[%d].probe: %.40q must be 1 to 32 of a-z, 0-9 and '-'", i, s.Probe)
		}
		if probes[s.Probe] {
			fail("sensors[%d].probe: %q is taken by an earlier sensor", i, s.Probe)
		}
		addresses[s.Address], probes[s.Probe] = true, true
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
	set(&c.Timeout, 500*time.Millisecond)
	set(&c.FaultEvery, time.Minute)
	if c.Repeatability == "" {
		c.Repeatability = "high"
	}
	c.Sensors = append([]Sensor(nil), c.Sensors...)
	for i := range c.Sensors {
		if c.Sensors[i].Address == 0 {
			c.Sensors[i].Address = 0x44
		}
	}
	return c
}

// checkBus reports whether a bus's address makes sense.
func checkBus(addr string) error {
	scheme, rest, _ := strings.Cut(addr, ":")
	switch scheme {
	case "i2c":
		_, err := busNumber(rest)
		return err
	case "sc18im":
		return port.Check(rest)
	}
	return fmt.Errorf("bus %.120q: must start with i2c: or sc18im:", addr)
}

// busNumber is the number in /dev/i2c-1.
func busNumber(path string) (int, error) {
	digits, ok := strings.CutPrefix(path, "/dev/i2c-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > 255 || strconv.Itoa(n) != digits {
		return 0, fmt.Errorf("bus %.60q: must be /dev/i2c-0 to /dev/i2c-255", path)
	}
	return n, nil
}
