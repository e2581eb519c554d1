package contact

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// A pin is what the driver needs of a line; periph's gpio.PinIn has it.
type pin interface {
	In(pull gpio.Pull, edge gpio.Edge) error
	Read() gpio.Level
	// WaitForEdge returns whether an edge came before timeout passed, or since the last call.
	WaitForEdge(timeout time.Duration) bool
}

// A board has lines.
type board interface {
	Pin(line string) (pin, error)
	Close()
}

// kernel is the board this program runs on.
type kernel struct {
	chips []*gpioioctl.GPIOChip
	taken []*gpioioctl.GPIOLine
}

// openKernel finds the chips: all, or the one with a label or name. periph looks once a process.
func openKernel(chip string) (board, error) {
	if _, err := driverreg.Init(); err != nil {
		return nil, fmt.Errorf("look for GPIO chips: %w", err)
	}
	k := &kernel{}
	for _, c := range gpioioctl.Chips {
		if chip == "" || c.Label() == chip || c.Name() == chip {
			k.chips = append(k.chips, c)
		}
	}
	if len(k.chips) == 0 {
		return nil, fmt.Errorf("GPIO chip %q: %w", chip, fs.ErrNotExist)
	}
	return k, nil
}

// Pin finds a line.
func (k *kernel) Pin(line string) (pin, error) {
	for _, c := range k.chips {
		if l := find(c, line); l != nil {
			k.taken = append(k.taken, l)
			return l, nil
		}
	}
	return nil, fmt.Errorf("GPIO line %q: %w", line, fs.ErrNotExist)
}

func find(c *gpioioctl.GPIOChip, line string) *gpioioctl.GPIOLine {
	if n, err := strconv.Atoi(line); err == nil {
		if n < 0 || n >= c.LineCount() {
			return nil
		}
		return c.ByNumber(n)
	}
	if l := c.ByName(line); l != nil {
		return l
	}
	return c.ByName(c.Name() + "-" + line) // as periph calls it where the name is taken
}

// Close gives the lines back.
func (k *kernel) Close() {
	for _, l := range k.taken {
		l.Close()
	}
}

var errLine = errors.New("line can't be read")
