package firmware

import (
	"bytes"
	"encoding/binary"
)

// magic is "BB type cmd len len params sum 7E" (MagicRF M100 and QM100).
type magic struct{}

func (magic) factory() moduleState { return moduleState{region: "\x02", centi: 2600} }

func (magic) frame(b []byte) (int, byte, []byte, bool) {
	if b[0] != 0xBB {
		return 1, 0, nil, false
	}
	if len(b) < 7 {
		return 0, 0, nil, false
	}
	n := int(b[3])<<8 | int(b[4])
	if n > 300 || b[1] != 0 {
		return 1, 0, nil, false
	}
	if len(b) < n+7 {
		return 0, 0, nil, false
	}
	var check byte
	for _, c := range b[1 : n+5] {
		check += c
	}
	if check != b[n+5] || b[n+6] != 0x7E {
		return 1, 0, nil, false
	}
	return n + 7, b[2], b[5 : n+5], true
}

func magicFrame(typ, cmd byte, params ...byte) []byte {
	out := append([]byte{0xBB, typ, cmd, byte(len(params) >> 8), byte(len(params))}, params...)
	var check byte
	for _, c := range out[1:] {
		check += c
	}
	return append(out, check, 0x7E)
}

func (magic) answer(m *Module, cmd byte, data []byte) [][]byte {
	if m.state.rounds > 0 && cmd != 0x28 {
		return nil // busy
	}
	ok := []byte{0x00}
	switch {
	case cmd == 0x03 && len(data) == 1 && data[0] <= 2:
		ok = append(data[:1:1], []string{"M100 26dBm V1.0", "V2.3.5", "MagicRf"}[data[0]]...)
	case cmd == 0x07 && len(data) == 1 && data[0] >= 1 && data[0] <= 6 && data[0] != 5:
		m.state.region = string(data)
	case cmd == 0x08:
		ok = []byte(m.state.region)
	case cmd == 0x28:
		m.state.rounds = 0
	case cmd == 0xB6 && len(data) == 2:
		m.state.centi = min(binary.BigEndian.Uint16(data), 2600)
	case cmd == 0xB7:
		ok = binary.BigEndian.AppendUint16(nil, m.state.centi)
	case cmd == 0x22:
		return magic{}.round(m)
	case cmd == 0x27 && len(data) == 3 && data[0] == 0x22:
		m.state.rounds = int(data[1])<<8 | int(data[2])
		return nil
	default:
		return [][]byte{magicFrame(1, 0xFF, 0x17)}
	}
	return [][]byte{magicFrame(1, cmd, ok...)}
}

// round polls once: a notice for each tag, or the error that says there is none.
func (magic) round(m *Module) (out [][]byte) {
	for _, t := range m.inField(1) {
		stored := append([]byte{0x30, 0x00}, t.epc[:]...)
		params := append([]byte{byte(t.rssi)}, stored...)
		out = append(out, magicFrame(2, 0x22, binary.BigEndian.AppendUint16(params, tagCRC(stored))...))
	}
	if out == nil {
		out = [][]byte{magicFrame(1, 0xFF, 0x15)}
	}
	return out
}

// tagCRC is the CRC-16 that a Gen2 tag backscatters: CCITT, start FFFF, complemented.
func tagCRC(b []byte) uint16 {
	reg := uint16(0xFFFF)
	for _, c := range b {
		for bit := 7; bit >= 0; bit-- {
			in := uint16(c>>bit) & 1
			out := reg >> 15
			reg <<= 1
			if in != out {
				reg ^= 0x1021
			}
		}
	}
	return reg ^ 0xFFFF
}

// zeroSum is the byte that makes the sum of a frame zero, of a0 and swct.
func zeroSum(b []byte) byte {
	var s byte
	for _, c := range b {
		s += c
	}
	return ^s + 1
}

// r2000 is "A0 len addr cmd data check" (UHF RFID Reader Serial Interface Protocol V3.7).
type r2000 struct{}

func (r2000) factory() moduleState { return moduleState{region: "\x01\x07\x3B", power: 30} }

func (r2000) frame(b []byte) (int, byte, []byte, bool) {
	if b[0] != 0xA0 || len(b) > 1 && b[1] < 3 {
		return 1, 0, nil, false
	}
	if len(b) < 2 || len(b) < int(b[1])+2 {
		return 0, 0, nil, false
	}
	n := int(b[1]) + 2
	if zeroSum(b[:n]) != 0 {
		return 1, 0, nil, false
	}
	return n, b[3], b[4 : n-1], b[2] == 0x01 || b[2] == 0xFF
}

func r2000Frame(cmd byte, data ...byte) []byte {
	out := append([]byte{0xA0, byte(len(data) + 3), 0x01, cmd}, data...)
	return append(out, zeroSum(out))
}

func (r2000) answer(m *Module, cmd byte, data []byte) [][]byte {
	reply := []byte{0x10}
	switch {
	case cmd == 0x72:
		reply = []byte{3, 8}
	case cmd == 0x74 && len(data) == 1:
		if int(data[0]) >= m.Ports {
			reply = []byte{0x22}
			break
		}
		m.state.antenna = int(data[0])
	case cmd == 0x75:
		reply = []byte{byte(m.state.antenna)}
	case cmd == 0x76 && len(data) == 1:
		if data[0] > 33 {
			reply = []byte{0x48}
			break
		}
		m.state.power = data[0]
	case cmd == 0x77 || cmd == 0x97:
		reply = []byte{m.state.power}
	case cmd == 0x78 && len(data) == 3:
		if data[0] < 1 || data[0] > 3 || data[1] > data[2] || data[2] > 0x3B {
			reply = []byte{0x49}
			break
		}
		m.state.region = string(data)
	case cmd == 0x79:
		reply = []byte(m.state.region)
	case cmd == 0x89 && len(data) == 1:
		return r2000{}.round(m)
	default:
		reply = []byte{0x11}
	}
	return [][]byte{r2000Frame(cmd, reply...)}
}

func (r2000) round(m *Module) (out [][]byte) {
	port := m.state.antenna
	if m.unseated[port+1] {
		return [][]byte{r2000Frame(0x89, 0x22)}
	}
	for i, t := range m.inField(port + 1) {
		data := append([]byte{byte(40+i%10)<<2 | byte(port&3), 0x30, 0x00}, t.epc[:]...)
		strength := byte(int(t.rssi) + 129)
		if port > 3 {
			strength |= 0x80
		}
		out = append(out, r2000Frame(0x89, append(data, strength)...))
	}
	n := len(out)
	return append(out, r2000Frame(0x89, byte(port), byte(n*20>>8), byte(n*20), 0, 0, byte(n>>8), byte(n)))
}

// reader18 is "len addr cmd data crc crc" (UHFReader18, and UHFReader288 with several antennas).
type reader18 struct{}

func (reader18) factory() moduleState { return moduleState{region: "\x31\x80", power: 30} }

// mcrf is CRC-16/MCRF4XX, low byte first.
func mcrf(b []byte) []byte {
	reg := uint16(0xFFFF)
	for _, c := range b {
		for bit := range 8 {
			in := uint16(c>>bit) & 1
			out := reg & 1
			reg >>= 1
			if in != out {
				reg ^= 0x8408
			}
		}
	}
	return []byte{byte(reg), byte(reg >> 8)}
}

func (reader18) frame(b []byte) (int, byte, []byte, bool) {
	if b[0] < 4 {
		return 1, 0, nil, false
	}
	n := int(b[0]) + 1
	if len(b) < n {
		return 0, 0, nil, false
	}
	if !bytes.Equal(mcrf(b[:n-2]), b[n-2:n]) {
		return 1, 0, nil, false
	}
	return n, b[2], b[3 : n-2], b[1] == 0x00 || b[1] == 0xFF
}

func reader18Frame(cmd, status byte, data ...byte) []byte {
	out := append([]byte{byte(len(data) + 5), 0x00, cmd, status}, data...)
	return append(out, mcrf(out)...)
}

func (reader18) answer(m *Module, cmd byte, data []byte) [][]byte {
	switch {
	case cmd == 0x01:
		return reader18{}.round(m, data)
	case cmd == 0x21:
		return [][]byte{reader18Frame(cmd, 0, 3, 1, 0x0F, 2, m.state.region[0], m.state.region[1], m.state.power, 10, 1, 0, 0, 0, 0)}
	case cmd == 0x22 && len(data) == 2 && data[0]&0x3F >= data[1]&0x3F:
		m.state.region = string(data)
	case cmd == 0x2F && len(data) == 1 && data[0] <= 33:
		m.state.power = data[0]
	case cmd == 0x22 || cmd == 0x2F:
		return [][]byte{reader18Frame(cmd, 0xFF)}
	default:
		return [][]byte{reader18Frame(cmd, 0xFE)}
	}
	return [][]byte{reader18Frame(cmd, 0)}
}

// round tells at most four tags a frame; a reader with one port leaves antenna and strength out.
func (reader18) round(m *Module, data []byte) (out [][]byte) {
	port := 1
	switch {
	case m.Ports > 1 && len(data) < 2: // the firmware of several ports wants Q and session
		return [][]byte{reader18Frame(0x01, 0xFF)}
	case len(data) == 5:
		port = int(data[3]&0x7F) + 1
	}
	if port > m.Ports || m.unseated[port] {
		return [][]byte{reader18Frame(0x01, 0xF8)}
	}
	all := m.inField(port)
	if len(all) == 0 {
		return [][]byte{reader18Frame(0x01, 0xFB)}
	}
	for len(all) > 0 {
		n := min(len(all), 4)
		var list []byte
		if m.Ports > 1 {
			list = append(list, 1<<(port-1))
		}
		list = append(list, byte(n))
		for _, t := range all[:n] {
			list = append(append(list, 12), t.epc[:]...)
			if m.Ports > 1 {
				list = append(list, byte(int(t.rssi)+129))
			}
		}
		all = all[n:]
		status := byte(0x01)
		if len(all) > 0 {
			status = 0x03
		}
		out = append(out, reader18Frame(0x01, status, list...))
	}
	return out
}

// swReader is asked with "53 57 len len addr cmd data check" and answers with "43 54".
type swReader struct{}

func (swReader) factory() moduleState { return moduleState{region: "\x31\x80", power: 26, mode: 1} }

func (swReader) frame(b []byte) (int, byte, []byte, bool) {
	if b[0] != 0x53 || len(b) > 1 && b[1] != 0x57 {
		return 1, 0, nil, false
	}
	if len(b) < 4 {
		return 0, 0, nil, false
	}
	n := int(b[2])<<8 + int(b[3]) + 4
	if n < 7 || n > 512 {
		return 1, 0, nil, false
	}
	if len(b) < n {
		return 0, 0, nil, false
	}
	if zeroSum(b[:n]) != 0 {
		return 1, 0, nil, false
	}
	return n, b[5], b[6 : n-1], b[4] == 0x00 || b[4] == 0xFF
}

func swFrame(cmd, status byte, data ...byte) []byte {
	out := append([]byte{0x43, 0x54, byte((len(data) + 4) >> 8), byte(len(data) + 4), 0x00, cmd, status}, data...)
	return append(out, zeroSum(out))
}

func (swReader) answer(m *Module, cmd byte, data []byte) [][]byte {
	var reply []byte
	switch {
	case cmd == 0x10:
		reply = []byte{0x21, 0x10, 0xC3, 0x85, 0x14, 0x01, 0x02, 0x01, 0x77}
	case cmd == 0x24 && len(data) == 2 && data[0] == 0x05 && data[1] <= 30:
		m.state.power = data[1]
	case cmd == 0x24 && len(data) == 2 && data[0] == 0x02 && data[1] <= 2:
		m.state.mode = data[1]
	case cmd == 0x23 && len(data) == 1 && data[0] == 0x05:
		reply = []byte{m.state.power}
	case cmd == 0x23 && len(data) == 1 && data[0] == 0x02:
		reply = []byte{m.state.mode}
	case cmd == 0x3F && len(data) == 2:
		m.state.region = string(data)
	case cmd == 0x01 && m.state.mode == 0:
		all := m.inField(1)
		if len(all) == 0 {
			return [][]byte{swFrame(cmd, 0)}
		}
		reply = []byte{byte(len(all) >> 8), byte(len(all))}
		for _, t := range all {
			reply = append(append(append(reply, 15, 1, 1), t.epc[:]...), byte(t.rssi))
		}
	default:
		return [][]byte{swFrame(cmd, 0)}
	}
	return [][]byte{swFrame(cmd, 1, reply...)}
}
