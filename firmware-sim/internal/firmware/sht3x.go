package firmware

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// SensorFault is what is wrong with a sensor on I2C.
type SensorFault uint8

// The faults of a sensor.
const (
	SensorWell  SensorFault = iota
	SensorDead              // it acknowledges nothing
	SensorNoisy             // a bit of each measurement turns over on its way
)

// SHT3x is a Sensirion SHT30, 31 or 35 (data sheet SHT3x-DIS, version 5): single shot, status, soft reset.
type SHT3x struct {
	Measure func(now time.Time) (celsius, humidity float64)

	mu      sync.Mutex
	fault   SensorFault
	cleared bool // the status, since power came
	heats   bool
	answer  []byte
	ready   time.Time
}

// SetFault breaks the sensor, or mends it.
func (s *SHT3x) SetFault(f SensorFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// PowerCut takes the supply away for a moment.
func (s *SHT3x) PowerCut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart()
}

func (s *SHT3x) restart() { s.cleared, s.heats, s.answer, s.ready = false, false, nil, time.Time{} }

// Single shots by their command: how long they take at most (table 4). Those that hold the clock line (2Cxx) let the
// bus wait.
var shots = map[uint16]time.Duration{
	0x2400: 15 * time.Millisecond, 0x240B: 6 * time.Millisecond, 0x2416: 4 * time.Millisecond,
	0x2C06: 0, 0x2C0D: 0, 0x2C10: 0,
}

// Bits of the status register (table 18).
const (
	shtHeater = 1 << 13
	shtReset  = 1 << 4
)

func (s *SHT3x) write(b []byte, now time.Time) (acknowledged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == SensorDead || len(b) != 2 || now.Before(s.ready) {
		return false
	}
	s.answer = nil
	command := binary.BigEndian.Uint16(b)
	if takes, ok := shots[command]; ok {
		s.ready, s.answer = now.Add(takes), s.shot(now)
		return true
	}
	switch command {
	case 0xF32D:
		s.answer = shtWord(s.status())
	case 0x3041:
		s.cleared = true
	case 0x306D, 0x3066:
		s.heats = command == 0x306D
	case 0x30A2:
		s.restart()
		s.ready = now.Add(1500 * time.Microsecond)
	case 0x3093: // stop: nothing runs by itself
	default:
		return false
	}
	return true
}

func (s *SHT3x) status() (bits uint16) {
	if s.heats {
		bits |= shtHeater
	}
	if !s.cleared {
		bits |= shtReset
	}
	return bits
}

func (s *SHT3x) shot(now time.Time) []byte {
	celsius, humidity := s.Measure(now)
	raw := func(part float64) uint16 { return uint16(math.Round(min(max(part, 0), 1) * 65535)) }
	out := append(shtWord(raw((celsius+45)/175)), shtWord(raw(humidity/100))...)
	if s.fault == SensorNoisy {
		out[4] ^= 0x20
	}
	return out
}

func (s *SHT3x) read(n int, now time.Time) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == SensorDead || s.answer == nil || now.Before(s.ready) {
		return nil, false
	}
	out := s.answer
	s.answer = nil
	for len(out) < n {
		out = append(out, 0xFF) // nobody pulls the line down
	}
	return out[:n], true
}

// shtWord is a word and its checksum: polynomial 31, start FF (4.12).
func shtWord(v uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, v)
	sum := byte(0xFF)
	for _, c := range b {
		sum ^= c
		for range 8 {
			high := sum&0x80 != 0
			sum <<= 1
			if high {
				sum ^= 0x31
			}
		}
	}
	return append(b, sum)
}

// Bridge is an NXP SC18IM704, I2C behind a UART (its data sheet, UART message format).
type Bridge struct {
	Line    cable
	Devices map[byte]*SHT3x // by address
}

// uartPatience is the longest pause inside a command.
const uartPatience = 655 * time.Millisecond

// Run says OK, as after power-on, and obeys commands until ctx ends or the line breaks.
func (b *Bridge) Run(ctx context.Context) error {
	m := bridgeMaster{devices: map[byte]i2cDevice{}, regs: map[byte]byte{}}
	for addr, d := range b.Devices {
		m.devices[addr] = d
	}
	_, _ = b.Line.Write([]byte("OK"))
	took := func(c []byte) {
		if out := m.take(c, time.Now()); len(out) > 0 {
			_, _ = b.Line.Write(out)
		}
	}
	return pump(ctx, b.Line, uartPatience, took, func() { m.in = m.in[:0] })
}

// An i2cDevice acknowledges what is written to it and gives what is read, or doesn't.
type i2cDevice interface {
	write(b []byte, now time.Time) bool
	read(n int, now time.Time) ([]byte, bool)
}

// A bridgeMaster is the bridge between its two sides.
type bridgeMaster struct {
	devices map[byte]i2cDevice
	regs    map[byte]byte
	in      []byte
}

// What the register I2CStat says of the last transfer.
const (
	i2cStat   = 0x0A
	i2cDone   = 0xF0
	i2cNoAddr = 0xF1
	i2cNoData = 0xF2
)

// take obeys the commands in b, and what it kept of one before, and returns what goes to the host.
func (m *bridgeMaster) take(b []byte, now time.Time) (out []byte) {
	m.in = append(m.in, b...)
	for len(m.in) > 0 {
		n, whole := 1, true
		switch m.in[0] {
		case 'S':
			var transfers []transfer
			if transfers, n, whole = startStop(m.in); whole {
				for _, t := range transfers {
					out = append(out, m.transfer(t, now)...)
				}
			}
		case 'R', 'W':
			var answer []byte
			answer, n, whole = m.register(m.in)
			out = append(out, answer...)
		}
		if n == 0 {
			return out
		}
		m.in = m.in[n:]
	}
	return out
}

// register obeys R and W: n is how long the command was, 0 when more must come, 1 when it is none.
func (m *bridgeMaster) register(in []byte) (out []byte, n int, whole bool) {
	step := map[byte]int{'R': 1, 'W': 2}[in[0]]
	for n = 1; ; n += step {
		switch {
		case len(in) <= n:
			return nil, 0, false
		case in[n] == 'P' && n > 1:
			for i := 1; i < n; i += step {
				if step == 2 {
					m.regs[in[i]] = in[i+1]
				} else {
					out = append(out, m.regs[in[i]])
				}
			}
			return out, n + 1, true
		case in[n] > i2cStat:
			return nil, 1, false
		}
	}
}

// A transfer is a start with an address, and what is written or how much is read.
type transfer struct {
	address byte
	reads   bool
	write   []byte
	n       int
}

// startStop cuts the transfers up to a stop from the front of in, as register does.
func startStop(in []byte) (out []transfer, n int, whole bool) {
	for {
		if len(in) < n+3 {
			return nil, 0, false
		}
		t := transfer{address: in[n+1] >> 1, reads: in[n+1]&1 == 1, n: int(in[n+2])}
		n += 3
		if !t.reads {
			if len(in) < n+t.n {
				return nil, 0, false
			}
			t.write = in[n : n+t.n]
			n += t.n
		}
		out = append(out, t)
		switch {
		case len(in) <= n:
			return nil, 0, false
		case in[n] == 'P':
			return out, n + 1, true
		case in[n] != 'S':
			return nil, 1, false
		}
	}
}

func (m *bridgeMaster) transfer(t transfer, now time.Time) (out []byte) {
	d := m.devices[t.address]
	says := byte(i2cNoAddr)
	switch {
	case d == nil:
	case t.reads:
		var ok bool
		if out, ok = d.read(t.n, now); ok {
			says = i2cDone
		}
	case d.write(t.write, now):
		says = i2cDone
	default:
		says = i2cNoData
	}
	m.regs[i2cStat] = says
	return out
}
