package config

import (
	"errors"
	"fmt"
	"slices"

	"yizhan/configs/strict"
)

// maxCells is how many cells a locker may have.
const maxCells = 1024

func (l *Locker) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, strict.Field("locker."+key, format, args...))
	}
	if l.Device == "" {
		if l.Scanner != "" || l.Keypad != "" || l.KeyFile != "" || len(l.Cells) > 0 {
			bad("device", "is required: name the device of the lock boards")
		}
		return errors.Join(errs...)
	}
	if l.Scanner == "" && l.Keypad == "" {
		bad("keypad", "name a keypad, a scanner or both")
	}
	if l.KeyFile == "" {
		bad("key_file", "is empty: name a file")
	}
	if len(l.Cells) == 0 || len(l.Cells) > maxCells {
		bad("cells", "%d cells are outside 1 to %d", len(l.Cells), maxCells)
	}
	for i, s := range l.Cells {
		if s == "" || s.Rank() == 0 {
			bad(fmt.Sprintf("cells[%d]", i), "%.20q is none of s, m, l, xl", s)
		}
	}
	return errors.Join(errs...)
}

// standing finds devices of the locker that aren't there, or are none such.
func (c *Config) standing(file string, src []byte) error {
	if c.Locker.Device == "" {
		return nil
	}
	root, err := strict.Parse(file, src)
	if err != nil {
		return nil // already told
	}
	var errs []error
	find := func(key, id string, fits func(Device) bool, what string) {
		if id == "" {
			return
		}
		switch i := slices.IndexFunc(c.Devices, func(d Device) bool { return d.ID == id }); {
		case i < 0:
			errs = append(errs, root.Locate(strict.Field("locker."+key, "there is no device %.40q", id)))
		case !fits(c.Devices[i]):
			errs = append(errs, root.Locate(strict.Field("locker."+key, "device %q is no %s", id, what)))
		}
	}
	find("device", c.Locker.Device, func(d Device) bool { return d.opens && !d.typed }, "locker: it takes no commands")
	find("scanner", c.Locker.Scanner, func(d Device) bool { return !d.opens }, "scanner")
	find("keypad", c.Locker.Keypad, func(d Device) bool { return d.typed }, "keypad")
	return errors.Join(errs...)
}
