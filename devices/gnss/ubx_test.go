package gnss

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// Frames of real receivers.
const (
	vecF9P = "b56201075c00e0ae610fe607051817282a3716000000dd9100000303ea1e5bf0b0b7f15d441a74ef1000da4211005b0100000502000007000000faffffff19000000090000000000000019000000552257006c0000006c18423e0000000000000000763e"
	vecF9R = "b56201075c00e8aabc1ee907040b170e173715000000b6b702000343ea1953ae9004be7ddc1af6a3040073eb0300550000005a000000f2ffffff030000001a0000000f0000006efb2101cc00000080a8120191000000042d4b346efb210100000000fb5e"
	vecM8N = "b56201075c0090a15811e10707130832033703000000f23dea0b03030a0eb9eb9d5262bb31eb77600000066e000076040000500600000e000000f5fffffffdffffff12000000aa053000b700000060600d00910000e0ac4c220000e000e000000080da63"
)

func unhex(t testing.TB, s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return string(b)
}

func TestUBXVectors(t *testing.T) {
	tests := []struct {
		name, frame        string
		at                 string
		lat, lon, altitude float64
		speed, heading     float64
		satellites         int
	}{
		{"F9P, differential", vecF9P, "2022-05-24T23:40:42Z", 44.0688113, -121.3140901, 1131.226, 0.009, 0, 30},
		{"F9R, carrier float", vecF9R, "2025-04-11T23:14:23Z", 45.0657726, 7.6590675, 256.883, 0.015, 190.0427, 25},
		{"M8N, between milliseconds", vecM8N, "2017-07-19T08:50:03.2Z", -34.9062302, 138.6081209, 28.166, 0.018, 31.47178, 14},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, counters := decodeAll(t, unhex(t, tt.frame), Options{})
			require.Empty(t, why)
			require.EqualValues(t, 1, counters["frames_ok"])
			require.Len(t, rs, 1)
			p := position(t, rs[0])
			require.True(t, p.Valid)
			require.Equal(t, telemetry.GNSS, rs[0].TQ)
			require.Equal(t, telemetry.Fix3D, p.Fix)
			require.Equal(t, telemetry.Some(tt.satellites), p.Satellites)
			require.False(t, p.HDOP.Known(), "NAV-PVT tells the dilution of position, not of the plane")
			at, err := time.Parse(time.RFC3339, tt.at)
			require.NoError(t, err)
			require.Equal(t, at, rs[0].At)
			require.InDelta(t, tt.lat, p.Lat.Or(99), 1e-8)
			require.InDelta(t, tt.lon, p.Lon.Or(999), 1e-8)
			require.InDelta(t, tt.altitude, p.AltitudeM.Or(-1), 6e-3)
			require.InDelta(t, tt.speed, p.SpeedMPS.Or(-1), 1e-6)
			require.InDelta(t, tt.heading, p.HeadingDeg.Or(-1), 6e-3)
		})
	}
}

// A solution is what NAV-PVT says.
type solution struct {
	at                 time.Time
	valid, fix, flags  byte
	lat, lon, altitude float64
	speed, course      float64
	used               byte
}

// sound is what a receiver says that has a fix.
func sound(at time.Time) solution {
	return solution{at: at, valid: 0x37, fix: 3, flags: 1, lat: 30.53539, lon: 103.20946333, altitude: 612.3, speed: 6.43, course: 45, used: 14}
}

func (s solution) payload() []byte {
	p := make([]byte, 92)
	put := func(i int, v float64) { binary.LittleEndian.PutUint32(p[i:], uint32(int32(math.Round(v)))) }
	at := s.at.UTC()
	binary.LittleEndian.PutUint16(p[4:], uint16(at.Year()))
	p[6], p[7], p[8], p[9], p[10], p[11] = byte(at.Month()), byte(at.Day()), byte(at.Hour()), byte(at.Minute()), byte(at.Second()), s.valid
	put(16, float64(at.Nanosecond()))
	p[20], p[21], p[23] = s.fix, s.flags, s.used
	put(24, s.lon*1e7)
	put(28, s.lat*1e7)
	put(36, s.altitude*1e3)
	put(60, s.speed*1e3)
	put(64, s.course*1e5)
	return p
}

func (s solution) frame() string { return string(appendUBX(nil, classNAV, navPVT, s.payload()...)) }

var pvtTime = time.Date(2026, 12, 5, 10, 15, 30, 0, time.UTC)

func TestPVTFixes(t *testing.T) {
	with := func(change func(*solution)) solution {
		s := sound(pvtTime)
		change(&s)
		return s
	}
	tests := []struct {
		name string
		s    solution
		fix  telemetry.Fix
		at   string
		tq   telemetry.Quality
	}{
		{"3D", sound(pvtTime), telemetry.Fix3D, "261205 101530.000", telemetry.GNSS},
		{"with dead reckoning", with(func(s *solution) { s.fix = 4 }), telemetry.Fix3D, "261205 101530.000", telemetry.GNSS},
		{"2D", with(func(s *solution) { s.fix = 2 }), telemetry.Fix2D, "261205 101530.000", telemetry.GNSS},
		{"dead reckoning alone", with(func(s *solution) { s.fix = 1 }), telemetry.FixDR, "261205 101530.000", telemetry.GNSS},
		{"no fix", with(func(s *solution) { s.fix = 0 }), telemetry.FixNone, "261205 101530.000", telemetry.RTC},
		{"time only", with(func(s *solution) { s.fix = 5 }), telemetry.FixNone, "261205 101530.000", telemetry.RTC},
		{"fix of the future", with(func(s *solution) { s.fix = 9 }), telemetry.FixNone, "261205 101530.000", telemetry.RTC},
		{"not within its limits", with(func(s *solution) { s.flags = 0 }), telemetry.FixNone, "261205 101530.000", telemetry.RTC},
		{"seconds unsure", with(func(s *solution) { s.valid = 0x33 }), telemetry.Fix3D, "", telemetry.GNSS},
		{"no date", with(func(s *solution) { s.valid = 0x36 }), telemetry.Fix3D, "", telemetry.GNSS},
		{"no date, and none to be read", with(func(s *solution) { s.valid, s.at = 0x36, time.Time{} }), telemetry.Fix3D, "", telemetry.GNSS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, _ := decodeAll(t, tt.s.frame(), Options{})
			require.Empty(t, why)
			require.Equal(t, []string{tt.at}, times(rs))
			p := position(t, rs[0])
			require.Equal(t, tt.fix, p.Fix)
			require.Equal(t, tt.fix != telemetry.FixNone, p.Valid)
			require.Equal(t, tt.fix != telemetry.FixNone, p.Lat.Known())
			require.Equal(t, tt.fix != telemetry.FixNone, p.SpeedMPS.Known())
			require.Equal(t, tt.fix == telemetry.Fix3D || tt.fix == telemetry.FixDR, p.AltitudeM.Known())
			if tt.at != "" {
				require.Equal(t, tt.tq, rs[0].TQ)
			}
		})
	}
}

func TestPVTInvalidPosition(t *testing.T) {
	p := sound(pvtTime).payload()
	p[78] = 1 // the position isn't valid, whatever the flags say
	rs, _, _ := decodeAll(t, string(appendUBX(nil, classNAV, navPVT, p...)), Options{})
	invalid(t, position(t, rs[0]))
}

func TestPVTOfOlderReceivers(t *testing.T) {
	for size, whole := range map[int]bool{83: false, 84: true, 92: true, 100: true} {
		p := append(sound(pvtTime).payload(), make([]byte, 8)...)[:size]
		rs, why, _ := decodeAll(t, string(appendUBX(nil, classNAV, navPVT, p...)), Options{})
		if whole {
			require.Empty(t, why)
			require.Len(t, rs, 1)
		} else {
			require.Equal(t, []string{"malformed"}, why)
			require.Empty(t, rs)
		}
	}
}

func TestPVTNonsense(t *testing.T) {
	for name, change := range map[string]func(p []byte){
		"latitude":  func(p []byte) { binary.LittleEndian.PutUint32(p[28:], 900000001) },
		"longitude": func(p []byte) { binary.LittleEndian.PutUint32(p[24:], 1800000001) },
		"month":     func(p []byte) { p[6] = 13 },
		"day":       func(p []byte) { p[6], p[7] = 2, 30 },
		"hour":      func(p []byte) { p[8] = 24 },
		"speed":     func(p []byte) { binary.LittleEndian.PutUint32(p[60:], 1<<31) },
		"heading":   func(p []byte) { binary.LittleEndian.PutUint32(p[64:], 1<<30) },
		"fraction":  func(p []byte) { binary.LittleEndian.PutUint32(p[16:], 2e9) },
	} {
		t.Run(name, func(t *testing.T) {
			p := sound(pvtTime).payload()
			change(p)
			rs, why, _ := decodeAll(t, string(appendUBX(nil, classNAV, navPVT, p...)), Options{})
			require.Equal(t, []string{"malformed"}, why)
			require.Empty(t, rs)
		})
	}
}

// The fraction of a second may be negative, and round to another day.
func TestPVTFraction(t *testing.T) {
	for nano, want := range map[int32]string{
		-600_000: "261205 235959.999", -400_000: "261206 000000.000", 400_000: "261206 000000.000", 250_000_000: "261206 000000.250",
	} {
		s := sound(time.Date(2026, 12, 6, 0, 0, 0, 0, time.UTC))
		p := s.payload()
		binary.LittleEndian.PutUint32(p[16:], uint32(nano))
		rs, _, _ := decodeAll(t, string(appendUBX(nil, classNAV, navPVT, p...)), Options{})
		require.Equal(t, []string{want}, times(rs), nano)
	}
	p := sound(time.Date(2026, 12, 5, 23, 59, 59, 0, time.UTC)).payload()
	binary.LittleEndian.PutUint32(p[16:], 999_999_999)
	rs, _, _ := decodeAll(t, string(appendUBX(nil, classNAV, navPVT, p...)), Options{})
	require.Equal(t, []string{"261206 000000.000"}, times(rs))
}

// NMEA and UBX of one epoch are one reading, whichever comes first, though the one is rounded.
func TestMixedEpochs(t *testing.T) {
	at := func(i int) time.Time { return pvtTime.Add(time.Duration(i)*time.Second - 300*time.Microsecond) }
	clock := func(i int) string { return pvtTime.Add(time.Duration(i) * time.Second).Format("150405.00") }
	var pvtFirst, pvtLast string
	for i := range 5 {
		s := sound(at(i)).frame()
		pvtFirst += s + ggaAt(clock(i)) + rmcAt(clock(i), "051226")
		pvtLast += ggaAt(clock(i)) + rmcAt(clock(i), "051226") + s
	}
	for _, stream := range []string{pvtFirst, pvtLast} {
		rs, why, counters := decodeAll(t, stream, Options{})
		require.Empty(t, why)
		require.Len(t, rs, 5)
		require.EqualValues(t, 15, counters["frames_ok"])
		for _, r := range rs {
			p := position(t, r)
			require.True(t, p.Valid)
			require.Equal(t, telemetry.Some(0.8), p.HDOP, "of GGA")
		}
	}
	midnight := sound(time.Date(2026, 12, 5, 23, 59, 59, 999_400_000, time.UTC)).frame()
	rs, _, _ := decodeAll(t, midnight+rmcAt("000000.00", "061226"), Options{})
	require.Len(t, rs, 1)
}

func TestMixedRefusal(t *testing.T) {
	rs, _, _ := decodeAll(t, sound(pvtTime).frame()+nmea("GNRMC,101530.00,V,,,,,,,051226,,,N"), Options{})
	require.Len(t, rs, 1)
	invalid(t, position(t, rs[0]))
}

func TestNAVSAT(t *testing.T) {
	payload := make([]byte, 8+12*17)
	payload[4], payload[5] = 1, 17
	_, why, counters := decodeAll(t, string(appendUBX(nil, classNAV, navSAT, payload...))+vecGSA+
		"$BDGSV,1,1,03,13,19,043,17,27,38,127,33,37,36,091,24,0*49\r\n", Options{})
	require.Empty(t, why)
	require.EqualValues(t, 17, counters["satellites_in_view"], "not 17 and 3")
	payload[5] = 18
	_, why, _ = decodeAll(t, string(appendUBX(nil, classNAV, navSAT, payload...)), Options{})
	require.Equal(t, []string{"malformed"}, why)
}

func TestUBXDirt(t *testing.T) {
	f, g := sound(pvtTime).frame(), sound(pvtTime.Add(time.Second)).frame()
	sentence := rmcAt("101532", "051226")
	flip := []byte(f)
	flip[40] ^= 1
	big := appendUBX(nil, 0x02, 0x15, make([]byte, maxFrame-ubxExtra)...)
	tests := []struct {
		name, stream string
		want         []string
		epochs       int
	}{
		{"clean", f + g, nil, 2},
		{"one bit", string(flip) + g, []string{"bad_checksum"}, 1},
		{"cut, and the next begins", f[:50] + g, []string{"bad_checksum"}, 1},
		{"cut, and a sentence begins", f[:50] + sentence, []string{"bad_checksum"}, 1},
		{"cut in its head", f[:5] + g + sentence, []string{"resync"}, 2},
		{"cut by the end", f + g[:99], []string{"resync"}, 1},
		{"sync alone", "\xb5" + f + "\xb5\xb5\xb5\x62" + g, []string{"resync", "resync"}, 2},
		{"no such class", "\xb5\x62\x77\x01" + f, []string{"resync"}, 1},
		{"longer than any", "\xb5\x62\x01\x07\xff\xff" + f, []string{"resync"}, 1},
		{"the longest", string(big) + f, nil, 1},
		{"sentence in a frame", string(appendUBX(nil, 0x04, 0x02, []byte(sentence)...)) + f, nil, 1},
		{"frame in a broken frame", string(flip[:20]) + f + string(flip[20:]) + g, []string{"bad_checksum", "resync"}, 2},
		{"frame cuts a sentence", sentence[:20] + f + sentence, []string{"cut"}, 2},
		{"frames between sentences", sentence + f + sentence + g, nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, counters := decodeAll(t, tt.stream, Options{})
			require.Equal(t, tt.want, why)
			require.Len(t, rs, tt.epochs, counters)
			for seed := range uint64(50) {
				pieces, whyPieces, count := chunked(t, []byte(tt.stream), Options{}, rand.New(rand.NewPCG(seed, 3)))
				require.Equal(t, rs, pieces)
				require.Equal(t, why, whyPieces)
				require.Equal(t, counters, count)
			}
		})
	}
}

// Whatever byte is hurt, each position told is one where the receiver was.
func TestUBXNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	told := 0
	for range 200 {
		var stream strings.Builder
		places := map[time.Time]float64{}
		for i := range 20 {
			s := sound(pvtTime.Add(time.Duration(i) * time.Second))
			s.lat += float64(i) / 1e4
			places[s.at] = s.lat
			stream.Write(damage([]byte(s.frame()), rng))
		}
		rs, _, _ := decodeAll(t, stream.String(), Options{})
		for _, r := range rs {
			told++
			require.InDelta(t, places[r.At], position(t, r).Lat.Or(0), 1e-7)
		}
	}
	require.Greater(t, told, 1000)
}

// The worst that a line can say to a decoder that holds frames: each six bytes promise a long one.
func BenchmarkHostile(b *testing.B) {
	stream := []byte(strings.Repeat("\xb5\x62\x01\x07\x00\x10", 2000))
	var count counters
	d := newDecoder(Options{}, &count, nil)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		d.feed(stream)
		d.take()
	}
}

// BenchmarkUBX decodes NAV-PVT.
func BenchmarkUBX(b *testing.B) {
	var frames []byte
	for i := range 60 {
		frames = append(frames, sound(pvtTime.Add(time.Duration(i)*time.Second)).frame()...)
	}
	var count counters
	d := newDecoder(Options{}, &count, nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(frames)))
	for b.Loop() {
		d.feed(frames)
		d.take()
	}
	b.ReportMetric(float64(count[framesOK].Load())/b.Elapsed().Seconds(), "messages/s")
}
