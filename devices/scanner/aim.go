package scanner

// symbologies names what the letter of an AIM identifier says (ISO/IEC 15424, annex A).
var symbologies = map[byte]string{
	'A': "code39", 'B': "telepen", 'C': "code128", 'E': "ean13", 'F': "codabar", 'G': "code93", 'H': "code11", 'I': "itf",
	'J': "dotcode", 'K': "code16k", 'L': "pdf417", 'M': "msi", 'O': "codablock", 'P': "plessey", 'Q': "qr", 'R': "standard2of5",
	'S': "standard2of5", 'T': "code49", 'U': "maxicode", 'X': "other", 'd': "datamatrix", 'e': "databar", 'h': "hanxin", 'o': "ocr",
	'z': "aztec",
}

// exact names identifiers that say more than their letter, and the GS1 ones.
var exact = map[string]string{
	"C1": "gs1-128", "d2": "gs1-datamatrix", "d5": "gs1-datamatrix", "e0": "gs1-databar", "e1": "gs1-databar", "e2": "gs1-databar",
	"Q3": "gs1-qr", "J1": "gs1-dotcode", "E4": "ean8",
}

// aim splits an identifier off: "]C1" and the rest. id is empty when there is none.
func aim(line []byte) (id string, rest []byte) {
	if len(line) < 3 || line[0] != ']' || symbologies[line[1]] == "" || !alphanumeric(line[2]) {
		return "", line
	}
	return string(line[1:3]), line[3:]
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// symbology is the name of what an identifier says, empty for none.
func symbology(id string) string {
	if id == "" {
		return ""
	}
	if s, ok := exact[id]; ok {
		return s
	}
	return symbologies[id[0]]
}

// isGS1 reports whether an identifier says that a text is a GS1 element string.
func isGS1(id string) bool {
	s := exact[id]
	return len(s) > 4 && s[:4] == "gs1-"
}
