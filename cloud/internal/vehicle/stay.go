package vehicle

import (
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

// Gap is how far apart two fixes may be and still belong to one stay. A longer silence ends the
// stay, so that what is told of it later has its own place in the order.
const Gap = 2 * time.Minute

// Fix is a dated position.
type Fix struct {
	At       time.Time
	Lat, Lon float64
}

// Track lays a fix into the stays of one vehicle, which are ascending and don't overlap, and
// tells which it changed. Fixes may come in any order; a fix told twice changes nothing.
func Track(stays []county.Stay, sites []county.Site, vehicle string, f Fix) (out []county.Stay, changed bool) {
	zone, site := Locate(sites, f.Lat, f.Lon)
	i, within := slices.BinarySearchFunc(stays, f.At, func(s county.Stay, t time.Time) int {
		switch {
		case s.To.Before(t):
			return -1
		case s.From.After(t):
			return 1
		}
		return 0
	})
	if zone == Edge {
		return edge(stays, i, within, f.At, site)
	}
	if within {
		if stays[i].Site == site {
			return stays, false
		}
		return split(stays, i, vehicle, site, f.At), true
	}
	before := i > 0 && stays[i-1].Site == site && f.At.Sub(stays[i-1].To) <= Gap
	after := i < len(stays) && stays[i].Site == site && stays[i].From.Sub(f.At) <= Gap
	out = slices.Clone(stays)
	switch {
	case before && after:
		out[i-1].To = out[i].To
		out = slices.Delete(out, i, i+1)
	case before:
		out[i-1].To = f.At
	case after:
		out[i].From = f.At
	default:
		out = slices.Insert(out, i, county.Stay{Vehicle: vehicle, Site: site, From: f.At, To: f.At})
	}
	return out, true
}

// Extend lengthens the last stay of a vehicle by a fix that lies after it, near in time and of the same
// place: what most fixes do. It reports whether it did; if not, Track knows what to do.
func Extend(last *county.Stay, sites []county.Site, f Fix) bool {
	if f.At.Before(last.To) || f.At.Sub(last.To) > Gap {
		return false
	}
	zone, site := Locate(sites, f.Lat, f.Lon)
	if zone == Edge || site != last.Site {
		return false
	}
	last.To = f.At
	return true
}

// edge handles a fix between a fence and its outer edge: it lengthens the stay before it, when
// that is near in time and either of the same site or of none.
func edge(stays []county.Stay, i int, within bool, at time.Time, site string) ([]county.Stay, bool) {
	if within || i == 0 || at.Sub(stays[i-1].To) > Gap || stays[i-1].Site != "" && stays[i-1].Site != site {
		return stays, false
	}
	out := slices.Clone(stays)
	out[i-1].To = at
	if i < len(out) && out[i].Site == out[i-1].Site && out[i].From.Sub(at) <= Gap {
		out[i-1].To = out[i].To
		out = slices.Delete(out, i, i+1)
	}
	return out, true
}

// split makes room for a fix of another zone inside a stay.
func split(stays []county.Stay, i int, vehicle, site string, at time.Time) []county.Stay {
	s := stays[i]
	var parts []county.Stay
	if s.From.Before(at) {
		parts = append(parts, county.Stay{Vehicle: vehicle, Site: s.Site, From: s.From, To: at.Add(-time.Millisecond)})
	}
	parts = append(parts, county.Stay{Vehicle: vehicle, Site: site, From: at, To: at})
	if s.To.After(at) {
		parts = append(parts, county.Stay{Vehicle: vehicle, Site: s.Site, From: at.Add(time.Millisecond), To: s.To})
	}
	return slices.Replace(slices.Clone(stays), i, i+1, parts...)
}
