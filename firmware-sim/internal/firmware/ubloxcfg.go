package firmware

import (
	"encoding/binary"
	"slices"
	"time"
)

// maxRequest is the longest request that the receiver's buffer takes.
const maxRequest = 1024

// requests answers the frames in b and returns what may become one.
func (u *UBlox) requests(b []byte) []byte {
	for len(b) > 0 {
		switch {
		case b[0] != 0xB5, len(b) > 1 && b[1] != 0x62:
			b = b[1:]
			continue
		case len(b) < 6:
			return b
		}
		n := 8 + int(binary.LittleEndian.Uint16(b[4:]))
		if n > maxRequest {
			b = b[2:]
			continue
		}
		if len(b) < n {
			return b
		}
		if !slices.Equal(sums(b[2:n-2]), b[n-2:n]) {
			b = b[2:]
			continue
		}
		if answer := u.answer(ubxID{b[2], b[3]}, b[6:n-2]); answer != nil {
			_, _ = u.Line.Write(answer)
		}
		b = b[n:]
	}
	return nil
}

// answer is what the receiver sends for a request; settings and polls of settings end with an ACK.
func (u *UBlox) answer(m ubxID, p []byte) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ubx {
		return nil
	}
	if m == monVER && len(p) == 0 {
		return ubx(monVER, u.version())
	}
	if m.class != 0x06 {
		return nil
	}
	var reply []byte
	ok := false
	switch {
	case u.Chip == M10:
		ok = m == valSet && u.set(p)
	case m == cfgRAT:
		reply, ok = u.rate(p)
	case m == cfgMSG:
		reply, ok = u.message(p)
	case m == cfgPRT:
		reply, ok = u.port(p)
	}
	id := byte(0)
	if ok {
		id = 1
	}
	return append(reply, ubx(ubxID{0x05, id}, []byte{m.class, m.id})...)
}

// version is the payload of MON-VER.
func (u *UBlox) version() (p []byte) {
	text := func(s string, n int) { p = append(append(p, s...), make([]byte, n-len(s))...) }
	if u.Chip == M10 {
		text("ROM SPG 5.10 (7b202e)", 30)
		text("000A0000", 10)
		for _, s := range []string{"FWVER=SPG 5.10", "PROTVER=34.10", "GPS;GLO;GAL;BDS", "SBAS;QZSS"} {
			text(s, 30)
		}
		return p
	}
	text("ROM CORE 3.01 (107888)", 30)
	text("00080000", 10)
	for _, s := range []string{"FWVER=SPG 3.01", "PROTVER=18.00", "GPS;GLO;GAL;BDS", "SBAS;IMES;QZSS"} {
		text(s, 30)
	}
	return p
}

// rate is CFG-RATE: milliseconds a measurement, measurements a solution, what time they align to.
func (u *UBlox) rate(p []byte) (reply []byte, ok bool) {
	if len(p) == 0 {
		p = binary.LittleEndian.AppendUint16(nil, uint16(u.interval.Milliseconds()))
		return ubx(cfgRAT, append(p, 1, 0, 1, 0)), true
	}
	if len(p) != 6 || binary.LittleEndian.Uint16(p[2:]) != 1 {
		return nil, false
	}
	return nil, u.pace(binary.LittleEndian.Uint16(p))
}

func (u *UBlox) pace(ms uint16) bool {
	if ms < 50 {
		return false
	}
	u.interval = time.Duration(ms) * time.Millisecond
	return true
}

// uart is this port's place in the rates of all six.
const uart = 1

// message is CFG-MSG: of two bytes a poll, of three a rate on this port, of eight one on each port.
func (u *UBlox) message(p []byte) (reply []byte, ok bool) {
	if len(p) < 2 || !known(ubxID{p[0], p[1]}) {
		return nil, false
	}
	m := ubxID{p[0], p[1]}
	switch len(p) {
	case 2:
		all := make([]byte, 6)
		all[uart] = u.rates[m]
		return ubx(cfgMSG, append(p[:2:2], all...)), true
	case 3:
		u.rates[m] = p[2]
	case 8:
		u.rates[m] = p[2+uart]
	default:
		return nil, false
	}
	return nil, true
}

func known(m ubxID) bool {
	if m == navPVT || m == navSAT || m == navEOE {
		return true
	}
	for _, s := range sentenceIDs {
		if s == m {
			return true
		}
	}
	return false
}

// port is CFG-PRT of the UART: its speed can't change here, which protocols it carries can.
func (u *UBlox) port(p []byte) (reply []byte, ok bool) {
	const ubxBit, nmeaBit = 1, 2
	le := binary.LittleEndian
	switch {
	case len(p) == 0, len(p) == 1 && p[0] == uart:
		out := uint16(0)
		if u.ubx {
			out |= ubxBit
		}
		if u.nmea {
			out |= nmeaBit
		}
		p = make([]byte, 20)
		p[0] = uart
		le.PutUint32(p[4:], 0x8D0) // 8N1
		le.PutUint32(p[8:], 9600)
		le.PutUint16(p[12:], ubxBit|nmeaBit)
		le.PutUint16(p[14:], out)
		return ubx(cfgPRT, p), true
	case len(p) == 20 && p[0] == uart:
		out := le.Uint16(p[14:])
		u.ubx, u.nmea = out&ubxBit != 0, out&nmeaBit != 0
		return nil, true
	}
	return nil, false
}

// set is CFG-VALSET: all of its keys, or none when one is unknown.
func (u *UBlox) set(p []byte) bool {
	if len(p) < 4 || p[0] > 1 || p[1]&1 == 0 {
		return false
	}
	var todo []func() bool
	for p = p[4:]; len(p) > 0; {
		if len(p) < 5 {
			return false
		}
		key := binary.LittleEndian.Uint32(p)
		size := map[uint32]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[key>>28]
		if size == 0 || len(p) < 4+size {
			return false
		}
		value := p[4 : 4+size]
		p = p[4+size:]
		m, isRate := rateKeys[key]
		switch {
		case isRate:
			todo = append(todo, func() bool { u.rates[m] = value[0]; return true })
		case key == 0x10740001:
			todo = append(todo, func() bool { u.ubx = value[0] != 0; return true })
		case key == 0x10740002:
			todo = append(todo, func() bool { u.nmea = value[0] != 0; return true })
		case key == 0x30210001:
			if ms := binary.LittleEndian.Uint16(value); ms < 50 {
				return false
			}
			todo = append(todo, func() bool { return u.pace(binary.LittleEndian.Uint16(value)) })
		case key == 0x30210002:
			if binary.LittleEndian.Uint16(value) != 1 {
				return false
			}
		default:
			return false
		}
	}
	for _, do := range todo {
		do()
	}
	return true
}
