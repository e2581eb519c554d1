package llrp

import (
	"encoding/binary"
	"time"

	"yizhan/devices/epc"
	"yizhan/devices/telemetry"
)

// A tagReport is one TagReportData (LLRP 1.0.1, 16.2.7.3). What the reader left out is unknown:
// nothing is carried over from the report before.
type tagReport struct {
	epc       []byte // aliases the message
	antenna   telemetry.Opt[int]
	rssi      telemetry.Opt[float64]
	count     telemetry.Opt[int]
	firstUTC  uint64 // microseconds since 1970, 0: absent
	lastUTC   uint64
	pc        uint16
	hasPC     bool
	unknownTV bool // the report went on with a parameter of unknown size
}

const maxEPC = 62 // bytes: a Gen2 EPC has at most 31 words

// parse reads a TagReportData's body. It is false for one without an EPC that can be one.
func (t *tagReport) parse(b []byte) bool {
	*t = tagReport{}
	p := params{rest: b}
	for p.next() {
		switch v := p.body; p.typ {
		case tvEPC96:
			t.epc = v
		case prmEPCData:
			if !t.epcData(v) {
				return false
			}
		case tvAntenna:
			t.antenna = telemetry.Some(int(binary.BigEndian.Uint16(v)))
		case tvPeakRSSI:
			t.rssi = telemetry.Some(float64(int8(v[0])))
		case tvSeenCount:
			t.count = telemetry.Some(int(binary.BigEndian.Uint16(v)))
		case tvFirstUTC:
			t.firstUTC = binary.BigEndian.Uint64(v)
		case tvLastUTC:
			t.lastUTC = binary.BigEndian.Uint64(v)
		case tvPC:
			t.pc, t.hasPC = binary.BigEndian.Uint16(v), true
		}
	}
	t.unknownTV = p.end == unknownTV
	return p.end != broken && t.epc != nil && len(t.epc) <= maxEPC
}

func (t *tagReport) epcData(v []byte) bool {
	if len(v) < 2 {
		return false
	}
	n := (int(binary.BigEndian.Uint16(v)) + 7) / 8
	if len(v)-2 < n {
		return false
	}
	t.epc = v[2 : 2+n]
	return true
}

func (t *tagReport) iso() bool { return t.hasPC && t.pc&epc.PCToggle != 0 }

// seen returns the times of the reader's clock; ok is false when the report has none.
func (t *tagReport) seen() (first, last time.Time, ok bool) {
	f, l := t.firstUTC, t.lastUTC
	if f == 0 {
		f = l
	}
	if l == 0 {
		l = f
	}
	if l == 0 || f > 1<<62 || l > 1<<62 {
		return first, last, false
	}
	return time.UnixMicro(int64(f)).UTC(), time.UnixMicro(int64(l)).UTC(), true
}

// eachTag calls each with every sound tag report of an RO_ACCESS_REPORT and bad with every other.
func eachTag(body []byte, c *counts, each func(*tagReport) error, bad func(raw []byte, reason string)) error {
	var t tagReport
	p := params{rest: body}
	for before := p.rest; p.next(); before = p.rest {
		if p.typ != prmTagReport {
			continue
		}
		switch {
		case !t.parse(p.body):
			c.add(badReport, 1)
			bad(before[:len(before)-len(p.rest)], "bad_report") // with its header: the body may be empty
			continue
		case len(t.epc) == 0:
			c.add(emptyEPC, 1)
			continue
		}
		c.add(tagReports, 1)
		if t.unknownTV {
			c.add(unknownParam, 1)
		}
		if err := each(&t); err != nil {
			return err
		}
	}
	if p.end == unknownTV {
		c.add(unknownParam, 1)
	}
	return nil
}
