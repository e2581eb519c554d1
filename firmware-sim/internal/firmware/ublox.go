package firmware

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Generation is a family of u-blox chips.
type Generation int

// The generations there are.
const (
	M8  Generation = 8  // protocol 18: CFG-MSG, CFG-RATE, CFG-PRT
	M10 Generation = 10 // protocol 34: CFG-VALSET alone; no USB
)

// UBlox is a receiver that speaks UBX beside NMEA on its UART. From power-on it sends sentences once a
// second; what it is told lasts until it loses power.
type UBlox struct {
	Line  cable
	Where func(now time.Time) Fix
	Chip  Generation

	mu       sync.Mutex
	interval time.Duration
	nmea     bool           // sentences may leave the port
	ubx      bool           // frames may
	rates    map[ubxID]byte // what is sent each so many epochs
	epochs   int
}

type ubxID struct{ class, id byte }

// Messages by class and id; class F0 is the sentences.
var (
	navPVT = ubxID{0x01, 0x07}
	navSAT = ubxID{0x01, 0x35}
	navEOE = ubxID{0x01, 0x61}
	monVER = ubxID{0x0A, 0x04}
	cfgPRT = ubxID{0x06, 0x00}
	cfgMSG = ubxID{0x06, 0x01}
	cfgRAT = ubxID{0x06, 0x08}
	valSet = ubxID{0x06, 0x8A}

	sentenceIDs = map[string]ubxID{"GGA": {0xF0, 0}, "GLL": {0xF0, 1}, "GSA": {0xF0, 2}, "GSV": {0xF0, 3}, "RMC": {0xF0, 4}, "VTG": {0xF0, 5}, "ZDA": {0xF0, 8}, "GNS": {0xF0, 13}}
)

// keys of the configuration database that the M10 here knows, and the message whose rate they are.
var rateKeys = map[uint32]ubxID{
	0x20910007: navPVT, 0x20910016: navSAT, 0x20910160: navEOE,
	0x209100BB: {0xF0, 0}, 0x209100CA: {0xF0, 1}, 0x209100C0: {0xF0, 2}, 0x209100C5: {0xF0, 3}, 0x209100AC: {0xF0, 4}, 0x209100B1: {0xF0, 5},
}

// PowerOn forgets what the receiver was told.
func (u *UBlox) PowerOn() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.interval, u.nmea, u.ubx, u.epochs = time.Second, true, true, 0
	u.rates = map[ubxID]byte{}
	for _, s := range []string{"RMC", "VTG", "GGA", "GSA"} {
		u.rates[sentenceIDs[s]] = 1
	}
}

// Run sends and answers until ctx ends or the line breaks.
func (u *UBlox) Run(ctx context.Context) error {
	u.PowerOn()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return u.send(ctx) })
	g.Go(func() error {
		var in []byte
		return pump(ctx, u.Line, rtuGap, func(b []byte) { in = u.requests(append(in, b...)) }, func() {})
	})
	return g.Wait()
}

func (u *UBlox) send(ctx context.Context) error {
	for {
		u.mu.Lock()
		every := u.interval
		u.mu.Unlock()
		now := time.Now()
		timer := time.NewTimer(now.Truncate(every).Add(every).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		at := time.Now().Round(every)
		if _, err := u.Line.Write(u.epoch(at)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("u-blox: %w", err)
		}
	}
}

// epoch is what leaves the port for one solution.
func (u *UBlox) epoch(at time.Time) (out []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.Where(at)
	u.epochs++
	due := func(m ubxID) bool { return u.rates[m] > 0 && u.epochs%int(u.rates[m]) == 0 }
	if u.nmea {
		for line := range bytes.Lines(Epoch(at, f)) {
			if due(sentenceIDs[string(line[3:6])]) {
				out = append(out, line...)
			}
		}
	}
	if u.ubx && due(navPVT) {
		out = append(out, ubx(navPVT, solution(at, f))...)
	}
	if u.ubx && due(navSAT) {
		out = append(out, ubx(navSAT, sky(at, f))...)
	}
	if u.ubx && due(navEOE) {
		out = append(out, ubx(navEOE, binary.LittleEndian.AppendUint32(nil, timeOfWeek(at)))...)
	}
	return out
}

// ubx frames a payload: sync, class, id, length, payload, and two sums over all but the sync.
func ubx(m ubxID, payload []byte) []byte {
	f := append([]byte{0xB5, 0x62, m.class, m.id}, byte(len(payload)), byte(len(payload)>>8))
	f = append(f, payload...)
	return append(f, sums(f[2:])...)
}

func sums(b []byte) []byte {
	var a, c byte
	for _, x := range b {
		a += x
		c += a
	}
	return []byte{a, c}
}

// timeOfWeek is GPS time in milliseconds since Sunday; it is 18 leap seconds ahead of UTC.
func timeOfWeek(at time.Time) uint32 {
	const epoch, leap, week = 315964800, 18, 7 * 24 * 3600
	s := (at.Unix() - epoch + leap) % week
	return uint32(s*1000 + int64(at.Nanosecond()/1e6))
}

// solution is the payload of NAV-PVT.
func solution(at time.Time, f Fix) []byte {
	at = at.UTC()
	p := make([]byte, 92)
	le := binary.LittleEndian
	i4 := func(off int, v float64) { le.PutUint32(p[off:], uint32(int32(math.Round(v)))) }
	le.PutUint32(p, timeOfWeek(at))
	le.PutUint16(p[4:], uint16(at.Year()))
	p[6], p[7], p[8], p[9], p[10] = byte(at.Month()), byte(at.Day()), byte(at.Hour()), byte(at.Minute()), byte(at.Second())
	p[11] = 1 | 2 | 4 // date, time, and sure of the second
	le.PutUint32(p[12:], 25)
	le.PutUint32(p[16:], uint32(at.Nanosecond()))
	if f.None {
		le.PutUint32(p[40:], math.MaxUint32)
		le.PutUint32(p[44:], math.MaxUint32)
		le.PutUint16(p[76:], 9999)
		return p
	}
	p[20], p[21], p[23] = 3, 1, byte(f.Satellites)
	i4(24, f.Lon*1e7)
	i4(28, f.Lat*1e7)
	i4(32, (f.AltitudeM-35.4)*1e3) // the geoid here, as in GGA
	i4(36, f.AltitudeM*1e3)
	le.PutUint32(p[40:], 1200)
	le.PutUint32(p[44:], 1900)
	course := math.Mod(math.Mod(f.HeadingDeg, 360)+360, 360)
	i4(48, f.SpeedMPS*1e3*math.Cos(course*math.Pi/180))
	i4(52, f.SpeedMPS*1e3*math.Sin(course*math.Pi/180))
	i4(60, f.SpeedMPS*1e3)
	i4(64, course*1e5)
	le.PutUint32(p[68:], 80)
	le.PutUint32(p[72:], 150000)
	le.PutUint16(p[76:], 145)
	return p
}

// sky is the payload of NAV-SAT: GPS satellites, all used.
func sky(at time.Time, f Fix) []byte {
	n := f.Satellites
	if f.None {
		n = 0
	}
	p := binary.LittleEndian.AppendUint32(nil, timeOfWeek(at))
	p = append(p, 1, byte(n), 0, 0)
	for i := range n {
		sat := make([]byte, 12)
		sat[1], sat[2], sat[3] = byte(i+1), 40, byte(30+i)
		binary.LittleEndian.PutUint16(sat[4:], uint16(20*i))
		sat[8] = 4 | 8 // locked, and used
		p = append(p, sat...)
	}
	return p
}
