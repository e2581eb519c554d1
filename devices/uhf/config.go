package uhf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/passage"
	"yizhan/devices/port"
)

// Config is one module.
type Config struct {
	Port        string            `yaml:"port"`         // serial:/dev/... or tcp:host:port
	Family      string            `yaml:"family"`       // auto (default), bb7e, a0, lenadr, swct
	Bauds       []int             `yaml:"bauds"`        // tried in this order; default 115200, 57600, 38400, 9600, for lenadr 57600 first
	Address     *int              `yaml:"address"`      // of the module, 0 to 254; default: whichever answers
	Antennas    []passage.Antenna `yaml:"antennas"`     // default: as the module is set, each a field of its own
	PowerDBm    *float64          `yaml:"power_dbm"`    // default: as the module is set
	RSSI        RSSI              `yaml:"rssi"`         // default: as the family has it
	Interval    time.Duration     `yaml:"interval"`     // default 50ms: rounds begin at least this far apart
	Silence     time.Duration     `yaml:"silence"`      // default 10s: a module that says nothing for so long is gone
	RawReads    string            `yaml:"raw_reads"`    // on (default) or off: single reads on dev/#
	RawInterval time.Duration     `yaml:"raw_interval"` // default 1s: raw reads of a tag and antenna are at least this far apart
	Passage     passage.Config    `yaml:"passage"`
}

// familyAuto finds the family out.
const familyAuto = "auto"

func (c Config) withDefaults() Config {
	if c.Family == "" {
		c.Family = familyAuto
	}
	if len(c.Bauds) == 0 {
		c.Bauds = []int{115200, 57600, 38400, 9600}
		if f, ok := familyOf(c.Family); ok && f.baud() == 57600 {
			c.Bauds[0], c.Bauds[1] = c.Bauds[1], c.Bauds[0]
		}
	}
	if c.Interval == 0 {
		c.Interval = 50 * time.Millisecond
	}
	if c.Silence == 0 {
		c.Silence = 10 * time.Second
	}
	if c.RawReads == "" {
		c.RawReads = "on"
	}
	if c.RawInterval == 0 {
		c.RawInterval = time.Second
	}
	c.RSSI = c.RSSI.withDefaults()
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
	f, known := familyOf(c.Family)
	check(known || c.Family == familyAuto, "family: %.20q is none of auto, bb7e, a0, lenadr, swct", c.Family)
	for i, b := range c.Bauds {
		check(b >= 1200 && b <= 1_000_000, "bauds[%d]: %d is outside 1200 to 1000000", i, b)
		check(!slices.Contains(c.Bauds[:i], b), "bauds[%d]: %d is listed twice", i, b)
	}
	if c.Address != nil {
		check(*c.Address >= 0 && *c.Address < broadcast, "address: %d is outside 0 to 254", *c.Address)
	}
	if c.PowerDBm != nil {
		check(!math.IsNaN(*c.PowerDBm) && *c.PowerDBm >= 0 && *c.PowerDBm <= 33, "power_dbm: %v is outside 0 to 33", *c.PowerDBm)
	}
	check(c.Interval >= 10*time.Millisecond && c.Interval <= time.Minute, "interval: %v is outside 10ms to 1m", c.Interval)
	check(c.Silence >= 5*time.Second && c.Silence <= time.Hour, "silence: %v is outside 5s to 1h", c.Silence)
	check(c.RawReads == "on" || c.RawReads == "off", "raw_reads: %.20q is neither on nor off", c.RawReads)
	check(c.RawInterval >= 100*time.Millisecond && c.RawInterval <= time.Hour, "raw_interval: %v is outside 100ms to 1h", c.RawInterval)
	if err := passage.ValidateAntennas(c.Antennas); err != nil {
		errs = append(errs, err)
	}
	if known {
		errs = append(errs, checkAntennas(f, c.Antennas))
	}
	if err := c.RSSI.validate(); err != nil {
		errs = append(errs, fmt.Errorf("rssi: %w", err))
	}
	if err := c.Passage.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("passage: %w", err))
	}
	return errors.Join(errs...)
}

func checkAntennas(f family, antennas []passage.Antenna) error {
	for i, a := range antennas {
		if a.Port > f.antennas() {
			return fmt.Errorf("antennas[%d].port: %d, modules of family %s have at most %d", i, a.Port, f.word(), f.antennas())
		}
	}
	return nil
}

func (c Config) address() byte {
	if c.Address == nil {
		return broadcast
	}
	return byte(*c.Address)
}

// addresses are what is opened in turn: a serial port at each speed, the one it names first.
func (c Config) addresses() []string {
	base, query, _ := strings.Cut(c.Port, "?")
	if !strings.HasPrefix(base, "serial:") {
		return []string{c.Port}
	}
	bauds := c.Bauds
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		if v, ok := strings.CutPrefix(pair, "baud="); ok {
			if n, err := strconv.Atoi(v); err == nil {
				bauds = append([]int{n}, slices.DeleteFunc(slices.Clone(bauds), func(b int) bool { return b == n })...)
			}
		} else if pair != "" {
			rest = append(rest, pair)
		}
	}
	all := make([]string, len(bauds))
	for i, b := range bauds {
		all[i] = base + "?" + strings.Join(append([]string{"baud=" + strconv.Itoa(b)}, rest...), "&")
	}
	return all
}
