package uhf

import (
	"encoding/binary"

	"yizhan/devices/epc"
)

// a0 is the family of Impinj R2000 boards:
//
//	A0 len addr cmd data check
//
// len counts what follows it; the sum of the whole frame is zero.
type a0 struct{}

const (
	a0Head = 0xA0

	a0Reset      = 0x70
	a0Firmware   = 0x72
	a0SetAntenna = 0x74
	a0GetAntenna = 0x75
	a0SetPower   = 0x76
	a0GetPower   = 0x77
	a0SetRegion  = 0x78
	a0GetRegion  = 0x79
	a0RealTime   = 0x89
	a0FastSwitch = 0x8A
	a0Session    = 0x8B
	a0GetPower8  = 0x97

	a0OK             = 0x10
	a0AntennaMissing = 0x22

	// China, from 920.0 (index 43 of the table: 902.0 MHz is 7, steps of 0.5 MHz) to 925.0 MHz.
	a0China, a0From, a0To = 0x03, 0x2B, 0x35

	a0Repeat = 0x01
)

func a0Frame(address, cmd byte, data ...byte) request {
	b := append([]byte{a0Head, byte(len(data) + 3), address, cmd}, data...)
	return request{append(b, -sum(b)), cmd}
}

func (a0) word() string    { return "a0" }
func (a0) baud() int       { return 115200 }
func (a0) antennas() int   { return 8 }
func (a0) profile() string { return profileMinus129 }

func (a0) cut(b []byte) (int, verdict) {
	switch {
	case b[0] != a0Head:
		return 0, foreign
	case len(b) < 4:
		return 0, short
	case b[1] < 3 || b[3] < 0x60 || b[3] > 0x9F:
		return 0, foreign
	}
	switch size := int(b[1]) + 2; {
	case len(b) < size:
		return 0, short
	case sum(b[:size]) != 0:
		return size, badSum
	default:
		return size, whole
	}
}

func (a0) parse(f []byte, m *message) bool {
	*m = message{cmd: f[3], tags: m.tags[:0]}
	data := f[4 : len(f)-1]
	switch m.cmd {
	case a0RealTime, a0FastSwitch, a0Session:
		return a0Inventory(data, m)
	case a0GetAntenna, a0GetPower, a0GetPower8:
		m.kind, m.data = answer, data
		return true
	}
	m.kind, m.data = answer, data
	if len(data) == 1 && data[0] != a0OK {
		m.kind, m.code = refused, data[0]
	}
	return true
}

// a0Inventory reads what comes while a round runs: a tag, its end, or an error.
func a0Inventory(data []byte, m *message) bool {
	switch {
	case len(data) == 7: // antenna, reads a second, reads: no tag has this size
		m.kind, m.done = report, true
		return true
	case len(data) == 1, len(data) == 2 && m.cmd == a0FastSwitch:
		m.kind, m.code = refused, data[len(data)-1]
		return true
	case len(data) < 4:
		return len(data) == 0
	}
	pc, rssi := binary.BigEndian.Uint16(data[1:]), data[len(data)-1]
	t := tag{epc: data[3 : len(data)-1], iso: pc&epc.PCToggle != 0, antenna: int(data[0]&3) + 1, rssi: rssi & 0x7F, strong: true}
	if rssi&0x80 != 0 { // the upper four ports of eight
		t.antenna += 4
	}
	m.kind = report
	m.tags = append(m.tags, t)
	return len(t.epc) == epcBytes(pc)
}

func (a0) hello(address byte) ([]byte, request) { return nil, a0Frame(address, a0Firmware) }

func (a0) settings(address byte, c Config) []setting {
	all := []setting{{
		name: "region", want: a0China<<16 | a0From<<8 | a0To,
		get: a0Frame(address, a0GetRegion), set: a0Frame(address, a0SetRegion, a0China, a0From, a0To),
		value: func(d []byte) (int, bool) {
			if len(d) < 3 {
				return 0, false
			}
			return int(d[0])<<16 | int(d[1])<<8 | int(d[2]), true
		},
	}}
	if c.PowerDBm != nil {
		get := byte(a0GetPower)
		for _, a := range c.Antennas {
			if a.Port > 4 {
				get = a0GetPower8
			}
		}
		p := wholeDBm(*c.PowerDBm)
		all = append(all, setting{
			name: "power_dbm", want: p, get: a0Frame(address, get), set: a0Frame(address, a0SetPower, byte(p)),
			value: func(d []byte) (int, bool) { // one for all antennas, or one for each
				for _, v := range d {
					if int(v) != p {
						return int(v), true
					}
				}
				return p, len(d) > 0
			},
		})
	}
	return all
}

func (a0) turns(address byte, c Config) []turn {
	round := a0Frame(address, a0RealTime, a0Repeat)
	if len(c.Antennas) == 0 {
		return []turn{{round: round}}
	}
	all := make([]turn, len(c.Antennas))
	for i, a := range c.Antennas {
		all[i] = turn{antenna: a.Port, pick: a0Frame(address, a0SetAntenna, byte(a.Port-1)), round: round}
	}
	return all
}

func (a0) missing() byte { return a0AntennaMissing }

func (a0) codes() map[byte]string {
	return map[byte]string{
		0x11: "command failed", 0x20: "processor reset", 0x21: "carrier failed", 0x22: "antenna missing",
		0x23: "flash write failed", 0x41: "parameter invalid", 0x42: "address invalid", 0x48: "power out of range", 0x49: "region out of range",
	}
}
