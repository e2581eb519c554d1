package epc

// CheckDigit returns the GS1 check digit that belongs behind digits (GS1 General
// Specifications, 7.9: weights 3, 1, 3 ... from the right). ok is false when s holds anything but
// digits or nothing.
func CheckDigit(s string) (digit byte, ok bool) {
	if s == "" {
		return 0, false
	}
	sum, weight := 0, 3
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		sum += int(s[i]-'0') * weight
		weight = 4 - weight
	}
	return byte('0' + (10-sum%10)%10), true
}

// ValidCheck reports whether s is digits whose last one is the check digit of the others.
func ValidCheck(s string) bool {
	if len(s) < 2 {
		return false
	}
	want, ok := CheckDigit(s[:len(s)-1])
	return ok && want == s[len(s)-1]
}

func withCheck(s string) string {
	d, _ := CheckDigit(s)
	return s + string(rune(d))
}

// GTIN14 returns the GTIN-14 of an SGTIN.
func (e EPC) GTIN14() (string, bool) {
	if e.scheme != SGTIN96 && e.scheme != SGTIN198 {
		return "", false
	}
	ref := e.Reference()
	return withCheck(ref[:1] + e.Company() + ref[1:]), true
}

// SSCC18 returns the SSCC-18 of an SSCC.
func (e EPC) SSCC18() (string, bool) {
	if e.scheme != SSCC96 {
		return "", false
	}
	ref := e.Reference()
	return withCheck(ref[:1] + e.Company() + ref[1:]), true
}

// GLN13 returns the GLN-13 of an SGLN.
func (e EPC) GLN13() (string, bool) {
	if e.scheme != SGLN96 && e.scheme != SGLN195 {
		return "", false
	}
	return withCheck(e.Company() + e.Reference()), true
}

// ElementString returns the GS1 element string with its application identifiers in brackets:
// (01)80614141123458(21)6789.
func (e EPC) ElementString() string {
	switch e.scheme {
	case SGTIN96, SGTIN198:
		gtin, _ := e.GTIN14()
		return "(01)" + gtin + "(21)" + e.Serial()
	case SSCC96:
		sscc, _ := e.SSCC18()
		return "(00)" + sscc
	case SGLN96, SGLN195:
		gln, _ := e.GLN13()
		if ext := e.Serial(); ext != "0" { // extension 0 says that there is none (TDS 1.13, 7.3)
			return "(414)" + gln + "(254)" + ext
		}
		return "(414)" + gln
	case GRAI96, GRAI170:
		return "(8003)0" + withCheck(e.Company()+e.Reference()) + e.Serial()
	case GIAI96, GIAI202:
		return "(8004)" + e.Company() + e.Serial()
	}
	return ""
}

// FromGTIN14 makes an SGTIN of a GTIN-14 whose company prefix has n digits: SGTIN-96 where the
// serial allows it, else SGTIN-198.
func FromGTIN14(gtin string, n int, filter uint8, serial string) (EPC, error) {
	if len(gtin) != 14 || !ValidCheck(gtin) {
		return EPC{}, ErrCheck
	}
	if n < 6 || n > 12 {
		return EPC{}, ErrCompany
	}
	company, ref := gtin[1:1+n], gtin[:1]+gtin[1+n:13]
	if e, err := New(SGTIN96, filter, company, ref, serial); err == nil {
		return e, nil
	}
	return New(SGTIN198, filter, company, ref, serial)
}

// FromSSCC18 makes an SSCC-96 of an SSCC-18 whose company prefix has n digits.
func FromSSCC18(sscc string, n int, filter uint8) (EPC, error) {
	if len(sscc) != 18 || !ValidCheck(sscc) {
		return EPC{}, ErrCheck
	}
	if n < 6 || n > 12 {
		return EPC{}, ErrCompany
	}
	return New(SSCC96, filter, sscc[1:1+n], sscc[:1]+sscc[1+n:17], "")
}
