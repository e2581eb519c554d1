package scanner

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"sync/atomic"
	"unicode/utf8"

	"yizhan/devices/telemetry"
)

// maxText is the longest text a scan may have.
const maxText = 1024

type counters struct {
	framesOK, malformed, tooLong, cut, badEncoding, gs1OK, gs1Bad, noAIM atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "malformed": c.malformed.Load(), "too_long": c.tooLong.Load(), "cut": c.cut.Load(),
		"bad_encoding": c.badEncoding.Load(), "gs1_ok": c.gs1OK.Load(), "gs1_bad": c.gs1Bad.Load(), "no_aim": c.noAIM.Load(),
	}
}

// A scan is one line, understood.
type scan struct {
	aim, symbology, text string
	inHex                bool
	gs1                  []element
}

// body is the scan's reading: telemetry.Scan and what it has besides.
func (s scan) body() []byte {
	b := telemetry.Scan{Symbology: s.symbology, Text: s.text}.AppendJSON(nil)
	b = b[:len(b)-1]
	if s.inHex {
		b = append(b, `,"encoding":"hex"`...)
	}
	if s.aim != "" {
		b = append(append(append(b, `,"aim":"`...), s.aim...), '"')
	}
	for i, e := range s.gs1 {
		if i == 0 {
			b = append(b, `,"gs1":{`...)
		} else {
			b = append(b, ',')
		}
		data, err := json.Marshal(e.data)
		if err != nil {
			panic("BUG: a string is always JSON: " + err.Error())
		}
		b = append(append(append(append(b, '"'), e.ai...), `":`...), data...)
	}
	if len(s.gs1) > 0 {
		b = append(b, '}')
	}
	return append(b, '}')
}

// A framer cuts a stream into scans. It holds at most maxText and an identifier's bytes.
type framer struct {
	encoding  string // utf-8, latin-1, hex
	minLength int
	scan      func(scan)
	reject    func(offset int64, raw []byte, reason string)
	counts    *counters

	buf  []byte
	over bool  // the line is too long already
	at   int64 // of the next byte
	from int64 // of the line
}

func (f *framer) feed(b []byte) {
	for _, c := range b {
		if c == '\r' || c == '\n' {
			f.line()
			f.at++
			continue
		}
		if len(f.buf) == 0 {
			f.from = f.at
		}
		f.at++
		switch {
		case f.over:
		case len(f.buf) == maxText+3:
			f.over = true
		default:
			f.buf = append(f.buf, c)
		}
	}
}

// pending reports whether a line has begun.
func (f *framer) pending() bool { return len(f.buf) > 0 }

// cut gives the line up that has begun.
func (f *framer) cut() {
	if f.pending() {
		f.bad(&f.counts.cut, "cut")
	}
}

func (f *framer) bad(count *atomic.Uint64, reason string) {
	count.Add(1)
	f.reject(f.from, f.buf, reason)
	f.buf, f.over = f.buf[:0], false
}

// line judges the line that has ended.
func (f *framer) line() {
	if !f.pending() {
		return
	}
	id, text := aim(f.buf)
	switch {
	case f.over || len(text) > maxText:
		f.bad(&f.counts.tooLong, "too_long")
		return
	case len(text) < f.minLength || !speaks(text):
		f.bad(&f.counts.malformed, "malformed")
		return
	}
	s := scan{aim: id, symbology: symbology(id)}
	if !f.decode(&s, text) {
		f.bad(&f.counts.badEncoding, "bad_encoding")
		return
	}
	switch {
	case id == "":
		f.counts.noAIM.Add(1)
	case isGS1(id):
		var err error
		if s.gs1, err = elements(text); err != nil {
			f.counts.gs1Bad.Add(1)
		} else {
			f.counts.gs1OK.Add(1)
		}
	}
	f.counts.framesOK.Add(1)
	f.buf = f.buf[:0]
	f.scan(s)
}

// speaks reports whether a text holds no control characters but those that codes hold.
func speaks(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != 0x04 && (c < 0x1C || c > 0x1F) || c == 0x7F {
			return false
		}
	}
	return true
}

func (f *framer) decode(s *scan, text []byte) bool {
	switch {
	case utf8.Valid(text):
		s.text = string(text)
	case f.encoding == "latin-1":
		runes := make([]rune, len(text))
		for i, c := range text {
			runes[i] = rune(c)
		}
		s.text = string(runes)
	case f.encoding == "hex":
		s.text, s.inHex = hex.EncodeToString(text), true
	}
	return s.text != "" && len(s.text) <= maxText
}

// Options of Decode.
type Options struct {
	Device   string // of the readings; "decode" when empty
	Encoding string // utf-8, latin-1 or hex; hex when empty
}

// Decode reads what a scanner sends and emits a reading for each line, one character long or more; a
// last one without a line end is taken as well. It never fails on garbage, only on errors of r or emit.
// reject may be nil.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	if opt.Encoding == "" {
		opt.Encoding = "hex"
	}
	var counts counters
	var emitErr error
	f := &framer{encoding: opt.Encoding, minLength: 1, counts: &counts}
	f.scan = func(s scan) {
		if emitErr == nil {
			emitErr = emit(s.reading(opt.Device))
		}
	}
	f.reject = func(offset int64, raw []byte, reason string) {
		if reject != nil {
			reject(offset, raw, reason)
		}
	}
	var chunk [4096]byte
	for {
		n, err := r.Read(chunk[:])
		f.feed(chunk[:n])
		if err != nil {
			f.line()
		}
		switch {
		case emitErr != nil:
			return counts.named(), emitErr
		case errors.Is(err, io.EOF):
			return counts.named(), nil
		case err != nil:
			return counts.named(), err
		}
	}
}

func (s scan) reading(device string) telemetry.Reading {
	return telemetry.Reading{Device: device, Kind: telemetry.KindScan, TQ: telemetry.Unknown, Body: s.body()}
}
