package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device  string             // of the readings; empty: decode
	Profile string             // what every unit is; empty: xy-md02
	Framing string             // rtu (default) or tcp
	Known   map[string]Profile // profiles besides the package's own
}

// Profiles returns the names of the profiles that come with the package.
func Profiles() []string { return Config{}.profileNames() }

// Decode reads captured bytes of a line, requests and replies in their order, and emits a
// climate reading for each probe of each reply whose request it saw; the probe of unit 3 is
// unit-3. Bytes that are no frame go to reject, which may be nil, with their offset; raw is valid
// during the call only. It fails on errors of r, of emit, and on options that make no sense, never
// on what r holds.
func Decode(r io.Reader, o Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if reject == nil {
		reject = func(int64, []byte, string) {}
	}
	d := decoder{opt: o, emit: emit, reject: reject, asked: map[uint32]request{}}
	if d.opt.Device == "" {
		d.opt.Device = "decode"
	}
	if d.opt.Profile == "" {
		d.opt.Profile = "xy-md02"
	}
	var ok bool
	if d.profile, ok = (Config{Profiles: o.Known}).profile(d.opt.Profile); !ok {
		return nil, fmt.Errorf("profile %.40q is unknown", d.opt.Profile)
	}
	switch o.Framing {
	case "", "rtu":
		d.frame = d.rtu
	case "tcp":
		d.frame = d.tcp
	default:
		return nil, fmt.Errorf("framing %.20q is neither rtu nor tcp", o.Framing)
	}
	err := d.run(r)
	return d.counts.named(), err
}

// A decoder walks a capture.
type decoder struct {
	opt     Options
	profile Profile
	emit    func(telemetry.Reading) error
	reject  func(offset int64, raw []byte, reason string)
	counts  counters

	frame func(b []byte, final bool) (size int, reason string, err error)

	asked  map[uint32]request // what replies may answer: RTU by unit, TCP by transaction and unit
	offset int64              // of junk's first byte, or of the next byte
	junk   []byte
	why    string
}

// maxADU is the longest frame of either framing.
const maxADU = 260

var errMore = errors.New("more")

func (d *decoder) run(r io.Reader) error {
	buf := make([]byte, 0, 8<<10)
	for final := false; !final; {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			final = true
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		at := 0
		for at < len(buf) {
			size, reason, err := d.frame(buf[at:], final)
			if err == errMore {
				break
			}
			if err != nil {
				return err
			}
			d.pass(buf[at:at+size], reason)
			at += size
		}
		buf = append(buf[:0], buf[at:]...)
	}
	d.endJunk()
	return nil
}

// pass moves over raw: a good frame when reason is empty, a bad one, or a single byte of junk.
func (d *decoder) pass(raw []byte, reason string) {
	if len(raw) > 1 {
		d.endJunk()
		if reason != "" {
			d.reject(d.offset, raw, reason)
		}
		d.offset += int64(len(raw))
		return
	}
	if len(d.junk) == 0 || reason == badCRC {
		d.why = reason
	}
	d.junk = append(d.junk, raw...)
	d.counts.resync.Add(1)
	if len(d.junk) == maxADU {
		d.endJunk()
	}
}

func (d *decoder) endJunk() {
	if len(d.junk) == 0 {
		return
	}
	if isText(d.junk) {
		d.counts.textReports.Add(1)
		d.why = "text, no frame"
	}
	d.reject(d.offset, d.junk, d.why)
	d.offset += int64(len(d.junk))
	d.junk = d.junk[:0]
}

const (
	badCRC   = "bad crc"
	noFrame  = "no frame begins here"
	noAsking = "reply without its request"
)

// rtu takes the frame at the start of b, or one byte and the reason why none begins there.
func (d *decoder) rtu(b []byte, final bool) (int, string, error) {
	short, checked := false, false
	for _, n := range sizes(b) {
		switch {
		case n > len(b):
			short = true
		case crcOK(b[:n]):
			return d.checked(b[:n])
		default:
			checked = true
		}
	}
	switch {
	case short && !final:
		return 0, "", errMore
	case checked:
		d.counts.badChecksum.Add(1)
		return 1, badCRC, nil
	}
	return 1, noFrame, nil
}

// sizes are the lengths that the frame at the start of b may have; only its check tells requests
// from replies. Functions that another master may use are passed over as whole frames.
func sizes(b []byte) []int {
	if len(b) < 3 {
		return []int{5}
	}
	var all []int
	switch fn := b[1]; {
	case b[0] > 247, b[0] == 0 && fn < 5: // no unit; and nobody answers a broadcast
	case fn&exceptionBit != 0 && fn&^exceptionBit <= 16:
		all = []int{5}
	case fn == readHolding || fn == readInput || fn == 1 || fn == 2:
		all = []int{8}
		if n := int(b[2]); n > 0 && n <= 2*maxRegisters {
			all = append(all, 5+n)
		}
	case fn == 5 || fn == 6:
		all = []int{8}
	case fn == 15 || fn == 16:
		all = []int{8}
		if len(b) < 7 {
			all = append(all, 9)
		} else if n := int(b[6]); n > 0 && n < maxADU-9 {
			all = append(all, 9+n)
		}
	}
	return all
}

// checked takes the frame b, whose check is right.
func (d *decoder) checked(b []byte) (int, string, error) {
	fn := b[1] &^ exceptionBit
	if fn != readHolding && fn != readInput {
		d.counts.framesOK.Add(1)
		return len(b), "", nil
	}
	if q, ok := asRequest(b); ok && len(b) == 8 && b[1]&exceptionBit == 0 {
		d.counts.framesOK.Add(1)
		d.asked[uint32(q.unit)] = q
		return len(b), "", nil
	}
	return d.answer(uint32(b[0]), b[1:len(b)-2], len(b))
}

// tcp takes the frame at the start of b.
func (d *decoder) tcp(b []byte, final bool) (int, string, error) {
	short := func() (int, string, error) {
		if final {
			return 1, noFrame, nil
		}
		return 0, "", errMore
	}
	if len(b) < mbapSize {
		return short()
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if b[2] != 0 || b[3] != 0 || length < 3 || length > 254 {
		return 1, noFrame, nil
	}
	size := mbapSize + length
	if len(b) < size {
		return short()
	}
	adu := b[mbapSize:size]
	key := uint32(binary.BigEndian.Uint16(b))<<8 | uint32(adu[0])
	fn := adu[1] &^ exceptionBit
	switch {
	case fn == 0 || fn > 0x2B:
		return 1, noFrame, nil
	case fn != readHolding && fn != readInput:
		d.counts.framesOK.Add(1)
		return size, "", nil
	case adu[1]&exceptionBit != 0 && length == 3:
		return d.answer(key, adu[1:], size)
	case length == 3+int(adu[2]) && adu[2] > 0 && adu[2]%2 == 0:
		return d.answer(key, adu[1:], size)
	}
	if q, ok := asRequest(adu); ok && length == 6 {
		d.counts.framesOK.Add(1)
		if len(d.asked) >= 1<<12 { // a capture of requests only
			clear(d.asked)
		}
		d.asked[key] = q
		return size, "", nil
	}
	return 1, noFrame, nil
}

// asRequest reads unit and PDU of a request for registers.
func asRequest(b []byte) (request, bool) {
	if len(b) < 6 {
		return request{}, false
	}
	q := request{b[0], b[1], binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])}
	return q, q.count >= 1 && q.count <= maxRegisters
}

// answer emits what the reply pdu of size bytes says, if it answers what key asked.
func (d *decoder) answer(key uint32, pdu []byte, size int) (int, string, error) {
	q, ok := d.asked[key]
	if !ok || pdu[0]&^exceptionBit != q.function || pdu[0]&exceptionBit == 0 && int(pdu[1]) != 2*int(q.count) {
		return size, noAsking, nil
	}
	delete(d.asked, key)
	d.counts.framesOK.Add(1)
	regs, err := registers(pdu)
	if err != nil {
		d.counts.exceptions.Add(1)
	}
	m := image{}
	m.put(q, regs)
	for _, p := range d.profile.probes(fmt.Sprintf("unit-%d", q.unit)) {
		c, read, bad := p.climate(m)
		switch {
		case read == 0 && err == nil:
			continue // another block of the profile
		case read == 0:
			c = faulty(p.name)
		case errors.Is(bad, errRange):
			d.counts.outOfRange.Add(1)
		case bad != nil:
			d.counts.probeFaults.Add(1)
		}
		if err := d.emit(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, c)); err != nil {
			return 0, "", err
		}
	}
	return size, "", nil
}
