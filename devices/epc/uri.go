package epc

import (
	"strconv"
	"strings"
)

const (
	idPrefix  = "urn:epc:id:"
	tagPrefix = "urn:epc:tag:"
)

// URI returns the pure identity URI, urn:epc:id:sgtin:0614141.812345.6789: what the thing is
// called, whatever its tag looks like.
func (e EPC) URI() string {
	var buf [128]byte
	return string(e.AppendURI(buf[:0]))
}

// AppendURI appends the pure identity URI.
func (e EPC) AppendURI(dst []byte) []byte {
	l, ok := e.scheme.layout()
	if !ok {
		return dst
	}
	dst = append(dst, idPrefix...)
	dst = append(dst, l.kind...)
	dst = append(dst, ':')
	return e.appendFields(dst, l)
}

// TagURI returns the EPC tag URI, urn:epc:tag:sgtin-96:3.0614141.812345.6789, which holds all
// that is in the tag.
func (e EPC) TagURI() string {
	var buf [128]byte
	return string(e.AppendTagURI(buf[:0]))
}

// AppendTagURI appends the EPC tag URI.
func (e EPC) AppendTagURI(dst []byte) []byte {
	l, ok := e.scheme.layout()
	if !ok {
		return dst
	}
	dst = append(dst, tagPrefix...)
	dst = append(dst, l.name...)
	dst = append(dst, ':', '0'+e.filter, '.')
	return e.appendFields(dst, l)
}

// String returns the EPC tag URI.
func (e EPC) String() string { return e.TagURI() }

func (e EPC) appendFields(dst []byte, l *layout) []byte {
	dst = appendPadded(dst, e.company, int(e.digits))
	if l.both > 0 {
		dst = append(dst, '.')
		dst = e.appendRef(dst)
	}
	if e.scheme == SSCC96 {
		return dst
	}
	dst = append(dst, '.')
	if l.chars == 0 {
		return strconv.AppendUint(dst, e.serial, 10)
	}
	for _, c := range e.text[:e.n] {
		if mustEscape(c) {
			dst = append(dst, '%')
			dst = appendHex(dst, []byte{c})
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func (e EPC) appendSerial(dst []byte) []byte {
	l, ok := e.scheme.layout()
	switch {
	case !ok || e.scheme == SSCC96:
		return dst
	case l.chars == 0:
		return strconv.AppendUint(dst, e.serial, 10)
	}
	return append(dst, e.text[:e.n]...)
}

// mustEscape: the characters of serials that a URN can't hold (TDS 1.13, 6.3.1).
func mustEscape(c byte) bool {
	switch c {
	case '"', '%', '&', '/', '<', '>', '?':
		return true
	}
	return false
}

// FromURI parses an EPC tag URI, or a pure identity URI. The latter doesn't say how the tag is
// coded: it gets filter 0 and the 96-bit scheme where the serial allows it, else the long one.
func FromURI(s string) (EPC, error) {
	if rest, ok := strings.CutPrefix(s, tagPrefix); ok {
		return fromTagURI(rest)
	}
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok {
		return EPC{}, ErrURI
	}
	kind, fields, _ := strings.Cut(rest, ":")
	for _, pair := range [...]struct {
		kind        string
		short, long Scheme
	}{
		{"sgtin", SGTIN96, SGTIN198}, {"sscc", SSCC96, SSCC96}, {"sgln", SGLN96, SGLN195},
		{"grai", GRAI96, GRAI170}, {"giai", GIAI96, GIAI202},
	} {
		if pair.kind != kind {
			continue
		}
		e, err := fromFields(pair.short, 0, fields)
		if err != nil && pair.long != pair.short {
			return fromFields(pair.long, 0, fields)
		}
		return e, err
	}
	return EPC{}, ErrURI
}

func fromTagURI(rest string) (EPC, error) {
	name, fields, _ := strings.Cut(rest, ":")
	for s, l := range layouts {
		if l.name != name || name == "" {
			continue
		}
		filter, fields, ok := strings.Cut(fields, ".")
		if !ok || len(filter) != 1 || filter[0] < '0' || filter[0] > '7' {
			return EPC{}, ErrFilter
		}
		return fromFields(Scheme(s), filter[0]-'0', fields)
	}
	return EPC{}, ErrURI
}

// fromFields parses what follows the filter. A serial may hold dots, so it is what is left.
func fromFields(s Scheme, filter uint8, fields string) (EPC, error) {
	l, _ := s.layout()
	company, rest, ok := strings.Cut(fields, ".")
	if !ok {
		return EPC{}, ErrURI
	}
	ref := ""
	switch {
	case s == SSCC96:
		ref, rest = rest, ""
	case l.both > 0:
		if ref, rest, ok = strings.Cut(rest, "."); !ok {
			return EPC{}, ErrURI
		}
	}
	serial, ok := unescape(rest)
	if !ok {
		return EPC{}, ErrURI
	}
	return New(s, filter, company, ref, serial)
}

// unescape undoes %xx; a character that had to be escaped and wasn't is an error.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "\"%&/<>?#") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			out = append(out, hi<<4|lo)
			i += 2
		case mustEscape(s[i]) || s[i] == '#':
			return "", false
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}
