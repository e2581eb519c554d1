package uhf

import (
	"encoding/binary"
	"math/bits"
)

// lenadr is the family of the UHFReader18/09/288 firmware, in Chafon's and many other readers:
//
//	len addr cmd data crc(2)            command
//	len addr cmd status data crc(2)     answer
//
// len counts what follows it. CRC-16/MCRF4XX covers what precedes it and travels low byte first.
type lenadr struct{}

const (
	laInventory = 0x01
	laInfo      = 0x21
	laSetRegion = 0x22
	laSetPower  = 0x2F
	laUpload    = 0xEE

	laDone, laTimeout, laMore, laFull = 0x01, 0x02, 0x03, 0x04

	laHeartbeat      = 0x28
	laAntennaMissing = 0xF8
	laNoTag          = 0xFB

	// Chinese band 2: bits 7 and 6 of both bytes are 0001, channels 0 (920.125 MHz) to 19 (924.875).
	laHighest, laLowest = 0x13, 0x40

	laQ, laSession, laTarget = 4, 0, 0
	laScan                   = 3 // tenths of a second for one antenna's round
)

func laFrame(address, cmd byte, data ...byte) request {
	b := append([]byte{byte(len(data) + 4), address, cmd}, data...)
	return request{binary.LittleEndian.AppendUint16(b, mcrf4xx(b)), cmd}
}

// mcrf4xx is CRC-16/MCRF4XX.
func mcrf4xx(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8408
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

func (lenadr) word() string    { return "lenadr" }
func (lenadr) baud() int       { return 57600 }
func (lenadr) antennas() int   { return 8 }
func (lenadr) profile() string { return profileMinus129 }

func (lenadr) cut(b []byte) (int, verdict) {
	switch {
	case b[0] < 4:
		return 0, foreign
	case len(b) < 3:
		return 0, short
	case !laCommand(b[2]):
		return 0, foreign
	}
	switch size := int(b[0]) + 1; {
	case len(b) < size:
		return 0, short
	case mcrf4xx(b[:size-2]) != binary.LittleEndian.Uint16(b[size-2:]):
		return size, badSum
	default:
		return size, whole
	}
}

// laCommand reports whether a byte can be a command: nothing else marks where a frame begins.
func laCommand(c byte) bool {
	switch {
	case c >= 0x01 && c <= 0x1B, c >= 0x20 && c <= 0x2F, c >= 0x33 && c <= 0x40, c == 0x4C, c == 0x66, c == 0x6E,
		c >= 0x70 && c <= 0x79, c >= 0x91 && c <= 0x95, c == laUpload:
		return true
	}
	return false
}

func (lenadr) parse(f []byte, m *message) bool {
	*m = message{cmd: f[2], tags: m.tags[:0]}
	if len(f) < 6 {
		return true // a command
	}
	status, data := f[3], f[4:len(f)-2]
	switch m.cmd {
	case laInventory:
		if laRound(status, data, m) {
			return true
		}
		m.kind, m.done = other, false
		return laAsked(f)
	case laUpload:
		if status == laHeartbeat {
			m.kind = alive
			return true
		}
		m.kind = report
		return laOne(data, m) || laList(data, m)
	}
	m.kind, m.data = answer, data
	if status != 0 {
		m.kind, m.code = refused, status
	}
	return true
}

// laAsked reports whether f is an inventory command for one antenna: captures hold both sides. No
// list of tags looks like one.
func laAsked(f []byte) bool {
	return f[2] == laInventory && len(f) == 10 && f[5] <= 1 && f[6]&0xF0 == 0x80
}

func laRound(status byte, data []byte, m *message) bool {
	m.kind = report
	switch status {
	case laDone, laTimeout, laFull:
		m.done = true
		return len(data) == 0 || laList(data, m)
	case laMore:
		return laList(data, m)
	case laNoTag:
		m.done = true
		return true
	case 0x26: // statistics
		return true
	}
	m.kind, m.code = refused, status
	return true
}

// laList reads a number of tags, with an antenna before it or not, and with the strength behind
// each or not: what makes of the bytes exactly that number of tags is right.
func laList(data []byte, m *message) bool {
	if laTags(data, 0, false, m) {
		return true
	}
	return len(data) > 1 && (laTags(data[1:], laAntenna(data[0]), true, m) || laTags(data[1:], laAntenna(data[0]), false, m)) ||
		laTags(data, 0, true, m)
}

func laTags(data []byte, antenna int, rssi bool, m *message) bool {
	m.tags = m.tags[:0]
	if len(data) == 0 {
		return false
	}
	n, rest := int(data[0]), data[1:]
	tail := 0
	if rssi {
		tail = 1
	}
	for range n {
		if len(rest) == 0 {
			return false
		}
		size := int(rest[0])
		if size < 2 || size%2 != 0 || size > maxEPC || len(rest) < 1+size+tail {
			return false
		}
		t := tag{epc: rest[1 : 1+size], antenna: antenna, strong: rssi}
		if rssi {
			t.rssi = rest[1+size]
		}
		m.tags = append(m.tags, t)
		rest = rest[1+size+tail:]
	}
	return len(rest) == 0
}

// laOne reads an upload of one tag: antenna, length, EPC, strength.
func laOne(data []byte, m *message) bool {
	if len(data) < 5 || int(data[1]) != len(data)-3 || data[1]%2 != 0 || data[1] > maxEPC {
		return false
	}
	m.tags = append(m.tags[:0], tag{epc: data[2 : len(data)-1], antenna: laAntenna(data[0]), rssi: data[len(data)-1], strong: true})
	return true
}

// laAntenna reads an antenna, which is one bit of a mask.
func laAntenna(mask byte) int {
	if bits.OnesCount8(mask) != 1 {
		return 0
	}
	return bits.TrailingZeros8(mask) + 1
}

func (lenadr) hello(address byte) ([]byte, request) { return nil, laFrame(address, laInfo) }

// settings are read back from the info: version(2) type protocols highest lowest power scan-time.
func (lenadr) settings(address byte, c Config) []setting {
	info := laFrame(address, laInfo)
	all := []setting{{
		name: "region", want: laHighest<<8 | laLowest, get: info, set: laFrame(address, laSetRegion, laHighest, laLowest),
		value: func(d []byte) (int, bool) {
			if len(d) < 6 {
				return 0, false
			}
			return int(d[4])<<8 | int(d[5]), true
		},
	}}
	if c.PowerDBm != nil {
		p := wholeDBm(*c.PowerDBm)
		all = append(all, setting{
			name: "power_dbm", want: p, get: info, set: laFrame(address, laSetPower, byte(p)),
			value: func(d []byte) (int, bool) {
				switch {
				case len(d) < 7:
					return 0, false
				case d[6] == 0xFF: // it doesn't know
					return p, true
				}
				return int(d[6]), true
			},
		})
	}
	return all
}

// turns ask in the shortest form unless antennas are named: single-port firmware knows no other, and
// that of several ports wants at least Q and session.
func (lenadr) turns(address byte, c Config) []turn {
	if len(c.Antennas) == 0 || len(c.Antennas) == 1 && c.Antennas[0].Port == 1 {
		t := turn{round: laFrame(address, laInventory), instead: laFrame(address, laInventory, laQ, laSession)}
		if len(c.Antennas) == 1 {
			t.antenna = 1
		}
		return []turn{t}
	}
	all := make([]turn, len(c.Antennas))
	for i, a := range c.Antennas {
		all[i] = turn{antenna: a.Port, round: laFrame(address, laInventory, laQ, laSession, laTarget, 0x80|byte(a.Port-1), laScan)}
	}
	return all
}

func (lenadr) missing() byte { return laAntennaMissing }

func (lenadr) codes() map[byte]string {
	return map[byte]string{
		0xF8: "antenna missing", 0xF9: "command failed", 0xFB: "no tag", 0xFC: "the tag's error", 0xFD: "wrong length",
		0xFE: "illegal command", 0xFF: "wrong parameter",
	}
}
