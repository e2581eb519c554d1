package firmware

import (
	"encoding/binary"
	"errors"
	"time"
)

// Message types (LLRP 1.0.1, section 16.1).
const (
	msgGetCapabilities = 1
	msgGetConfig       = 2
	msgSetConfig       = 3
	msgCloseResponse   = 4
	msgClose           = 14
	msgAddROSpec       = 20
	msgDeleteROSpec    = 21
	msgStartROSpec     = 22
	msgStopROSpec      = 23
	msgEnableROSpec    = 24
	msgDisableROSpec   = 25
	msgGetROSpecs      = 26
	msgGetAccessSpecs  = 44
	msgDeleteAccess    = 41
	msgGetReport       = 60
	msgReport          = 61
	msgKeepalive       = 62
	msgEvent           = 63
	msgEnableEvents    = 64
	msgKeepaliveAck    = 72
	msgError           = 100
)

// Parameter types (section 16.2).
const (
	parUTC          = 128
	parGeneralCaps  = 137
	parROSpec       = 177
	parBoundary     = 178
	parStartTrigger = 179
	parAISpec       = 183
	parKeepalive    = 220
	parROReport     = 237
	parContent      = 238
	parTagReport    = 240
	parEventData    = 246
	parAttempt      = 256
	parStatus       = 287
	tvAntenna       = 1
	tvFirstSeen     = 2
	tvLastSeen      = 4
	tvPeakRSSI      = 6
	tvChannel       = 7
	tvSeenCount     = 8
	tvROSpecID      = 9
	tvSpecIndex     = 14
	tvInventorySpec = 10
	tvEPC96         = 13
	codeSuccess     = 0
	codeParameter   = 100
	codeField       = 101
	codeUnsupported = 109
)

// rospec is what of a ROSpec this reader honours.
type rospec struct {
	id       uint32
	enabled  bool
	running  bool
	start    byte // start trigger: 0 null, 1 immediate
	antennas []uint16
	report   byte   // RO report trigger: 0 none, 1 or 2 report
	content  uint16 // TagReportContentSelector
}

// handle answers one message of the client.
func (s *session) handle(typ uint16, id uint32, body []byte) error {
	reply := func(code uint16, text string) { s.send(typ+10, id, status(code, text)) }
	switch typ {
	case msgGetCapabilities:
		s.send(typ+10, id, append(status(codeSuccess, ""), s.capabilities()...))
	case msgGetConfig:
		reply(codeSuccess, "")
	case msgSetConfig:
		reply(s.setConfig(body))
	case msgAddROSpec:
		reply(s.addROSpec(body))
	case msgDeleteROSpec, msgStartROSpec, msgStopROSpec, msgEnableROSpec, msgDisableROSpec:
		reply(s.changeROSpec(typ, body))
	case msgGetROSpecs, msgGetAccessSpecs, msgDeleteAccess:
		reply(codeSuccess, "")
	case msgKeepaliveAck, msgEnableEvents, msgGetReport:
	case msgClose:
		s.send(msgCloseResponse, id, status(codeSuccess, ""))
		return errors.New("closed by the client")
	default:
		s.send(msgError, id, status(codeUnsupported, "unsupported message"))
	}
	return nil
}

// capabilities is a GeneralDeviceCapabilities: antennas, a UTC clock, a maker and a model.
func (s *session) capabilities() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(s.reader.Antennas))
	b = append(b, 0x40, 0) // has a UTC clock
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, 1)
	const firmware = "1.0.0"
	b = binary.BigEndian.AppendUint16(b, uint16(len(firmware)))
	return tlv(parGeneralCaps, append(b, firmware...))
}

func (s *session) setConfig(body []byte) (code uint16, text string) {
	if len(body) < 1 {
		return codeParameter, "reset flag is absent"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body[0]&0x80 != 0 { // back to factory settings
		s.specs, s.keepalive = make(map[uint32]*rospec), 0
	}
	err := eachTLV(body[1:], func(typ uint16, v []byte) error {
		if typ == parKeepalive {
			if len(v) != 5 {
				return errors.New("keepalive specification")
			}
			s.keepalive = 0
			if v[0] == 1 {
				s.keepalive = time.Duration(binary.BigEndian.Uint32(v[1:])) * time.Millisecond
			}
		}
		return nil
	})
	if err != nil {
		return codeParameter, err.Error()
	}
	return codeSuccess, ""
}

func (s *session) addROSpec(body []byte) (code uint16, text string) {
	var spec *rospec
	err := eachTLV(body, func(typ uint16, v []byte) (err error) {
		if typ != parROSpec || spec != nil {
			return errors.New("expected one ROSpec")
		}
		spec, err = parseROSpec(v)
		return err
	})
	switch {
	case err != nil:
		return codeParameter, err.Error()
	case spec == nil:
		return codeParameter, "ROSpec is absent"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec.id == 0 || s.specs[spec.id] != nil {
		return codeField, "ROSpecID"
	}
	s.specs[spec.id] = spec
	return codeSuccess, ""
}

func parseROSpec(v []byte) (*rospec, error) {
	if len(v) < 6 || v[5] != 0 {
		return nil, errors.New("ROSpec must start disabled")
	}
	spec := &rospec{id: binary.BigEndian.Uint32(v), report: 1, content: 0xFFC0}
	err := eachTLV(v[6:], func(typ uint16, v []byte) error {
		switch typ {
		case parBoundary:
			return eachTLV(v, func(typ uint16, v []byte) error {
				if typ == parStartTrigger && len(v) > 0 {
					spec.start = v[0]
				}
				return nil
			})
		case parAISpec:
			if len(v) < 2 || len(v) < 2+2*int(binary.BigEndian.Uint16(v)) {
				return errors.New("AISpec")
			}
			for i := range int(binary.BigEndian.Uint16(v)) {
				spec.antennas = append(spec.antennas, binary.BigEndian.Uint16(v[2+2*i:]))
			}
			return nil
		case parROReport:
			if len(v) < 3 {
				return errors.New("ROReportSpec")
			}
			spec.report = v[0]
			return eachTLV(v[3:], func(typ uint16, v []byte) error {
				if typ == parContent && len(v) >= 2 {
					spec.content = binary.BigEndian.Uint16(v)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(spec.antennas) == 0 {
		err = errors.New("no AISpec")
	}
	return spec, err
}

// changeROSpec deletes, starts, stops, enables or disables one ROSpec, or with id 0 all.
func (s *session) changeROSpec(typ uint16, body []byte) (code uint16, text string) {
	if len(body) != 4 {
		return codeParameter, "ROSpecID is absent"
	}
	id := binary.BigEndian.Uint32(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != 0 && s.specs[id] == nil || id == 0 && (typ == msgStartROSpec || typ == msgStopROSpec) {
		return codeField, "no such ROSpec"
	}
	for key, spec := range s.specs {
		if id != 0 && id != key {
			continue
		}
		switch typ {
		case msgDeleteROSpec:
			delete(s.specs, key)
		case msgEnableROSpec:
			spec.enabled, spec.running = true, spec.running || spec.start == 1
		case msgDisableROSpec:
			spec.enabled, spec.running = false, false
		case msgStopROSpec:
			spec.running = false
		case msgStartROSpec:
			if !spec.enabled {
				return codeField, "ROSpec is disabled"
			}
			spec.running = true
		}
	}
	return codeSuccess, ""
}

// tagReport is a TagReportData with what the ROSpec's content selector asks for.
func tagReport(spec *rospec, t seen, now time.Time) []byte {
	v := append([]byte{0x80 | tvEPC96}, t.epc[:]...)
	want := func(bit int) bool { return spec.content>>(15-bit)&1 == 1 }
	us := uint64(now.UnixMicro())
	if want(0) {
		v = binary.BigEndian.AppendUint32(append(v, 0x80|tvROSpecID), spec.id)
	}
	if want(1) {
		v = append(v, 0x80|tvSpecIndex, 0, 1)
	}
	if want(2) {
		v = append(v, 0x80|tvInventorySpec, 0, 1)
	}
	if want(3) {
		v = binary.BigEndian.AppendUint16(append(v, 0x80|tvAntenna), uint16(t.antenna))
	}
	if want(5) {
		v = append(v, 0x80|tvPeakRSSI, byte(t.rssi))
	}
	if want(4) {
		v = append(v, 0x80|tvChannel, 0, byte(1+us/400_000%16))
	}
	if want(6) {
		v = binary.BigEndian.AppendUint64(append(v, 0x80|tvFirstSeen), us)
	}
	if want(7) {
		v = binary.BigEndian.AppendUint64(append(v, 0x80|tvLastSeen), us)
	}
	if want(8) {
		v = append(v, 0x80|tvSeenCount, 0, 1)
	}
	return tlv(parTagReport, v)
}

func connectionAttempt(status uint16) []byte {
	return tlv(parAttempt, binary.BigEndian.AppendUint16(nil, status))
}

func status(code uint16, text string) []byte {
	v := binary.BigEndian.AppendUint16(nil, code)
	v = binary.BigEndian.AppendUint16(v, uint16(len(text)))
	return tlv(parStatus, append(v, text...))
}

func tlv(typ uint16, v []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(v)))
	return append(b, v...)
}

// eachTLV walks the TLV parameters of b; TVs don't occur in what clients send.
func eachTLV(b []byte, f func(typ uint16, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 || b[0]&0x80 != 0 {
			return errors.New("malformed parameter")
		}
		typ, size := binary.BigEndian.Uint16(b)&0x3FF, int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			return errors.New("parameter length")
		}
		if err := f(typ, b[4:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}
