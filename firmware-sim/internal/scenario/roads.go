package scenario

import (
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"sort"
)

// Roads is the graph of the county's roads.
type Roads struct {
	nodes []node
	out   [][]leg // by node
}

type node struct{ lat, lon, alt float64 }

// leg is an edge as seen from one of its ends.
type leg struct {
	to     int
	speed  float64 // metres a second that a van drives there
	points []node  // from the node to the other end, both included
	cost   float64 // seconds
}

// What a van drives on each class of road, metres a second: 54, 40 and 29 km/h.
var speeds = map[string]float64{"main": 15, "township": 11, "lane": 8}

func loadRoads(file string) (*Roads, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var f struct {
		Nodes [][3]float64
		Edges []struct {
			From, To int
			Class    string
			Via      [][2]float64
		}
	}
	if err := json.Unmarshal(src, &f); err != nil {
		return nil, fmt.Errorf("scenario: %s: %w", file, err)
	}
	r := &Roads{out: make([][]leg, len(f.Nodes))}
	for _, n := range f.Nodes {
		r.nodes = append(r.nodes, node{lat: n[1], lon: n[0], alt: n[2]})
	}
	for i, e := range f.Edges {
		speed, ok := speeds[e.Class]
		if !ok || e.From < 0 || e.To < 0 || e.From >= len(r.nodes) || e.To >= len(r.nodes) {
			return nil, fmt.Errorf("scenario: %s: edges[%d] is wrong", file, i)
		}
		a, b := r.nodes[e.From], r.nodes[e.To]
		line := []node{a}
		for _, v := range e.Via {
			line = append(line, node{lat: v[1], lon: v[0]})
		}
		line = append(line, b)
		l := leg{to: e.To, speed: speed, points: levelled(line)}
		l.cost = length(l.points) / speed
		r.out[e.From] = append(r.out[e.From], l)
		l.to, l.points = e.From, backwards(l.points)
		r.out[e.To] = append(r.out[e.To], l)
	}
	return r, nil
}

// levelled fills in heights between the ends of a line.
func levelled(line []node) []node {
	total, at := length(line), 0.0
	a, b := line[0].alt, line[len(line)-1].alt
	for i := 1; i < len(line)-1; i++ {
		at += metres(line[i-1], line[i])
		line[i].alt = a + (b-a)*at/total
	}
	return line
}

func backwards(line []node) []node {
	out := make([]node, len(line))
	for i, p := range line {
		out[len(line)-1-i] = p
	}
	return out
}

func length(line []node) float64 {
	var s float64
	for i := 1; i < len(line); i++ {
		s += metres(line[i-1], line[i])
	}
	return s
}

// metres is the distance of two near points on the WGS-84 sphere of equal area.
func metres(a, b node) float64 {
	const radius = 6371008.8
	y := (b.lat - a.lat) * math.Pi / 180
	x := (b.lon - a.lon) * math.Pi / 180 * math.Cos((a.lat+b.lat)/2*math.Pi/180)
	return radius * math.Sqrt(x*x+y*y)
}

func bearing(a, b node) float64 {
	y := b.lat - a.lat
	x := (b.lon - a.lon) * math.Cos((a.lat+b.lat)/2*math.Pi/180)
	return math.Mod(math.Atan2(x, y)*180/math.Pi+360, 360)
}

func (r *Roads) nearest(s *Site) int {
	best, at := math.Inf(1), 0
	for i, n := range r.nodes {
		if d := metres(n, node{lat: s.Lat, lon: s.Lon}); d < best {
			best, at = d, i
		}
	}
	return at
}

var errNoRoad = errors.New("scenario: no road leads there")

// route is the quickest way between two sites.
func (r *Roads) route(from, to *Site) (*route, error) {
	start, goal := r.nearest(from), r.nearest(to)
	type via struct {
		node int
		leg  *leg
	}
	cost, prev := map[int]float64{start: 0}, map[int]via{}
	q := &frontier{{start, 0}}
	for q.Len() > 0 {
		at := heap.Pop(q).(visit)
		if at.node == goal {
			var legs []*leg
			for n := goal; n != start; n = prev[n].node {
				legs = append(legs, prev[n].leg)
			}
			return newRoute(legs, r.nodes[start]), nil
		}
		if at.cost > cost[at.node] {
			continue
		}
		for i := range r.out[at.node] {
			l := &r.out[at.node][i]
			c := at.cost + l.cost
			if old, seen := cost[l.to]; !seen || c < old {
				cost[l.to], prev[l.to] = c, via{at.node, l}
				heap.Push(q, visit{l.to, c})
			}
		}
	}
	return nil, fmt.Errorf("%w: %s to %s", errNoRoad, from.ID, to.ID)
}

type visit struct {
	node int
	cost float64
}

type frontier []visit

func (f frontier) Len() int { return len(f) }
func (f frontier) Less(i, j int) bool {
	return f[i].cost < f[j].cost || f[i].cost == f[j].cost && f[i].node < f[j].node
}
func (f frontier) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)   { *f = append(*f, x.(visit)) }
func (f *frontier) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// route is a drive: where a van is after how many seconds.
type route struct {
	points []node
	at     []float64 // seconds at each point
}

// newRoute strings legs together, given from the last to the first. A van pulls away and brakes
// with about 1 m/s².
func newRoute(legs []*leg, start node) *route {
	r := &route{points: []node{start}}
	var limit []float64 // of the stretch that ends at the point
	for i := len(legs) - 1; i >= 0; i-- {
		for _, p := range dense(legs[i].points)[1:] {
			r.points, limit = append(r.points, p), append(limit, legs[i].speed)
		}
	}
	total, done := length(r.points), 0.0
	r.at = make([]float64, len(r.points))
	for i, v := range limit {
		d := metres(r.points[i], r.points[i+1])
		end := min(done+d/2, total-done-d/2)
		v = min(v, math.Sqrt(4+2*max(end, 0)))
		r.at[i+1] = r.at[i] + d/v
		done += d
	}
	return r
}

// dense puts points at least every 40 m.
func dense(line []node) []node {
	out := []node{line[0]}
	for i := 1; i < len(line); i++ {
		a, b := line[i-1], line[i]
		n := max(1, int(math.Ceil(metres(a, b)/40)))
		for k := 1; k <= n; k++ {
			f := float64(k) / float64(n)
			out = append(out, node{a.lat + (b.lat-a.lat)*f, a.lon + (b.lon-a.lon)*f, a.alt + (b.alt-a.alt)*f})
		}
	}
	return out
}

func (r *route) seconds() float64 { return r.at[len(r.at)-1] }

// where is the place after s seconds, the heading, and the speed in metres a second.
func (r *route) where(s float64) (p node, heading, speed float64) {
	last := len(r.points) - 1
	if last == 0 || s >= r.at[last] {
		if last > 0 {
			heading = bearing(r.points[last-1], r.points[last])
		}
		return r.points[last], heading, 0
	}
	i := min(max(sort.SearchFloat64s(r.at, s), 1), last)
	a, b := r.points[i-1], r.points[i]
	dt := r.at[i] - r.at[i-1]
	f := 1.0
	if dt > 0 {
		f = min(max((s-r.at[i-1])/dt, 0), 1)
		speed = metres(a, b) / dt
	}
	return node{a.lat + (b.lat-a.lat)*f, a.lon + (b.lon-a.lon)*f, a.alt + (b.alt-a.alt)*f}, bearing(a, b), speed
}
