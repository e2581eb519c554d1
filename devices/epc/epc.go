package epc

// EPC is one decoded electronic product code. It is comparable; the zero value is no EPC.
type EPC struct {
	scheme  Scheme
	filter  uint8
	digits  uint8 // of the company prefix
	n       uint8 // characters in text
	company uint64
	ref     uint64
	serial  uint64   // of a scheme whose serial is a number
	text    [24]byte // of a scheme whose serial is characters
}

var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// FromBytes decodes the EPC as it stands in the tag's memory from bit 20h on. Zero padding
// behind the scheme's bits is ignored.
func FromBytes(b []byte) (EPC, error) {
	if len(b) == 0 {
		return EPC{}, ErrShort
	}
	e := EPC{scheme: Scheme(b[0])}
	l, ok := e.scheme.layout()
	if !ok {
		return EPC{}, ErrHeader
	}
	if len(b)*8 < l.bits {
		return EPC{}, ErrShort
	}
	e.filter = uint8(bits(b, 8, 3))
	partition := bits(b, 11, 3)
	if partition > 6 {
		return EPC{}, ErrPartition
	}
	e.digits = uint8(12 - partition)
	company, ref, serial := l.split(int(e.digits))
	at := 14
	if e.company = bits(b, at, company); e.company >= pow10[e.digits] {
		return EPC{}, ErrCompany
	}
	at += company
	if e.ref = bits(b, at, ref); e.ref >= pow10[l.refDigits(int(e.digits))] {
		return EPC{}, ErrReference
	}
	at += ref
	switch {
	case l.chars > 0:
		var err error
		if at, err = e.readText(b, at, l.maxChars(int(e.digits))); err != nil {
			return EPC{}, err
		}
	default:
		e.serial = bits(b, at, serial)
		at += serial
	}
	if !zeroFrom(b, at) {
		return EPC{}, ErrPadding
	}
	return e, nil
}

// readText reads 7-bit characters up to the first zero one and returns where they end.
func (e *EPC) readText(b []byte, at, most int) (int, error) {
	for int(e.n) < most {
		c := byte(bits(b, at, 7))
		if c == 0 {
			break
		}
		if !serialChar(c) {
			return at, ErrSerial
		}
		e.text[e.n] = c
		e.n++
		at += 7
	}
	if e.n == 0 {
		return at, ErrSerial
	}
	return at, nil
}

// FromHex decodes hex digits of either case, an odd number of them too (170 bits print as 43).
func FromHex(s string) (EPC, error) {
	b, err := parseHex(s)
	if err != nil {
		return EPC{}, err
	}
	return FromBytes(b)
}

func parseHex(s string) ([]byte, error) {
	if s == "" {
		return nil, ErrHex
	}
	b := make([]byte, (len(s)+1)/2)
	for i := 0; i < len(s); i++ {
		d, ok := unhex(s[i])
		if !ok {
			return nil, ErrHex
		}
		b[i/2] |= d << (4 * (1 - i%2))
	}
	return b, nil
}

// New makes an EPC of its fields: company and ref as digits with their leading zeros, serial
// unescaped; ref is empty for GIAI and serial for SSCC.
func New(s Scheme, filter uint8, company, ref, serial string) (EPC, error) {
	l, ok := s.layout()
	if !ok {
		return EPC{}, ErrHeader
	}
	if filter > 7 {
		return EPC{}, ErrFilter
	}
	e := EPC{scheme: s, filter: filter, digits: uint8(len(company))}
	if len(company) < 6 || len(company) > 12 || !digits(company, &e.company) {
		return EPC{}, ErrCompany
	}
	if len(ref) != l.refDigits(len(company)) || !digits(ref, &e.ref) {
		return EPC{}, ErrReference
	}
	_, _, width := l.split(len(company))
	switch {
	case l.chars > 0:
		if len(serial) == 0 || len(serial) > l.maxChars(len(company)) {
			return EPC{}, ErrSerial
		}
		for i := 0; i < len(serial); i++ {
			if !serialChar(serial[i]) {
				return EPC{}, ErrSerial
			}
		}
		e.n = uint8(copy(e.text[:], serial))
	case width == 0:
		if serial != "" {
			return EPC{}, ErrSerial
		}
	default:
		padded := len(serial) > 1 && serial[0] == '0'
		if serial == "" || len(serial) > 19 || padded || !digits(serial, &e.serial) || e.serial>>width != 0 {
			return EPC{}, ErrSerial
		}
	}
	return e, nil
}

// AppendBytes appends the EPC as it is written to the tag, padded to a whole 16-bit word.
func (e EPC) AppendBytes(dst []byte) []byte {
	l, ok := e.scheme.layout()
	if !ok {
		return dst
	}
	start := len(dst)
	dst = append(dst, make([]byte, (l.bits+15)/16*2)...)
	b := dst[start:]
	company, ref, serial := l.split(int(e.digits))
	put(b, 0, 8, uint64(e.scheme))
	put(b, 8, 3, uint64(e.filter))
	put(b, 11, 3, uint64(12-e.digits))
	put(b, 14, company, e.company)
	put(b, 14+company, ref, e.ref)
	at := 14 + company + ref
	if l.chars == 0 {
		put(b, at, serial, e.serial)
		return dst
	}
	for _, c := range e.text[:e.n] {
		put(b, at, 7, uint64(c))
		at += 7
	}
	return dst
}

// Hex returns the EPC as upper-case hex, padded to a whole 16-bit word.
func (e EPC) Hex() string {
	var buf [26]byte
	return Hex(e.AppendBytes(buf[:0]))
}

// Scheme returns the binary coding scheme.
func (e EPC) Scheme() Scheme { return e.scheme }

// Filter returns the filter value, 0 to 7.
func (e EPC) Filter() uint8 { return e.filter }

// Company returns the GS1 company prefix with its leading zeros.
func (e EPC) Company() string {
	return string(appendPadded(nil, e.company, int(e.digits)))
}

// Reference returns what stands between company prefix and serial: indicator and item (SGTIN), extension and
// serial reference (SSCC), location (SGLN), asset type (GRAI); empty for GIAI.
func (e EPC) Reference() string { return string(e.appendRef(nil)) }

// Serial returns the serial, extension or individual asset reference, unescaped; empty for SSCC.
func (e EPC) Serial() string { return string(e.appendSerial(nil)) }

func (e EPC) appendRef(dst []byte) []byte {
	l, ok := e.scheme.layout()
	if !ok {
		return dst
	}
	return appendPadded(dst, e.ref, l.refDigits(int(e.digits)))
}

// Hex returns b as upper-case hex.
func Hex(b []byte) string {
	var buf [128]byte
	return string(appendHex(buf[:0], b))
}

func appendHex(dst, b []byte) []byte {
	const up = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, up[c>>4], up[c&15])
	}
	return dst
}

// Name returns the name of a tag: its pure identity URI, or its hex when it holds no GS1 code.
// iso is the toggle bit (17h) of the tag's protocol control word where that is known.
func Name(b []byte, iso bool) (name, hex string) {
	hex = Hex(b)
	if iso {
		return hex, hex
	}
	e, err := FromBytes(b)
	if err != nil {
		return hex, hex
	}
	return e.URI(), hex
}

// PCToggle is the toggle bit (17h) in a protocol control word: set, the tag holds ISO content.
const PCToggle = 0x0100
