package firmware

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Fix is where an antenna is: WGS-84 degrees, metres above the sea, metres a second, degrees
// from true north.
type Fix struct {
	Lat, Lon, AltitudeM, SpeedMPS, HeadingDeg float64
	Satellites                                int
	None                                      bool // no satellites in view: a tunnel, a roof
}

// GPS is a GNSS receiver that sends one epoch a second.
type GPS struct {
	Line   io.Writer
	Where  func(now time.Time) Fix
	Offset time.Duration // fault: of the time that it tells
}

// Run sends at each full second of the clock until ctx ends.
func (g GPS) Run(ctx context.Context) error {
	for {
		now := time.Now()
		timer := time.NewTimer(now.Truncate(time.Second).Add(time.Second).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		at := time.Now().Round(time.Second)
		if _, err := g.Line.Write(Epoch(at.Add(g.Offset), g.Where(at))); err != nil && ctx.Err() == nil {
			return fmt.Errorf("gps: %w", err)
		}
	}
}

// knot is a metre a second's worth: 1852 m an hour.
const knot = 1852.0 / 3600

// maxKnots is where receivers sold to the public stop.
const maxKnots = 999.9

// Epoch is the burst of NMEA 0183 sentences for one instant: RMC, VTG, GGA, GSA.
func Epoch(at time.Time, f Fix) []byte {
	at = at.UTC()
	clock, date := at.Format("150405.000"), at.Format("020106")
	var b strings.Builder
	if f.None {
		sentence(&b, "GNRMC,%s,V,,,,,,,%s,,,N,V", clock, date)
		sentence(&b, "GNVTG,,T,,M,,N,,K,N")
		sentence(&b, "GNGGA,%s,,,,,0,00,25.5,,,,,,", clock)
		sentence(&b, "GNGSA,A,1,,,,,,,,,,,,,25.5,25.5,25.5,1")
		return []byte(b.String())
	}
	lat, lon := angle(f.Lat, 2, "N", "S"), angle(f.Lon, 3, "E", "W")
	kn := min(f.SpeedMPS/knot, maxKnots)
	course := fmt.Sprintf("%.2f", math.Mod(math.Mod(f.HeadingDeg, 360)+360, 360))
	if course == "360.00" {
		course = "0.00"
	}
	hdop := 0.7 + 3/float64(max(f.Satellites, 4))
	sentence(&b, "GNRMC,%s,A,%s,%s,%.2f,%s,%s,,,A,V", clock, lat, lon, kn, course, date)
	sentence(&b, "GNVTG,%s,T,,M,%.2f,N,%.2f,K,A", course, kn, kn*1.852)
	sentence(&b, "GNGGA,%s,%s,%s,1,%02d,%.1f,%.1f,M,-35.4,M,,", clock, lat, lon, f.Satellites, hdop, f.AltitudeM)
	sentence(&b, "GNGSA,A,3,05,10,13,15,18,23,24,,,,,,%.1f,%.1f,%.1f,1", hdop*1.7, hdop, hdop*1.4)
	sentence(&b, "GNGSA,A,3,07,10,21,26,38,40,,,,,,,%.1f,%.1f,%.1f,4", hdop*1.7, hdop, hdop*1.4)
	return []byte(b.String())
}

// sentence appends "$", the text, "*", the XOR of the text and CR LF.
func sentence(b *strings.Builder, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	var sum byte
	for i := range len(text) {
		sum ^= text[i]
	}
	fmt.Fprintf(b, "$%s*%02X\r\n", text, sum)
}

// angle writes degrees as ddmm.mmmmm and the hemisphere.
func angle(deg float64, digits int, pos, neg string) string {
	half := pos
	if deg < 0 {
		half, deg = neg, -deg
	}
	const perMinute = 100000
	n := int64(math.Round(deg * 60 * perMinute)) // in 1/100000 minute, so that 59.999999 carries
	return fmt.Sprintf("%0*d%02d.%05d,%s", digits, n/(60*perMinute), n/perMinute%60, n%perMinute, half)
}
