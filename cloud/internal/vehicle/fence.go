package vehicle

import (
	"math"

	"yizhan/cloud/internal/county"
)

// Zone is where a fix lies with respect to the fences.
type Zone int

// The zones. Between a fence and its outer edge a fix says nothing new: the vehicle is where
// it was.
const (
	Outside Zone = iota // beyond the outer edge of every fence
	Inside              // within a fence
	Edge                // between a fence and its outer edge
)

// outerM is the outer edge of a fence of r metres.
func outerM(r float64) float64 { return r*1.2 + 30 }

// Locate tells in which zone a point lies, and of which site when it is Inside or on the Edge.
// Where fences overlap, the nearest centre counts.
func Locate(sites []county.Site, lat, lon float64) (zone Zone, site string) {
	best := math.Inf(1)
	for i := range sites {
		s := &sites[i]
		reach := outerM(s.FenceM)
		if math.Abs(s.Lat-lat)*metresPerDegree > reach { // most sites end here, without a cosine
			continue
		}
		d := distanceM(s.Lat, s.Lon, lat, lon)
		z := Edge
		switch {
		case d > reach:
			continue
		case d <= s.FenceM:
			z = Inside
		}
		switch {
		case z == Inside && zone != Inside, z == zone && d < best, zone == Outside:
			zone, site, best = z, s.ID, d
		}
	}
	return zone, site
}

const metresPerDegree = 6371008.8 * math.Pi / 180

// distanceM is the distance of two near points in metres (equirectangular: good to 0.1 % at
// fence sizes outside the polar caps).
func distanceM(lat1, lon1, lat2, lon2 float64) float64 {
	dlon := math.Remainder(lon2-lon1, 360)
	x := dlon * math.Cos((lat1+lat2)/2*math.Pi/180)
	y := lat2 - lat1
	return math.Hypot(x, y) * metresPerDegree
}
