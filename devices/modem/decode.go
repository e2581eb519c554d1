package modem

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device string // of the readings; empty: decode
}

// told is what Decode tells of a line: nothing personal, numbers without their middle digits.
type told struct {
	PDU        string   `json:"pdu,omitempty"` // submit, deliver, report
	To         string   `json:"to,omitempty"`
	From       string   `json:"from,omitempty"`
	MR         *int     `json:"mr,omitempty"`
	Status     *int     `json:"status,omitempty"`
	Fate       string   `json:"fate,omitempty"` // delivered, trying, failed
	Alphabet   string   `json:"alphabet,omitempty"`
	Characters *int     `json:"characters,omitempty"`
	Ref        *int     `json:"ref,omitempty"`
	Part       int      `json:"part,omitempty"`
	Parts      int      `json:"parts,omitempty"`
	Sent       string   `json:"sent,omitempty"`
	Discharged string   `json:"discharged,omitempty"`
	Error      string   `json:"error,omitempty"`
	CSQ        *int     `json:"csq,omitempty"`
	RSSI       *float64 `json:"rssi_dbm,omitempty"`
	Stat       *int     `json:"registration,omitempty"`
}

// Decode reads what goes over a modem's line, either direction or both, or PDUs in hex, one a line, and emits a
// health reading for each PDU, error, signal quality and registration in it: numbers without their middle digits, of texts the
// length. Lines that are garbled, and PDUs that can't be read, go to reject, which may be nil, with their offset and with
// their digits hidden; raw is valid during the call only. It fails on errors of r and of emit only.
func Decode(r io.Reader, o Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if reject == nil {
		reject = func(int64, []byte, string) {}
	}
	d := decoder{device: cmp.Or(o.Device, "decode"), emit: emit, reject: reject, length: -1}
	err := d.run(bufio.NewReader(r))
	return d.counts.named(), err
}

// A decoder walks a capture.
type decoder struct {
	device string
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	counts counters

	split  splitter
	length int   // of the PDU in the next line, below 0: not told
	start  int64 // offset of the line
	err    error
}

func (d *decoder) run(r *bufio.Reader) error {
	for at := int64(0); d.err == nil; at++ {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			d.split.feed([]byte{'\n'}, d.token)
			return d.err
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if len(d.split.line) == 0 && !d.split.dropping {
			d.start = at
		}
		d.split.feed([]byte{c}, d.token)
	}
	return d.err
}

func (d *decoder) token(kind int, line []byte) {
	switch kind {
	case garbled:
		d.counts.garbled.Add(1)
		d.reject(d.start, hidden(line), "garbled")
	case overlong:
		d.counts.resync.Add(uint64(len(line)))
		d.reject(d.start, hidden(line), "overlong")
	default:
		d.line(strings.Trim(string(line), "\x1a\x1b"))
	}
}

func (d *decoder) line(text string) {
	length := d.length
	d.length = -1
	if hexOnly(text) && (length >= 0 || len(text) >= 16) {
		d.pdu(text, length)
		return
	}
	if f, ok := finalOf(text); ok {
		d.counts.framesOK.Add(1)
		if !f.ok && f.code.kind != "" {
			d.tell(told{Error: f.code.detail()})
		}
		return
	}
	if n, ok := strings.CutPrefix(text, "AT+CMGS="); ok {
		d.length = numberAt([]string{n}, 0)
		return
	}
	name, rest, ok := header(text)
	if !ok {
		d.counts.strays.Add(1)
		return
	}
	if n, follows := announced(name, rest); follows {
		d.length = n
		return
	}
	switch n := numberAt(fields(rest), 0); name {
	case "+CMGS":
		if n >= 0 {
			d.tell(told{MR: &n})
		}
	case "+CSQ":
		if v, ok := dbm(n); ok {
			d.tell(told{CSQ: &n, RSSI: &v})
		}
	case "+CREG", "+CGREG", "+CEREG":
		if stat := registration(rest); stat >= 0 {
			d.tell(told{Stat: &stat})
		}
	}
}

func (d *decoder) pdu(text string, length int) {
	p, err := parsePDU(text, length)
	if err != nil {
		d.counts.badPDU.Add(1)
		d.reject(d.start, hidden([]byte(text)), err.Error())
		return
	}
	d.counts.framesOK.Add(1)
	d.tell(p.told())
}

// told is what may be said of a PDU.
func (p *pdu) told() told {
	t := told{PDU: p.kind}
	number := masked(p.number)
	if p.named {
		number = "name of " + fmt.Sprint(utf8.RuneCountInString(p.number))
	}
	mr, status := int(p.mr), int(p.status)
	switch p.kind {
	case deliver:
		t.From = number
	case submit:
		t.To, t.MR = number, &mr
	case report:
		t.To, t.MR, t.Status, t.Fate = number, &mr, &status, p.fate()
	}
	if p.kind != report {
		n := utf8.RuneCountInString(p.text)
		t.Alphabet, t.Characters = string(p.alphabet), &n
	}
	if p.total > 0 {
		ref := p.ref
		t.Ref, t.Part, t.Parts = &ref, p.part, p.total
	}
	if !p.sent.IsZero() {
		t.Sent = p.sent.Format(time.RFC3339)
	}
	if !p.discharged.IsZero() {
		t.Discharged = p.discharged.Format(time.RFC3339)
	}
	return t
}

func (d *decoder) tell(t told) {
	body, err := json.Marshal(t)
	if err != nil {
		panic("BUG: modem: " + err.Error())
	}
	if d.err == nil {
		d.err = d.emit(telemetry.Reading{Device: d.device, Kind: telemetry.KindHealth, TQ: telemetry.Unknown, Body: body})
	}
}
