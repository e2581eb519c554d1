package main

import (
	"math"
	"math/rand/v2"
)

// A river runs from its source to its mouth.
type river struct {
	zh, en   string
	line     []point
	from, to float64 // metres above the sea at source and mouth
	order    int     // 1 the main river, 2 a tributary, 3 a brook
}

// riverTable is the skeleton of the county: control points in kilometres.
var riverTable = []struct {
	zh, en   string
	order    int
	from, to float64
	ps       []point
}{
	{"岭江", "Ling River", 1, 1080, 590, []point{{-28, 19}, {-22, 15.5}, {-17.5, 11}, {-11.5, 9.6}, {-7, 5.2}, {-2.6, 2.4}, {0.4, -1.6}, {5.4, -3.4}, {8.6, -8}, {13.5, -10.6}, {16.4, -15.4}, {21.5, -18}, {26, -23}}},
	{"北溪河", "Beixi River", 2, 1420, 672, []point{{6.5, 24}, {4.2, 19}, {5.8, 14.2}, {3, 9.6}, {3.4, 5}, {1.2, 1.6}, {0.4, -1.6}}},
	{"松水河", "Songshui River", 2, 1460, 655, []point{{27, 15}, {21.6, 13.4}, {17.4, 9.2}, {13.2, 7.4}, {10.4, 2.8}, {6.4, 0.8}, {5.4, -3.4}}},
	{"竹溪河", "Zhuxi River", 2, 1480, 770, []point{{-28, -2.5}, {-22.4, -1.2}, {-18, 1.4}, {-12.6, 0.8}, {-9, 3}, {-7, 5.2}}},
	{"白水河", "Baishui River", 2, 1390, 640, []point{{-17, -23}, {-14.4, -17.6}, {-9.6, -15}, {-7, -10.2}, {-1.8, -8.6}, {2.2, -5.2}, {5.4, -3.4}}},
	{"青石河", "Qingshi River", 2, 1340, 622, []point{{29, -4}, {23.6, -3}, {19.4, -5.6}, {15.2, -5}, {11.4, -7.6}, {8.6, -8}}},
	{"云台河", "Yuntai River", 2, 1510, 860, []point{{-9, 25}, {-11.4, 20}, {-9.2, 16}, {-12.6, 12.8}, {-11.5, 9.6}}},
	{"茶坪河", "Chaping River", 2, 1280, 600, []point{{-1, -24}, {1.6, -19.4}, {6.2, -17}, {9, -13.2}, {13.5, -10.6}}},
	{"桃花沟", "Taohua Brook", 3, 1400, 735, []point{{16, 22}, {14.2, 17.6}, {10.4, 15.6}, {8.2, 11.6}, {3, 9.6}}},
	{"石门沟", "Shimen Brook", 3, 1380, 700, []point{{-22, -10.5}, {-17.4, -9.6}, {-14, -11.4}, {-9.6, -9.2}, {-7, -10.2}}},
}

func drawRivers(seed uint64) []river {
	rng := rand.New(rand.NewPCG(seed, 1))
	rivers := make([]river, 0, len(riverTable))
	for _, r := range riverTable {
		ps := append([]point(nil), r.ps...)
		line := spline(ps, 4)
		for i := 1; i < len(line)-1; i++ { // meanders; the control points stay, for rivers meet there
			if i%4 == 0 {
				continue
			}
			t := line[i+1].sub(line[i-1])
			l := math.Sqrt(t.dot(t))
			side := (rng.Float64() - 0.5) * 0.9
			line[i] = line[i].add(point{-t.y / l, t.x / l}.scale(side))
		}
		rivers = append(rivers, river{zh: r.zh, en: r.en, from: r.from, to: r.to, order: r.order, line: spline(line, 4)})
	}
	return rivers
}

// drawBoundary is the county's outline, roughly along the watersheds.
func drawBoundary() []point {
	const n = 360
	ps := make([]point, n)
	for i := range ps {
		a := 2 * math.Pi * float64(i) / n
		r := 1 + 0.045*math.Sin(2*a+0.6) + 0.034*math.Sin(3*a+2.1) + 0.04*math.Sin(5*a+4.4) + 0.022*math.Sin(8*a+1.2) + 0.016*math.Sin(13*a+0.4) + 0.012*math.Sin(21*a+2.6) + 0.007*math.Sin(34*a+5.1)
		ps[i] = point{24.6 * r * math.Cos(a), 20.6 * r * math.Sin(a)}
	}
	return ps
}

// The grid of heights.
const (
	cellKM = 0.15
	halfX  = 29.4
	halfY  = 25.2
	cols   = 393
	rows   = 337
)

// land is heights in metres and distances from water in kilometres on the grid.
type land struct {
	height []float64
	above  []float64 // metres above the nearest river
	water  []float64 // kilometres from the nearest river
	wet    []bool    // the cell lies in the river
	rough  []float64 // what building there costs against good ground, 0.6 to 2
	inside []float64 // kilometres inside the county's boundary, negative outside
}

func cellAt(p point) (cx, cy int) {
	return min(max(int((p.x+halfX)/cellKM), 0), cols-1), min(max(int((p.y+halfY)/cellKM), 0), rows-1)
}

func cellPoint(cx, cy int) point {
	return point{float64(cx)*cellKM - halfX + cellKM/2, float64(cy)*cellKM - halfY + cellKM/2}
}

func newLand(seed uint64, rivers []river) *land {
	l := &land{
		height: make([]float64, cols*rows), above: make([]float64, cols*rows),
		water: make([]float64, cols*rows), wet: make([]bool, cols*rows), inside: make([]float64, cols*rows),
		rough: make([]float64, cols*rows),
	}
	hills, slopes, ground := newNoise(seed, 2), newNoise(seed, 3), newNoise(seed, 5)
	bound := drawBoundary()
	for cy := range rows {
		for cx := range cols {
			p, i := cellPoint(cx, cy), cy*cols+cx
			d, base := nearestWater(p, rivers)
			l.water[i], l.wet[i] = d, d < 0.08
			steep := 0.62 + 0.9*slopes.fbm(p.scale(1.0/6), 3)
			rise := 190 * steep * valley(d)
			rise += (hills.fbm(p.scale(1.0/2.4), 4) - 0.5) * 640 * min(d/2.2, 1)
			l.height[i] = base + max(rise, 4*d)
			l.inside[i] = insideKM(p, bound)
			l.rough[i] = math.Round(64*(0.5+2*max(ground.fbm(p.scale(1.0/0.7), 2)-0.2, 0))) / 64
		}
	}
	for range 2 {
		blur(l.height, 1)
	}
	for i, h := range l.height {
		l.height[i] = math.Round(h*4) / 4 // the same on every machine from here on
	}
	for cy := range rows {
		for cx := range cols {
			_, base := nearestWater(cellPoint(cx, cy), rivers)
			l.above[cy*cols+cx] = l.height[cy*cols+cx] - base
		}
	}
	return l
}

// valley is the profile of a valley: a flat floor, then slopes that ease towards the ridge.
func valley(d float64) float64 {
	const floor = 0.45
	if d <= floor {
		return 0.1 * d
	}
	d -= floor
	return 0.045 + d*d/(d+0.55)*1.15
}

// nearestWater returns the distance to the river that drains p and the height of its water.
func nearestWater(p point, rivers []river) (dist, height float64) {
	best := math.Inf(1)
	for _, r := range rivers {
		d2, at := math.Inf(1), 0
		for i, q := range r.line {
			if v := p.sub(q).dot(p.sub(q)); v < d2 {
				d2, at = v, i
			}
		}
		d := math.Sqrt(d2)
		for _, s := range [2]int{at - 1, at} {
			if s >= 0 && s+1 < len(r.line) {
				d = min(d, segmentDist(p, r.line[s], r.line[s+1]))
			}
		}
		f := float64(at) / float64(len(r.line)-1)
		h := r.from + (r.to-r.from)*(1.35*f-0.35*f*f)
		if score := h + 170*d; score < best {
			best, dist, height = score, d, h
		}
	}
	return dist, height
}

// insideKM is about how far p is inside the boundary.
func insideKM(p point, bound []point) float64 {
	d := math.Inf(1)
	for i, a := range bound {
		d = min(d, segmentDist(p, a, bound[(i+1)%len(bound)]))
	}
	if inRing(p, bound) {
		return d
	}
	return -d
}

// blur averages over a square of 2r+1 cells, first along rows, then along columns.
func blur(v []float64, r int) {
	tmp := make([]float64, len(v))
	pass := func(dst, src []float64, n, m, stepN, stepM int) {
		for j := range m {
			for i := range n {
				var sum float64
				var cnt int
				for k := max(0, i-r); k <= min(n-1, i+r); k++ {
					sum += src[j*stepM+k*stepN]
					cnt++
				}
				dst[j*stepM+i*stepN] = sum / float64(cnt)
			}
		}
	}
	pass(tmp, v, cols, rows, 1, cols)
	pass(v, tmp, rows, cols, cols, 1)
}

// noise is smooth value noise on a lattice.
type noise struct{ lattice [64 * 64]float64 }

func newNoise(seed, stream uint64) *noise {
	n, rng := &noise{}, rand.New(rand.NewPCG(seed, stream))
	for i := range n.lattice {
		n.lattice[i] = rng.Float64()
	}
	return n
}

func (n *noise) at(p point) float64 {
	fx, fy := math.Floor(p.x), math.Floor(p.y)
	ease := func(t float64) float64 { return t * t * t * (t*(t*6-15) + 10) }
	tx, ty := ease(p.x-fx), ease(p.y-fy)
	v := func(dx, dy int) float64 { return n.lattice[(int(fy)+dy)&63*64+(int(fx)+dx)&63] }
	a := v(0, 0) + (v(1, 0)-v(0, 0))*tx
	b := v(0, 1) + (v(1, 1)-v(0, 1))*tx
	return a + (b-a)*ty
}

// fbm sums octaves of noise to 0..1.
func (n *noise) fbm(p point, octaves int) float64 {
	var sum, amp, total float64 = 0, 1, 0
	for o := range octaves {
		sum += amp * n.at(p.add(point{17.3 * float64(o), 9.1 * float64(o)}))
		total += amp
		amp *= 0.5
		p = p.scale(2.03)
	}
	return sum / total
}
