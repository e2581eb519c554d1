package firmware

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// order is a message of the platform.
type order struct {
	id, serial uint16
	body       []byte
}

var errFrame = errors.New("jt808: a frame that is none")

// Replaced on the line: the frame mark and the sign of replacement itself (JT/T 808-2013, 4.4.2).
var (
	toLine   = strings.NewReplacer("\x7e", "\x7d\x02", "\x7d", "\x7d\x01")
	fromLine = strings.NewReplacer("\x7d\x02", "\x7e", "\x7d\x01", "\x7d")
)

// pack makes the frame of a terminal's message. total and number are of a message in packets, 0 otherwise.
func (t *Terminal) pack(id, serial, total, number uint16, body []byte) []byte {
	var b bytes.Buffer
	word := func(v uint16) { b.Write([]byte{byte(v >> 8), byte(v)}) }
	word(id)
	properties := uint16(len(body))
	if total > 0 {
		properties |= 1 << 13
	}
	digits := 12
	if t.version() == 2019 {
		properties |= 1 << 14
		digits = 20
	}
	word(properties)
	if digits == 20 {
		b.WriteByte(1)
	}
	bcd, err := hex.DecodeString(fmt.Sprintf("%0*s", digits, t.Phone))
	if err != nil {
		panic("BUG: terminal: its number is no number")
	}
	b.Write(bcd)
	word(serial)
	if total > 0 {
		word(total)
		word(number)
	}
	b.Write(body)
	check := byte(0)
	for _, c := range b.Bytes() {
		check ^= c
	}
	if t.Faults.WrongCheck {
		check++
	}
	b.WriteByte(check)
	return []byte("\x7e" + toLine.Replace(b.String()) + "\x7e")
}

// unpack reads the platform's next message from r. A frame that is none gives errFrame, and the next call goes on
// behind it.
func unpack(r *bufio.Reader, twenty bool) (order, error) {
	for {
		line, err := r.ReadString(0x7e)
		if err != nil {
			return order{}, err
		}
		if line = line[:len(line)-1]; line == "" {
			continue
		}
		b := []byte(fromLine.Replace(line))
		head := 12
		if twenty {
			head = 17
		}
		check := byte(0)
		for _, c := range b {
			check ^= c
		}
		if len(b) < head+1 || check != 0 {
			return order{}, errFrame
		}
		properties := binary.BigEndian.Uint16(b[2:])
		o := order{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[head-2:]), b[head : len(b)-1]}
		if int(properties&0x3ff) != len(o.body) || (properties>>14&1 == 1) != twenty {
			return order{}, errFrame
		}
		return o, nil
	}
}

// registration is the body of 0x0100 in the terminal's version.
func (t *Terminal) registration() []byte {
	maker, model, id := 5, 20, 7
	switch t.version() {
	case 2011:
		model = 8
	case 2019:
		maker, model, id = 11, 30, 30
	}
	b := []byte{0, 51, 0x01, 0x81}
	field := func(s string, n int) { b = append(append(b, s...), make([]byte, n-len(s))...) }
	field("YUNLN", maker)
	field("YL-808", model)
	field(t.Phone[max(0, len(t.Phone)-7):], id)
	const yellow = 2
	return append(append(b, yellow), chinese(t.Plate)...)
}

// authentication is the body of 0x0102.
func (t *Terminal) authentication(code []byte) []byte {
	if t.version() != 2019 {
		return code
	}
	b := append([]byte{byte(len(code))}, code...)
	b = append(b, fmt.Sprintf("%015s", t.Phone)[:15]...)
	return append(b, "YL-808 sim 1.0.0\x00\x00\x00\x00"...)
}

func chinese(s string) []byte {
	b, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	if err != nil {
		panic("BUG: terminal: " + err.Error())
	}
	return b
}

// report is the body of 0x0200: where the vehicle is, its alarm bits, and how far it has driven.
func (t *Terminal) report(p sample) []byte {
	var b []byte
	dword := func(v uint32) { b = binary.BigEndian.AppendUint32(b, v) }
	word := func(v uint16) { b = binary.BigEndian.AppendUint16(b, v) }
	status := uint32(1) // ignition on
	lat, lon := p.fix.Lat, p.fix.Lon
	if !p.fix.None {
		status |= 1<<1 | 1<<18 | 1<<19
	}
	if t.Faults.GCJ02 {
		lat, lon = marsify(lat, lon)
	}
	if lat < 0 {
		status |= 1 << 2
	}
	if lon < 0 {
		status |= 1 << 3
	}
	dword(p.alarm)
	dword(status)
	dword(uint32(math.Round(math.Abs(lat) * 1e6)))
	dword(uint32(math.Round(math.Abs(lon) * 1e6)))
	word(uint16(int16(math.Round(p.fix.AltitudeM))))
	const fastest = 9999 // 0.1 km/h, where terminals stop
	word(uint16(min(math.Round(p.fix.SpeedMPS*36), fastest)))
	word(uint16(math.Mod(math.Mod(math.Round(p.fix.HeadingDeg), 360)+360, 360)))
	b = append(b, decimalTime(p.at.Add(t.Faults.ClockOffset).UTC().Add(8*time.Hour))...)
	b = append(b, 0x01, 4)
	dword(uint32(p.driven / 100))
	b = append(b, 0x30, 1, 21, 0x31, 1, byte(p.fix.Satellites), 0xe4, 2, 0, 97)
	if t.version() == 2019 && t.Cabin != nil {
		b = append(b, 0x06, 2)
		if word(uint16(math.Round(math.Abs(p.cabin)))); p.cabin < 0 { // the highest bit is the sign
			b[len(b)-2] |= 0x80
		}
	}
	return b
}

// decimalTime writes YYMMDDhhmmss in BCD.
func decimalTime(at time.Time) []byte {
	b, err := hex.DecodeString(at.Format("060102150405"))
	if err != nil {
		panic("BUG: terminal: " + err.Error())
	}
	return b
}

// marsify moves a WGS-84 position to where maps drawn in GCJ-02 show it.
func marsify(lat, lon float64) (float64, float64) {
	const (
		a  = 6378245.0
		ee = 0.00669342162296594323
	)
	y, x := lat-35, lon-105
	hills := func(v float64, terms ...[2]float64) (sum float64) { // amplitude, period in half turns
		for _, t := range terms {
			sum += t[0] * math.Sin(v*math.Pi*t[1])
		}
		return sum * 2 / 3
	}
	common := hills(x, [2]float64{20, 6}, [2]float64{20, 2})
	north := 2*x - 100 + 3*y + y*y/5 + x*y/10 + math.Sqrt(math.Abs(x))/5 + common +
		hills(y, [2]float64{20, 1}, [2]float64{40, 1. / 3}, [2]float64{160, 1. / 12}, [2]float64{320, 1. / 30})
	east := 300 + x + 2*y + x*x/10 + x*y/10 + math.Sqrt(math.Abs(x))/10 + common +
		hills(x, [2]float64{20, 1}, [2]float64{40, 1. / 3}, [2]float64{150, 1. / 12}, [2]float64{300, 1. / 30})
	rad := lat * math.Pi / 180
	w := 1 - ee*math.Sin(rad)*math.Sin(rad)
	return lat + north/(a*(1-ee)/math.Pow(w, 1.5))*180/math.Pi, lon + east/(a/math.Sqrt(w)*math.Cos(rad))*180/math.Pi
}
