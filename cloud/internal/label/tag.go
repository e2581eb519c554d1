package label

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"yizhan/devices/epc"
)

// ErrNumbers says that a company prefix has no serial references left.
var ErrNumbers = errors.New("label: the company prefix has no serial references left")

// NewTag is the n-th tag that a county gives, n from 1: an SSCC of its company prefix, as a unit that is carried (filter 2).
func NewTag(prefix string, n int64) (epc.EPC, error) {
	digits := 17 - len(prefix)
	ref := strconv.FormatInt(n, 10)
	if n < 1 || digits < 1 || len(ref) > digits {
		return epc.EPC{}, ErrNumbers
	}
	e, err := epc.New(epc.SSCC96, 2, prefix, strings.Repeat("0", digits-len(ref))+ref, "")
	if err != nil {
		return epc.EPC{}, fmt.Errorf("label: company prefix %q: %w", prefix, err)
	}
	return e, nil
}

// TagOf is the EPC that is written for a parcel whose tag is called name: its URI, or hex.
func TagOf(name string) (epc.EPC, error) {
	if strings.HasPrefix(name, "urn:") {
		return epc.FromURI(name)
	}
	return epc.FromHex(name)
}

// Verify tells whether what was read back from a tag is the EPC called name, whatever the filter and padding.
func Verify(name, hex string) error {
	read, err := epc.FromHex(strings.TrimPrefix(strings.TrimSpace(hex), "EPC:"))
	if err != nil {
		return fmt.Errorf("label: read back: %w", err)
	}
	want, err := TagOf(name)
	if err != nil {
		return fmt.Errorf("label: tag: %w", err)
	}
	if read.URI() != want.URI() {
		return fmt.Errorf("label: the tag says %s, not %s", read.URI(), want.URI())
	}
	return nil
}

// DigitalLink is the tag's EPC as a Digital Link below base; empty where it has none.
func DigitalLink(base string, e epc.EPC) string {
	if sscc, ok := e.SSCC18(); ok {
		return base + "/00/" + sscc
	}
	if gtin, ok := e.GTIN14(); ok {
		return base + "/01/" + gtin + "/21/" + url.PathEscape(e.Serial())
	}
	return ""
}
