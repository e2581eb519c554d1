package uhf

import "encoding/binary"

// swct is the family of readers that are asked with "SW" and answer with "CT":
//
//	53 57 len(2) addr cmd data check            command
//	43 54 len(2) addr cmd status data check     answer
//
// len counts what follows it; the sum of the whole frame is zero.
type swct struct{}

const (
	swInventory = 0x01
	swInfo      = 0x10
	swGetParam  = 0x23
	swSetParam  = 0x24
	swSetRegion = 0x3F
	swUpload    = 0x45
	swHeartbeat = 0xFF

	swOK = 0x01

	swMode, swPower = 0x02, 0x05 // parameters
	swAnswers       = 0x00       // mode: speaks when asked

	// 902.75 MHz + n * 0.5 MHz, n from 35 (920.25 MHz) to 44 (924.75 MHz).
	swHighest, swLowest = 0x2C, 0xA3

	swMaxLen = maxFrame - 4
)

func swFrame(address, cmd byte, data ...byte) request {
	b := append([]byte{0x53, 0x57, 0, byte(len(data) + 3), address, cmd}, data...)
	return request{append(b, -sum(b)), cmd}
}

func (swct) word() string    { return "swct" }
func (swct) baud() int       { return 115200 }
func (swct) antennas() int   { return 16 }
func (swct) profile() string { return profileSigned }

func (swct) cut(b []byte) (int, verdict) {
	var second byte
	switch b[0] {
	case 0x53:
		second = 0x57
	case 0x43:
		second = 0x54
	default:
		return 0, foreign
	}
	switch {
	case len(b) > 1 && b[1] != second:
		return 0, foreign
	case len(b) < 4:
		return 0, short
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch size := n + 4; {
	case n < 3 || n > swMaxLen || b[0] == 0x43 && n < 4:
		return 0, foreign
	case len(b) < size:
		return 0, short
	case sum(b[:size]) != 0:
		return size, badSum
	default:
		return size, whole
	}
}

func (swct) parse(f []byte, m *message) bool {
	*m = message{cmd: f[5], tags: m.tags[:0]}
	if f[0] != 0x43 {
		return true // a command
	}
	status, data := f[6], f[7:len(f)-1]
	switch m.cmd {
	case swInventory:
		m.kind, m.done = report, true
		if status != swOK || len(data) == 0 {
			return true
		}
		return len(data) >= 2 && swTags(int(binary.BigEndian.Uint16(data)), data[2:], m)
	case swUpload: // serial number (7), number of tags
		m.kind = report
		if status != swOK || len(data) == 0 {
			return true
		}
		return len(data) >= 8 && swTags(int(data[7]), data[8:], m)
	case swHeartbeat:
		m.kind = alive
		return true
	}
	m.kind, m.data = answer, data
	if status != swOK {
		m.kind, m.code = refused, status
	}
	return true
}

// swTags reads n tags: length of what follows, type, antenna, EPC, strength.
func swTags(n int, b []byte, m *message) bool {
	for range n {
		if len(b) == 0 {
			return false
		}
		size := int(b[0])
		if size < 3 || (size-3)%2 != 0 || size-3 > maxEPC || len(b) < 1+size {
			return false
		}
		t := b[1 : 1+size]
		m.tags = append(m.tags, tag{epc: t[2 : size-1], antenna: int(t[1]), rssi: t[size-1], strong: true})
		b = b[1+size:]
	}
	return len(b) == 0
}

func (swct) hello(address byte) ([]byte, request) { return nil, swFrame(address, swInfo) }

// settings: nothing is known that reads the region back, so the reader's word must do.
func (swct) settings(address byte, c Config) []setting {
	all := []setting{
		{name: "region", want: swHighest<<8 | swLowest, set: swFrame(address, swSetRegion, swHighest, swLowest), blind: true},
		swParam(address, "mode", swMode, swAnswers),
	}
	if c.PowerDBm != nil {
		all = append(all, swParam(address, "power_dbm", swPower, wholeDBm(*c.PowerDBm)))
	}
	return all
}

func swParam(address byte, name string, param byte, want int) setting {
	return setting{
		name: name, want: want, blind: true,
		get: swFrame(address, swGetParam, param), set: swFrame(address, swSetParam, param, byte(want)),
		value: func(d []byte) (int, bool) {
			if len(d) == 0 {
				return 0, false
			}
			return int(d[len(d)-1]), true // the parameter's number may stand before it
		},
	}
}

func (swct) turns(address byte, _ Config) []turn {
	return []turn{{round: swFrame(address, swInventory)}}
}

func (swct) missing() byte { return 0 }

func (swct) codes() map[byte]string { return map[byte]string{0x00: "not obeyed"} }
