package llrp

import "encoding/binary"

// A builder writes one message.
type builder struct{ b []byte }

func (w *builder) u8(v byte)    { w.b = append(w.b, v) }
func (w *builder) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *builder) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// tlv writes a parameter whose body is what body writes.
func (w *builder) tlv(typ uint16, body func()) {
	start := len(w.b)
	w.u16(typ)
	w.u16(0)
	body()
	binary.BigEndian.PutUint16(w.b[start+2:], uint16(len(w.b)-start))
}

// message writes a message of LLRP 1.0.1, which readers of 1.1 speak until told otherwise.
func message(typ uint16, id uint32, body func(*builder)) []byte {
	w := &builder{b: make([]byte, 0, 128)}
	w.u16(1<<10 | typ)
	w.u32(0)
	w.u32(id)
	if body != nil {
		body(w)
	}
	binary.BigEndian.PutUint32(w.b[2:], uint32(len(w.b)))
	return w.b
}

// specMessage is START, STOP, ENABLE, DISABLE or DELETE_ROSPEC; spec 0 means all but for START.
func specMessage(typ uint16, id, spec uint32) []byte {
	return message(typ, id, func(w *builder) { w.u32(spec) })
}

// Events of ReaderEventNotificationSpec (LLRP 1.0.1, 13.1.6).
const (
	eventGPI       = 1
	eventROSpec    = 2
	eventBuffer    = 3
	eventException = 4
	eventAntenna   = 8
)

// setConfig is SET_READER_CONFIG: keepalives, and the events and inputs that are wanted.
func setConfig(id, keepaliveMS uint32, events, inputs []uint16) []byte {
	return message(msgSetConfig, id, func(w *builder) {
		w.u8(0) // no reset to factory defaults: the reader's own network settings stay
		if len(events) > 0 {
			w.tlv(prmEventSpec, func() {
				for _, e := range events {
					w.tlv(prmEventState, func() { w.u16(e); w.u8(0x80) })
				}
			})
		}
		w.tlv(prmKeepalive, func() { w.u8(1); w.u32(keepaliveMS) })
		for _, port := range inputs {
			w.tlv(prmGPIState, func() { w.u16(port); w.u8(0x80); w.u8(2) })
		}
		if len(events) > 0 {
			w.tlv(prmEventsReports, func() { w.u8(0) }) // don't hold after a reconnect
		}
	})
}

// Bits of TagReportContentSelector and C1G2EPCMemorySelector.
const (
	selectAntenna   = 1 << 12
	selectRSSI      = 1 << 10
	selectFirstSeen = 1 << 9
	selectLastSeen  = 1 << 8
	selectCount     = 1 << 7

	memoryCRC = 0x80
	memoryPC  = 0x40
)

// A roSpec is what the reader is told to do: inventory without end, every read reported.
type roSpec struct {
	id       uint32
	antennas []uint16 // 0: all
	memory   byte
	radio    radio
}

// radio is what differs from the reader's own settings.
type radio struct {
	power      uint16 // index into the reader's table, 0: as it is
	hopTable   uint16
	channel    uint16
	session    int // -1: as it is
	population uint16
}

func (s roSpec) add(id uint32) []byte {
	return message(msgAddROSpec, id, func(w *builder) {
		w.tlv(prmROSpec, func() {
			w.u32(s.id)
			w.u8(0) // priority: highest
			w.u8(0) // disabled, as it must be when added
			w.tlv(prmBoundary, func() {
				w.tlv(prmStartTrigger, func() { w.u8(0) })
				w.tlv(prmStopTrigger, func() { w.u8(0); w.u32(0) })
			})
			w.tlv(prmAISpec, func() {
				w.u16(uint16(len(s.antennas)))
				for _, a := range s.antennas {
					w.u16(a)
				}
				w.tlv(prmAIStop, func() { w.u8(0); w.u32(0) })
				w.tlv(prmInventory, func() { w.u16(1); w.u8(1); s.radio.write(w, s.antennas) })
			})
			w.tlv(prmROReport, func() {
				w.u8(1)
				w.u16(1)
				w.tlv(prmSelector, func() {
					w.u16(selectAntenna | selectRSSI | selectFirstSeen | selectLastSeen | selectCount)
					w.tlv(prmMemSelector, func() { w.u8(s.memory) })
				})
			})
		})
	})
}

func (r radio) write(w *builder, antennas []uint16) {
	if r.power == 0 && r.session < 0 {
		return
	}
	for _, a := range antennas {
		w.tlv(prmAntennaConfig, func() {
			w.u16(a)
			if r.power != 0 {
				w.tlv(prmTransmitter, func() { w.u16(r.hopTable); w.u16(r.channel); w.u16(r.power) })
			}
			if r.session >= 0 {
				w.tlv(prmC1G2Inventory, func() {
					w.u8(0)
					w.tlv(prmSingulation, func() { w.u8(byte(r.session << 6)); w.u16(r.population); w.u32(0) })
				})
			}
		})
	}
}
