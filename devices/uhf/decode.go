package uhf

import (
	"bytes"
	"errors"
	"io"
	"time"

	"yizhan/devices/passage"
	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device string // of the readings, default "decode"
	Family string // bb7e, a0, lenadr, swct; auto or nothing finds it out
	RSSI   RSSI
}

// sniffed are the sizes at which the family of a stream is looked for, until one shows clearly.
var sniffed = []int{256, 1 << 10, 1 << 12, 1 << 14, 1 << 16}

// Decode reads what went over a module's line, in either direction or both, and emits one raw tag
// reading for each read. It starts anywhere; garbage goes to reject with its offset in r, at most
// its first 256 bytes, as do frames with a wrong check or senseless contents. It fails only when r
// or emit does.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	opt.RSSI = opt.RSSI.withDefaults()
	var c counts
	fam, given := familyOf(opt.Family)
	if !given {
		var err error
		if fam, r, err = sniff(r); err != nil {
			return c.snapshot(), err
		}
	}
	d := decoder{opt: opt, fam: fam, counts: &c, emit: emit, reject: reject}
	in := frames{cut: fam.cut, counts: &c, reject: reject}
	for last := false; ; {
		f, ok := in.next(last)
		switch {
		case ok:
			if err := d.frame(in.offset-int64(len(f)), f); err != nil {
				return c.snapshot(), err
			}
		case last:
			return c.snapshot(), nil
		default:
			if err := in.fill(r); errors.Is(err, io.EOF) {
				last = true
			} else if err != nil {
				return c.snapshot(), err
			}
		}
	}
}

type decoder struct {
	opt    Options
	fam    family
	counts *counts
	known  passage.Names
	m      message
	crc    crcJudge
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
}

func (d *decoder) frame(offset int64, f []byte) error {
	bad := func(c counter, reason string) {
		d.counts.add(c, 1)
		if d.reject != nil {
			d.reject(offset, f[:min(len(f), junkKept)], reason)
		}
	}
	if !d.fam.parse(f, &d.m) {
		bad(badReport, "bad_report")
		return nil
	}
	switch {
	case d.m.kind == alive:
		d.counts.add(heartbeats, 1)
	case d.m.kind == report && d.m.done:
		d.counts.add(rounds, 1)
	}
	for i := range d.m.tags {
		t := &d.m.tags[i]
		switch {
		case d.crc.drop(t):
			bad(badTagCRC, "bad_tag_crc")
			continue
		case len(t.epc) == 0:
			d.counts.add(emptyEPC, 1)
			continue
		}
		d.counts.add(tagReads, 1)
		if err := d.emit(d.reading(t)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) reading(t *tag) telemetry.Reading {
	n := d.known.Of(t.epc, t.iso)
	body := telemetry.Tag{EPC: n.EPC, EPCHex: n.Hex, RSSIDBm: d.opt.RSSI.dBm(d.fam, t), Reads: telemetry.Some(1)}
	if t.antenna != 0 {
		body.Antenna = telemetry.Some(t.antenna)
	}
	return passage.WithRaw(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, body), t.raw())
}

// raw is the module's own figure of strength.
func (t *tag) raw() telemetry.Opt[int] {
	if !t.strong {
		return telemetry.Opt[int]{}
	}
	return telemetry.Some(int(t.rssi))
}

// sniff finds out which family a stream is of, and returns the whole stream. It is decided on as
// few bytes as do, but never by how they happen to arrive.
func sniff(r io.Reader) (family, io.Reader, error) {
	var head []byte
	for i, size := range sniffed {
		part, err := io.ReadAll(io.LimitReader(r, int64(size-len(head))))
		head = append(head, part...)
		if err != nil {
			return nil, nil, err
		}
		best, n := likeliest(head)
		if n >= 2 || len(head) < size || i == len(sniffed)-1 {
			return best, io.MultiReader(bytes.NewReader(head), r), nil
		}
	}
	return nil, nil, nil // not reached: the last size decides
}

// likeliest returns the family whose frames cover most of the bytes, and how many frames that are.
func likeliest(b []byte) (best family, n uint64) {
	most := uint64(0)
	for i, f := range families() {
		var c, all counts
		in := frames{cut: f.cut, counts: &all}
		src := bytes.NewReader(b)
		var m message
		for last := false; ; {
			if frame, ok := in.next(last); ok {
				if f.parse(frame, &m) {
					c.add(framesOK, 1)
					c.add(frameBytes, uint64(len(frame)))
				}
			} else if last {
				break
			} else {
				last = in.fill(src) != nil
			}
		}
		if covered := c.v[frameBytes].Load(); i == 0 || covered > most {
			best, most, n = f, covered, c.v[framesOK].Load()
		}
	}
	return best, n
}
