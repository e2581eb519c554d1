package gnss

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

var update = flag.Bool("update", false, "write the logs under testdata and what is decoded from them")

// truth is where the receiver of a log really was.
type truth struct {
	at       time.Time
	lat, lon float64
	speed    telemetry.Opt[float64] // m/s, where a sentence tells it
	fix      bool
}

// A receiver writes what a module would write on its line while it is carried about.
type receiver struct {
	bytes.Buffer
	at       time.Time
	lat, lon float64 // degrees
	course   float64 // degrees
	speed    float64 // m/s
	seen     []truth
}

// drive goes on for step at the present course and speed.
func (r *receiver) drive(step time.Duration) {
	const metres = 111_195.0 // a degree of latitude
	d := r.speed * step.Seconds()
	r.lat += d * math.Cos(r.course*math.Pi/180) / metres
	r.lon += d * math.Sin(r.course*math.Pi/180) / metres / math.Cos(r.lat*math.Pi/180)
	if r.lon > 180 {
		r.lon -= 360
	}
	r.at = r.at.Add(step)
}

func (r *receiver) say(format string, args ...any) {
	r.WriteString(nmea(fmt.Sprintf(format, args...)) + "\r\n")
}

func side(v float64, width int, plus, minus string) string {
	if v < 0 {
		plus, v = minus, -v
	}
	minutes := math.Round(v*60*1e5) / 1e5
	deg := math.Floor(minutes / 60)
	return fmt.Sprintf("%0*.0f%08.5f,%s", width, deg, minutes-60*deg, plus)
}

func (r *receiver) where() string {
	return side(r.lat, 2, "N", "S") + "," + side(r.lon, 3, "E", "W")
}

func (r *receiver) clock() string { return r.at.Format("150405.000") }
func (r *receiver) date() string  { return r.at.Format("020106") }

// The sentences of an epoch.
func (r *receiver) gga(talker string) {
	r.say("%sGGA,%s,%s,1,11,0.9,%.1f,M,-42.0,M,,", talker, r.clock(), r.where(), 600+r.lat)
}

func (r *receiver) rmc(talker string) {
	r.say("%sRMC,%s,A,%s,%.2f,%.2f,%s,,,A", talker, r.clock(), r.where(), r.speed/knot, r.course, r.date())
}

func (r *receiver) vtg(talker string) {
	r.say("%sVTG,%.2f,T,,M,%.2f,N,%.2f,K,A", talker, r.course, r.speed/knot, r.speed*3.6)
}

func (r *receiver) lost() {
	r.say("GPGGA,%s,,,,,0,00,99.9,,M,,M,,", r.clock())
	r.say("GPRMC,%s,V,,,,,,,%s,,,N", r.clock(), r.date())
}

// told notes that the epoch just written is to be decoded.
func (r *receiver) told(fix, speed bool) {
	t := truth{at: r.at, lat: r.lat, lon: r.lon, fix: fix}
	if speed {
		t.speed = telemetry.Some(r.speed)
	}
	r.seen = append(r.seen, t)
}

// logs are journeys of our own making, each with its trouble.
var logs = map[string]func(*receiver){
	"moving":      moving,
	"hemispheres": hemispheres,
	"midnight":    midnight,
	"cut":         cutEpochs,
	"binary":      binaryBetween,
	"tunnel":      tunnel,
	"mixed":       mixed,
}

// moving: a van at 1 Hz leaves a yard, takes bends, stops.
func moving(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 11, 21, 1, 30, 0, 0, time.UTC), 30.5123, 103.2045
	for i := range 90 {
		r.speed = 15 * math.Sin(math.Pi*float64(i)/89)
		r.course = math.Mod(350+float64(i)*1.7, 360)
		r.gga("GN")
		r.say("GNGSA,A,3,02,07,14,15,,,,,,,,,1.5,0.9,1.2,1")
		r.say("GNGSA,A,3,13,27,37,,,,,,,,,,1.5,0.9,1.2,4")
		r.say("GPGSV,1,1,04,02,20,056,27,07,18,123,25,14,79,041,29,15,31,297,21,1")
		r.rmc("GN")
		r.vtg("GN")
		r.told(true, true)
		r.drive(time.Second)
	}
}

// hemispheres: over the equator and the antimeridian at 5 Hz, on a receiver without RMC.
func hemispheres(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC), 0.0021, 179.9978
	r.speed, r.course = 30, 135
	for range 80 {
		r.say("GNZDA,%s,%s,00,00", r.clock(), r.at.Format("02,01,2006"))
		r.say("GNGNS,%s,%s,AANN,17,0.60,%.1f,20.1,,", r.clock(), r.where(), 3.0)
		r.vtg("BD")
		r.say("GNGLL,%s,%s,A,A", r.where(), r.clock())
		r.told(true, true)
		r.drive(200 * time.Millisecond)
	}
}

// midnight: the year ends; GGA comes first, RMC's date rolls late, one RMC is lost to noise.
func midnight(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 12, 31, 23, 59, 54, 0, time.UTC), -33.4489, -70.6693
	r.speed, r.course = 8, 200
	for i := range 24 {
		r.gga("GP")
		switch i {
		case 12: // 00:00:00
			r.say("GPRMC,%s,A,%s,%.2f,%.2f,311226,,,A", r.clock(), r.where(), r.speed/knot, r.course)
		case 14:
			r.WriteString("$GPRMC,000001.000,A,3326.9x\r\n")
		default:
			r.rmc("GP")
		}
		r.told(true, i != 14)
		r.drive(500 * time.Millisecond)
	}
}

// cutEpochs: a bad cable. What is whole is told, what isn't is dropped, nothing is invented.
func cutEpochs(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), 30.6, 103.3
	r.speed, r.course = 12, 90
	for i := range 40 {
		before := r.Len()
		r.gga("GN")
		middle := r.Len()
		r.rmc("GN")
		switch i % 8 {
		case 1: // RMC cut, the next sentence follows at once
			r.Truncate(r.Len() - 30)
			r.told(true, false)
		case 2: // line ends lost
			b := bytes.ReplaceAll(r.Bytes()[before:], []byte("\r\n"), nil)
			r.Truncate(before + len(b))
			copy(r.Bytes()[before:], b)
			r.told(true, true)
		case 3: // GGA's latitude changed on the way
			r.Bytes()[before+22] ^= 1
			r.told(true, true)
		case 4: // both lost
			r.Bytes()[before+10] ^= 4
			r.Bytes()[middle+10] ^= 4
		case 5: // told twice
			r.Write(bytes.Clone(r.Bytes()[before:]))
			r.told(true, true)
		case 6: // the line end of another burst's middle, then zeros
			r.WriteString("3.4567,E,1,14*5A\r\n\x00\x00\x00")
			r.told(true, true)
		default:
			r.told(true, true)
		}
		r.drive(time.Second)
	}
}

// binaryBetween: UBX and CASIC frames on the same line, '$' and line ends among their bytes.
func binaryBetween(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), 30.7, 103.1
	r.speed, r.course = 20, 270
	for i := range 30 {
		ubx := []byte{0xb5, 0x62, 0x01, 0x07, 92, 0}
		ubx = binary.LittleEndian.AppendUint32(ubx, uint32(r.at.Unix()))
		ubx = append(ubx, bytes.Repeat([]byte{'$', 'G', byte(i), '\r', '\n', '*', 0xff}, 12)...)
		r.Write(append(ubx, 0x12, 0x34, 0, 0))
		r.gga("GN")
		r.Write([]byte{0xba, 0xce, 4, 0, 5, 1, '$', 'G', 'N', 'R', 1, 2, 3, 4})
		r.rmc("GN")
		r.told(true, true)
		r.drive(time.Second)
	}
}

// tunnel: a cold start with a wrong clock, a fix, 0/0 with status A, no fix, a fix again.
func tunnel(r *receiver) {
	r.lat, r.lon, r.speed, r.course = 30.9, 102.9, 10, 10
	r.at = time.Date(2007, 4, 21, 0, 0, 10, 0, time.UTC)
	for range 3 {
		r.lost()
		r.told(false, false)
		r.drive(time.Second)
	}
	r.at = time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)
	for i := range 20 {
		switch {
		case i == 5:
			r.say("GPRMC,%s,A,0000.0000,N,00000.0000,E,0.00,0.00,%s,,,A", r.clock(), r.date())
			r.told(false, false)
		case i > 5 && i < 12:
			r.lost()
			r.told(false, false)
		case i == 15: // no RMC in this epoch: no speed, though it moves
			r.gga("GP")
			r.told(true, false)
		default:
			r.gga("GP")
			r.rmc("GP")
			r.told(true, true)
		}
		r.drive(time.Second)
	}
}

// mixed: a u-blox over midnight at 5 Hz, NAV-PVT and sentences of each epoch, a hair's breadth apart in time; some
// frames are hurt, some epochs have no sentences; a NAV-SAT now and then, and a message that nobody knows.
func mixed(r *receiver) {
	r.at, r.lat, r.lon = time.Date(2026, 11, 30, 23, 59, 56, 0, time.UTC), 30.8, 103.05
	r.speed, r.course = 18, 315
	for i := range 40 {
		at := r.at.Add(time.Duration(i%7-3) * 100 * time.Microsecond)
		f := solution{at: at, valid: 0x37, fix: 3, flags: 1, lat: r.lat, lon: r.lon, altitude: 640, speed: r.speed, course: r.course, used: 18}
		frame := []byte(f.frame())
		whole := true
		switch i % 10 {
		case 3: // one bit
			frame[50] ^= 4
			whole = false
		case 6: // its end is lost
			frame = frame[:60]
			whole = false
		case 8:
			r.Write(appendUBX(nil, classNAV, navSAT, append([]byte{0, 0, 0, 0, 1, 2, 0, 0}, make([]byte, 24)...)...))
			r.Write(appendUBX(nil, 0x0d, 0x03, []byte("$GNRMC,")...))
		}
		r.Write(frame)
		if i%4 != 1 {
			r.rmc("GN")
			r.gga("GN")
		}
		if whole || i%4 != 1 {
			r.told(true, true)
		}
		r.drive(200 * time.Millisecond)
	}
}

func TestOwnLogs(t *testing.T) {
	for name, journey := range logs {
		t.Run(name, func(t *testing.T) {
			var r receiver
			journey(&r)
			log := filepath.Join("testdata", name+".log")
			if *update {
				require.NoError(t, os.WriteFile(log, r.Bytes(), 0o644))
			}
			stream, err := os.ReadFile(log)
			require.NoError(t, err)
			var lines bytes.Buffer
			opt := Options{Device: "gps", NotBefore: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
			rs, _, _ := decodeAll(t, string(stream), opt)
			for _, reading := range rs {
				lines.Write(append(reading.AppendJSON(nil), '\n'))
			}
			golden(t, name+".jsonl", lines.Bytes())
			require.Len(t, rs, len(r.seen))
			for i, want := range r.seen {
				checkTruth(t, want, rs[i])
			}
		})
	}
}

func checkTruth(t *testing.T, want truth, r telemetry.Reading) {
	t.Helper()
	p, err := telemetry.As[telemetry.Position](r)
	require.NoError(t, err)
	require.Equal(t, want.at, r.At)
	require.Equal(t, want.fix, p.Valid, "%v", want.at)
	if !want.fix {
		require.False(t, p.Lat.Known())
		return
	}
	require.InDelta(t, want.lat, p.Lat.Or(99), 1e-6, "%v", want.at)
	require.InDelta(t, want.lon, p.Lon.Or(999), 1e-6, "%v", want.at)
	require.Equal(t, want.speed.Known(), p.SpeedMPS.Known(), "%v", want.at)
	require.InDelta(t, want.speed.Or(0), p.SpeedMPS.Or(0), 0.01, "%v", want.at)
}

// golden compares with a file under testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
