package scanner

import (
	"errors"
	"slices"

	"yizhan/devices/epc"
)

// fnc1 is how scanners send the FNC1 that ends an element of variable length.
const fnc1 = 0x1D

// An element is one application identifier with its data.
type element struct{ ai, data string }

// A rule is what the GS1 General Specifications, section 3.2, say of the data of application identifiers
// that begin with a prefix.
type rule struct {
	digits   int // of the whole identifier
	min, max int // length of the data
	numeric  bool
	check    bool // the last digit (of the first 14, 18 ...) is a check digit
	fixed    bool // of predefined length (figure 7.8.5-2): no FNC1 need follow
}

// rules by prefix: the longest that fits holds. Names are left to whoever reads them.
var rules = map[string]rule{
	"00": {2, 18, 18, true, true, true},                                      // SSCC
	"01": {2, 14, 14, true, true, true}, "02": {2, 14, 14, true, true, true}, // GTIN
	"03": {2, 14, 14, true, true, true},                                    // MTO GTIN
	"10": {2, 1, 20, false, false, false},                                  // batch
	"11": {2, 6, 6, true, false, true}, "12": {2, 6, 6, true, false, true}, // dates
	"13": {2, 6, 6, true, false, true}, "15": {2, 6, 6, true, false, true},
	"16": {2, 6, 6, true, false, true}, "17": {2, 6, 6, true, false, true},
	"20": {2, 2, 2, true, false, true},                                           // variant
	"21": {2, 1, 20, false, false, false}, "22": {2, 1, 20, false, false, false}, // serial
	"235": {3, 1, 28, false, false, false}, "240": {3, 1, 30, false, false, false},
	"241": {3, 1, 30, false, false, false}, "242": {3, 1, 6, true, false, false},
	"243": {3, 1, 20, false, false, false}, "250": {3, 1, 30, false, false, false},
	"251": {3, 1, 30, false, false, false}, "253": {3, 13, 30, false, false, false},
	"254": {3, 1, 20, false, false, false}, "255": {3, 13, 25, true, false, false},
	"30": {2, 1, 8, true, false, false}, "37": {2, 1, 8, true, false, false}, // counts
	"31": {4, 6, 6, true, false, true}, "32": {4, 6, 6, true, false, true}, // measures
	"33": {4, 6, 6, true, false, true}, "34": {4, 6, 6, true, false, true},
	"35": {4, 6, 6, true, false, true}, "36": {4, 6, 6, true, false, true},
	"390": {4, 1, 15, true, false, false}, "391": {4, 4, 18, true, false, false}, // amounts
	"392": {4, 1, 15, true, false, false}, "393": {4, 4, 18, true, false, false},
	"394": {4, 4, 4, true, false, false}, "395": {4, 6, 6, true, false, false},
	"400": {3, 1, 30, false, false, false}, "401": {3, 1, 30, false, false, false}, // order, consignment
	"402": {3, 17, 17, true, true, false}, "403": {3, 1, 30, false, false, false}, // shipment, route
	"41":  {3, 13, 13, true, true, true},                                           // locations
	"420": {3, 1, 20, false, false, false}, "421": {3, 4, 12, false, false, false}, // postal codes
	"422": {3, 3, 3, true, false, false}, "423": {3, 3, 15, true, false, false},
	"424": {3, 3, 3, true, false, false}, "425": {3, 3, 15, true, false, false},
	"426": {3, 3, 3, true, false, false}, "427": {3, 1, 3, false, false, false},
	"43": {4, 1, 90, false, false, false}, "70": {4, 1, 90, false, false, false}, // transport, health care
	"71": {3, 1, 20, false, false, false}, "72": {4, 1, 30, false, false, false},
	"80": {4, 1, 90, false, false, false}, "81": {4, 1, 70, false, false, false},
	"82": {4, 1, 70, false, false, false},
	"90": {2, 1, 30, false, false, false}, // by agreement
	"91": {2, 1, 90, false, false, false}, "92": {2, 1, 90, false, false, false},
	"93": {2, 1, 90, false, false, false}, "94": {2, 1, 90, false, false, false},
	"95": {2, 1, 90, false, false, false}, "96": {2, 1, 90, false, false, false},
	"97": {2, 1, 90, false, false, false}, "98": {2, 1, 90, false, false, false},
	"99": {2, 1, 90, false, false, false},
}

var errGS1 = errors.New("no GS1 element string")

// maxElements bounds what one code may hold.
const maxElements = 32

// elements splits a GS1 element string. A FNC1 at its start, which some scanners send for the symbol's
// own, is passed over; so is one at its end, and behind data of predefined length.
func elements(text []byte) ([]element, error) {
	var all []element
	if len(text) > 0 && text[0] == fnc1 {
		text = text[1:]
	}
	for len(text) > 0 {
		e, rest, err := next(text)
		if err != nil || len(all) == maxElements {
			return nil, errGS1
		}
		text = rest
		i := slices.IndexFunc(all, func(old element) bool { return old.ai == e.ai })
		switch {
		case i < 0:
			all = append(all, e)
		case all[i] != e:
			return nil, errGS1 // two things on one label
		}
	}
	if len(all) == 0 {
		return nil, errGS1
	}
	return all, nil
}

func next(text []byte) (e element, rest []byte, err error) {
	r, ok := ruleOf(text)
	if !ok || len(text) < r.digits || !digits(text[:r.digits]) {
		return e, nil, errGS1
	}
	e.ai = string(text[:r.digits])
	text = text[r.digits:]
	n := 0
	for n < len(text) && n < r.max && text[n] != fnc1 {
		n++
	}
	data := text[:n]
	text = text[n:]
	if n < r.min || r.numeric && !digits(data) || !printable(data) || r.check && !epc.ValidCheck(string(data)) {
		return e, nil, errGS1
	}
	switch {
	case len(text) == 0:
	case text[0] == fnc1:
		text = text[1:]
	case !r.fixed:
		return e, nil, errGS1 // longer than it may be
	}
	e.data = string(data)
	return e, text, nil
}

func ruleOf(text []byte) (rule, bool) {
	for n := min(3, len(text)); n >= 2; n-- {
		if r, ok := rules[string(text[:n])]; ok {
			return r, true
		}
	}
	return rule{}, false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// printable is GS1's character set 82 and a little more: no spaces, no controls.
func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
