package modbus

import (
	"encoding/binary"
	"fmt"
)

// The functions that are ever sent.
const (
	readHolding = 3
	readInput   = 4
)

// exceptionBit is set in the function byte of a reply that says no.
const exceptionBit = 0x80

// maxRegisters is the most one request may ask for (V1.1b3, 6.3 and 6.4).
const maxRegisters = 125

// An Exception is a unit's refusal of a request.
type Exception byte

var exceptionNames = map[Exception]string{
	1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure",
	5: "acknowledge", 6: "device busy", 8: "memory parity error",
	10: "gateway path unavailable", 11: "gateway target did not answer",
}

// Error names the exception.
func (e Exception) Error() string {
	name, ok := exceptionNames[e]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("exception %d: %s", byte(e), name)
}

// passing reports whether asking again may help.
func (e Exception) passing() bool {
	switch e {
	case 4, 5, 6, 10, 11:
		return true
	}
	return false
}

// A request asks one unit for a block of registers.
type request struct {
	unit     byte
	function byte
	address  uint16
	count    uint16
}

// crc16 is the check of an RTU frame (serial line guide V1.02, 6.2.2); it goes out low byte first.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

func crcOK(frame []byte) bool {
	n := len(frame) - 2
	return crc16(frame[:n]) == binary.LittleEndian.Uint16(frame[n:])
}

func (q request) appendPDU(b []byte) []byte {
	b = append(b, q.unit, q.function)
	b = binary.BigEndian.AppendUint16(b, q.address)
	return binary.BigEndian.AppendUint16(b, q.count)
}

// A verdict says what stands at the start of received bytes.
type verdict int

const (
	more        verdict = iota // the beginning of a frame: read on
	whole                      // a frame
	foreign                    // no frame begins here
	badChecksum                // a frame but for its check
	late                       // a frame that answers an earlier request
)

// A framing wraps requests and finds their replies. find looks at the start of b only; for a
// whole frame pdu begins with the function byte.
type framing interface {
	appendRequest(dst []byte, q request, transaction uint16) []byte
	find(b []byte, q request, transaction uint16) (size int, pdu []byte, v verdict)
}

type rtu struct{}

func (rtu) appendRequest(dst []byte, q request, _ uint16) []byte {
	from := len(dst)
	dst = q.appendPDU(dst)
	return binary.LittleEndian.AppendUint16(dst, crc16(dst[from:]))
}

func (rtu) find(b []byte, q request, _ uint16) (int, []byte, verdict) {
	size, v := expected(b, q)
	switch {
	case v != whole:
		return 0, nil, v
	case len(b) < size+2:
		return 0, nil, more
	case !crcOK(b[:size+2]):
		return size + 2, nil, badChecksum
	}
	return size + 2, b[1:size], whole
}

// expected is the length of unit and PDU that answer q, as far as b tells.
func expected(b []byte, q request) (int, verdict) {
	switch {
	case len(b) == 0:
		return 0, more
	case b[0] != q.unit:
		return 0, foreign
	case len(b) == 1:
		return 0, more
	case b[1] == q.function|exceptionBit:
		return 3, whole
	case b[1] != q.function:
		return 0, foreign
	case len(b) == 2:
		return 0, more
	case int(b[2]) != 2*int(q.count):
		return 0, foreign
	}
	return 3 + int(b[2]), whole
}

// mbapSize is the MBAP header's length up to the unit: transaction, protocol, length.
const mbapSize = 6

type tcp struct{}

func (tcp) appendRequest(dst []byte, q request, transaction uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, transaction)
	return q.appendPDU(append(dst, 0, 0, 0, 6))
}

// recent is how many transactions back a reply is known as a late one.
const recent = 16

func (tcp) find(b []byte, q request, transaction uint16) (int, []byte, verdict) {
	if len(b) < mbapSize {
		return 0, nil, more
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if b[2] != 0 || b[3] != 0 || length < 3 || length > 254 {
		return 0, nil, foreign
	}
	size := mbapSize + length
	if age := transaction - binary.BigEndian.Uint16(b); age != 0 {
		if age > recent {
			return 0, nil, foreign
		}
		if len(b) < size {
			return 0, nil, more
		}
		return size, nil, late
	}
	want, v := expected(b[mbapSize:], q)
	switch {
	case v != whole:
		return 0, nil, v
	case want != length:
		return 0, nil, foreign
	case len(b) < size:
		return 0, nil, more
	}
	return size, b[mbapSize+1 : size], whole
}

// registers takes the reply's PDU apart.
func registers(pdu []byte) ([]uint16, error) {
	if pdu[0]&exceptionBit != 0 {
		return nil, Exception(pdu[1])
	}
	regs := make([]uint16, 0, (len(pdu)-2)/2)
	for b := pdu[2:]; len(b) >= 2; b = b[2:] {
		regs = append(regs, binary.BigEndian.Uint16(b))
	}
	return regs, nil
}
