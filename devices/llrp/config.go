package llrp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Config is one reader.
type Config struct {
	Port          string            `yaml:"port"`           // tcp:host:5084
	Antennas      []passage.Antenna `yaml:"antennas"`       // default: all, each a field of its own
	PowerDBm      *float64          `yaml:"power_dbm"`      // default: as the reader is set
	Session       *int              `yaml:"session"`        // Gen2 session 0 to 3, default: as the reader is set
	TagPopulation int               `yaml:"tag_population"` // tags expected in the field, with session; default 32
	Keepalive     time.Duration     `yaml:"keepalive"`      // default 10s
	MaxClockSkew  time.Duration     `yaml:"max_clock_skew"` // default 5s: beyond, the reader's clock is not believed
	RawReads      string            `yaml:"raw_reads"`      // on (default) or off: single reads on dev/#
	RawInterval   time.Duration     `yaml:"raw_interval"`   // default 1s: raw reads of a tag and antenna are at least this far apart
	Passage       passage.Config    `yaml:"passage"`
	Inputs        []Input           `yaml:"inputs"`
}

// Input is a general purpose input of the reader that is wired to a door or light beam.
type Input struct {
	Port int    `yaml:"port"` // the number on the reader, from 1
	Door string `yaml:"door"` // name of the door
	Open string `yaml:"open"` // high (default) or low: the level that means open
}

func (c Config) withDefaults() Config {
	if c.TagPopulation == 0 {
		c.TagPopulation = 32
	}
	if c.Keepalive == 0 {
		c.Keepalive = 10 * time.Second
	}
	if c.MaxClockSkew == 0 {
		c.MaxClockSkew = 5 * time.Second
	}
	if c.RawReads == "" {
		c.RawReads = "on"
	}
	if c.RawInterval == 0 {
		c.RawInterval = time.Second
	}
	c.Passage = c.Passage.WithDefaults()
	return c
}

// Validate names every wrong field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if err := port.Check(c.Port); err != nil {
		errs = append(errs, fmt.Errorf("port: %w", err))
	}
	if c.PowerDBm != nil {
		check(!math.IsNaN(*c.PowerDBm) && *c.PowerDBm >= 0 && *c.PowerDBm <= 36, "power_dbm: %v is outside 0 to 36", *c.PowerDBm)
	}
	if c.Session != nil {
		check(*c.Session >= 0 && *c.Session <= 3, "session: %d is outside 0 to 3", *c.Session)
	}
	check(c.TagPopulation > 0 && c.TagPopulation <= 65535, "tag_population: %d is outside 1 to 65535", c.TagPopulation)
	check(c.Keepalive >= time.Second && c.Keepalive <= time.Hour, "keepalive: %v is outside 1s to 1h", c.Keepalive)
	check(c.MaxClockSkew > 0, "max_clock_skew: %v is not positive", c.MaxClockSkew)
	check(c.RawReads == "on" || c.RawReads == "off", "raw_reads: %.20q is neither on nor off", c.RawReads)
	check(c.RawInterval >= 100*time.Millisecond && c.RawInterval <= time.Hour, "raw_interval: %v is outside 100ms to 1h", c.RawInterval)
	if err := passage.ValidateAntennas(c.Antennas); err != nil {
		errs = append(errs, err)
	}
	if err := c.Passage.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("passage: %w", err))
	}
	ports := map[int]bool{}
	for i, in := range c.Inputs {
		check(in.Port >= 1 && in.Port <= 65535, "inputs[%d].port: %d is outside 1 to 65535", i, in.Port)
		check(!ports[in.Port], "inputs[%d].port: %d is listed twice", i, in.Port)
		ports[in.Port] = true
		check(telemetry.ValidID(in.Door), "inputs[%d].door: %.40q is no id", i, in.Door)
		check(in.Open == "" || in.Open == "high" || in.Open == "low", "inputs[%d].open: %.20q is neither high nor low", i, in.Open)
	}
	return errors.Join(errs...)
}

// antennaIDs is what goes into the ROSpec.
func (c Config) antennaIDs() []uint16 {
	if len(c.Antennas) == 0 {
		return []uint16{0}
	}
	ids := make([]uint16, len(c.Antennas))
	for i, a := range c.Antennas {
		ids[i] = uint16(a.Port)
	}
	return ids
}
