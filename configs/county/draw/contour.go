package main

import "sort"

// levels are the heights at which a darker band of the map begins.
var levels = []float64{710, 830, 970, 1130, 1310, 1510, 1740}

// An area is an outer ring and the rings of its holes, first point not repeated.
type area struct{ rings [][]point }

// bands returns, for each level, the areas of the county that are at least as high.
func (l *land) bands() [][]area {
	out := make([][]area, 0, len(levels))
	for _, level := range levels {
		field := make([]float64, len(l.height))
		for i, h := range l.height {
			field[i] = min(h-level, l.inside[i]*400)
		}
		out = append(out, areas(smoothRings(contours(field))))
	}
	return out
}

// smoothRings rounds rings and drops those too small to see.
func smoothRings(rings [][]point) [][]point {
	var out [][]point
	for _, r := range rings {
		if a := ringArea(r); a < 0.35 && a > -0.35 {
			continue
		}
		r = simplifyRing(chaikin(simplifyRing(r, 0.07), 2, true), 0.022)
		if len(r) >= 4 {
			out = append(out, r)
		}
	}
	return out
}

// areas sorts rings into outer rings (counter-clockwise) with their holes.
func areas(rings [][]point) []area {
	var outer []area
	var holes [][]point
	for _, r := range rings {
		if ringArea(r) > 0 {
			outer = append(outer, area{rings: [][]point{r}})
		} else {
			holes = append(holes, r)
		}
	}
	sort.SliceStable(outer, func(i, j int) bool { return ringArea(outer[i].rings[0]) < ringArea(outer[j].rings[0]) })
	for _, h := range holes {
		for i := range outer { // the smallest that holds it
			if inRing(h[0], outer[i].rings[0]) {
				outer[i].rings = append(outer[i].rings, h)
				break
			}
		}
	}
	return outer
}

// contours traces the zero line of a field on the grid (marching squares). Rings run with the
// high side on their left, so outer rings are counter-clockwise. The field must be negative on
// the grid's edge.
func contours(field []float64) [][]point {
	// A crossing lies on a grid edge: 2*cell for the edge to the right, 2*cell+1 for the one up.
	next := make(map[int]int)
	for cy := range rows - 1 {
		for cx := range cols - 1 {
			traceCell(field, cx, cy, next)
		}
	}
	starts := make([]int, 0, len(next))
	for k := range next {
		starts = append(starts, k)
	}
	sort.Ints(starts)
	var rings [][]point
	for _, s := range starts {
		var ring []point
		for at, ok := s, true; ok; {
			to, more := next[at]
			if !more {
				break
			}
			delete(next, at)
			ring = append(ring, crossing(field, at))
			at, ok = to, to != s
		}
		if len(ring) > 3 {
			rings = append(rings, ring)
		}
	}
	return rings
}

// traceCell adds the pieces of the line within one square of grid points.
func traceCell(field []float64, cx, cy int, next map[int]int) {
	i := cy*cols + cx
	bottom, right, top, left := 2*i, 2*(i+1)+1, 2*(i+cols), 2*i+1
	code := 0
	for bit, v := range [4]float64{field[i], field[i+1], field[i+cols+1], field[i+cols]} {
		if v >= 0 {
			code |= 1 << bit
		}
	}
	link := func(from, to int) { next[from] = to }
	switch code { // bits: 1 lower left, 2 lower right, 4 upper right, 8 upper left; high side left
	case 1:
		link(bottom, left)
	case 2:
		link(right, bottom)
	case 3:
		link(right, left)
	case 4:
		link(top, right)
	case 5:
		link(bottom, right)
		link(top, left)
	case 6:
		link(top, bottom)
	case 7:
		link(top, left)
	case 8:
		link(left, top)
	case 9:
		link(bottom, top)
	case 10:
		link(left, bottom)
		link(right, top)
	case 11:
		link(right, top)
	case 12:
		link(left, right)
	case 13:
		link(bottom, right)
	case 14:
		link(left, bottom)
	}
}

// crossing is where the field is zero on a grid edge.
func crossing(field []float64, edge int) point {
	i := edge / 2
	j := i + 1
	if edge%2 == 1 {
		j = i + cols
	}
	a, b := field[i], field[j]
	p, q := cellPoint(i%cols, i/cols), cellPoint(j%cols, j/cols)
	return p.mix(q, a/(a-b))
}
