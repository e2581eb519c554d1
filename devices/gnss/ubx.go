package gnss

import (
	"encoding/binary"
	"time"

	"yizhan/devices/telemetry"
)

// A UBX frame: two sync bytes, class, id, length (little-endian), payload, two check bytes.
const (
	sync1, sync2 = 0xb5, 0x62
	ubxHead      = 6
	ubxExtra     = ubxHead + 2
	maxFrame     = 4096 + ubxExtra // raw measurements of all satellites are longer than 2 KiB
)

// The messages that are read or sent.
const (
	classNAV, classACK, classCFG, classMON = 0x01, 0x05, 0x06, 0x0a

	navPVT, navSAT          = 0x07, 0x35
	ackNAK, ackACK          = 0x00, 0x01
	monVER                  = 0x04
	cfgMSG, cfgRATE, valset = 0x01, 0x08, 0x8a
)

// ubxClass reports whether a message class exists: what follows two sync bytes by chance is mostly none.
func ubxClass(c byte) bool {
	switch c {
	case classNAV, 0x02, 0x03, 0x04, classACK, classCFG, 0x09, classMON, 0x0b, 0x0d, 0x10, 0x13, 0x21, 0x27, 0x28, 0x29:
		return true
	}
	return false
}

// hold takes bytes of what may be a UBX frame, and returns how many.
func (f *framer) hold(b []byte) int {
	need := f.held + 1
	if f.held >= ubxHead {
		need = f.need()
	}
	n := copy(f.frame[f.held:need], b)
	f.held += n
	f.offset += int64(n)
	switch {
	case f.held < need:
	case f.held == 2 && f.frame[1] != sync2, f.held == 3 && !ubxClass(f.frame[2]),
		f.held == ubxHead && f.need() > maxFrame:
		f.release(resync)
	case f.held > ubxHead && f.held == f.need():
		f.verify()
	}
	return n
}

// need is how long the frame is whose head is held.
func (f *framer) need() int { return ubxExtra + int(binary.LittleEndian.Uint16(f.frame[4:])) }

func (f *framer) verify() {
	frame := f.frame[:f.held]
	if a, b := fletcher(frame[2 : f.held-2]); a != frame[f.held-2] || b != frame[f.held-1] {
		f.release(badChecksum)
		return
	}
	f.end()
	f.held = 0
	if f.message(frame[2], frame[3], frame[ubxHead:len(frame)-2]) != nil {
		f.count.add(malformed)
		f.reject(malformed, f.offset-int64(len(frame)), frame[:min(len(frame), maxSentence)])
		return
	}
	f.count.add(framesOK)
}

// release takes what was held for what it is without a UBX frame at its start: nothing in it is
// lost. A frame that begins within writes over what was already taken only.
func (f *framer) release(why counter) {
	again := f.frame[1:f.held]
	f.offset -= int64(f.held)
	f.held = 0
	fresh := f.state == between
	f.plain(sync1)
	if fresh {
		f.why = why
	}
	f.feed(again)
}

// giveUp stops waiting for the rest of a UBX frame.
func (f *framer) giveUp() {
	for f.held > 0 {
		f.release(resync)
	}
}

// fletcher is the check of a UBX frame.
func fletcher(b []byte) (x, y byte) {
	for _, c := range b {
		x += c
		y += x
	}
	return x, y
}

// appendUBX appends a frame.
func appendUBX(dst []byte, class, id byte, payload ...byte) []byte {
	from := len(dst)
	dst = append(dst, sync1, sync2, class, id, byte(len(payload)), byte(len(payload)>>8))
	dst = append(dst, payload...)
	x, y := fletcher(dst[from+2:])
	return append(dst, x, y)
}

// pvtSize is NAV-PVT as u-blox 7 sends it; later ones append eight bytes.
const pvtSize = 84

// parsePVT reads NAV-PVT: the whole solution of one epoch.
func parsePVT(p []byte) (r report, err error) {
	r.kind = ubxPVT
	if len(p) < pvtSize {
		return r, errField
	}
	signed := func(i int) float64 { return float64(int32(binary.LittleEndian.Uint32(p[i:]))) }
	if err := r.pvtTime(p); err != nil {
		return r, err
	}
	flags, bad := p[21], p[78]
	r.vote = pvtVote(p[20], flags&1 != 0, bad&1 != 0)
	r.dims = int(min(p[20], 3))
	r.used = telemetry.Some(int(p[23]))
	where := point{lat: signed(28) / 1e7, lon: signed(24) / 1e7}
	if where.lat < -90 || where.lat > 90 || where.lon < -180 || where.lon > 180 {
		return r, errField
	}
	if r.vote == refused {
		return r, nil
	}
	r.where = telemetry.Some(where)
	if r.dims == 3 || p[20] == 1 {
		r.altitude = telemetry.Some(signed(36) / 1e3)
	}
	speed, course := signed(60)/1e3, signed(64)/1e5
	if speed < 0 || speed > maxKnot*knot || course < -360 || course > 360 {
		return r, errField
	}
	if course < 0 {
		course += 360
	}
	r.speed, r.course = telemetry.Some(speed), telemetry.Some(course)
	return r, nil
}

// pvtVote reads the fix type: none, dead reckoning, 2D, 3D, GNSS with dead reckoning, time only.
func pvtVote(fix byte, ok, invalid bool) vote {
	switch {
	case !ok || invalid:
		return refused
	case fix == 1:
		return reckoned
	case fix >= 2 && fix <= 4:
		return fixed
	}
	return refused
}

// pvtTime reads date and time where their flags say that they are known, rounded to milliseconds. The
// fraction may be negative.
func (r *report) pvtTime(p []byte) error {
	const dateValid, timeKnown = 1, 2 | 4 // valid, and sure to the second
	if p[11]&timeKnown != timeKnown {
		return nil
	}
	nano := time.Duration(int32(binary.LittleEndian.Uint32(p[16:])))
	if p[8] > 23 || p[9] > 59 || p[10] > 60 || nano.Abs() > time.Second {
		return errField
	}
	tod := time.Duration(p[8])*time.Hour + time.Duration(p[9])*time.Minute + time.Duration(p[10])*time.Second + nano
	ms := tod.Round(time.Millisecond).Milliseconds()
	carry := int64(0)
	switch {
	case ms < 0:
		carry = -1
	case ms >= day:
		carry = 1
	}
	r.tod = telemetry.Some(ms - carry*day)
	if p[11]&dateValid == 0 {
		return nil
	}
	date, err := days(int(binary.LittleEndian.Uint16(p[4:])), int(p[6]), int(p[7]))
	if d, ok := date.Get(); ok {
		r.date = telemetry.Some(d + carry)
	}
	return err
}

// satSize is what NAV-SAT tells of each satellite, after a head of eight bytes.
const satHead, satSize = 8, 12

// parseSAT reads how many satellites NAV-SAT tells of.
func parseSAT(p []byte) (n int, err error) {
	if len(p) < satHead || len(p) < satHead+satSize*int(p[5]) {
		return 0, errField
	}
	return int(p[5]), nil
}
