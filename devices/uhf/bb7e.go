package uhf

import (
	"encoding/binary"
	"math"

	"yizhan/devices/epc"
)

// bb7e is the family "BB .. 7E" of MagicRF chips:
//
//	BB type cmd len(2) params sum 7E
//
// type is 00 command, 01 response, 02 notice; sum covers type to params. BB and 7E occur in params too.
type bb7e struct{}

const (
	bbHead, bbTail = 0xBB, 0x7E

	bbCommand, bbResponse, bbNotice = 0x00, 0x01, 0x02

	bbInfo      = 0x03
	bbSetRegion = 0x07
	bbGetRegion = 0x08
	bbPoll      = 0x22
	bbMultiPoll = 0x27
	bbStop      = 0x28
	bbSetPower  = 0xB6
	bbGetPower  = 0xB7
	bbError     = 0xFF

	bbNoTag    = 0x15
	bbChina900 = 0x01

	bbMaxParams = 1024
	bbRounds    = 10000 // of one multi-poll: at 5 ms a round it outlives the driver's next look
)

func bbFrame(cmd byte, params ...byte) request {
	b := []byte{bbHead, bbCommand, cmd, byte(len(params) >> 8), byte(len(params))}
	b = append(b, params...)
	return request{append(b, sum(b[1:]), bbTail), cmd}
}

func (bb7e) word() string    { return "bb7e" }
func (bb7e) baud() int       { return 115200 }
func (bb7e) antennas() int   { return 1 }
func (bb7e) profile() string { return profileSigned }

func (bb7e) cut(b []byte) (int, verdict) {
	if b[0] != bbHead || len(b) > 1 && b[1] > bbNotice {
		return 0, foreign
	}
	if len(b) < 5 {
		return 0, short
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	switch size := n + 7; {
	case n > bbMaxParams:
		return 0, foreign
	case len(b) < size:
		return 0, short
	case b[size-1] != bbTail:
		return 0, foreign
	case sum(b[1:size-2]) != b[size-2]:
		return size, badSum
	default:
		return size, whole
	}
}

func (bb7e) parse(f []byte, m *message) bool {
	*m = message{cmd: f[2], tags: m.tags[:0]}
	params := f[5 : len(f)-2]
	switch typ := f[1]; {
	case typ == bbCommand:
	case typ == bbNotice && m.cmd == bbPoll, typ == bbResponse && m.cmd == bbPoll:
		m.kind = report
		t, ok := bbTag(params)
		m.tags = append(m.tags, t)
		return ok
	case typ == bbResponse && m.cmd == bbError && len(params) >= 1:
		if params[0] == bbNoTag {
			m.kind, m.done = report, true
			return true
		}
		// What follows an error's code is the PC and EPC of the tag, not the command.
		m.kind, m.cmd, m.code = refused, 0, params[0]
	case typ == bbResponse:
		m.kind, m.data = answer, params
	}
	return true
}

// bbTag reads RSSI, PC, EPC and CRC.
func bbTag(p []byte) (tag, bool) {
	if len(p) < 5 {
		return tag{}, false
	}
	pc, body := binary.BigEndian.Uint16(p[1:]), p[1:len(p)-2]
	t := tag{epc: body[2:], iso: pc&epc.PCToggle != 0, antenna: 1, rssi: p[0], strong: true, crc: crcWrong}
	if gen2CRC(body) == binary.BigEndian.Uint16(p[len(p)-2:]) {
		t.crc = crcRight
	}
	return t, len(t.epc) == epcBytes(pc)
}

// epcBytes is how long the EPC is that a protocol control word announces.
func epcBytes(pc uint16) int { return int(pc>>11) * 2 }

func (bb7e) hello(byte) ([]byte, request) {
	return bbFrame(bbStop).frame, bbFrame(bbInfo, 0)
}

func (bb7e) settings(_ byte, c Config) []setting {
	all := []setting{{
		name: "region", want: bbChina900, get: bbFrame(bbGetRegion), set: bbFrame(bbSetRegion, bbChina900),
		value: func(d []byte) (int, bool) { return firstByte(d) },
	}}
	if c.PowerDBm != nil {
		p := int(math.Round(*c.PowerDBm * 100))
		all = append(all, setting{
			name: "power_dbm", want: p, near: 50, get: bbFrame(bbGetPower), set: bbFrame(bbSetPower, byte(p>>8), byte(p)),
			value: func(d []byte) (int, bool) {
				if len(d) < 2 {
					return 0, false
				}
				return int(int16(binary.BigEndian.Uint16(d))), true
			},
		})
	}
	return all
}

func (bb7e) turns(byte, Config) []turn { return nil }

func bbMulti() []byte { return bbFrame(bbMultiPoll, bbPoll, bbRounds>>8, bbRounds&0xFF).frame }

func (bb7e) missing() byte { return 0 }

func (bb7e) codes() map[byte]string {
	return map[byte]string{
		0x09: "read failed", 0x10: "write failed", 0x12: "kill failed", 0x13: "lock failed", 0x15: "no tag",
		0x16: "wrong access password", 0x17: "command error", 0x20: "frequency hopping failed",
	}
}

func firstByte(d []byte) (int, bool) {
	if len(d) < 1 {
		return 0, false
	}
	return int(d[0]), true
}
