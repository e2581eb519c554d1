package firmware

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Modem is a GSM modem with a SIM, a network and a service centre (3GPP TS 27.005, 27.007; ITU-T V.250). It takes
// messages in PDU mode only, and has the patience of a real one: what comes while it sends is lost.
type Modem struct {
	Line cable
	Baud int // the speed it is set to; any where zero

	Takes    time.Duration // for the network to take a message
	Delivers time.Duration // from there until the status report

	mu      sync.Mutex
	in      []byte
	pdu     bool // collects a PDU
	want    int  // its length
	busy    bool // sends
	echo    bool
	cmee    int
	csms    int
	cnmi    [5]int
	ref     byte
	sim     string // READY, SIM PIN; empty: none
	stat    int    // registration
	csq     int
	store   []stored
	sent    []SMS
	acks    int      // AT+CNMA
	errors  []string // final results of the next messages
	noAsk   int      // prompts that won't come
	noEnd   int      // final results that won't come
	fate    byte     // TP-ST of the next status reports
	resets  int
	changed chan struct{}
}

type stored struct {
	index, length int
	pdu           string
}

// NewModem makes a modem that is registered at home.
func NewModem(line cable) *Modem {
	m := &Modem{Line: line, Takes: 2 * time.Second, Delivers: 5 * time.Second, sim: "READY", stat: 1, csq: 18, changed: make(chan struct{})}
	m.forget()
	return m
}

// forget is what power does to settings.
func (m *Modem) forget() {
	m.echo, m.cmee, m.csms, m.cnmi = true, 0, 0, [5]int{}
	m.in, m.pdu, m.busy = nil, false, false
}

// Run obeys commands until ctx ends or the line breaks.
func (m *Modem) Run(ctx context.Context) error {
	return pump(ctx, m.Line, quiet, m.took, func() {})
}

// took reads what came, byte by byte.
func (m *Modem) took(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, wired := m.Line.(interface{ Speed() int }); wired && m.Baud != 0 && l.Speed() != m.Baud {
		m.say("\x00\xe0\xfc\x80") // what its bits look like at another speed
		return
	}
	for _, c := range b {
		if m.busy {
			continue
		}
		if m.echo {
			m.say(string(rune(c)))
		}
		switch {
		case m.pdu && c == 0x1A:
			text := string(m.in)
			m.in, m.pdu = nil, false
			m.send(text)
		case m.pdu && c == 0x1B:
			m.in, m.pdu = nil, false
			m.end("OK")
		case !m.pdu && c == '\r':
			text := strings.TrimLeft(string(m.in), "\n\x1b \x1a")
			m.in = nil
			if text != "" {
				m.obey(text)
			}
		case len(m.in) < 1024:
			m.in = append(m.in, c)
		}
	}
}

// say writes to the line, and end a line of its own. Callers hold mu.
func (m *Modem) say(s string) { _, _ = m.Line.Write([]byte(s)) }
func (m *Modem) end(s string) { m.say("\r\n" + s + "\r\n") }

// refuse ends a command with an error code in the way that was asked for.
func (m *Modem) refuse(kind string, code int) {
	if m.cmee == 0 && kind == "CME" {
		m.end("ERROR")
		return
	}
	m.end(fmt.Sprintf("+%s ERROR: %d", kind, code))
}

// obey carries out a command line.
func (m *Modem) obey(line string) {
	upper := strings.ToUpper(line)
	if !strings.HasPrefix(upper, "AT") {
		return // noise
	}
	name, args := upper[2:], ""
	if i := strings.IndexAny(name, "=?"); i >= 0 {
		name, args = name[:i], name[i:]
	}
	if strings.HasPrefix(name, "+CM") || name == "+CPMS" || name == "+CSCA" || name == "+CNMA" {
		if name != "+CMEE" && m.sim != "READY" {
			m.refuse("CMS", map[bool]int{true: 310, false: 311}[m.sim == ""])
			return
		}
	}
	if info, known := m.fixed(name, args); known {
		if info != "" {
			m.end(info)
		}
		m.end("OK")
		return
	}
	m.act(name, args)
}

// fixed answers what needs no more than an information text.
func (m *Modem) fixed(name, args string) (info string, known bool) {
	texts := map[string]string{
		"": "", "Z": "", "&F": "", "E": "", "+CGMI": "YIZHAN", "+CGMM": "SIMULATED", "+CGMR": "1.0", "+CGSN": "490154203237518", "+CIMI": "460001234567890",
		"+CSQ": fmt.Sprintf("+CSQ: %d,99", m.csq), "+CNMA": "", "+CMGF=0": "", "+CMGF=?": "+CMGF: (0)", "+CMGF?": "+CMGF: 0",
		"+CSMS?": fmt.Sprintf("+CSMS: %d,1,1,1", m.csms), "+CSMS=?": "+CSMS: (0,1)", "+CSCA?": `+CSCA: "+8613800100500",145`,
		"+CREG=0": "", "+CREG?": fmt.Sprintf("+CREG: 0,%d", m.stat), "+COPS=3,2": "", "+COPS?": `+COPS: 0,2,"46000"`,
		"+CNMI=?": "+CNMI: (0-2),(0-3),(0-3),(0-2),(0,1)", "+CPMS=?": `+CPMS: ("SM"),("SM"),("SM")`,
		"+CSCS=?": `+CSCS: ("GSM","UCS2")`, "+CSCS?": `+CSCS: "UCS2"`, `+CSCS="UCS2"`: "", `+CSCS="GSM"`: "", "+CMGL=?": "+CMGL: (0-4)",
		"+CPMS?":               fmt.Sprintf(`+CPMS: "SM",%d,40,"SM",%[1]d,40,"SM",%[1]d,40`, len(m.store)),
		`+CPMS="SM","SM","SM"`: fmt.Sprintf("+CPMS: %d,40,%[1]d,40,%[1]d,40", len(m.store)),
	}
	texts[`+CPMS="SM","SM"`], texts[`+CPMS="SM"`] = texts[`+CPMS="SM","SM","SM"`], texts[`+CPMS="SM","SM","SM"`]
	if name == "+CNMA" {
		m.acks++
		args = ""
	}
	info, known = texts[name+args]
	return info, known
}

// act carries out what changes or reads something.
func (m *Modem) act(name, args string) {
	n, numeric := 0, false
	if v, err := strconv.Atoi(strings.TrimPrefix(args, "=")); err == nil {
		n, numeric = v, true
	}
	ok := true
	switch {
	case name == "E0" || name == "E1":
		m.echo = name == "E1"
	case name == "+CMEE" && numeric:
		m.cmee = n
	case name == "+CSMS" && numeric && n <= 1:
		m.csms = n
		m.end("+CSMS: 1,1,1")
	case name == "+CNMI" && strings.HasPrefix(args, "="):
		ok = m.route(args[1:])
	case name == "+CNMI":
		m.end(fmt.Sprintf("+CNMI: %d,%d,%d,%d,%d", m.cnmi[0], m.cnmi[1], m.cnmi[2], m.cnmi[3], m.cnmi[4]))
	case name == "+CPIN" && args == "?":
		if m.sim == "" {
			m.refuse("CME", 10)
			return
		}
		m.end("+CPIN: " + m.sim)
	case name == "+CMGS" && numeric:
		m.want = n
		m.prompt()
		return
	case name == "+CMGR" && numeric:
		ok = m.tellStored(n)
	case name == "+CMGD" && numeric:
		m.store = slices.DeleteFunc(m.store, func(s stored) bool { return s.index == n })
	case name == "+CMGL":
		for _, s := range m.store {
			m.end(fmt.Sprintf("+CMGL: %d,1,,%d\r\n%s", s.index, s.length, s.pdu))
		}
	case name == "+CFUN" && args == "=1,1":
		m.end("OK")
		m.resets++
		m.restart()
		return
	default:
		m.refuse("CME", 4)
		return
	}
	if !ok {
		m.refuse("CMS", 321)
		return
	}
	m.end("OK")
}

// route sets AT+CNMI.
func (m *Modem) route(args string) bool {
	fs := strings.Split(args, ",")
	if len(fs) > 5 {
		return false
	}
	set := m.cnmi
	for i, f := range fs {
		v, err := strconv.Atoi(f)
		if err != nil || v < 0 || v > 3 {
			return false
		}
		set[i] = v
	}
	m.cnmi = set
	return true
}

func (m *Modem) tellStored(index int) bool {
	for _, s := range m.store {
		if s.index == index {
			m.end(fmt.Sprintf("+CMGR: 0,,%d\r\n%s", s.length, s.pdu))
			return true
		}
	}
	return false
}

// prompt asks for the PDU.
func (m *Modem) prompt() {
	switch {
	case m.noAsk > 0:
		m.noAsk--
	case m.stat != 1 && m.stat != 5:
		m.refuse("CMS", 331)
	default:
		m.pdu = true
		m.say("\r\n> ")
	}
}

// send is the network's side of a message.
func (m *Modem) send(text string) {
	s, err := parseSubmit(text, m.want)
	if err != nil {
		m.refuse("CMS", 304)
		return
	}
	m.busy = true
	time.AfterFunc(m.Takes, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.busy { // it was restarted meanwhile
			return
		}
		m.busy = false
		if len(m.errors) > 0 {
			why := m.errors[0]
			m.errors = m.errors[1:]
			m.end(why)
			return
		}
		m.take(s)
	})
}

// take keeps a message and gives its reference.
func (m *Modem) take(s SMS) {
	m.ref++
	mr := m.ref
	for _, o := range m.sent {
		s.Reused = s.Reused || s.Parts > 0 && o.To == s.To && o.Ref == s.Ref && o.Part == s.Part
	}
	m.sent = append(m.sent, s)
	close(m.changed)
	m.changed = make(chan struct{})
	if m.noEnd > 0 {
		m.noEnd--
	} else {
		m.end(fmt.Sprintf("+CMGS: %d", mr))
		m.end("OK")
	}
	if s.Report && m.cnmi[3] != 0 {
		at := time.Now()
		time.AfterFunc(m.Delivers, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.tell(m.cnmi[3] == 1, "+CDS", statusReportOf(mr, s.To, at, m.fate))
		})
	}
}

func statusReportOf(mr byte, to string, at time.Time, fate byte) stored {
	pdu, n := statusReport(mr, to, at, time.Now(), fate)
	return stored{length: n, pdu: pdu}
}

// tell brings a PDU to the computer: directly, or by way of the SIM.
func (m *Modem) tell(direct bool, name string, s stored) {
	if direct {
		m.end(fmt.Sprintf("%s: %d\r\n%s", name, s.length, s.pdu))
		return
	}
	for s.index = 1; slices.ContainsFunc(m.store, func(o stored) bool { return o.index == s.index }); {
		s.index++
	}
	m.store = append(m.store, s)
	m.end(fmt.Sprintf(`%sI: "SM",%d`, name, s.index))
}

func (m *Modem) restart() {
	m.forget()
	m.end("RDY")
}
