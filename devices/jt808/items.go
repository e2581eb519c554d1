package jt808

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"yizhan/devices/telemetry"
)

// Item ids that have a name of their own (JT/T 808-2019, table 27).
const (
	itemMileage   = 0x01 // DWORD, 0.1 km
	itemFuel      = 0x02 // WORD, 0.1 l
	itemRecorder  = 0x03 // WORD, 0.1 km/h
	itemCabin     = 0x06 // WORD, degrees Celsius (2019)
	itemCSQ       = 0x30 // BYTE
	itemSats      = 0x31 // BYTE
	itemSafety    = 0x64 // to 0x70: active safety; in the Guangdong dialect their length is a DWORD
	itemSafetyEnd = 0x70
)

// extras are the items with a name; all others are kept as they came.
type extras struct {
	mileage, fuel, recorder telemetry.Opt[uint32]
	cabin, csq, satellites  telemetry.Opt[int]
}

// nextItem splits the first item off. ok is false when what is left is no item.
func nextItem(b []byte, yueBiao bool) (id byte, value, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, b, false
	}
	id = b[0]
	head, n := 2, uint64(b[1])
	if yueBiao && id >= itemSafety && id <= itemSafetyEnd {
		if len(b) < 5 {
			return 0, nil, b, false
		}
		head, n = 5, uint64(binary.BigEndian.Uint32(b[1:]))
	}
	if n > uint64(len(b)-head) {
		return 0, nil, b, false
	}
	return id, b[head : head+int(n)], b[head+int(n):], true
}

// named sets the field of an item and reports whether it has one. An item of another length than the standard's is a vendor's own.
func (x *extras) named(id byte, v []byte, is2019 bool) bool {
	switch {
	case id == itemMileage && len(v) == 4:
		x.mileage = telemetry.Some(binary.BigEndian.Uint32(v))
	case id == itemFuel && len(v) == 2:
		x.fuel = telemetry.Some(uint32(binary.BigEndian.Uint16(v)))
	case id == itemRecorder && len(v) == 2:
		x.recorder = telemetry.Some(uint32(binary.BigEndian.Uint16(v)))
	case id == itemCabin && len(v) == 2 && is2019:
		c, ok := celsius(binary.BigEndian.Uint16(v))
		if ok {
			x.cabin = telemetry.Some(c)
		}
		return ok
	case id == itemCSQ && len(v) == 1:
		x.csq = telemetry.Some(int(v[0]))
	case id == itemSats && len(v) == 1:
		x.satellites = telemetry.Some(int(v[0]))
	default:
		return false
	}
	return true
}

// celsius reads a cabin temperature. The standard's highest bit is a sign; many send two's complement. Both are told
// apart by what a cabin can be.
func celsius(w uint16) (c int, ok bool) {
	switch c = int(int16(w)); {
	case w&0x8000 == 0, c >= -100:
	default:
		c = -int(w & 0x7fff)
	}
	return c, c >= -100 && c <= 200
}

// scanItems finds the named items; of an id told twice the first counts.
func scanItems(b []byte, yueBiao, is2019 bool) (x extras) {
	var seen [256]bool
	for {
		id, v, rest, ok := nextItem(b, yueBiao)
		if !ok {
			return x
		}
		if !seen[id] {
			x.named(id, v, is2019)
		}
		seen[id] = true
		b = rest
	}
}

// appendExtras appends the fields of a position that are this protocol's own; body is an open object.
func (l *location) appendExtras(body []byte, x *extras, p *profile, is2019, late bool) []byte {
	body = append(body, `,"acc":`...)
	body = strconv.AppendBool(body, l.status&statusACC != 0)
	body = appendWord(body, "status", l.status)
	if l.alarm != 0 {
		body = appendWord(body, "alarm", l.alarm)
	}
	if late {
		body = append(body, `,"replayed":true`...)
	}
	if l.status&statusEncrypted != 0 {
		body = append(body, `,"encrypted":true`...)
	}
	body = appendTenths(body, "mileage_km", x.mileage)
	body = appendTenths(body, "fuel_l", x.fuel)
	body = appendTenths(body, "recorder_kmh", x.recorder)
	if csq, ok := x.csq.Get(); ok {
		body = append(body, `,"csq":`...)
		body = strconv.AppendInt(body, int64(csq), 10)
	}
	return l.appendRaw(body, p.yueBiao, is2019)
}

func appendWord(body []byte, key string, v uint32) []byte {
	body = append(body, ',', '"')
	body = append(body, key...)
	body = append(body, `":"`...)
	var w [4]byte
	binary.BigEndian.PutUint32(w[:], v)
	return append(hex.AppendEncode(body, w[:]), '"')
}

func appendTenths(body []byte, key string, o telemetry.Opt[uint32]) []byte {
	v, ok := o.Get()
	if !ok {
		return body
	}
	body = append(body, ',', '"')
	body = append(body, key...)
	body = append(body, '"', ':')
	body = strconv.AppendUint(body, uint64(v/10), 10)
	if v%10 != 0 {
		body = append(body, '.', '0'+byte(v%10))
	}
	return body
}

// appendRaw appends the items without a name in hex, under their ids; the second of an id is id.2, and what is no item rest.
func (l *location) appendRaw(body []byte, yueBiao, is2019 bool) []byte {
	var seen [256]uint8
	var trash extras
	open := false
	begin := func() {
		if !open {
			body = append(body, `,"items":{"`...)
			open = true
		} else {
			body = append(body, ',', '"')
		}
	}
	b := l.items
	for {
		id, v, rest, ok := nextItem(b, yueBiao)
		if !ok {
			break
		}
		b = rest
		seen[id]++
		if seen[id] == 1 && trash.named(id, v, is2019) {
			continue
		}
		begin()
		body = hex.AppendEncode(body, []byte{id})
		if seen[id] > 1 {
			body = append(body, '.')
			body = strconv.AppendUint(body, uint64(seen[id]), 10)
		}
		body = append(body, '"', ':', '"')
		body = append(hex.AppendEncode(body, v), '"')
	}
	if len(b) > 0 {
		begin()
		body = append(body, `rest":"`...)
		body = append(hex.AppendEncode(body, b), '"')
	}
	if open {
		body = append(body, '}')
	}
	return body
}
