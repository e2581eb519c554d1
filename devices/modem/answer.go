package modem

import (
	"strconv"
	"strings"
)

// A final is a final result code: how a command ended.
type final struct {
	ok   bool
	code failure
}

// A failure is why a command failed. The zero value is a bare ERROR.
type failure struct {
	kind string // cms or cme; empty: ERROR
	n    int    // below 0: told in words
}

// detail is a failure in the words of a result: its class first.
func (f failure) detail() string {
	switch {
	case f.kind == "":
		return otherwise
	case f.n < 0:
		return otherwise + " " + f.kind
	}
	return f.class() + " " + f.kind + "=" + strconv.Itoa(f.n)
}

// finalOf reads a final result code (3GPP TS 27.007 section 9, 27.005 section 3.2.5; ITU-T V.250 section 5.7.1).
func finalOf(line string) (final, bool) {
	switch line {
	case "OK":
		return final{ok: true}, true
	case "ERROR", "COMMAND NOT SUPPORT":
		return final{}, true
	}
	for _, kind := range []string{"cms", "cme"} {
		if rest, found := strings.CutPrefix(line, "+"+strings.ToUpper(kind)+" ERROR:"); found {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil || n < 0 {
				n = -1
			}
			return final{code: failure{kind, n}}, true
		}
	}
	return final{}, false
}

// Classes of failure. Only temporary and doubtful are worth another try, by who asked, after a while.
const (
	temporary = "temporary" // the network won't now; nothing went out
	doubtful  = "doubtful"  // the modem gave up waiting: the message may be out all the same
	network   = "network"   // out of order for long, or not for this subscriber
	rejected  = "rejected"  // the number or the service is refused
	malformed = "malformed" // the PDU is
	noSIM     = "sim"       // it is missing, locked or broken
	memory    = "memory"
	centre    = "smsc" // the service centre's number is unknown
	otherwise = "error"
)

// class sorts failures (3GPP TS 27.005 section 3.2.5; below 128 they are the causes of 24.011 annex E).
func (f failure) class() string {
	switch n := f.n; f.kind {
	case "cms":
		switch {
		case n == 41 || n == 42 || n == 331:
			return temporary
		case n == 332 || n == 500:
			return doubtful
		case n == 38 || n == 47 || n == 22:
			return network
		case n == 330:
			return centre
		case n >= 310 && n <= 318:
			return noSIM
		case n >= 320 && n <= 322:
			return memory
		case n >= 302 && n <= 305 || n >= 95 && n <= 111:
			return malformed
		case n >= 0 && n < 256:
			return rejected
		}
	case "cme":
		switch {
		case n >= 10 && n <= 18:
			return noSIM
		case n == 20 || n == 23:
			return memory
		case n == 30:
			return temporary
		case n == 31:
			return doubtful
		case n == 32:
			return network
		}
	}
	return otherwise
}

// header splits +CSQ: 18,99 into +CSQ and 18,99.
func header(line string) (name, rest string, ok bool) {
	name, rest, ok = strings.Cut(line, ":")
	if !ok || len(name) < 2 || name[0] != '+' && name[0] != '^' {
		return "", "", false
	}
	return name, strings.TrimSpace(rest), true
}

// fields splits at commas outside quotes, and takes the quotes off.
func fields(s string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i < len(s) && s[i] == '"':
			quoted = !quoted
		case i == len(s) || s[i] == ',' && !quoted:
			out = append(out, strings.Trim(strings.TrimSpace(s[from:i]), `"`))
			from = i + 1
		}
	}
	return out
}

// numberAt is field i as a number, below 0 when it is none.
func numberAt(fs []string, i int) int {
	if i >= len(fs) {
		return -1
	}
	n, err := strconv.Atoi(fs[i])
	if err != nil || n < 0 || n > 1<<30 {
		return -1
	}
	return n
}

// nameOf is the name under which a command is answered: +CSQ of AT+CSQ, +CREG of AT+CREG?.
func nameOf(command string) string {
	name := strings.TrimPrefix(command, "AT")
	if i := strings.IndexAny(name, "?="); i >= 0 {
		name = name[:i]
	}
	return name
}

// registration reads +CREG: the stat of an answer (n,stat,...), or of what is told unasked (stat, or stat,"lac",...).
func registration(rest string) int {
	raw := strings.Split(rest, ",")
	fs := fields(rest)
	if len(raw) >= 2 && !strings.Contains(raw[1], `"`) {
		if n := numberAt(fs, 1); n >= 0 && n <= 15 {
			return n
		}
	}
	return numberAt(fs, 0)
}

// registered reports whether messages can be sent: at home, roaming, or for messages only (6, 7).
func registered(stat int) bool { return stat == 1 || stat == 5 || stat == 6 || stat == 7 }

// dbm is a signal quality of AT+CSQ in dBm.
func dbm(csq int) (float64, bool) {
	if csq < 0 || csq > 31 {
		return 0, false
	}
	return float64(2*csq - 113), true
}

// announces names the lines that a PDU follows.
var announces = map[string]bool{"+CDS": true, "+CMT": true, "+CMGR": true, "+CMGL": true}

// announced is the length of the PDU that a line announces, its last field; ok is false when it announces none.
func announced(name, rest string) (n int, ok bool) {
	fs := fields(rest)
	return numberAt(fs, len(fs)-1), announces[name]
}

// booted are lines of a modem that has come up: what was set may be lost.
func booted(line string) bool {
	switch line {
	case "SMS Ready", "SMS READY", "SMS DONE", "Call Ready", "PB DONE", "+PBREADY":
		return true
	}
	return false
}

// restarts are lines of a modem that begins anew or goes down: what was set is lost.
func restarts(line string) bool {
	switch line {
	case "RDY", "NORMAL POWER DOWN", "POWERED DOWN", "UNDER-VOLTAGE POWER DOWN", "OVER-VOLTAGE POWER DOWN", "^SYSSTART", "SYSSTART":
		return true
	}
	return false
}
