package llrp

import "encoding/binary"

const headerSize = 10

// Message types (LLRP 1.0.1, 16.1; 46 to 57 are of 1.1).
const (
	msgCapabilities         = 1
	msgSetConfig            = 3
	msgCloseResponse        = 4
	msgCapabilitiesResponse = 11
	msgSetConfigResponse    = 13
	msgClose                = 14
	msgAddROSpec            = 20
	msgDeleteROSpec         = 21
	msgStartROSpec          = 22
	msgStopROSpec           = 23
	msgEnableROSpec         = 24
	msgDisableROSpec        = 25
	msgReport               = 61
	msgKeepalive            = 62
	msgEvent                = 63
	msgEnableEvents         = 64
	msgKeepaliveAck         = 72
	msgError                = 100
	msgCustom               = 1023

	// A response is numbered ten above its request.
	toResponse = 10
)

// Parameter types (LLRP 1.0.1, 17).
const (
	tvAntenna     = 1
	tvFirstUTC    = 2
	tvFirstUptime = 3
	tvLastUTC     = 4
	tvLastUptime  = 5
	tvPeakRSSI    = 6
	tvSeenCount   = 8
	tvPC          = 12
	tvEPC96       = 13

	prmUTC            = 128
	prmUptime         = 129
	prmGeneralCaps    = 137
	prmRegulatoryCaps = 143
	prmUHFBand        = 144
	prmPowerLevel     = 145
	prmFrequency      = 146
	prmHopTable       = 147
	prmROSpec         = 177
	prmBoundary       = 178
	prmStartTrigger   = 179
	prmStopTrigger    = 182
	prmAISpec         = 183
	prmAIStop         = 184
	prmInventory      = 186
	prmKeepalive      = 220
	prmAntennaConfig  = 222
	prmTransmitter    = 224
	prmGPIState       = 225
	prmEventsReports  = 226
	prmROReport       = 237
	prmSelector       = 238
	prmTagReport      = 240
	prmEPCData        = 241
	prmEventSpec      = 244
	prmEventState     = 245
	prmEventData      = 246
	prmGPIEvent       = 248
	prmROSpecEvent    = 249
	prmBufferLevel    = 250
	prmOverflow       = 251
	prmException      = 252
	prmAntennaEvent   = 255
	prmAttempt        = 256
	prmConnClose      = 257
	prmStatus         = 287
	prmC1G2Inventory  = 330
	prmSingulation    = 336
	prmMemSelector    = 348
)

// tvSize is the size of each TV parameter with its type byte; 0: unknown, so unskippable.
var tvSize = [128]uint8{
	1: 3, 2: 9, 3: 9, 4: 9, 5: 9, 6: 2, 7: 3, 8: 3, 9: 5, 10: 3, 11: 3, 12: 3, 13: 13,
	14: 3, 15: 3, 16: 5, 17: 3, 18: 5, 19: 3, 20: 3,
}

// maxMessage is the longest message taken for one. A report of 4,000 tags has about 200 KB.
const maxMessage = 1 << 18

// shape is what is known of a message type: the size of its fields before the parameters, and
// its length limits, header included.
type shape struct {
	fields, least, most int
}

var shapes = func() map[uint16]shape {
	m := map[uint16]shape{
		msgCapabilities: {1, 11, 1 << 12}, msgSetConfig: {1, 11, 1 << 14}, msgClose: {0, 10, 10},
		2: {7, 17, 1 << 12}, 12: {0, 18, maxMessage}, // GET_READER_CONFIG
		msgCapabilitiesResponse: {0, 18, maxMessage}, msgCloseResponse: {0, 18, 1 << 12},
		msgAddROSpec: {0, 14, 1 << 16}, 26: {0, 10, 10}, 36: {0, 18, maxMessage}, // GET_ROSPECS
		40: {0, 14, 1 << 16}, 44: {0, 10, 10}, 54: {0, 18, maxMessage}, // ADD_ACCESSSPEC, GET_ACCESSSPECS
		46: {0, 10, 10}, 47: {1, 11, 11}, 56: {2, 20, 1 << 12}, // version negotiation
		60: {0, 10, 10}, msgReport: {0, 10, maxMessage}, msgKeepalive: {0, 10, 10},
		msgEvent: {0, 14, 1 << 14}, msgEnableEvents: {0, 10, 10}, msgKeepaliveAck: {0, 10, 10},
		msgError: {0, 18, 1 << 14}, msgCustom: {-1, 15, maxMessage},
	}
	for t := uint16(msgDeleteROSpec); t <= msgDisableROSpec; t++ {
		m[t] = shape{4, 14, 14}
	}
	for t := uint16(41); t <= 43; t++ { // DELETE, ENABLE, DISABLE_ACCESSSPEC
		m[t] = shape{4, 14, 14}
	}
	for _, t := range []uint16{13, 30, 31, 32, 33, 34, 35, 50, 51, 52, 53, 57} {
		m[t] = shape{0, 18, 1 << 14}
	}
	return m
}()

type header struct {
	typ    uint16
	length int
	id     uint32
}

// parseHeader reads the ten bytes of a header; ok is false unless it can be one.
func parseHeader(b []byte) (h header, s shape, ok bool) {
	if b[0] < 0x04 || b[0] > 0x0b { // reserved bits zero, version 1 or 2
		return h, s, false
	}
	h.typ = binary.BigEndian.Uint16(b) & 0x3ff
	length := binary.BigEndian.Uint32(b[2:])
	h.id = binary.BigEndian.Uint32(b[6:])
	if s, ok = shapes[h.typ]; !ok || length < uint32(s.least) || length > uint32(s.most) {
		return h, s, false
	}
	h.length = int(length)
	return h, s, true
}

// A param is one parameter; a TV's body goes without its type byte.
type param struct {
	typ  uint16
	body []byte
}

type ending uint8

const (
	atEnd     ending = iota
	unknownTV        // the rest can't be told apart
	broken           // lengths that lead nowhere: not LLRP, or cut
)

// params walks parameters: for p.next() { p.typ, p.body }.
type params struct {
	rest []byte
	param
	end ending
}

func (p *params) next() bool {
	b := p.rest
	if len(b) == 0 {
		return false
	}
	if b[0]&0x80 != 0 {
		size := int(tvSize[b[0]&0x7f])
		switch {
		case size == 0:
			p.end = unknownTV
			return false
		case size > len(b):
			p.end = broken
			return false
		}
		p.typ, p.body, p.rest = uint16(b[0]&0x7f), b[1:size], b[size:]
		return true
	}
	if len(b) < 4 {
		p.end = broken
		return false
	}
	typ, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	if typ < 128 || typ > 1023 || size < 4 || size > len(b) {
		p.end = broken
		return false
	}
	p.typ, p.body, p.rest = typ, b[4:size], b[size:]
	return true
}

// find returns the first parameter of a type.
func find(b []byte, typ uint16) ([]byte, bool) {
	for p := (params{rest: b}); p.next(); {
		if p.typ == typ {
			return p.body, true
		}
	}
	return nil, false
}
