package modem

import (
	"errors"
	"fmt"
	"time"

	"yizhan/devices/port"
)

// The words of inbox.
const (
	Delete = "delete" // messages that come are counted and deleted
	Keep   = "keep"   // they stay until the SIM is full
)

// Config is one modem.
type Config struct {
	Port string `yaml:"port" strict:"required"`
	SMSC string `yaml:"smsc"` // service centre; empty: the one on the SIM

	Validity time.Duration `yaml:"validity"`   // how long the network tries; 24h
	NoReport bool          `yaml:"no_reports"` // don't ask for delivery reports

	Spacing  time.Duration `yaml:"spacing"`   // between messages; 4s
	DailyCap int           `yaml:"daily_cap"` // messages in 24 hours, each part one; 200
	MaxParts int           `yaml:"max_parts"` // of one text; 4
	Inbox    string        `yaml:"inbox"`     // delete (default) or keep

	Every         time.Duration `yaml:"every"`          // between health readings; 1m
	Timeout       time.Duration `yaml:"timeout"`        // for an answer; 5s
	SendTimeout   time.Duration `yaml:"send_timeout"`   // for the network to take a message; 60s
	RegisterAlarm time.Duration `yaml:"register_alarm"` // without the network for longer; 3m
	ResetAfter    int           `yaml:"reset_after"`    // prompts that never came, before the modem is reset; 2
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := port.Check(c.Port); err != nil {
		fail("port: %w", err)
	}
	if c.SMSC != "" {
		if err := checkNumber(c.SMSC); err != nil {
			fail("smsc: %w", err)
		}
	}
	if c.Inbox != "" && c.Inbox != Delete && c.Inbox != Keep {
		fail("inbox: %.40q is neither %s nor %s", c.Inbox, Delete, Keep)
	}
	for _, d := range []struct {
		key       string
		v, lo, hi time.Duration
	}{
		{"validity", c.Validity, 5 * time.Minute, 63 * 7 * 24 * time.Hour},
		{"spacing", c.Spacing, 3 * time.Second, 10 * time.Minute},
		{"every", c.Every, 10 * time.Second, time.Hour},
		{"timeout", c.Timeout, 500 * time.Millisecond, time.Minute},
		{"send_timeout", c.SendTimeout, 10 * time.Second, 3 * time.Minute},
		{"register_alarm", c.RegisterAlarm, 30 * time.Second, 24 * time.Hour},
	} {
		if d.v != 0 && (d.v < d.lo || d.v > d.hi) {
			fail("%s: %v is outside %v to %v", d.key, d.v, d.lo, d.hi)
		}
	}
	for _, n := range []struct {
		key       string
		v, lo, hi int
	}{
		{"daily_cap", c.DailyCap, 1, 5000},
		{"max_parts", c.MaxParts, 1, maxParts},
		{"reset_after", c.ResetAfter, 1, 100},
	} {
		if n.v != 0 && (n.v < n.lo || n.v > n.hi) {
			fail("%s: %d is outside %d to %d", n.key, n.v, n.lo, n.hi)
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.Validity, 24 * time.Hour}, {&c.Spacing, 4 * time.Second}, {&c.Every, time.Minute},
		{&c.Timeout, 5 * time.Second}, {&c.SendTimeout, time.Minute}, {&c.RegisterAlarm, 3 * time.Minute},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, n := range []struct {
		v   *int
		def int
	}{{&c.DailyCap, 200}, {&c.MaxParts, 4}, {&c.ResetAfter, 2}} {
		if *n.v == 0 {
			*n.v = n.def
		}
	}
	if c.Inbox == "" {
		c.Inbox = Delete
	}
	return c
}
