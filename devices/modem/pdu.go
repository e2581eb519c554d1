package modem

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Kinds of PDU.
const (
	deliver = "deliver" // a message that came
	submit  = "submit"  // a message to send
	report  = "report"  // what became of one that was sent
)

// A pdu is what the driver understands of a PDU. number and text are personal: they never leave this package whole.
type pdu struct {
	kind   string
	number string // of the other side; a name where that is no number
	named  bool   // number is a name
	mr     byte   // message reference: of submit and report
	status byte   // TP-ST: of report

	sent       time.Time // time stamp of the service centre
	discharged time.Time // of report

	alphabet         alphabet
	text             string
	ref, total, part int // of a concatenated message; total is 0 otherwise
}

var (
	errHex = errors.New("is no hex")
	errCut = errors.New("is cut off")
)

// parsePDU reads a PDU as modems tell it: hex, behind the service centre's address. length is the one that was
// told with it, octets without that address, or below 0.
func parsePDU(line string, length int) (pdu, error) {
	raw, err := hex.DecodeString(line)
	if err != nil {
		return pdu{}, errHex
	}
	if len(raw) == 0 {
		return pdu{}, errCut
	}
	sca := 1 + int(raw[0])
	if length >= 0 && len(raw) == length { // modems that leave the address out
		sca = 0
	}
	switch {
	case sca > 13:
		return pdu{}, fmt.Errorf("service centre's address of %d octets", sca-1)
	case sca >= len(raw):
		return pdu{}, errCut
	case length >= 0 && len(raw)-sca != length:
		return pdu{}, fmt.Errorf("has %d octets, %d were announced", len(raw)-sca, length)
	}
	return parseTPDU(raw[sca:])
}

// A cursor walks octets; bad is set when they end too early.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.bad = true
		return make([]byte, n)
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) octet() byte { return c.take(1)[0] }

func parseTPDU(b []byte) (p pdu, err error) {
	c := cursor{b: b}
	first := c.octet()
	switch first & mtiMask {
	case 0, 3: // 3 is reserved, to be read as a deliver
		p.kind = deliver
		p.address(&c)
		c.octet() // TP-PID
		dcs := c.octet()
		p.sent = timestamp(c.take(7))
		p.userData(&c, first&withUDH != 0, dcs)
	case mtiSubmit:
		p.kind = submit
		p.mr = c.octet()
		p.address(&c)
		c.octet()
		dcs := c.octet()
		switch first & vpMask {
		case 0:
		case vpShort:
			c.octet()
		default:
			c.take(7)
		}
		p.userData(&c, first&withUDH != 0, dcs)
	default:
		p.kind = report
		p.mr = c.octet()
		p.address(&c)
		p.sent = timestamp(c.take(7))
		p.discharged = timestamp(c.take(7))
		p.status = c.octet()
		// TP-PI and what it announces say nothing that matters here.
	}
	if c.bad {
		return pdu{}, errCut
	}
	return p, nil
}

// address reads a number or name (3GPP TS 23.040 section 9.1.2.5).
func (p *pdu) address(c *cursor) {
	digits := int(c.octet())
	kind := c.octet()
	if digits > 20 {
		c.bad = true
		return
	}
	b := c.take((digits + 1) / 2)
	if c.bad {
		return
	}
	if kind&0x70 == 0x50 { // alphanumeric: septets
		p.named = true
		p.number = fromSeptets(unpack(b, len(b)*8/7, 0))
		if n := digits * 4 / 7; n < len([]rune(p.number)) {
			p.number = string([]rune(p.number)[:n])
		}
		return
	}
	var out []byte
	if kind&0x70 == 0x10 {
		out = append(out, '+')
	}
	for i := range digits {
		out = append(out, "0123456789*#abc?"[nibble(b, i)])
	}
	p.number = string(out)
}

// nibble is semi-octet i, the low half first.
func nibble(b []byte, i int) byte { return b[i/2] >> (4 * (i % 2)) & 0xF }

// timestamp reads a service centre's time stamp (section 9.2.3.11); zero when it is none.
func timestamp(b []byte) time.Time {
	var f [6]int
	for i := range f {
		lo, hi := b[i]&0xF, b[i]>>4
		if lo > 9 || hi > 9 {
			return time.Time{}
		}
		f[i] = int(lo)*10 + int(hi)
	}
	quarters := int(b[6]&0x7)*10 + int(b[6]>>4)
	if b[6]&0x8 != 0 {
		quarters = -quarters
	}
	if b[6]>>4 > 9 || quarters < -56 || quarters > 56 {
		return time.Time{}
	}
	t := time.Date(2000+f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], 0, time.UTC)
	if t.Month() != time.Month(f[1]) || t.Day() != f[2] || f[3] > 23 || f[4] > 59 || f[5] > 59 {
		return time.Time{}
	}
	return t.Add(-time.Duration(quarters) * 15 * time.Minute)
}

// alphabetOf reads a data coding scheme (3GPP TS 23.038 section 4).
func alphabetOf(dcs byte) alphabet {
	general := func(bits byte) alphabet { return [4]alphabet{gsm7, eight, ucs2, gsm7}[bits&3] }
	switch {
	case dcs < 0x80 && dcs&0x20 != 0: // compressed
		return eight
	case dcs < 0x80:
		return general(dcs >> 2)
	case dcs >= 0xF0:
		return general(dcs >> 2 & 1)
	case dcs >= 0xE0:
		return ucs2
	}
	return gsm7
}

// userData reads the text and, where there is a header, which part of a message it is.
func (p *pdu) userData(c *cursor, udh bool, dcs byte) {
	p.alphabet = alphabetOf(dcs)
	length := int(c.octet())
	octets := length
	if p.alphabet == gsm7 {
		octets = (7*length + 7) / 8
	}
	if octets > maxOctets {
		c.bad = true
	}
	body := c.take(octets)
	if c.bad {
		return
	}
	header := 0
	if udh {
		if len(body) == 0 || 1+int(body[0]) > len(body) {
			c.bad = true
			return
		}
		header = 1 + int(body[0])
		p.concatenation(body[1:header])
	}
	switch p.alphabet {
	case gsm7:
		taken := (8*header + 6) / 7
		if taken > length {
			c.bad = true
			return
		}
		p.text = fromSeptets(unpack(body, length, 0)[taken:])
	case ucs2:
		p.text = fromUnits(body[header:])
	default:
		p.text = string(body[header:])
	}
}

// concatenation finds the element 00 or 08 in a header (3GPP TS 23.040 sections 9.2.3.24.1 and 9.2.3.24.8).
func (p *pdu) concatenation(h []byte) {
	for len(h) >= 2 && len(h) >= 2+int(h[1]) {
		id, e := h[0], h[2:2+int(h[1])]
		h = h[2+int(h[1]):]
		var ref int
		switch {
		case id == 0 && len(e) == 3:
			ref = int(e[0])
		case id == 8 && len(e) == 4:
			ref = int(e[0])<<8 | int(e[1])
			e = e[1:]
		default:
			continue
		}
		if total, part := int(e[1]), int(e[2]); part >= 1 && part <= total {
			p.ref, p.total, p.part = ref, total, part
		}
	}
}

// What a status report says (section 9.2.3.15).
const (
	delivered = "delivered"
	trying    = "trying" // the service centre goes on
	failed    = "failed"
)

func (p *pdu) fate() string {
	switch {
	case p.status < 0x20:
		return delivered
	case p.status < 0x40:
		return trying
	}
	return failed
}
