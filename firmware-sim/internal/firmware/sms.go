package firmware

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// SMS is a message as the network took it from a Modem: one SMS-SUBMIT.
type SMS struct {
	To     string // + in front where the PDU says international
	Text   string // of this part
	UCS2   bool
	Report bool // a status report was asked for
	Reused bool // its reference, part and number were there before: the same part twice

	Ref, Part, Parts int // Parts is 0 where there is one message
	Raw              string
}

var errSubmit = errors.New("no SMS-SUBMIT")

// parseSubmit reads what AT+CMGS got: the service centre's address and an SMS-SUBMIT of n octets
// (3GPP TS 23.040 section 9.2.2.2). Nothing may be missing or left over.
func parseSubmit(text string, n int) (s SMS, err error) {
	defer func() {
		if recover() != nil { // an octet that isn't there
			err = errSubmit
		}
	}()
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return s, err
	}
	s.Raw = strings.TrimSpace(text)
	b = b[1+int(b[0]):]
	if len(b) != n || b[0]&3 != 1 {
		return s, errSubmit
	}
	first := b[0]
	s.Report = first&0x20 != 0
	digits := int(b[2])
	if b[3]&0x70 == 0x10 {
		s.To = "+"
	}
	b = b[4:]
	for i := range digits {
		d := b[i/2] >> (4 * (i & 1)) & 15
		if d > 9 {
			return s, errSubmit
		}
		s.To += string(rune('0' + d))
	}
	if digits%2 == 1 && b[digits/2]>>4 != 15 {
		return s, errSubmit
	}
	b = b[(digits+1)/2:]
	dcs := b[1]
	b = b[2:]
	switch first >> 3 & 3 {
	case 2:
		b = b[1:]
	case 1, 3:
		b = b[7:]
	}
	return s, s.userData(b, first&0x40 != 0, dcs)
}

func (s *SMS) userData(b []byte, header bool, dcs byte) error {
	length, b := int(b[0]), b[1:]
	s.UCS2 = dcs&0x0C == 8
	want := length
	if !s.UCS2 {
		want = (length*7 + 7) / 8
	}
	if len(b) != want || want > 140 {
		return fmt.Errorf("%w: %d octets of user data, %d announced", errSubmit, len(b), want)
	}
	skip := 0
	if header {
		skip = int(b[0]) + 1
		if skip == 6 && b[1] == 0 && b[2] == 3 {
			s.Ref, s.Parts, s.Part = int(b[3]), int(b[4]), int(b[5])
		}
		if skip == 7 && b[1] == 8 && b[2] == 4 {
			s.Ref, s.Parts, s.Part = int(b[3])<<8|int(b[4]), int(b[5]), int(b[6])
		}
	}
	if s.UCS2 {
		var units []uint16
		for i := skip; i+1 < len(b); i += 2 {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
		for _, r := range utf16.Decode(units) {
			if r == '\uFFFD' {
				return fmt.Errorf("%w: half a character", errSubmit)
			}
			s.Text += string(r)
		}
		return nil
	}
	s.Text = defaultAlphabet(b, (skip*8+6)/7, length)
	return nil
}

// defaultAlphabet reads the septets from one place to before another (3GPP TS 23.038 section 6.2.1). Characters outside ASCII are
// told as '?'.
func defaultAlphabet(b []byte, from, to int) string {
	var out strings.Builder
	more := map[int]byte{0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\', 0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|'}
	for i := from; i < to; i++ {
		c := septet(b, i)
		switch {
		case c == 0x1B && i+1 < to:
			i++
			if m, ok := more[septet(b, i)]; ok {
				out.WriteByte(m)
			} else {
				out.WriteByte('?')
			}
		case c == 0:
			out.WriteByte('@')
		case c == 2:
			out.WriteByte('$')
		case c == 0x11:
			out.WriteByte('_')
		case c == '\n' || c == '\r', c >= 0x20 && c <= 0x7A && c != 0x24 && c != 0x40 && c != 0x60 && (c < 0x5B || c > 0x5F):
			out.WriteByte(byte(c))
		default:
			out.WriteByte('?')
		}
	}
	return out.String()
}

func septet(b []byte, i int) (v int) {
	for bit := range 7 {
		at := i*7 + bit
		v |= int(b[at/8]>>(at%8)&1) << bit
	}
	return v
}

// bcd puts digits into semi-octets, the first in the low half.
func bcd(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "?" // 3F: its low half is the pad
	}
	out := make([]byte, len(digits)/2)
	for i := range out {
		out[i] = digits[2*i+1]<<4 | digits[2*i]&15
	}
	return out
}

func numberField(number string) []byte {
	digits, kind := strings.TrimPrefix(number, "+"), byte(0x81)
	if digits != number {
		kind = 0x91
	}
	return append([]byte{byte(len(digits)), kind}, bcd(digits)...)
}

// stamp is a service centre's time stamp, in China's time.
func stamp(t time.Time) []byte {
	return bcd(t.UTC().Add(8*time.Hour).Format("060102150405") + "32")
}

// statusReport is an SMS-STATUS-REPORT (section 9.2.2.3) behind an empty service centre's address, and its length without that.
func statusReport(mr byte, to string, sent, discharged time.Time, status byte) (string, int) {
	b := append([]byte{0x06, mr}, numberField(to)...)
	b = append(append(append(b, stamp(sent)...), stamp(discharged)...), status)
	return "00" + strings.ToUpper(hex.EncodeToString(b)), len(b)
}

// deliverPDU is an SMS-DELIVER (section 9.2.2.1) in UCS-2.
func deliverPDU(from, text string, at time.Time) (string, int) {
	b := append([]byte{0x04}, numberField(from)...)
	b = append(append(b, 0, 8), stamp(at)...)
	units := utf16.Encode([]rune(text))
	b = append(b, byte(2*len(units)))
	for _, u := range units {
		b = append(b, byte(u>>8), byte(u))
	}
	return "00" + strings.ToUpper(hex.EncodeToString(b)), len(b)
}
