package gnss

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// decodeAll decodes a stream and returns its readings, why input was rejected, and the counters.
func decodeAll(t testing.TB, stream string, opt Options) (rs []telemetry.Reading, why []string, counters map[string]uint64) {
	counters, err := Decode(strings.NewReader(stream), opt, func(r telemetry.Reading) error {
		require.NoError(t, r.Validate(), "%s", r.AppendJSON(nil))
		rs = append(rs, r)
		return nil
	}, func(_ int64, _ []byte, reason string) { why = append(why, reason) })
	require.NoError(t, err)
	return rs, why, counters
}

// one decodes a stream of one epoch.
func one(t *testing.T, lines ...string) (telemetry.Reading, telemetry.Position) {
	t.Helper()
	rs, why, _ := decodeAll(t, strings.Join(lines, "\r\n")+"\r\n", Options{})
	require.Empty(t, why)
	require.Len(t, rs, 1)
	require.Equal(t, "decode", rs[0].Device)
	p, err := telemetry.As[telemetry.Position](rs[0])
	require.NoError(t, err)
	return rs[0], p
}

func parseOne(t *testing.T, sentence string) (report, *fields) {
	t.Helper()
	body, sum, ok := strings.Cut(strings.TrimPrefix(sentence, "$"), "*")
	require.True(t, ok)
	require.Equal(t, sentence, nmea(body), "checksum %s", sum)
	s := new(fields)
	require.True(t, s.split([]byte(body)))
	r, err := parse(identify(s.f[0]), s)
	require.NoError(t, err)
	return r, s
}

const (
	vecRMC = "$GNRMC,055234.200,A,4739.71890,N,12219.58362,W,0.00,286.35,050826,,,A,V*11"
	vecGGA = "$GNGGA,055234.200,4739.71890,N,12219.58362,W,1,14,0.9,76.5,M,-21.6,M,,*4A"
	vecGSA = "$GNGSA,A,3,13,27,37,,,,,,,,,,1.5,0.9,1.2,4*39"
	vecVTG = "$GNVTG,286.35,T,,M,0.00,N,0.00,K,A*29"
)

func TestVectorRMC(t *testing.T) {
	r, p := one(t, vecRMC)
	require.Equal(t, time.Date(2026, 8, 5, 5, 52, 34, 200e6, time.UTC), r.At)
	require.Equal(t, telemetry.GNSS, r.TQ)
	require.True(t, p.Valid, "navigational status V is no status V")
	require.InDelta(t, 47.661981667, p.Lat.Or(0), 1e-9)
	require.InDelta(t, -122.326393667, p.Lon.Or(0), 1e-9)
	require.Equal(t, telemetry.Some(0.0), p.SpeedMPS, "zero that was said is known")
	require.Equal(t, telemetry.Some(286.35), p.HeadingDeg)
	require.False(t, p.AltitudeM.Known())
	require.False(t, p.Satellites.Known())
	require.Equal(t, telemetry.Fix2D, p.Fix)
}

func TestVectorGGA(t *testing.T) {
	r, p := one(t, vecGGA)
	require.True(t, r.At.IsZero(), "no date is known")
	require.Equal(t, telemetry.Unknown, r.TQ)
	require.True(t, p.Valid)
	require.Equal(t, telemetry.Some(14), p.Satellites)
	require.Equal(t, telemetry.Some(0.9), p.HDOP)
	require.Equal(t, telemetry.Some(76.5), p.AltitudeM)
	require.Equal(t, telemetry.Fix3D, p.Fix)
	require.False(t, p.SpeedMPS.Known())

	_, p = one(t, vecGGA, vecRMC)
	require.Equal(t, telemetry.Fix3D, p.Fix)
	require.Equal(t, telemetry.Some(76.5), p.AltitudeM)
	require.Equal(t, telemetry.Some(0.0), p.SpeedMPS)
}

func TestVectorGSA(t *testing.T) {
	r, s := parseOne(t, vecGSA)
	require.Equal(t, 3, r.dims)
	require.Equal(t, telemetry.Some(0.9), r.hdop)
	require.Equal(t, "13", string(s.at(3)))
	require.Equal(t, "1.5", string(s.at(15)))
	require.Equal(t, "4", string(s.at(18)))
	_, p := one(t, vecRMC, vecGSA)
	require.Equal(t, telemetry.Fix3D, p.Fix)
	require.Equal(t, telemetry.Some(0.9), p.HDOP)
}

func TestVectorGSV(t *testing.T) {
	_, s := parseOne(t, "$BDGSV,1,1,03,13,19,043,17,27,38,127,33,37,36,091,24,0*49")
	v, err := parseView(s)
	require.NoError(t, err)
	require.Equal(t, 3, v.total)
	require.Equal(t, 3, v.n)
	require.Equal(t, satellite{13, telemetry.Some(19), telemetry.Some(43), telemetry.Some(17)}, v.sats[0])
	require.Equal(t, telemetry.Some(0), v.signal)

	_, s = parseOne(t, "$GBGSV,2,1,05,201,00,000,44,202,14,089,35,204,00,000,42,205,27,091,*66")
	v, err = parseView(s)
	require.NoError(t, err)
	require.Equal(t, [3]int{2, 1, 5}, [3]int{v.messages, v.message, v.total})
	require.Equal(t, 4, v.n)
	require.Equal(t, 201, v.sats[0].prn)
	require.Equal(t, 205, v.sats[3].prn)
	require.False(t, v.sats[3].cn0.Known(), "an empty field is unknown")
	require.False(t, v.signal.Known())
}

func TestVectorVTG(t *testing.T) {
	r, _ := parseOne(t, vecVTG)
	require.Equal(t, telemetry.Some(286.35), r.course)
	require.Equal(t, telemetry.Some(0.0), r.speed)
	_, p := one(t, vecGGA, vecVTG)
	require.Equal(t, telemetry.Some(0.0), p.SpeedMPS)
	require.Equal(t, telemetry.Some(286.35), p.HeadingDeg)
}

func TestVectorGNS(t *testing.T) {
	_, p := one(t, "$GNGNS,170600.000,4111.59880,N,11156.56667,W,AANN,21,0.53,01443.9,-016.5,,*54")
	require.True(t, p.Valid)
	require.InDelta(t, 41.193313333, p.Lat.Or(0), 1e-9)
	require.InDelta(t, -111.942777833, p.Lon.Or(0), 1e-9)
	require.Equal(t, telemetry.Some(1443.9), p.AltitudeM)
	require.Equal(t, telemetry.Some(21), p.Satellites)
	require.Equal(t, telemetry.Some(0.53), p.HDOP)
}

func TestVectorNoFix(t *testing.T) {
	r, p := one(t, "$GNRMC,053229.438,V,,,,,,,020315,,,N*56")
	require.Equal(t, time.Date(2015, 3, 2, 5, 32, 29, 438e6, time.UTC), r.At)
	require.Equal(t, telemetry.RTC, r.TQ, "without a fix it is the receiver's own clock")
	require.Equal(t, telemetry.Position{Fix: telemetry.FixNone}, p)
}

func TestVectorSouthernEastern(t *testing.T) {
	_, p := one(t, "$GPGGA,030719.000,3747.0873,S,17518.8938,E,1,08,1.1,59.9,M,23.7,M,,0000*7D")
	require.InDelta(t, -37.784788333, p.Lat.Or(0), 1e-9)
	require.InDelta(t, 175.314896667, p.Lon.Or(0), 1e-9)
}

// Field 1 to 4 as they may stand, and what becomes of them.
func TestSentences(t *testing.T) {
	const at = "101530.00"
	tests := []struct {
		name string
		body string
		ok   bool // not malformed
		want func(*testing.T, telemetry.Position)
	}{
		{"old RMC without mode", "GPRMC," + at + ",A,3032.1,N,10312.5,E,,,051226,,", true, valid},
		{"no decimals at all", "GPRMC,101530,A,3032,N,10312,E,1,2,051226,,", true, valid},
		{"many decimals", "GPRMC,101530.1234567,A,3032.123456789012345,N,10312.5,E,,,051226,,", true, valid},
		{"BD talker", "BDRMC," + at + ",A,3032.1,N,10312.5,E,,,051226,,,A", true, valid},
		{"GB talker", "GBRMC," + at + ",A,3032.1,N,10312.5,E,,,051226,,,D", true, valid},
		{"QZ talker", "QZGLL,3032.1,N,10312.5,E," + at + ",A,A", true, valid},
		{"GLL without mode", "GPGLL,3032.1,N,10312.5,E," + at + ",A", true, valid},
		{"GLL without time", "GPGLL,3032.1,N,10312.5,E", true, invalid},
		{"mode N contradicts A", "GPRMC," + at + ",A,3032.1,N,10312.5,E,,,051226,,,N", true, invalid},
		{"simulator", "GPGGA," + at + ",3032.1,N,10312.5,E,8,9,1,1,M,,M,,", true, invalid},
		{"manual", "GPGLL,3032.1,N,10312.5,E," + at + ",A,M", true, invalid},
		{"null island", "GPRMC," + at + ",A,0000.0000,N,00000.0000,E,0,0,051226,,,A", true, invalid},
		{"V with a position", "GPRMC," + at + ",V,3032.1,N,10312.5,E,1,1,051226,,,A", true, invalid},
		{"A without a position", "GPRMC," + at + ",A,,,,,,,051226,,,A", true, invalid},
		{"quality 0", "GPGGA," + at + ",3032.1,N,10312.5,E,0,0,,1,M,,M,,", true, invalid},
		{"GNS all N", "GNGNS," + at + ",3032.1,N,10312.5,E,NNNN,0,,,,,", true, invalid},
		{"dead reckoning", "GPGGA," + at + ",3032.1,N,10312.5,E,6,0,,,M,,M,,", true, func(t *testing.T, p telemetry.Position) {
			require.True(t, p.Valid)
			require.Equal(t, telemetry.FixDR, p.Fix)
		}},
		{"negative altitude", "GPGGA," + at + ",3032.1,N,10312.5,E,1,7,1,-0028,M,,M,,", true, func(t *testing.T, p telemetry.Position) {
			require.Equal(t, telemetry.Some(-28.0), p.AltitudeM)
		}},
		{"altitude in feet", "GPGGA," + at + ",3032.1,N,10312.5,E,1,7,1,100,f,,M,,", true, func(t *testing.T, p telemetry.Position) {
			require.False(t, p.AltitudeM.Known())
			require.True(t, p.Valid)
		}},
		{"side missing", "GPRMC," + at + ",A,3032.1,,10312.5,E,,,051226,,,A", false, nil},
		{"side wrong", "GPRMC," + at + ",A,3032.1,E,10312.5,E,,,051226,,,A", false, nil},
		{"longitude missing", "GPRMC," + at + ",A,3032.1,N,,,,,051226,,,A", false, nil},
		{"signed latitude", "GPRMC," + at + ",A,-3032.1,N,10312.5,E,,,051226,,,A", false, nil},
		{"minutes 60", "GPRMC," + at + ",A,3060.0,N,10312.5,E,,,051226,,,A", false, nil},
		{"a digit of the time lost", "GPRMC,10153.00,A,3032.1,N,10312.5,E,,,051226,,,A", false, nil},
		{"a digit of the latitude lost", "GPRMC," + at + ",A,302.1,N,10312.5,E,,,051226,,,A", false, nil},
		{"a digit of the longitude lost", "GPRMC," + at + ",A,3032.1,N,1012.5,E,,,051226,,,A", false, nil},
		{"latitude 91", "GPRMC," + at + ",A,9100.0,N,10312.5,E,,,051226,,,A", false, nil},
		{"longitude 181", "GPRMC," + at + ",A,3032.1,N,18100.0,E,,,051226,,,A", false, nil},
		{"letters in a number", "GPRMC," + at + ",A,3032.1x,N,10312.5,E,,,051226,,,A", false, nil},
		{"two points", "GPRMC," + at + ",A,3032.1.1,N,10312.5,E,,,051226,,,A", false, nil},
		{"hour 24", "GPRMC,240000,A,3032.1,N,10312.5,E,,,051226,,,A", false, nil},
		{"31 February", "GPRMC," + at + ",A,3032.1,N,10312.5,E,,,310226,,,A", false, nil},
		{"speed of light", "GPRMC," + at + ",A,3032.1,N,10312.5,E,582749918,,051226,,,A", false, nil},
		{"endless number", "GPRMC," + at + ",A,3032.1,N,10312.5,E," + strings.Repeat("9", 60) + ",,051226,,,A", false, nil},
		{"course 361", "GPRMC," + at + ",A,3032.1,N,10312.5,E,,361,051226,,,A", false, nil},
		{"41 fields", "GPRMC" + strings.Repeat(",", 41), true, nil},
		{"empty", "", true, nil},
		{"unknown talker", "IIRMC," + at + ",A,3032.1,N,10312.5,E,,,051226,,,A", true, nil},
		{"proprietary", "PUBX,00," + at, true, nil},
		{"short id", "GP", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, _ := decodeAll(t, nmea(tt.body)+"\r\n", Options{})
			if !tt.ok {
				require.Equal(t, []string{"malformed"}, why)
				require.Empty(t, rs)
				return
			}
			require.Empty(t, why)
			if tt.want == nil {
				require.Empty(t, rs)
				return
			}
			require.Len(t, rs, 1)
			p, err := telemetry.As[telemetry.Position](rs[0])
			require.NoError(t, err)
			tt.want(t, p)
		})
	}
}

func valid(t *testing.T, p telemetry.Position) { require.True(t, p.Valid) }

func invalid(t *testing.T, p telemetry.Position) {
	require.False(t, p.Valid)
	require.Equal(t, telemetry.FixNone, p.Fix)
	require.False(t, p.Lat.Known() || p.Lon.Known() || p.SpeedMPS.Known() || p.HeadingDeg.Known() || p.AltitudeM.Known())
}

func TestOldVTG(t *testing.T) {
	r, _ := parseOne(t, nmea("GPVTG,089.0,,15.2,28.15"))
	require.InDelta(t, 15.2*1852/3600, r.speed.Or(-1), 1e-9)
	r, _ = parseOne(t, nmea("GPVTG,089.0,088.0,15.2,28.15"))
	require.InDelta(t, 15.2*1852/3600, r.speed.Or(-1), 1e-9)
	r, _ = parseOne(t, nmea("GPVTG,,T,,M,,N,36.0,K,A"))
	require.InDelta(t, 10, r.speed.Or(-1), 1e-9)
	require.False(t, r.course.Known())
	r, _ = parseOne(t, nmea("GPVTG,89.0,T,,M,15.2,N,28.1,K,N"))
	require.False(t, r.speed.Known())
}
