package scale

import (
	"errors"
	"fmt"
	"time"

	"yizhan/devices/port"
)

// Config is one indicator.
type Config struct {
	Port   string `yaml:"port" strict:"required"`
	Format string `yaml:"format" strict:"required"` // see doc.go
	Unit   string `yaml:"unit"`                     // of weights without one; kg

	Settle      time.Duration `yaml:"settle"`       // how long a weight must stand; 500ms
	MinChange   float64       `yaml:"min_change"`   // kilograms from the last weight told; 0
	ReopenAfter time.Duration `yaml:"reopen_after"` // without a frame; 30s
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := port.Check(c.Port); err != nil {
		fail("port: %w", err)
	}
	if _, ok := formats[c.Format]; !ok {
		fail("format: %.20q is none of %q", c.Format, Formats())
	}
	if _, ok := units[c.Unit]; !ok && c.Unit != "" {
		fail("unit: %.20q is none of %q", c.Unit, Units())
	}
	if c.Settle != 0 && (c.Settle < 100*time.Millisecond || c.Settle > 10*time.Second) {
		fail("settle: %v is outside 100ms to 10s", c.Settle)
	}
	if !(c.MinChange >= 0 && c.MinChange <= 1000) {
		fail("min_change: %v is outside 0 to 1000", c.MinChange)
	}
	if c.ReopenAfter != 0 && (c.ReopenAfter < 5*time.Second || c.ReopenAfter > 24*time.Hour) {
		fail("reopen_after: %v is outside 5s to 24h", c.ReopenAfter)
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Unit == "" {
		c.Unit = "kg"
	}
	if c.Settle == 0 {
		c.Settle = 500 * time.Millisecond
	}
	if c.ReopenAfter == 0 {
		c.ReopenAfter = 30 * time.Second
	}
	return c
}
