package epcis

import (
	"net/url"
	"regexp"
	"strings"

	"yizhan/devices/epc"
)

const linkBase = "https://id.gs1.org"

// link is an EPC, EPC class or pattern URN, or a Digital Link of any domain, as the constrained canonical Digital Link
// (CBV 2.0, 8.9.2; GS1 Digital Link URI Syntax 1.2, 4.11). Anything else stays as it is.
func link(s string) string {
	for _, prefix := range []string{"urn:epc:id:", "urn:epc:idpat:", "urn:epc:class:"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			kind, fields, _ := strings.Cut(rest, ":")
			if l := linkOfURN(kind, fields); l != "" {
				return linkBase + l
			}
			return s
		}
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return constrained(s)
	}
	return s
}

// linkOfURN is the path of an EPC of a kind, empty where its fields are none. A serial keeps its escapes; a pattern loses its stars.
func linkOfURN(kind, fields string) string {
	n := 3
	switch kind {
	case "sscc", "giai", "gsrn", "gsrnp", "ginc", "gsin", "pgln":
		n = 2
	case "itip":
		n = 5
	}
	f := strings.SplitN(fields, ".", n)
	if len(f) != n || !digits(f[0]) {
		return ""
	}
	company, ref, last := f[0], f[1], f[n-1]
	for _, key := range keysOfURN {
		if key.kind != kind {
			continue
		}
		number := company + ref
		if key.inFront && ref != "" {
			number = ref[:1] + company + ref[1:]
		}
		if key.check {
			d, ok := epc.CheckDigit(number)
			if !ok || len(number)+1 != key.length {
				return ""
			}
			number += string(rune(d))
		}
		out := "/" + key.ai + "/" + key.before + number
		if kind == "itip" {
			out += f[2] + f[3]
		}
		if n == 2 || last == "*" || kind == "sgln" && last == "0" {
			return out
		}
		if key.qualifier == "" {
			return out + last
		}
		return out + "/" + key.qualifier + "/" + last
	}
	return ""
}

// keysOfURN says of each EPC scheme which GS1 key it is.
var keysOfURN = []struct {
	kind, ai  string
	before    string // of the number
	inFront   bool   // the first digit of the reference stands before the company prefix
	check     bool   // a check digit ends the number
	length    int    // of the number with it
	qualifier string // of the last field; empty where that follows the number
}{
	{kind: "sgtin", ai: "01", inFront: true, check: true, length: 14, qualifier: "21"},
	{kind: "lgtin", ai: "01", inFront: true, check: true, length: 14, qualifier: "10"},
	{kind: "upui", ai: "01", inFront: true, check: true, length: 14, qualifier: "235"},
	{kind: "itip", ai: "8006", inFront: true, check: true, length: 14, qualifier: "21"},
	{kind: "sscc", ai: "00", inFront: true, check: true, length: 18},
	{kind: "sgln", ai: "414", check: true, length: 13, qualifier: "254"},
	{kind: "pgln", ai: "417", check: true, length: 13},
	{kind: "grai", ai: "8003", before: "0", check: true, length: 13},
	{kind: "giai", ai: "8004"},
	{kind: "gsrn", ai: "8018", check: true, length: 18},
	{kind: "gsrnp", ai: "8017", check: true, length: 18},
	{kind: "gdti", ai: "253", check: true, length: 13},
	{kind: "sgcn", ai: "255", check: true, length: 13},
	{kind: "ginc", ai: "401"},
	{kind: "gsin", ai: "402", check: true, length: 17},
	{kind: "cpi", ai: "8010", qualifier: "8011"},
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// The keys of a Digital Link, the form of their values, and the qualifiers that stay, the finest first.
var linkKeys = map[string]struct {
	form       *regexp.Regexp
	qualifiers []string
}{
	"00":   {regexp.MustCompile(`^\d{18}$`), nil},
	"01":   {regexp.MustCompile(`^(\d{8}|\d{12,14})$`), []string{"21", "235", "10"}},
	"253":  {regexp.MustCompile(`^\d{13}.{0,17}$`), nil},
	"255":  {regexp.MustCompile(`^\d{13,25}$`), nil},
	"401":  {regexp.MustCompile(`^.{5,30}$`), nil},
	"402":  {regexp.MustCompile(`^\d{17}$`), nil},
	"414":  {regexp.MustCompile(`^\d{13}$`), []string{"254"}},
	"417":  {regexp.MustCompile(`^\d{13}$`), nil},
	"8003": {regexp.MustCompile(`^\d{14}.{0,16}$`), nil},
	"8004": {regexp.MustCompile(`^.{5,30}$`), nil},
	"8006": {regexp.MustCompile(`^\d{18}$`), []string{"21", "10"}},
	"8010": {regexp.MustCompile(`^.{5,30}$`), []string{"8011"}},
	"8017": {regexp.MustCompile(`^\d{18}$`), nil},
	"8018": {regexp.MustCompile(`^\d{18}$`), nil},
}

// constrained cuts a Digital Link to its key and its finest qualifier; a URL that is none stays as it is.
func constrained(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	path := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for i := 0; i+1 < len(path); i++ {
		key, ok := linkKeys[path[i]]
		if !ok || (len(path)-i)%2 != 0 || !key.form.MatchString(path[i+1]) {
			continue
		}
		value := path[i+1]
		if path[i] == "01" {
			value = strings.Repeat("0", 14-len(value)) + value
		}
		out := linkBase + "/" + path[i] + "/" + value
		for _, q := range key.qualifiers {
			for j := i + 2; j+1 < len(path); j += 2 {
				if path[j] == q {
					return out + "/" + q + "/" + path[j+1]
				}
			}
		}
		return out
	}
	return s
}
