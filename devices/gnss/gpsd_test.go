package gnss

import (
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Reports of a real gpsd.
const (
	vecTPV     = `{"class":"TPV","mode":3,"time":"2026-02-06T17:06:00.000Z","ept":0.005,"lat":41.193313333,"lon":-111.942777833,"altHAE":1427.4000,"altMSL":1443.9000,"alt":1443.9000,"track":0.0000,"magtrack":348.3000,"magvar":11.2,"speed":0.000,"geoidSep":-16.500,"eph":10.070}`
	vecTPVLost = `{"class":"TPV","mode":1}`
	vecSKY     = `{"class":"SKY","hdop":0.53,"uSat":21}`
)

var gpsdOptions = Options{Protocol: GPSD}

func TestGPSDVector(t *testing.T) {
	rs, why, counters := decodeAll(t, strings.Join([]string{vecSKY, vecTPV, vecTPVLost}, "\r\n"), gpsdOptions)
	require.Empty(t, why)
	require.EqualValues(t, 3, counters["frames_ok"])
	require.Equal(t, []string{"260206 170600.000", ""}, times(rs))
	p := position(t, rs[0])
	require.Equal(t, telemetry.Position{
		Lat: telemetry.Some(41.193313333), Lon: telemetry.Some(-111.942777833), AltitudeM: telemetry.Some(1443.9),
		SpeedMPS: telemetry.Some(0.0), HeadingDeg: telemetry.Some(0.0), Fix: telemetry.Fix3D,
		Satellites: telemetry.Some(21), HDOP: telemetry.Some(0.53), Valid: true,
	}, p)
	require.Equal(t, telemetry.GNSS, rs[0].TQ)
	invalid(t, position(t, rs[1]))
}

func tpvAt(at, more string) string {
	return `{"class":"TPV","device":"/dev/ttyACM0","mode":3,"time":"` + at + `","lat":30.5,"lon":103.2` + more + `}` + "\n"
}

func TestGPSDReports(t *testing.T) {
	const at = "2026-12-05T10:15:30.000Z"
	tests := []struct {
		name, stream string
		fix          telemetry.Fix
		altitude     telemetry.Opt[float64]
	}{
		{"3D", tpvAt(at, `,"altMSL":612.3,"alt":1`), telemetry.Fix3D, telemetry.Some(612.3)},
		{"an older gpsd", tpvAt(at, `,"alt":612.3`), telemetry.Fix3D, telemetry.Some(612.3)},
		{"2D", strings.Replace(tpvAt(at, ""), `"mode":3`, `"mode":2`, 1), telemetry.Fix2D, telemetry.Opt[float64]{}},
		{"dead reckoning", tpvAt(at, `,"status":5`), telemetry.FixDR, telemetry.Opt[float64]{}},
		{"simulated", tpvAt(at, `,"status":8`), telemetry.FixNone, telemetry.Opt[float64]{}},
		{"no fix, whatever it says", strings.Replace(tpvAt(at, ""), `"mode":3`, `"mode":1`, 1), telemetry.FixNone, telemetry.Opt[float64]{}},
		{"mode unknown", strings.Replace(tpvAt(at, ""), `"mode":3`, `"mode":0`, 1), telemetry.FixNone, telemetry.Opt[float64]{}},
		{"no position", `{"class":"TPV","mode":3,"time":"` + at + `"}`, telemetry.FixNone, telemetry.Opt[float64]{}},
		{"0 0", `{"class":"TPV","mode":3,"time":"` + at + `","lat":0,"lon":0}`, telemetry.FixNone, telemetry.Opt[float64]{}},
		{"told twice, the last is it", tpvAt(at, `,"altMSL":1`) + tpvAt(at, `,"altMSL":612.3`), telemetry.Fix3D, telemetry.Some(612.3)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, _ := decodeAll(t, tt.stream, gpsdOptions)
			require.Empty(t, why)
			require.Equal(t, []string{"261205 101530.000"}, times(rs))
			p := position(t, rs[0])
			require.Equal(t, tt.fix, p.Fix)
			require.Equal(t, tt.altitude, p.AltitudeM)
			require.Equal(t, tt.fix != telemetry.FixNone, p.Valid)
		})
	}
}

func TestGPSDDirt(t *testing.T) {
	good := tpvAt("2026-12-05T10:15:30Z", "")
	long := `{"class":"` + strings.Repeat("x", maxObject) + `"}` + "\n"
	tests := []struct {
		name, stream string
		want         []string
		epochs       int
	}{
		{"greeting and unknown classes", `{"class":"VERSION","release":"3.22"}` + "\r\n" + `{"class":"NEW","a":[{}]}` + "\n\r\n\n" + good, nil, 1},
		{"sentences", vecRMC + "\r\n" + good, []string{"malformed"}, 1},
		{"cut", good[:40] + "\n" + good, []string{"malformed"}, 1},
		{"cut by the end", good + good[:40], []string{"malformed"}, 1},
		{"no line end", strings.TrimSpace(good), nil, 1},
		{"too long", long + good, []string{"too_long"}, 1},
		{"types", `{"class":"TPV","mode":"3"}` + "\n" + `{"class":7}` + "\n" + `[1]` + "\n" + good, []string{"malformed", "malformed", "malformed"}, 1},
		{"latitude", strings.Replace(good, "30.5", "90.5", 1), []string{"malformed"}, 0},
		{"latitude alone", strings.Replace(good, `"lon"`, `"nol"`, 1), []string{"malformed"}, 0},
		{"time", strings.Replace(good, "10:15", "25:15", 1), []string{"malformed"}, 0},
		{"year", strings.Replace(good, "2026", "0026", 1), []string{"malformed"}, 0},
		{"speed", tpvAt("2026-12-05T10:15:30Z", `,"speed":-1`), []string{"malformed"}, 0},
		{"sky", `{"class":"SKY","hdop":-1}` + "\n" + `{"class":"SKY","uSat":-1}` + "\n", []string{"malformed", "malformed"}, 0},
		{"it refuses", `{"class":"ERROR","message":"no such device"}` + "\n" + good, []string{"gpsd_errors"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, counters := decodeAll(t, tt.stream, gpsdOptions)
			require.Equal(t, tt.want, why)
			require.Len(t, rs, tt.epochs)
			for seed := range uint64(10) {
				pieces, whyPieces, count := chunked(t, []byte(tt.stream), gpsdOptions, rand.New(rand.NewPCG(seed, 4)))
				require.Equal(t, rs, pieces)
				require.Equal(t, why, whyPieces)
				require.Equal(t, counters, count)
			}
		})
	}
}

func TestGPSDOfSeveralReceivers(t *testing.T) {
	one, two := tpvAt("2026-12-05T10:15:30Z", ""), strings.ReplaceAll(tpvAt("2026-12-05T10:15:31Z", ""), "ACM0", "ACM1")
	rs, _, counters := decodeAll(t, one+two, Options{Protocol: GPSD, Receiver: "/dev/ttyACM1"})
	require.Equal(t, []string{"261205 101531.000"}, times(rs))
	require.EqualValues(t, 1, counters["ignored"])
	require.Equal(t, `?WATCH={"enable":true,"json":true,"device":"/dev/ttyACM1"};`+"\n", string(watch("/dev/ttyACM1")))
	require.Equal(t, `?WATCH={"enable":true,"json":true};`+"\n", string(watch("")))
}

func TestGPSDSkyWithSatellites(t *testing.T) {
	sky := `{"class":"SKY","device":"/dev/ttyACM0","hdop":0.9,"satellites":[{"PRN":1,"used":true},{"PRN":2,"used":false},{"PRN":3,"used":true}]}` + "\n"
	rs, _, counters := decodeAll(t, sky+tpvAt("2026-12-05T10:15:30Z", "")+vecTPVLost+"\n"+tpvAt("2026-12-05T10:15:32Z", ""), gpsdOptions)
	require.Len(t, rs, 3)
	require.Equal(t, telemetry.Some(2), position(t, rs[0]).Satellites)
	require.False(t, position(t, rs[2]).Satellites.Known(), "of before the fix was lost")
	require.EqualValues(t, 3, counters["satellites_in_view"])
}

func TestGPSDContract(t *testing.T) {
	driver := func(open port.Opener) devices.Driver {
		d, err := New(Config{Port: "tcp:127.0.0.1:2947", Protocol: GPSD}, devices.Env{Name: "gps", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}
	daemon := devicestest.Play(t, "testdata/gpsd.txt")
	devicestest.Contract(t, driver, daemon)
	devicestest.OnTCP(t, driver, daemon)
}

// A gpsd whose receiver is unplugged keeps the connection and says nothing.
func TestGPSDSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, Config{Port: "tcp:127.0.0.1:2947", Protocol: GPSD})
		l.say(t, `{"class":"VERSION","release":"3.22","proto_major":3}`, strings.TrimSpace(tpvAt("2026-12-05T10:15:30Z", "")))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		_, p := l.next(t)
		require.True(t, p.Valid)
		_, p = l.next(t)
		require.False(t, p.Valid)
		time.Sleep(25 * time.Second)
		require.ErrorContains(t, <-l.done, "no sentence for 30s")
	})
}

func FuzzGPSD(f *testing.F) {
	for _, seed := range []string{vecTPV + "\n" + vecSKY + "\r\n" + vecTPVLost, `{"class":"TPV","mode":3,"time":"2026-02-06T17:06:00.999999Z","lat":1e0,"lon":-0}`, "{}\n\n[", `{"class":"ERROR"}`} {
		f.Add([]byte(seed), uint64(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		whole, why, counters := decodeAll(t, string(stream), gpsdOptions)
		pieces, whyPieces, countersPieces := chunked(t, stream, gpsdOptions, rand.New(rand.NewPCG(seed, 0)))
		require.Equal(t, whole, pieces)
		require.Equal(t, why, whyPieces)
		require.Equal(t, counters, countersPieces)
	})
}
