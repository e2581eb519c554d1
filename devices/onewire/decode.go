package onewire

import (
	"bytes"
	"errors"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device string // of the readings; "decode" when empty
	Probe  string // of answers whose probe isn't told; "w1" when empty
}

// Decode reads the texts of w1_slave files, one after the other, and emits a climate reading for each
// good one. Lines as grep prints them (PATH/28-0316a2795e50/w1_slave:...) name their probe. Anything
// else is rejected line by line. It never fails on garbage, only on errors of r or emit. reject may
// be nil.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	d := decoder{opt: opt, emit: emit, reject: reject, judges: map[string]*judge{}}
	if opt.Device == "" {
		d.opt.Device = "decode"
	}
	if opt.Probe == "" {
		d.opt.Probe = "w1"
	}
	var chunk [4096]byte
	for {
		n, err := r.Read(chunk[:])
		for _, c := range chunk[:n] {
			if err := d.take(c); err != nil {
				return d.counts.named(), err
			}
		}
		if err != nil {
			err = errors.Join(d.line(), ignoreEOF(err))
			d.drop(errFormat)
			return d.counts.named(), err
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

const (
	maxLine   = 512 // of a capture, with grep's path before it
	maxJudged = 256 // probes that are told apart
)

// A decoder pairs lines.
type decoder struct {
	opt    Options
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	counts counters
	judges map[string]*judge

	buf  []byte // the line so far
	at   int64  // of the next byte
	from int64  // of the line

	held     head
	heldName string
	heldText []byte // of a first line that waits for its second
	heldFrom int64
}

func (d *decoder) take(c byte) error {
	if len(d.buf) == 0 {
		d.from = d.at
	}
	d.at++
	if c != '\n' {
		d.buf = append(d.buf, c)
		if len(d.buf) < maxLine {
			return nil
		}
	}
	return d.line()
}

// line judges the line that has ended.
func (d *decoder) line() error {
	text := d.buf
	d.buf = d.buf[:0]
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	name, body := d.probe(text)
	if h, ok := parseHead(body); ok {
		d.drop(errFormat)
		d.held, d.heldName, d.heldFrom = h, name, d.from
		d.heldText = append(d.heldText[:0], text...)
		return nil
	}
	t, ok := parseTail(body)
	if !ok || len(d.heldText) == 0 || name != d.heldName {
		d.drop(errFormat)
		d.bad(d.from, text, errFormat)
		return nil
	}
	c, err := d.judge(name).degrees(d.held, t)
	if err != nil {
		d.drop(err)
		return nil
	}
	d.heldText = d.heldText[:0]
	d.counts.framesOK.Add(1)
	return d.emit(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, climate(name, c)))
}

// probe tells whose line it is, from grep's path before it.
func (d *decoder) probe(line []byte) (name string, body []byte) {
	path, body, ok := bytes.Cut(line, []byte("/w1_slave:"))
	if !ok {
		return d.opt.Probe, line
	}
	address := string(path[bytes.LastIndexByte(path, '/')+1:])
	if !validAddress(address) {
		return d.opt.Probe, line
	}
	return address, body
}

func (d *decoder) judge(name string) *judge {
	j := d.judges[name]
	if j == nil {
		if len(d.judges) == maxJudged {
			clear(d.judges)
		}
		fresh := newJudge(familyOf(name))
		j = &fresh
		d.judges[name] = j
	}
	return j
}

// drop gives up the first line that waits.
func (d *decoder) drop(why error) {
	if len(d.heldText) > 0 {
		d.bad(d.heldFrom, d.heldText, why)
		d.heldText = d.heldText[:0]
	}
}

func (d *decoder) bad(offset int64, raw []byte, why error) {
	d.counts.refused(why)
	if d.reject != nil {
		d.reject(offset, raw, why.Error())
	}
}
