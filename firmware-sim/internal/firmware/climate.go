package firmware

import (
	"context"
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"
)

// Climate is an XY-MD02: a temperature and humidity unit on Modbus RTU, 9600 8N1.
type Climate struct {
	Line    cable
	Address byte
	Measure func(now time.Time) (celsius, humidity float64)

	faulty atomic.Bool
}

// SetFault breaks the probe's wire: the unit then reports 0x7FFF.
func (c *Climate) SetFault(broken bool) { c.faulty.Store(broken) }

// rtuGap ends a frame: 3.5 characters at 9600 baud are 4 ms; a USB adapter adds to that.
const rtuGap = 5 * time.Millisecond

// maxRTU is the longest RTU frame.
const maxRTU = 256

// Run answers requests until ctx ends or the line breaks.
func (c *Climate) Run(ctx context.Context) error {
	var frame []byte
	took := func(b []byte) {
		if len(frame) < maxRTU+1 {
			frame = append(frame, b...)
		}
	}
	return pump(ctx, c.Line, rtuGap, took, func() {
		if answer := c.answer(frame, time.Now()); answer != nil {
			_, _ = c.Line.Write(answer)
		}
		frame = frame[:0]
	})
}

// Modbus exception codes.
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
)

// answer is what the unit sends for one frame; nil when the frame isn't for it or is garbled.
func (c *Climate) answer(f []byte, now time.Time) []byte {
	if len(f) < 4 || len(f) > maxRTU || f[0] != c.Address || crc16(f[:len(f)-2]) != binary.LittleEndian.Uint16(f[len(f)-2:]) {
		return nil
	}
	return withCRC(c.reply(f[:len(f)-2], now))
}

// reply answers a request without its check: address, function code, data.
func (c *Climate) reply(f []byte, now time.Time) []byte {
	refuse := func(why byte) []byte { return []byte{f[0], f[1] | 0x80, why} }
	fc := f[1]
	if fc != 3 && fc != 4 {
		return refuse(illegalFunction)
	}
	if len(f) != 6 {
		return refuse(illegalValue)
	}
	start, count := binary.BigEndian.Uint16(f[2:]), binary.BigEndian.Uint16(f[4:])
	if count == 0 || count > 125 {
		return refuse(illegalValue)
	}
	out := []byte{f[0], fc, byte(2 * count)}
	for i := range count {
		v, ok := c.register(fc, start+i, now)
		if !ok {
			return refuse(illegalAddress)
		}
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out
}

// register is the unit's map: measurements (input, and holding on this clone), then settings.
func (c *Climate) register(fc byte, reg uint16, now time.Time) (v uint16, ok bool) {
	switch {
	case reg == 1 || reg == 2:
		if c.faulty.Load() {
			return 0x7FFF, true
		}
		t, rh := c.Measure(now)
		if reg == 2 {
			t = min(max(rh, 0), 100)
		}
		return uint16(int16(math.Round(t * 10))), true
	case fc == 3 && reg == 0x0101:
		return uint16(c.Address), true
	case fc == 3 && reg == 0x0102:
		return 9600, true
	case fc == 3 && (reg == 0x0103 || reg == 0x0104):
		return 0, true
	}
	return 0, false
}

// crc16 is the Modbus CRC: start FFFF, polynomial A001 (reflected).
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			odd := crc&1 != 0
			crc >>= 1
			if odd {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

func withCRC(b []byte) []byte { return binary.LittleEndian.AppendUint16(b, crc16(b)) }
