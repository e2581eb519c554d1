package main

import "math"

// A point is kilometres east (x) and north (y) of the county's middle.
type point struct{ x, y float64 }

func (p point) add(q point) point            { return point{p.x + q.x, p.y + q.y} }
func (p point) sub(q point) point            { return point{p.x - q.x, p.y - q.y} }
func (p point) scale(f float64) point        { return point{p.x * f, p.y * f} }
func (p point) dist(q point) float64         { return math.Sqrt(p.sub(q).dot(p.sub(q))) }
func (p point) dot(q point) float64          { return p.x*q.x + p.y*q.y }
func (p point) mix(q point, f float64) point { return p.scale(1 - f).add(q.scale(f)) }

// The middle of the county, WGS-84 degrees, and the length of a degree there.
const (
	middleLat   = 30.52
	middleLon   = 103.22
	kmPerDegLat = 110.852
	kmPerDegLon = 95.963
)

func (p point) lat() float64 { return middleLat + p.y/kmPerDegLat }
func (p point) lon() float64 { return middleLon + p.x/kmPerDegLon }

// spline runs a smooth curve (Catmull-Rom) through ps, steps points a span.
func spline(ps []point, steps int) []point {
	at := func(i int) point { return ps[min(max(i, 0), len(ps)-1)] }
	var out []point
	for i := 0; i < len(ps)-1; i++ {
		a, b, c, d := at(i-1), at(i), at(i+1), at(i+2)
		for s := range steps {
			t := float64(s) / float64(steps)
			t2, t3 := t*t, t*t*t
			q := b.scale(2).
				add(c.sub(a).scale(t)).
				add(a.scale(2).sub(b.scale(5)).add(c.scale(4)).sub(d).scale(t2)).
				add(b.scale(3).sub(a).sub(c.scale(3)).add(d).scale(t3))
			out = append(out, q.scale(0.5))
		}
	}
	return append(out, ps[len(ps)-1])
}

// chaikin rounds the corners of a line; its ends stay. A ring has no ends.
func chaikin(ps []point, rounds int, ring bool) []point {
	for range rounds {
		if len(ps) < 3 {
			return ps
		}
		out := make([]point, 0, 2*len(ps))
		if !ring {
			out = append(out, ps[0])
		}
		n := len(ps) - 1
		if ring {
			n = len(ps)
		}
		for i := range n {
			a, b := ps[i], ps[(i+1)%len(ps)]
			out = append(out, a.mix(b, 0.25), a.mix(b, 0.75))
		}
		if !ring {
			out = append(out, ps[len(ps)-1])
		}
		ps = out
	}
	return ps
}

// simplify drops points that lie within tol of the line without them (Douglas-Peucker).
func simplify(ps []point, tol float64) []point {
	if len(ps) < 3 {
		return ps
	}
	keep := make([]bool, len(ps))
	keep[0], keep[len(ps)-1] = true, true
	stack := [][2]int{{0, len(ps) - 1}}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		far, at := tol, -1
		for i := s[0] + 1; i < s[1]; i++ {
			if d := segmentDist(ps[i], ps[s[0]], ps[s[1]]); d > far {
				far, at = d, i
			}
		}
		if at >= 0 {
			keep[at] = true
			stack = append(stack, [2]int{s[0], at}, [2]int{at, s[1]})
		}
	}
	var out []point
	for i, k := range keep {
		if k {
			out = append(out, ps[i])
		}
	}
	return out
}

// simplifyRing is simplify for a closed ring given without its repeated last point.
func simplifyRing(ps []point, tol float64) []point {
	far, at := 0.0, 0
	for i, p := range ps {
		if d := p.dist(ps[0]); d > far {
			far, at = d, i
		}
	}
	if at == 0 {
		return ps
	}
	a := simplify(ps[:at+1], tol)
	b := simplify(append(append([]point(nil), ps[at:]...), ps[0]), tol)
	return append(a, b[1:len(b)-1]...)
}

// segmentDist is the distance of p from the segment a b.
func segmentDist(p, a, b point) float64 {
	ab := b.sub(a)
	l := ab.dot(ab)
	if l == 0 {
		return p.dist(a)
	}
	t := min(max(p.sub(a).dot(ab)/l, 0), 1)
	return p.dist(a.add(ab.scale(t)))
}

func ringArea(ps []point) float64 {
	var s float64
	for i, p := range ps {
		q := ps[(i+1)%len(ps)]
		s += p.x*q.y - q.x*p.y
	}
	return s / 2
}

func inRing(p point, ring []point) bool {
	in := false
	for i, a := range ring {
		b := ring[(i+1)%len(ring)]
		if (a.y > p.y) != (b.y > p.y) && p.x < a.x+(p.y-a.y)/(b.y-a.y)*(b.x-a.x) {
			in = !in
		}
	}
	return in
}

func lineLength(ps []point) float64 {
	var s float64
	for i := 1; i < len(ps); i++ {
		s += ps[i].dist(ps[i-1])
	}
	return s
}
