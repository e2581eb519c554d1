package modem

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bits of a PDU's first octet (3GPP TS 23.040 section 9.2.3).
const (
	mtiMask   = 0x03
	mtiSubmit = 0x01
	vpMask    = 0x18 // 00 none, 10 relative, 08 enhanced, 18 absolute
	vpShort   = 0x10
	withUDH   = 0x40
	wantSR    = 0x20
)

// Types of address: international, and whatever the network takes it for.
const (
	typeInternational = 0x91
	typeUnknown       = 0x81
)

const (
	dcsGSM7 = 0x00
	dcsUCS2 = 0x08

	maxOctets  = 140 // of user data
	maxSeptets = 160
	headerSize = 6 // of a part of several: 05 00 03 ref total seq
	maxParts   = 10
)

var errTooLong = errors.New("needs too many parts")

// A part is the user data of one message on the air.
type part struct {
	header []byte // empty where there is one part
	length byte   // TP-UDL: septets of gsm7, octets otherwise, header included
	data   []byte // what stands after the header
}

// compose cuts a text into parts, in the default alphabet where that has all its characters, else in UCS-2. Neither a
// surrogate pair nor an escape with its character is ever cut. ref joins the parts.
func compose(text string, ref byte, most int) (alphabet, []part, error) {
	if chars, ok := septets(text); ok {
		parts, err := cut(gsm7, chars, ref, most)
		return gsm7, parts, err
	}
	parts, err := cut(ucs2, units(text), ref, most)
	return ucs2, parts, err
}

func cut(a alphabet, chars [][]byte, ref byte, most int) ([]part, error) {
	whole, piece := maxOctets, maxOctets-headerSize
	if a == gsm7 { // 6 octets of header are 48 bits and a fill bit: 7 septets
		whole, piece = maxSeptets, maxSeptets-7
	}
	total := 0
	for _, c := range chars {
		total += len(c)
	}
	if total <= whole {
		piece = whole
	}
	var pieces [][]byte
	for _, c := range chars {
		last := len(pieces) - 1
		if last < 0 || len(pieces[last])+len(c) > piece {
			if len(pieces) == most {
				return nil, errTooLong
			}
			pieces = append(pieces, nil)
			last++
		}
		pieces[last] = append(pieces[last], c...)
	}
	parts := make([]part, len(pieces))
	for i, p := range pieces {
		var header []byte
		if len(pieces) > 1 {
			header = []byte{5, 0, 3, ref, byte(len(pieces)), byte(i + 1)}
		}
		parts[i] = seal(a, header, p)
	}
	return parts, nil
}

func seal(a alphabet, header, body []byte) part {
	if a != gsm7 {
		return part{header, byte(len(header) + len(body)), body}
	}
	bits := 8 * len(header)
	fill := (7 - bits%7) % 7
	return part{header, byte((bits+fill)/7 + len(body)), pack(body, fill)}
}

// A form is what all messages have in common.
type form struct {
	smsc     string        // service centre; empty: the SIM's
	validity time.Duration // 0: the service centre's own
	report   bool          // a status report is asked for
}

// submit builds the SMS-SUBMIT of a part (3GPP TS 23.040 section 9.2.2.2) in hex, behind the service centre's address.
// n is the length that AT+CMGS wants: octets without that address.
func (f form) submit(to string, a alphabet, p part) (text string, n int) {
	first := byte(mtiSubmit)
	if f.validity > 0 {
		first |= vpShort
	}
	if f.report {
		first |= wantSR
	}
	if len(p.header) > 0 {
		first |= withUDH
	}
	dcs := byte(dcsGSM7)
	if a == ucs2 {
		dcs = dcsUCS2
	}
	digits := strings.TrimPrefix(to, "+")
	tpdu := append([]byte{first, 0, byte(len(digits)), typeOf(to)}, swapped(digits)...)
	tpdu = append(tpdu, 0, dcs)
	if f.validity > 0 {
		tpdu = append(tpdu, relative(f.validity))
	}
	tpdu = append(append(append(tpdu, p.length), p.header...), p.data...)
	sca := []byte{0}
	if f.smsc != "" {
		number := swapped(strings.TrimPrefix(f.smsc, "+"))
		sca = append([]byte{byte(len(number) + 1), typeOf(f.smsc)}, number...)
	}
	return strings.ToUpper(hex.EncodeToString(append(sca, tpdu...))), len(tpdu)
}

func typeOf(number string) byte {
	if strings.HasPrefix(number, "+") {
		return typeInternational
	}
	return typeUnknown
}

// swapped puts digits into semi-octets, the first in the low half, padded with F.
func swapped(digits string) []byte {
	out := make([]byte, (len(digits)+1)/2)
	for i := range out {
		lo, hi := digits[2*i]-'0', byte(0xF)
		if 2*i+1 < len(digits) {
			hi = digits[2*i+1] - '0'
		}
		out[i] = hi<<4 | lo
	}
	return out
}

// relative is the shortest relative validity period that is not below d (section 9.2.3.12.1).
func relative(d time.Duration) byte {
	steps := func(over, step time.Duration) byte { return byte((d - over + step - 1) / step) }
	const day = 24 * time.Hour
	switch {
	case d <= 12*time.Hour:
		return max(steps(0, 5*time.Minute), 1) - 1
	case d <= day:
		return 143 + steps(12*time.Hour, 30*time.Minute)
	case d <= 30*day:
		return 166 + steps(0, day)
	case d <= 63*7*day:
		return 192 + steps(0, 7*day)
	}
	return 255
}

// checkNumber accepts a telephone number: + and country code, or as it is dialled here.
func checkNumber(number string) error {
	digits := strings.TrimPrefix(number, "+")
	if len(digits) < 3 || len(digits) > 20 {
		return errors.New("must have 3 to 20 digits")
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return errors.New("must be digits, with or without + in front")
		}
	}
	return nil
}

// masked is a number without its middle digits.
func masked(number string) string {
	n := len(number)
	switch {
	case n <= 4:
		return strings.Repeat("*", n)
	case n < 9:
		return number[:1] + strings.Repeat("*", n-3) + number[n-2:]
	}
	return fmt.Sprintf("%s****%s", number[:n-8], number[n-4:])
}
