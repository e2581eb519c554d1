package firmware

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ProbeFault is what is wrong with a 1-Wire probe.
type ProbeFault uint8

// The faults of a probe.
const (
	ProbeWell       ProbeFault = iota
	ProbeBrownOut              // it has lost power and not measured since: 85 degrees
	ProbeShorted               // data to ground: nine zeros, whose checksum is right
	ProbeOpen                  // nothing pulls the bus down: nine times FF
	ProbeNoisy                 // a bit is wrong: the kernel says NO and shows the older value
	ProbeUnreadable            // the file can't be read
)

// Thermometers is a folder such as Linux' w1_therm shows below /sys/bus/w1/devices, with a DS18B20
// in each of its folders. The kernel converts when a file is read; here the files are written anew
// once a second, so that a value is at most that old.
type Thermometers struct {
	Dir string

	mu     sync.Mutex
	probes map[string]*thermometer
}

type thermometer struct {
	measure func(now time.Time) float64
	fault   ProbeFault
	good    [9]byte // the last scratchpad that was read well
}

// Plug puts a probe on the bus. Its address is the folder's name: 28-0316a2795e50.
func (t *Thermometers) Plug(address string, measure func(now time.Time) float64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.probes == nil {
		t.probes = make(map[string]*thermometer)
	}
	p := &thermometer{measure: measure}
	t.probes[address] = p
	return t.write(address, p, time.Now())
}

// Unplug takes a probe off the bus; its folder goes.
func (t *Thermometers) Unplug(address string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.probes, address)
	return os.RemoveAll(filepath.Join(t.Dir, address))
}

// SetFault breaks a probe, or mends it.
func (t *Thermometers) SetFault(address string, f ProbeFault) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.probes[address]
	if p == nil {
		return fmt.Errorf("thermometers: no %s", address)
	}
	p.fault = f
	return t.write(address, p, time.Now())
}

// Run keeps the files true until ctx ends.
func (t *Thermometers) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := t.refresh(time.Now()); err != nil {
			return err
		}
	}
}

func (t *Thermometers) refresh(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for address, p := range t.probes {
		if err := t.write(address, p, now); err != nil {
			return err
		}
	}
	return nil
}

// write puts a probe's file in place in one step, as a reader sees the kernel's.
func (t *Thermometers) write(address string, p *thermometer, now time.Time) error {
	file := filepath.Join(t.Dir, address, "w1_slave")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("thermometers: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() != (p.fault == ProbeUnreadable) {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("thermometers: %w", err)
		}
	}
	if p.fault == ProbeUnreadable {
		return os.MkdirAll(file, 0o755) // reading a folder fails as a read of a dead bus does
	}
	temp := file + ".new"
	if err := os.WriteFile(temp, []byte(p.text(now)), 0o644); err != nil {
		return fmt.Errorf("thermometers: %w", err)
	}
	if err := os.Rename(temp, file); err != nil {
		return fmt.Errorf("thermometers: %w", err)
	}
	return nil
}

// text is w1_slave: the bytes as read, the kernel's verdict, and the last good bytes with their value.
func (p *thermometer) text(now time.Time) string {
	read := padOf(p.measure(now))
	switch p.fault {
	case ProbeBrownOut:
		read = padOf(85)
		read[6] = 0x0C
		read[8] = dallas(read[:8])
	case ProbeShorted:
		read = [9]byte{}
	case ProbeOpen:
		for i := range read {
			read[i] = 0xFF
		}
	case ProbeNoisy:
		read[0] ^= 0x10
	}
	sum, verdict := dallas(read[:8]), "NO"
	if sum == read[8] {
		verdict = "YES"
		p.good = read
	}
	milli := int(int16(uint16(p.good[1])<<8|uint16(p.good[0]))) * 1000 / 16
	return fmt.Sprintf("%s: crc=%02x %s\n%st=%d\n", hexes(read), sum, verdict, hexes(p.good), milli)
}

func hexes(pad [9]byte) string {
	var b strings.Builder
	for _, c := range pad {
		fmt.Fprintf(&b, "%02x ", c)
	}
	return b.String()
}

// padOf is the scratchpad of a DS18B20 at 12 bits after it measured.
func padOf(celsius float64) (pad [9]byte) {
	raw := uint16(int16(math.Round(min(max(celsius, -55), 125) * 16)))
	pad = [9]byte{byte(raw), byte(raw >> 8), 0x4B, 0x46, 0x7F, 0xFF, 0x10 - byte(raw&15), 0x10}
	pad[8] = dallas(pad[:8])
	return pad
}

// dallas is the checksum X8+X5+X4+1 of the data sheet, bits shifted in from the lowest.
func dallas(b []byte) (reg byte) {
	for _, c := range b {
		for bit := range 8 {
			feedback := (reg ^ c>>bit) & 1
			reg >>= 1
			if feedback == 1 {
				reg ^= 0b1000_1100
			}
		}
	}
	return reg
}
