package jt808

import "math"

// The ellipsoid of GCJ-02 (Krasovsky 1940).
const (
	gcjAxis         = 6378245.0
	gcjEccentricity = 0.00669342162296594323
)

// inChina tells roughly where GCJ-02 differs from WGS-84 at all; the offset is defined inside it only.
func inChina(lat, lon float64) bool {
	return lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271
}

// gcjOffset is by how much GCJ-02 moves a WGS-84 position, in degrees.
func gcjOffset(lat, lon float64) (dLat, dLon float64) {
	x, y := lon-105, lat-35
	wave := (20*math.Sin(6*math.Pi*x) + 20*math.Sin(2*math.Pi*x)) * 2 / 3
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + wave +
		(20*math.Sin(math.Pi*y)+40*math.Sin(math.Pi*y/3))*2/3 +
		(160*math.Sin(math.Pi*y/12)+320*math.Sin(math.Pi*y/30))*2/3
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + wave +
		(20*math.Sin(math.Pi*x)+40*math.Sin(math.Pi*x/3))*2/3 +
		(150*math.Sin(math.Pi*x/12)+300*math.Sin(math.Pi*x/30))*2/3
	sin := math.Sin(lat / 180 * math.Pi)
	m := 1 - gcjEccentricity*sin*sin
	dLat = north * 180 / (gcjAxis * (1 - gcjEccentricity) / (m * math.Sqrt(m)) * math.Pi)
	dLon = east * 180 / (gcjAxis / math.Sqrt(m) * math.Cos(lat/180*math.Pi) * math.Pi)
	return dLat, dLon
}

// fromGCJ02 is the WGS-84 position that GCJ-02 moved here, to about a centimetre.
func fromGCJ02(lat, lon float64) (wgsLat, wgsLon float64) {
	if !inChina(lat, lon) {
		return lat, lon
	}
	wgsLat, wgsLon = lat, lon
	for range 10 {
		dLat, dLon := gcjOffset(wgsLat, wgsLon)
		eLat, eLon := wgsLat+dLat-lat, wgsLon+dLon-lon
		wgsLat, wgsLon = wgsLat-eLat, wgsLon-eLon
		if math.Abs(eLat) < 1e-8 && math.Abs(eLon) < 1e-8 {
			break
		}
	}
	return wgsLat, wgsLon
}
