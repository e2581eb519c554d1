package contact

import (
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"

	"yizhan/devices/telemetry"
)

// Config is a set of contacts.
type Config struct {
	Chip     string        `yaml:"chip"` // label or name; empty: the first chip that has the line
	Poll     time.Duration `yaml:"poll"` // lines are claimed anew; 10s
	Contacts []Contact     `yaml:"contacts" strict:"required"`
}

// Contact is one line.
type Contact struct {
	Name     string        `yaml:"name" strict:"required"` // in its readings
	Line     string        `yaml:"line" strict:"required"` // GPIO17, or a number with chip
	Type     string        `yaml:"type"`                   // door or beam; door
	OpenWhen string        `yaml:"open_when"`              // high or low; high
	Pull     string        `yaml:"pull"`                   // up, down or none; up
	Debounce time.Duration `yaml:"debounce"`               // 40ms; a beam 5ms
}

var pulls = map[string]gpio.Pull{"up": gpio.PullUp, "down": gpio.PullDown, "none": gpio.PullNoChange}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Poll != 0 && (c.Poll < time.Second || c.Poll > time.Hour) {
		fail("poll: %v is outside 1s to 1h", c.Poll)
	}
	if len(c.Contacts) == 0 {
		fail("contacts: is empty")
	}
	names, lines := map[string]bool{}, map[string]bool{}
	for i, k := range c.withDefaults().Contacts {
		at := fmt.Sprintf("contacts[%d]", i)
		switch {
		case !telemetry.ValidID(k.Name):
			fail("%s.name: %.40q must be 1 to 32 of a-z, 0-9 and '-'", at, k.Name)
		case names[k.Name]:
			fail("%s.name: %q is taken by an earlier contact", at, k.Name)
		}
		switch {
		case k.Line == "" || len(k.Line) > 32:
			fail("%s.line: %.40q is no name of a line", at, k.Line)
		case c.Chip == "" && k.Line[0] >= '0' && k.Line[0] <= '9':
			fail("%s.line: %.40q is a number, which needs chip", at, k.Line)
		case lines[k.Line]:
			fail("%s.line: %q is taken by an earlier contact", at, k.Line)
		}
		names[k.Name], lines[k.Line] = true, true
		if k.Type != "door" && k.Type != "beam" {
			fail("%s.type: %.20q is neither door nor beam", at, k.Type)
		}
		if k.OpenWhen != "high" && k.OpenWhen != "low" {
			fail("%s.open_when: %.20q is neither high nor low", at, k.OpenWhen)
		}
		if _, ok := pulls[k.Pull]; !ok {
			fail("%s.pull: %.20q is none of up, down, none", at, k.Pull)
		}
		if k.Debounce < time.Millisecond || k.Debounce > 500*time.Millisecond {
			fail("%s.debounce: %v is outside 1ms to 500ms", at, k.Debounce)
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Poll == 0 {
		c.Poll = 10 * time.Second
	}
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	c.Contacts = append([]Contact(nil), c.Contacts...)
	for i := range c.Contacts {
		k := &c.Contacts[i]
		set(&k.Type, "door")
		set(&k.OpenWhen, "high")
		set(&k.Pull, "up")
		if k.Debounce == 0 {
			k.Debounce = 40 * time.Millisecond
			if k.Type == "beam" {
				k.Debounce = 5 * time.Millisecond
			}
		}
	}
	return c
}
