package firmware

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// SHT3x is a Sensirion SHT30, 31 or 35 on I2C (data sheet SHT3x-DIS, version 5): single shot, status, reset.
type SHT3x struct {
	Measure func(now time.Time) (celsius, humidity float64)

	mu     sync.Mutex
	dead   bool
	noisy  bool
	status uint16
	answer []byte
	ready  time.Time
}

// SetFault cuts the sensor's wires, or mends them: it acknowledges nothing.
func (s *SHT3x) SetFault(dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = dead
}

// SetNoise lets bits of later measurements turn over.
func (s *SHT3x) SetNoise(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noisy = on
}

// PowerOn is what happens to the sensor when its supply comes back: bit 4 of the status tells of it.
func (s *SHT3x) PowerOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.answer = 0x8010, nil
}

// How long a measurement takes by its repeatability, at most (table 4).
var shtTakes = map[uint16]time.Duration{
	0x2400: 15500 * time.Microsecond, 0x240B: 6500 * time.Microsecond, 0x2416: 4500 * time.Microsecond,
}

// write takes a command; false is no acknowledgement.
func (s *SHT3x) write(b []byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || now.Before(s.ready) {
		return false
	}
	if len(b) != 2 {
		return len(b) == 0
	}
	s.answer = nil
	command := binary.BigEndian.Uint16(b)
	switch command {
	case 0x2400, 0x240B, 0x2416:
		s.ready = now.Add(shtTakes[command])
		t, rh := s.Measure(now)
		scale := func(v float64) uint16 { return uint16(math.Round(min(max(v, 0), 1) * 65535)) }
		s.answer = append(shtWord(scale((t+45)/175)), shtWord(scale(rh/100))...)
		if s.noisy {
			s.answer[int(now.UnixNano()/1000)%6] ^= 0x10
		}
	case 0xF32D:
		s.answer = shtWord(s.status)
	case 0x3041:
		s.status &= 1 << 13 // the heater stays
	case 0x306D:
		s.status |= 1 << 13
	case 0x3066:
		s.status &^= 1 << 13
	case 0x30A2:
		s.status = 0x0010
		s.ready = now.Add(1500 * time.Microsecond)
	case 0x3093: // no periodic measurement runs
	default:
		return false
	}
	return true
}

// read gives what is there; false is no acknowledgement: nothing is there, or not yet.
func (s *SHT3x) read(n int, now time.Time) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || now.Before(s.ready) || s.answer == nil {
		return nil, false
	}
	out := append([]byte(nil), s.answer...)
	s.answer = nil
	for len(out) < n {
		out = append(out, 0xFF) // nobody holds the line down
	}
	return out[:n], true
}

// shtWord is a word with its checksum: polynomial 31, start FF (4.12).
func shtWord(v uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, v)
	crc := byte(0xFF)
	for _, c := range b {
		crc ^= c
		for range 8 {
			high := crc&0x80 != 0
			crc <<= 1
			if high {
				crc ^= 0x31
			}
		}
	}
	return append(b, crc)
}

// Bridge is an NXP SC18IM704: I2C behind a UART (data sheet, section 7).
type Bridge struct {
	Line    cable
	Sensors map[byte]*SHT3x // by address
	stat    byte            // I2CStat
}

// What I2CStat says of the last transfer.
const (
	i2cDone   = 0xF0
	i2cNoAddr = 0xF1
	i2cNoData = 0xF2
)

// uartPatience is the longest pause inside a command.
const uartPatience = 655 * time.Millisecond

// Run obeys commands until ctx ends or the line breaks.
func (b *Bridge) Run(ctx context.Context) error {
	b.stat = i2cDone
	var in []byte
	took := func(c []byte) {
		in = append(in, c...)
		for len(in) > 0 {
			n := b.obey(in)
			if n == 0 {
				return
			}
			in = in[n:]
		}
	}
	return pump(ctx, b.Line, uartPatience, took, func() { in = in[:0] })
}

// obey carries out the command at the front of in and says how long it was; 0: more must come.
func (b *Bridge) obey(in []byte) int {
	switch in[0] {
	case 'S':
		return b.transfer(in)
	case 'R':
		if len(in) < 3 {
			return 0
		}
		if in[2] != 'P' {
			return 1
		}
		v := byte(0)
		if in[1] == 0x0A {
			v = b.stat
		}
		_, _ = b.Line.Write([]byte{v})
		return 3
	}
	return 1
}

// transfer is a start, an address, how many bytes, the bytes where it writes, and a stop.
func (b *Bridge) transfer(in []byte) int {
	if len(in) < 3 {
		return 0
	}
	addr, reads, n, now := in[1]>>1, in[1]&1 == 1, int(in[2]), time.Now()
	end := 3
	if !reads {
		end += n
	}
	if len(in) <= end {
		return 0
	}
	if in[end] != 'P' {
		return 1
	}
	s := b.Sensors[addr]
	switch {
	case s == nil:
		b.stat = i2cNoAddr
	case reads:
		out, ok := s.read(n, now)
		if b.stat = i2cNoAddr; ok {
			b.stat = i2cDone
			_, _ = b.Line.Write(out)
		}
	case s.write(in[3:end], now):
		b.stat = i2cDone
	case len(in[3:end]) > 0 && !s.gone():
		b.stat = i2cNoData
	default:
		b.stat = i2cNoAddr
	}
	return end + 1
}

func (s *SHT3x) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}
