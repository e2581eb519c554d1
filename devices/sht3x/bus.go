package sht3x

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"periph.io/x/host/v3/sysfs"

	"yizhan/devices/port"
)

// A bus is what the driver needs of I2C: periph's i2c.BusCloser, a bridge, or a test's.
type bus interface {
	// Tx writes w to the device and then reads r from it, where they aren't empty.
	Tx(addr uint16, w, r []byte) error
	Close() error
}

// openBus opens the bus at a config's address.
func openBus(ctx context.Context, addr string, timeout time.Duration, open port.Opener) (bus, error) {
	scheme, rest, _ := strings.Cut(addr, ":")
	if scheme == "sc18im" {
		p, err := open(ctx, rest)
		if err != nil {
			return nil, err
		}
		return &bridge{port: p, timeout: timeout}, nil
	}
	n, err := busNumber(rest)
	if err != nil {
		return nil, err
	}
	// periph's error hides that the bus isn't there.
	if _, err := os.Stat(rest); err != nil {
		return nil, fmt.Errorf("open %s: %w", addr, err)
	}
	b, err := sysfs.NewI2C(n)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", addr, err)
	}
	return b, nil
}

var (
	errBroken = errors.New("bridge broken")         // its port: nothing more will come
	errNACK   = errors.New("not acknowledged")      // by the sensor
	errSilent = errors.New("no answer of a bridge") // in time
	errBusy   = errors.New("bus held by something") // the bridge's own time-out
)

// The SC18IM704's commands, its status register and what that says (its data sheet, UART message format and I2CStat).
const (
	cmdStart = 'S'
	cmdStop  = 'P'
	cmdRead  = 'R'

	regStatus = 0x0A
	statOK    = 0xF0
	statBusy  = 0xF8
)

// A bridge is an SC18IM700 or SC18IM704: I2C behind a UART.
type bridge struct {
	port    port.Port
	timeout time.Duration
}

// Tx writes and reads in a transfer each.
func (b *bridge) Tx(addr uint16, w, r []byte) error {
	if len(w) > 0 {
		frame := append([]byte{cmdStart, byte(addr << 1), byte(len(w))}, w...)
		if err := b.say(append(frame, cmdStop)...); err != nil {
			return err
		}
		if err := b.acknowledged(); err != nil {
			return err
		}
	}
	return b.receive(addr, r)
}

func (b *bridge) receive(addr uint16, r []byte) error {
	if len(r) == 0 {
		return nil
	}
	if err := b.say(cmdStart, byte(addr<<1)|1, byte(len(r)), cmdStop); err != nil {
		return err
	}
	err := b.hear(r)
	if errors.Is(err, errSilent) {
		// A bridge whose sensor didn't acknowledge has nothing to send; it is well if it says so.
		if why := b.acknowledged(); why != nil {
			return why
		}
	}
	return err
}

// acknowledged asks how the last transfer went.
func (b *bridge) acknowledged() error {
	if err := b.say(cmdRead, regStatus, cmdStop); err != nil {
		return err
	}
	var status [1]byte
	if err := b.hear(status[:]); err != nil {
		return err
	}
	switch status[0] {
	case statOK:
		return nil
	case statBusy:
		return errBusy
	}
	return errNACK
}

func (b *bridge) say(bytes ...byte) error {
	err := b.port.Flush()
	if err == nil {
		_, err = b.port.Write(bytes)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// hear fills r or tells errSilent.
func (b *bridge) hear(r []byte) error {
	err := b.port.SetReadDeadline(time.Now().Add(b.timeout))
	for n, got := 0, 0; err == nil && n < len(r); n += got {
		got, err = b.port.Read(r[n:])
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// Close hangs up.
func (b *bridge) Close() error { return b.port.Close() }
