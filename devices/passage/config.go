package passage

import (
	"errors"
	"fmt"
	"time"
)

// Role says on which side of a portal an antenna looks.
type Role string

// The roles.
const (
	Outer Role = "outer" // the side that tags going in pass first
	Inner Role = "inner"
)

// Antenna tells what an antenna of the reader is for.
type Antenna struct {
	Port int    `yaml:"port"` // the number on the reader, from 1
	Role Role   `yaml:"role"` // outer, inner or nothing
	Zone string `yaml:"zone"` // antennas of one zone are one field
}

// Config is how reads are folded. Zero values mean the defaults.
type Config struct {
	MinReads   int           `yaml:"min_reads"`   // 1 to 8, default 2
	Window     time.Duration `yaml:"window"`      // default 2s
	MinRSSI    float64       `yaml:"min_rssi"`    // dBm, 0: all reads count
	Silence    time.Duration `yaml:"silence"`     // default 3s
	MaxSilence time.Duration `yaml:"max_silence"` // default 1m, at least Silence
	Margin     time.Duration `yaml:"margin"`      // default 100ms
	MaxTags    int           `yaml:"max_tags"`    // default 10000
}

const maxMinReads = 8

// WithDefaults returns c with its zero values filled in.
func (c Config) WithDefaults() Config {
	if c.MinReads == 0 {
		c.MinReads = 2
	}
	if c.Window == 0 {
		c.Window = 2 * time.Second
	}
	if c.Silence == 0 {
		c.Silence = 3 * time.Second
	}
	if c.MaxSilence == 0 {
		c.MaxSilence = max(time.Minute, c.Silence)
	}
	if c.Margin == 0 {
		c.Margin = 100 * time.Millisecond
	}
	if c.MaxTags == 0 {
		c.MaxTags = 10_000
	}
	return c
}

// Validate names every wrong field.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.MinReads >= 1 && c.MinReads <= maxMinReads, "min_reads: %d is outside 1 to %d", c.MinReads, maxMinReads)
	check(c.Window > 0 && c.Window <= time.Minute, "window: %v is outside 0 to 1m", c.Window)
	check(c.MinRSSI >= -128 && c.MinRSSI <= 0, "min_rssi: %v dBm is outside -128 to 0", c.MinRSSI)
	check(c.Silence >= 100*time.Millisecond && c.Silence <= time.Hour, "silence: %v is outside 100ms to 1h", c.Silence)
	check(c.MaxSilence >= c.Silence && c.MaxSilence <= 24*time.Hour, "max_silence: %v is outside silence to 24h", c.MaxSilence)
	check(c.Margin > 0 && c.Margin < c.Silence, "margin: %v is outside 0 to silence", c.Margin)
	check(c.MaxTags >= 1 && c.MaxTags <= 1_000_000, "max_tags: %d is outside 1 to 1000000", c.MaxTags)
	return errors.Join(errs...)
}

// ValidateAntennas names every wrong antenna.
func ValidateAntennas(antennas []Antenna) error {
	var errs []error
	ports := map[int]bool{}
	sides := map[string]map[Role]bool{}
	for i, a := range antennas {
		if a.Port < 1 || a.Port > 65535 {
			errs = append(errs, fmt.Errorf("antennas[%d].port: %d is outside 1 to 65535", i, a.Port))
		}
		if ports[a.Port] {
			errs = append(errs, fmt.Errorf("antennas[%d].port: %d is listed twice", i, a.Port))
		}
		ports[a.Port] = true
		switch a.Role {
		case "":
		case Outer, Inner:
			if sides[a.Zone] == nil {
				sides[a.Zone] = map[Role]bool{}
			}
			sides[a.Zone][a.Role] = true
		default:
			errs = append(errs, fmt.Errorf("antennas[%d].role: %.20q is neither outer nor inner", i, string(a.Role)))
		}
	}
	for i, a := range antennas {
		if s := sides[a.Zone]; len(s) == 1 && s[a.Role] {
			errs = append(errs, fmt.Errorf("antennas[%d].role: its zone has no antenna on the other side", i))
		}
	}
	return errors.Join(errs...)
}

// spot is where an antenna belongs.
type spot struct {
	zone int // of a named zone below zero, of a single antenna its number
	side int // 0 outer, 1 inner, -1 neither
}

func spots(antennas []Antenna) map[int]spot {
	m := make(map[int]spot, len(antennas))
	named := map[string]int{}
	for _, a := range antennas {
		s := spot{zone: a.Port, side: -1}
		if a.Zone != "" || a.Role != "" {
			if named[a.Zone] == 0 {
				named[a.Zone] = -1 - len(named)
			}
			s.zone = named[a.Zone]
		}
		switch a.Role {
		case Outer:
			s.side = 0
		case Inner:
			s.side = 1
		}
		m[a.Port] = s
	}
	return m
}
