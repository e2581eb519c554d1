package jt808

import (
	"encoding/binary"
	"time"

	"yizhan/devices/telemetry"
)

// Bits of the status word (JT/T 808-2019, table 25).
const (
	statusACC       = 1 << 0
	statusFix       = 1 << 1
	statusSouth     = 1 << 2
	statusWest      = 1 << 3
	statusEncrypted = 1 << 5
)

const locationBytes = 28 // before the items

// A location is the body of 0x0200 (JT/T 808-2013, 8.18).
type location struct {
	alarm, status uint32
	lat, lon      uint32 // 1e-6 degrees; the sign is in status
	altitude      uint16 // m
	speed, course uint16 // 0.1 km/h, degrees
	clock         [6]byte
	items         []byte
}

func parseLocation(b []byte) (l location, ok bool) {
	if len(b) < locationBytes {
		return l, false
	}
	l.alarm = binary.BigEndian.Uint32(b)
	l.status = binary.BigEndian.Uint32(b[4:])
	l.lat = binary.BigEndian.Uint32(b[8:])
	l.lon = binary.BigEndian.Uint32(b[12:])
	l.altitude = binary.BigEndian.Uint16(b[16:])
	l.speed = binary.BigEndian.Uint16(b[18:])
	l.course = binary.BigEndian.Uint16(b[20:])
	copy(l.clock[:], b[22:])
	l.items = b[locationBytes:]
	return l, true
}

// firstYear is before any terminal of the standard: an earlier date is a clock that was never set, or a GPS week
// roll-over.
const firstYear = 2011

// at is the terminal's time; ok is false when it is none.
func (l *location) at(offset time.Duration) (t time.Time, ok bool) {
	var v [6]int
	for i, c := range l.clock {
		if c>>4 > 9 || c&15 > 9 {
			return t, false
		}
		v[i] = int(c>>4)*10 + int(c&15)
	}
	year, month, day := 2000+v[0], time.Month(v[1]), v[2]
	if year < firstYear || year >= 2070 || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return t, false
	}
	t = time.Date(year, month, day, v[3], v[4], v[5], 0, time.UTC)
	if t.Month() != month || t.Day() != day {
		return t, false
	}
	return t.Add(-offset), true
}

// Limits of what a vehicle can say. Beyond them a field is unknown, for the reading would be refused.
const (
	maxSpeed  = 10000 // 0.1 km/h
	maxCourse = 360
)

// position makes the standard part of a position. Without a fix what stands in the fields is old or nothing.
func (l *location) position(p *profile) telemetry.Position {
	if l.status&statusFix == 0 || l.status&statusEncrypted != 0 || l.lat > 90e6 || l.lon > 180e6 || l.lat == 0 && l.lon == 0 {
		return telemetry.Position{Fix: telemetry.FixNone}
	}
	lat, lon := float64(l.lat)/1e6, float64(l.lon)/1e6
	if l.status&statusSouth != 0 {
		lat = -lat
	}
	if l.status&statusWest != 0 {
		lon = -lon
	}
	if p.gcj02 {
		lat, lon = fromGCJ02(lat, lon)
	}
	pos := telemetry.Position{
		Valid: true, Lat: telemetry.Some(lat), Lon: telemetry.Some(lon),
		AltitudeM: telemetry.Some(float64(int16(l.altitude))), // below the sea some send two's complement; nobody drives above 32 km
	}
	if l.speed <= maxSpeed {
		pos.SpeedMPS = telemetry.Some(float64(l.speed) / 36)
	}
	if l.course <= maxCourse {
		pos.HeadingDeg = telemetry.Some(float64(l.course))
	}
	return pos
}

// readings appends what a location tells: the position, and the cabin's temperature where there is one. late marks
// a blind-zone replay. It returns false when there is nothing to tell.
func (l *location) readings(rs []telemetry.Reading, device string, p *profile, is2019, late bool, count *counters) ([]telemetry.Reading, time.Time, bool) {
	at, dated := l.at(p.offset)
	if !dated {
		count.add(undated)
		if late {
			return rs, at, false // dated by its arrival it would pass for the latest
		}
		at = time.Time{}
	}
	x := scanItems(l.items, p.yueBiao, is2019)
	pos := l.position(p)
	pos.Satellites = x.satellites
	pos.DateSuspect = !dated
	quality := telemetry.GNSS
	switch {
	case !dated:
		quality = telemetry.Unknown
	case !pos.Valid:
		quality = telemetry.RTC
	}
	body := pos.AppendJSON(make([]byte, 0, 256+3*len(l.items)))
	body = l.appendExtras(body[:len(body)-1], &x, p, is2019, late)
	count.add(positions)
	rs = append(rs, telemetry.Reading{Device: device, Kind: telemetry.KindPosition, At: at, TQ: quality, Body: append(body, '}')})
	if c, ok := x.cabin.Get(); ok {
		rs = append(rs, telemetry.New(device, at, quality, telemetry.Climate{
			Probe: "cabin", TemperatureC: telemetry.Some(float64(c)), Quality: telemetry.ClimateOK,
		}))
	}
	return rs, at, true
}
