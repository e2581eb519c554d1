package jt808

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"yizhan/devices/telemetry"
)

// Years of the standard, as a registration shows them.
const (
	year2011 = 2011
	year2013 = 2013
	year2019 = 2019
)

// A registration is the body of 0x0100 (JT/T 808-2013, 8.5).
type registration struct {
	Protocol    int    `json:"protocol"` // 2011, 2013 or 2019
	Province    uint16 `json:"province"`
	City        uint16 `json:"city"`
	Maker       string `json:"maker"`
	Model       string `json:"model"`
	Terminal    string `json:"terminal"`
	PlateColour byte   `json:"plate_colour"` // 0: not plated, and Plate is the VIN
	Plate       string `json:"plate"`
}

// The widths of maker, model and terminal id by year.
var registrationWidths = map[int][3]int{year2011: {5, 8, 7}, year2013: {5, 20, 7}, year2019: {11, 30, 30}}

func parseRegistration(b []byte, is2019 bool) (r registration, ok bool) {
	const short, long = 25, 37 // 2011 and 2013 before the plate
	switch {
	case is2019:
		r.Protocol = year2019
	case len(b) >= long && !(b[long-1] > 9 && b[short-1] <= 9):
		r.Protocol = year2013
	default:
		r.Protocol = year2011 // short, or long only by a VIN in place of the plate
	}
	w := registrationWidths[r.Protocol]
	if len(b) < 4+w[0]+w[1]+w[2]+1 {
		return r, false
	}
	r.Province, r.City = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	b = b[4:]
	for i, s := range []*string{&r.Maker, &r.Model, &r.Terminal} {
		*s = text(b[:w[i]])
		b = b[w[i]:]
	}
	r.PlateColour, r.Plate = b[0], text(b[1:])
	return r, true
}

// reading shows a registration to whoever binds the terminal to a vehicle.
func (r *registration) reading(device string) telemetry.Reading {
	body, err := json.Marshal(r)
	if err != nil {
		panic("BUG: jt808: " + err.Error())
	}
	return telemetry.Reading{Device: device, Kind: telemetry.KindHealth, TQ: telemetry.Unknown, Body: body}
}

// maxText is the longest text that a reading shows, in bytes.
const maxText = 256

// text reads a STRING or a padded BYTE[n]: GBK, or its superset GB 18030.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b[:min(len(b), maxText)])
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimSpace(string(s)))
}

// gbk encodes a text for a terminal; it fails on what GBK doesn't have.
func gbk(s string) ([]byte, error) { return simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s)) }

// authCode reads the code of 0x0102. Since 2019 it has a length before it, and IMEI and software version after
// it; some terminals keep the old body.
func authCode(b []byte, is2019 bool) []byte {
	const imeiAndVersion = 15 + 20
	if is2019 && len(b) > 0 && len(b) == 1+int(b[0])+imeiAndVersion {
		b = b[1 : 1+int(b[0])]
	}
	return bytes.TrimRight(b, "\x00 ")
}

// eachPoint calls each with the locations of 0x0704, which has at least its head of 3 bytes. It returns the bytes that
// are no location: what follows a wrong length can't be told apart any more.
func eachPoint(b []byte, each func(l location, late bool)) (bad []byte) {
	late := b[2] != 0
	n := int(binary.BigEndian.Uint16(b))
	b = b[3:]
	for range n {
		if len(b) < 2 {
			return b
		}
		size := int(binary.BigEndian.Uint16(b))
		l, ok := parseLocation(b[2:min(2+size, len(b))])
		if !ok || size > len(b)-2 {
			return b
		}
		each(l, late)
		b = b[2+size:]
	}
	return b
}

const batchHead = 3 // count and type

// A param is one terminal parameter.
type param struct {
	id    uint32
	value []byte
}

// parseParams reads a count and parameters; ok is false when the body says otherwise.
func parseParams(b []byte) (ps []param, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	n := int(b[0])
	b = b[1:]
	for range n {
		if len(b) < 5 || len(b)-5 < int(b[4]) {
			return ps, false
		}
		ps = append(ps, param{binary.BigEndian.Uint32(b), b[5 : 5+int(b[4])]})
		b = b[5+int(b[4]):]
	}
	return ps, len(b) == 0
}

func appendParams(dst []byte, ps []param) []byte {
	dst = append(dst, byte(len(ps)))
	for _, p := range ps {
		dst = binary.BigEndian.AppendUint32(dst, p.id)
		dst = append(dst, byte(len(p.value)))
		dst = append(dst, p.value...)
	}
	return dst
}

// isText reports whether a parameter is a STRING: those of tables 10 to 12 that this driver may meet. All others are shown as numbers or hex.
func isText(id uint32) bool {
	return id >= 0x10 && id <= 0x17 || id == 0x1a || id == 0x1d || id >= 0x23 && id <= 0x26 || id >= 0x40 && id <= 0x44 || id == 0x48 || id == 0x49 || id == 0x83
}

// maxHealth keeps a reading of parameters within what a body may hold.
const maxHealth = telemetry.MaxBody - 4*maxText

// paramsReading shows a terminal's parameters, numbers under param_0029. Phone numbers, servers and passwords are left out.
func paramsReading(device string, ps []param) telemetry.Reading {
	body := []byte{'{'}
	told := map[uint32]bool{}
	for _, p := range ps {
		if told[p.id] || isText(p.id) && p.id != 0x83 || len(body) > maxHealth {
			continue
		}
		told[p.id] = true
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `"param_%04x":`, p.id)
		switch len(p.value) {
		case 1:
			body = fmt.Append(body, p.value[0])
		case 2:
			body = fmt.Append(body, binary.BigEndian.Uint16(p.value))
		case 4:
			body = fmt.Append(body, binary.BigEndian.Uint32(p.value))
		default:
			v := fmt.Sprintf("%x", p.value)
			if isText(p.id) {
				v = text(p.value)
			}
			quoted, err := json.Marshal(v)
			if err != nil {
				panic("BUG: jt808: " + err.Error())
			}
			body = append(body, quoted...)
		}
	}
	return telemetry.Reading{Device: device, Kind: telemetry.KindHealth, TQ: telemetry.Unknown, Body: append(body, '}')}
}

// bcdTime is a time as six BCD bytes.
func bcdTime(t time.Time) []byte {
	bcd := func(v int) byte { return byte(v/10%10<<4 | v%10) }
	return []byte{bcd(t.Year() % 100), bcd(int(t.Month())), bcd(t.Day()), bcd(t.Hour()), bcd(t.Minute()), bcd(t.Second())}
}

// missing is the body of 0x8003: the serial of the first fragment and the numbers that didn't come.
func missing(first uint16, numbers []uint16) []byte {
	numbers = numbers[:min(len(numbers), maxParamsInBody)]
	b := binary.BigEndian.AppendUint16(nil, first)
	b = append(b, byte(len(numbers)))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}
