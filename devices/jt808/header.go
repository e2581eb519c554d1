package jt808

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Message ids.
const (
	terminalAck     = 0x0001
	heartbeat       = 0x0002
	logout          = 0x0003
	timeRequest     = 0x0004
	registerRequest = 0x0100
	authRequest     = 0x0102
	paramsReply     = 0x0104
	attributesReply = 0x0107
	locationReport  = 0x0200
	locationReply   = 0x0201
	locationBatch   = 0x0704

	platformAck     = 0x8001
	askFragments    = 0x8003
	timeReply       = 0x8004
	registerReply   = 0x8100
	setParams       = 0x8103
	queryParams     = 0x8104
	control         = 0x8105
	queryLocation   = 0x8201
	trackTemporary  = 0x8202
	textMessage     = 0x8300
	maxBody         = 1023
	maxParamsInBody = 255
)

// Results of a general acknowledgement.
const (
	resultOK          = 0
	resultFailed      = 1
	resultBad         = 2
	resultUnsupported = 3
)

// Bits of the body attributes.
const (
	lengthBits     = 0x03ff
	encryptionBits = 0x1c00
	fragmentBit    = 0x2000
	versionBit     = 0x4000
)

// phone is a terminal's number: BCD as a rule, an id in hex with some makers. The 12 digits of 2011 and 2013 are
// padded to the 20 of 2019, so that a terminal stays itself when its firmware learns another version.
type phone [10]byte

// parsePhone reads 1 to 20 digits or letters a to f, without regard to leading zeros.
func parsePhone(s string) (p phone, ok bool) {
	if s == "" || len(s) > 20 {
		return p, false
	}
	_, err := hex.Decode(p[:], []byte(strings.Repeat("0", 20-len(s))+s))
	return p, err == nil
}

// String is the number in its padded form: 12 digits where they hold it, else 20.
func (p phone) String() string {
	s := hex.EncodeToString(p[:])
	return strings.TrimPrefix(s, "00000000")
}

// device is the id of a terminal that has no other.
func (p phone) device() string { return "t" + p.String() }

// A header of a message (JT/T 808-2013, 4.4.3; 2019, 4.4.3).
type header struct {
	id       uint16
	attr     uint16
	phone    phone
	is2019   bool
	revision byte // of the protocol, 2019 only
	serial   uint16
	total    uint16   // packets of a message in fragments, else 0
	number   uint16   // of this packet, from 1
	acks     []uint16 // serials to acknowledge in place of serial: the fragments of a whole message
}

// parseHeader splits what stands before the check. A terminal may set the version bit and send the header of
// 2013; the length that is right decides. With badLength the header is the best guess, and body all that follows.
func parseHeader(b []byte) (h header, body []byte, why counter) {
	attr := binary.BigEndian.Uint16(b[2:])
	if attr&versionBit != 0 {
		if h, body, ok := parseAs(b, true); ok && len(body) == int(attr&lengthBits) {
			return h, body, framesOK
		}
	}
	h, body, ok := parseAs(b, false)
	if ok && len(body) == int(attr&lengthBits) {
		return h, body, framesOK
	}
	if attr&versionBit != 0 {
		if h, body, ok := parseAs(b, true); ok {
			return h, body, badLength
		}
	}
	if !ok {
		return h, nil, badLength
	}
	return h, body, badLength
}

func parseAs(b []byte, is2019 bool) (h header, body []byte, ok bool) {
	h.id, h.attr, h.is2019 = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), is2019
	n := 10
	if is2019 {
		n = 15
	}
	rest := 2
	if h.attr&fragmentBit != 0 {
		rest = 6
	}
	if len(b) < n+rest {
		return h, nil, false
	}
	if is2019 {
		h.revision = b[4]
		copy(h.phone[:], b[5:15])
	} else {
		copy(h.phone[4:], b[4:10])
	}
	h.serial = binary.BigEndian.Uint16(b[n:])
	if rest == 6 {
		h.total, h.number = binary.BigEndian.Uint16(b[n+2:]), binary.BigEndian.Uint16(b[n+4:])
	}
	return h, b[n+rest:], true
}

// appendMessage appends the frame of a message to a terminal, in the version that h speaks.
func (h *header) appendMessage(dst []byte, id, serial uint16, body []byte) []byte {
	var b [17]byte
	binary.BigEndian.PutUint16(b[:], id)
	n := 10
	attr := uint16(len(body))
	if h.is2019 {
		attr |= versionBit
		b[4] = h.revision
		copy(b[5:], h.phone[:])
		n = 15
	} else {
		copy(b[4:], h.phone[4:])
	}
	binary.BigEndian.PutUint16(b[2:], attr)
	binary.BigEndian.PutUint16(b[n:], serial)
	return appendFrame(dst, b[:n+2], body)
}
