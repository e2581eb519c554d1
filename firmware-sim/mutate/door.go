package main

const doorTests = "./gateway/internal/door"

// doorMutations break what is told of a door that was ordered to open.
var doorMutations = []mutation{
	{"5", "an opening of later is the order's too", "gateway/internal/door/core.go",
		"		return !o.over\n", "		return true\n", []string{doorTests}},
	{"5", "a door that nobody saw move is never told", "gateway/internal/door/core.go",
		"now-o.pulsed >= Patience:", "now-o.pulsed >= 1000*Patience:", []string{doorTests}},
	{"5", "another door that moves isn't told", "gateway/internal/door/core.go",
		"		return known && !was\n", "		return known && was\n", []string{doorTests}},
	{"5", "a door that stood open counts as the wrong one", "gateway/internal/door/core.go",
		"		return known && !was\n", "		return known || !was\n", []string{doorTests}},
	{"5", "an order that was refused is waited for", "gateway/internal/door/core.go",
		"	case outcome == telemetry.Refused:", "	case outcome == \"\":", []string{doorTests}},
	{"5", "what a locker tells again has lost its order", "gateway/internal/door/core.go",
		"		c.remember(key, l.Op)\n", "", []string{doorTests}},
	{"5", "a door of another gateway speaks for an order", "cloud/internal/state/doors.go",
		"			if s.Gateway != boardOf(device) {", "			if device == \"\" {", []string{"./cloud/internal/state TestWhatDoorsDidComesInAnyOrder"}},
	{"5", "an order's door is told by times alone", "cloud/internal/locker/truth.go",
		"		if d := asked(&a) - asked(&b); d != 0 {", "		if d := asked(&a) - asked(&b); d > 9 {", []string{"./cloud/internal/locker"}},
}
