package uhf

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"yizhan/devices/devicestest"
)

// A module is the hardware of any of the families.
type module struct {
	fam     family
	quietly bool                    // bb7e: says nothing when no tag is there
	wantsQ  bool                    // lenadr: refuses an inventory without Q and session
	mute    func(cmd byte) bool     // commands it doesn't answer
	refuse  map[byte]byte           // code by command
	missing map[int]bool            // ports without an antenna
	cap     int                     // the most power it gives, 0: any
	field   func(antenna int) []int // tags in an antenna's field, by their last byte; -46 dBm

	mu       sync.Mutex
	commands []byte // in their order
	region   []byte
	power    int // as on the wire
	mode     byte
	antenna  int
	polls    int  // rounds to go
	dead     bool // without power
	garbled  bool // its CRCs of tags are wrong
}

const roundTime = 20 * time.Millisecond

func (m *module) brownOut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.region, m.power, m.polls, m.antenna = nil, 0, 0, 0
}

func (m *module) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *module) said() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.commands)
}

func (m *module) run(ctx context.Context, conn devicestest.Conn) {
	in := frames{cut: m.fam.cut, counts: &counts{}}
	for ctx.Err() == nil {
		if conn.SetReadDeadline(time.Now().Add(roundTime)) != nil {
			return
		}
		err := in.fill(conn)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		for {
			f, ok := in.next(err != nil)
			if !ok {
				break
			}
			if !m.write(conn, m.obey(f)) {
				return
			}
		}
		if !m.write(conn, m.poll()) {
			return
		}
	}
}

func (m *module) write(conn io.Writer, all [][]byte) bool {
	for _, b := range all {
		if _, err := conn.Write(b); err != nil {
			return false
		}
	}
	return true
}

// obey answers one command.
func (m *module) obey(f []byte) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd, data := f[2], f[3:max(len(f)-2, 3)]
	switch m.fam.(type) {
	case bb7e:
		data = f[5 : len(f)-2]
	case a0:
		cmd, data = f[3], f[4:len(f)-1]
	case swct:
		cmd, data = f[5], f[6:len(f)-1]
	}
	m.commands = append(m.commands, cmd)
	if m.dead || m.mute != nil && m.mute(cmd) {
		return nil
	}
	if code, ok := m.refuse[cmd]; ok {
		return [][]byte{m.error(cmd, code)}
	}
	switch m.fam.(type) {
	case bb7e:
		return m.obeyBB(cmd, data)
	case a0:
		return m.obeyA0(cmd, data)
	case lenadr:
		return m.obeyLA(cmd, data)
	}
	return m.obeySW(cmd, data)
}

func (m *module) error(cmd, code byte) []byte {
	switch m.fam.(type) {
	case bb7e:
		return bbAnswer(bbResponse, bbError, code)
	case a0:
		return a0Frame(1, cmd, code).frame
	case lenadr:
		return laFrame(0, cmd, code).frame
	}
	return swAnswer(cmd, 0)
}

func bbAnswer(typ, cmd byte, params ...byte) []byte {
	f := bbFrame(cmd, params...).frame
	f[1] = typ
	f[len(f)-2] = sum(f[1 : len(f)-2])
	return f
}

func swAnswer(cmd, status byte, data ...byte) []byte {
	f := swFrame(0, cmd, append([]byte{status}, data...)...).frame
	f[0], f[1], f[len(f)-1] = 0x43, 0x54, 0
	f[len(f)-1] = -sum(f)
	return f
}

func (m *module) limited(p int) int {
	if m.cap > 0 {
		return min(p, m.cap)
	}
	return p
}

func (m *module) obeyBB(cmd byte, data []byte) [][]byte {
	if m.polls > 0 && cmd != bbStop {
		return nil // while it polls it obeys nothing else
	}
	reply := []byte{0}
	switch cmd {
	case bbInfo:
		reply = append(reply, "QM100 V1.00"...)
	case bbStop:
		m.polls = 0
	case bbSetRegion:
		m.region = slices.Clone(data)
	case bbGetRegion:
		reply = append([]byte{}, 2)
		if m.region != nil {
			reply = m.region
		}
	case bbSetPower:
		m.power = m.limited(int(binary.BigEndian.Uint16(data)))
	case bbGetPower:
		reply = binary.BigEndian.AppendUint16(nil, uint16(m.power))
	case bbMultiPoll:
		m.polls = int(binary.BigEndian.Uint16(data[1:]))
		return nil
	default:
		return [][]byte{m.error(cmd, 0x17)}
	}
	return [][]byte{bbAnswer(bbResponse, cmd, reply...)}
}

// epcOf is a tag's EPC: no GS1 code.
func epcOf(tag int) []byte {
	return []byte{0xE2, 0, 0x40, 0x74, 0x85, 10, 1, 3, 0x16, 0x30, 0x70, byte(tag)}
}

func (m *module) tags(antenna int) []int {
	if m.field == nil {
		return nil
	}
	return m.field(antenna)
}

// poll runs one round of bb7e's own.
func (m *module) poll() (out [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.polls == 0 || m.dead {
		return nil
	}
	m.polls--
	for _, t := range m.tags(1) {
		body := append([]byte{0x30, 0}, epcOf(t)...)
		crc := gen2CRC(body)
		if m.garbled {
			crc = 0
		}
		params := binary.BigEndian.AppendUint16(append([]byte{0xD2}, body...), crc)
		out = append(out, bbAnswer(bbNotice, bbPoll, params...))
	}
	if len(out) == 0 && !m.quietly {
		out = append(out, m.error(0, bbNoTag))
	}
	return out
}

func (m *module) obeyA0(cmd byte, data []byte) [][]byte {
	reply := []byte{a0OK}
	switch cmd {
	case a0Firmware:
		reply = []byte{1, 9}
	case a0SetRegion:
		m.region = slices.Clone(data)
	case a0GetRegion:
		reply = []byte{1, 7, 59}
		if m.region != nil {
			reply = m.region
		}
	case a0SetPower:
		m.power = m.limited(int(data[0]))
	case a0GetPower:
		reply = []byte{byte(m.power), byte(m.power), byte(m.power), byte(m.power)}
	case a0GetPower8:
		reply = make([]byte, 8)
		for i := range reply {
			reply[i] = byte(m.power)
		}
	case a0SetAntenna:
		m.antenna = int(data[0])
	case a0RealTime:
		if m.missing[m.antenna+1] {
			reply = []byte{a0AntennaMissing}
			break
		}
		var out [][]byte
		for _, t := range m.tags(m.antenna + 1) {
			d := append([]byte{29<<2 | byte(m.antenna&3), 0x30, 0}, epcOf(t)...)
			out = append(out, a0Frame(1, cmd, append(d, 83|byte(m.antenna/4*0x80))...).frame)
		}
		return append(out, a0Frame(1, cmd, byte(m.antenna), 0, 10, 0, 0, 0, byte(len(out))).frame)
	default:
		reply = []byte{0x11}
	}
	return [][]byte{a0Frame(1, cmd, reply...).frame}
}

func (m *module) obeyLA(cmd byte, data []byte) [][]byte {
	reply := []byte{0}
	switch cmd {
	case laInfo:
		region := []byte{0x31, 0x80}
		if m.region != nil {
			region = m.region
		}
		reply = []byte{0, 3, 1, 9, 2, region[0], region[1], byte(m.power), 10}
	case laSetRegion:
		m.region = slices.Clone(data)
	case laSetPower:
		m.power = m.limited(int(data[0]))
	case laInventory:
		return m.roundLA(data)
	default:
		reply = []byte{0xFE}
	}
	return [][]byte{laFrame(0, cmd, reply...).frame}
}

func (m *module) roundLA(data []byte) (out [][]byte) {
	antenna := 1
	if m.wantsQ && len(data) < 2 {
		return [][]byte{laFrame(0, laInventory, 0xFF).frame}
	}
	if len(data) == 5 {
		antenna = int(data[3]&0x0F) + 1
	}
	if m.missing[antenna] {
		return [][]byte{laFrame(0, laInventory, laAntennaMissing).frame}
	}
	all := m.tags(antenna)
	if len(all) == 0 {
		return [][]byte{laFrame(0, laInventory, laNoTag).frame}
	}
	for i, t := range all {
		reply := []byte{laMore}
		if i == len(all)-1 {
			reply = []byte{laDone}
		}
		if len(data) == 5 {
			reply = append(reply, 1<<(antenna-1), 1, 12)
			reply = append(append(reply, epcOf(t)...), 83)
		} else {
			reply = append(append(reply, 1, 12), epcOf(t)...)
		}
		out = append(out, laFrame(0, laInventory, reply...).frame)
	}
	return out
}

func (m *module) obeySW(cmd byte, data []byte) [][]byte {
	var reply []byte
	switch {
	case cmd == swInfo:
		reply = []byte{1, 1, 1, 2, 3, 4, 5, 6, 7}
	case cmd == swSetRegion:
		m.region = slices.Clone(data)
	case cmd == swSetParam && data[0] == swPower:
		m.power = m.limited(int(data[1]))
	case cmd == swSetParam && data[0] == swMode:
		m.mode = data[1]
	case cmd == swGetParam && data[0] == swPower:
		reply = []byte{swPower, byte(m.power)}
	case cmd == swGetParam && data[0] == swMode:
		reply = []byte{swMode, m.mode}
	case cmd == swInventory:
		all := m.tags(1)
		if len(all) == 0 {
			return [][]byte{swAnswer(cmd, 0)}
		}
		reply = []byte{0, byte(len(all))}
		for _, t := range all {
			reply = append(append(append(reply, 15, 1, 1), epcOf(t)...), 0xD2)
		}
	default:
		return [][]byte{swAnswer(cmd, 0)}
	}
	return [][]byte{swAnswer(cmd, swOK, reply...)}
}
