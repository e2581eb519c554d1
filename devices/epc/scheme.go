package epc

import "errors"

// Scheme is one of the binary coding schemes.
type Scheme uint8

// The schemes covered, by their header bytes.
const (
	SGTIN96  Scheme = 0x30
	SSCC96   Scheme = 0x31
	SGLN96   Scheme = 0x32
	GRAI96   Scheme = 0x33
	GIAI96   Scheme = 0x34
	SGTIN198 Scheme = 0x36
	GRAI170  Scheme = 0x37
	GIAI202  Scheme = 0x38
	SGLN195  Scheme = 0x39
)

// layout is how a scheme fills its bits: header 8, filter 3, partition 3, company prefix,
// reference, serial.
type layout struct {
	name   string // in tag URIs
	kind   string // in pure identity URIs
	bits   int
	both   int // bits of company prefix and reference together
	digits int // digits of company prefix and reference together
	serial int // bits of the serial
	chars  int // most characters of a serial of 7-bit characters; 0: the serial is a number
}

// GIAI has no reference: what follows the company prefix is the serial.
var layouts = [0x40]layout{
	SGTIN96:  {name: "sgtin-96", kind: "sgtin", bits: 96, both: 44, digits: 13, serial: 38},
	SGTIN198: {name: "sgtin-198", kind: "sgtin", bits: 198, both: 44, digits: 13, serial: 140, chars: 20},
	SSCC96:   {name: "sscc-96", kind: "sscc", bits: 96, both: 58, digits: 17},
	SGLN96:   {name: "sgln-96", kind: "sgln", bits: 96, both: 41, digits: 12, serial: 41},
	SGLN195:  {name: "sgln-195", kind: "sgln", bits: 195, both: 41, digits: 12, serial: 140, chars: 20},
	GRAI96:   {name: "grai-96", kind: "grai", bits: 96, both: 44, digits: 12, serial: 38},
	GRAI170:  {name: "grai-170", kind: "grai", bits: 170, both: 44, digits: 12, serial: 112, chars: 16},
	GIAI96:   {name: "giai-96", kind: "giai", bits: 96},
	GIAI202:  {name: "giai-202", kind: "giai", bits: 202, chars: 24},
}

// companyBits by partition value; the prefix has 12 - partition digits.
var companyBits = [7]int{40, 37, 34, 30, 27, 24, 20}

// giaiDigits is the most characters of a GIAI, company prefix included.
const giaiDigits = 30

// String returns the scheme's name as in tag URIs: sgtin-96.
func (s Scheme) String() string {
	if l, ok := s.layout(); ok {
		return l.name
	}
	return "unknown"
}

func (s Scheme) layout() (*layout, bool) {
	if int(s) >= len(layouts) || layouts[s].bits == 0 {
		return nil, false
	}
	return &layouts[s], true
}

// refDigits is how many digits the reference has beside a company prefix of n digits.
func (l *layout) refDigits(n int) int { return max(l.digits-n, 0) }

// split gives the widths in bits of reference and serial beside a company prefix of n digits.
func (l *layout) split(n int) (company, ref, serial int) {
	company = companyBits[12-n]
	if l.both == 0 {
		return company, 0, l.bits - 14 - company
	}
	return company, l.both - company, l.serial
}

// maxChars is the most characters of an alphanumeric serial beside a company prefix of n digits.
func (l *layout) maxChars(n int) int {
	if l.both == 0 {
		return giaiDigits - n
	}
	return l.chars
}

// Why bits, a URI or fields are no EPC that this package covers.
var (
	ErrHeader    = errors.New("epc: header of no covered scheme")
	ErrShort     = errors.New("epc: fewer bits than the scheme has")
	ErrISO       = errors.New("epc: toggle bit set, content is ISO and not GS1")
	ErrPartition = errors.New("epc: partition is 7")
	ErrCompany   = errors.New("epc: company prefix must have 6 to 12 digits and fit its partition")
	ErrReference = errors.New("epc: reference has the wrong number of digits")
	ErrSerial    = errors.New("epc: serial is empty, too long or has a forbidden character")
	ErrPadding   = errors.New("epc: bits behind the end are not zero")
	ErrFilter    = errors.New("epc: filter is above 7")
	ErrHex       = errors.New("epc: not hex")
	ErrURI       = errors.New("epc: not a urn:epc:id or urn:epc:tag URI of a covered scheme")
	ErrCheck     = errors.New("epc: wrong check digit")
)
