package firmware

import (
	"fmt"
	"io"
	"strings"
)

// Scanner is a barcode scanner on a serial line.
type Scanner struct {
	Line   io.Writer
	AIM    bool   // send AIM identifiers (ISO/IEC 15424)
	Suffix string // behind each scan; CR LF when empty
}

// Scan reads a code: its AIM identifier ("C0" Code 128, "C1" GS1-128, "Q1" QR) and what it holds.
func (s *Scanner) Scan(symbology, text string) error {
	suffix := s.Suffix
	if suffix == "" {
		suffix = "\r\n"
	}
	if s.AIM {
		text = "]" + symbology + text
	}
	if _, err := io.WriteString(s.Line, text+suffix); err != nil {
		return fmt.Errorf("scanner: %w", err)
	}
	return nil
}

// GS1 is what a GS1 symbol holds: pairs of application identifier and data, FNC1 (sent as GS) behind
// each whose length isn't fixed.
func GS1(pairs ...[2]string) string {
	var b strings.Builder
	for i, p := range pairs {
		b.WriteString(p[0] + p[1])
		if i < len(pairs)-1 && !fixedLength(p[0]) {
			b.WriteByte(0x1D)
		}
	}
	return b.String()
}

// fixedLength reports whether an application identifier's data end without FNC1 (GS1 General
// Specifications, figure 7.8.5-2).
func fixedLength(ai string) bool {
	switch ai[:2] {
	case "00", "01", "02", "03", "04", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "31", "32", "33", "34", "35", "36", "41":
		return true
	}
	return false
}
