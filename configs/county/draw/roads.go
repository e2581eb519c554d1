package main

import (
	"container/heap"
	"math"
	"sort"
)

// class of a road; a lower one is bigger.
type class uint8

const (
	mainRoad class = 1 + iota
	townshipRoad
	lane
)

func (c class) String() string { return [...]string{"", "main", "township", "lane"}[c] }

// graph is the road network: nodes where roads meet, end or pass a settlement.
type graph struct {
	nodes []point
	edges []edge
}

type edge struct {
	from, to int
	class    class
	line     []point // from and to included
}

// network is roads on the grid while they are being built.
type network struct {
	c     *county
	links map[int]map[int]class // cell -> neighbour -> class
	stops map[int]bool          // cells that become nodes whatever their degree
	reuse float64               // price of a road that is there already, against building on flat ground
}

// loopTable lists pairs of towns that a second road joins, so that there is a way round.
var loopTable = [][2]int{{1, 11}, {7, 10}, {9, 13}, {12, 4}, {5, 7}, {8, 13}}

func (c *county) buildRoads() graph {
	n := &network{c: c, links: make(map[int]map[int]class), stops: make(map[int]bool), reuse: 0.22}
	n.stops[cellIndex(c.depot.at)] = true
	for _, s := range c.towns {
		n.stops[cellIndex(s.at)] = true
	}
	for _, s := range c.villages {
		n.stops[cellIndex(s.at)] = true
	}
	// The trunk follows the main river through the county.
	trunk := []int{1, 2, 0, -1, 3, 4}
	at := func(i int) int {
		if i < 0 {
			return cellIndex(c.depot.at)
		}
		return cellIndex(c.towns[i].at)
	}
	for i := 1; i < len(trunk); i++ {
		to := at(trunk[i])
		n.join(at(trunk[i-1]), func(cell int) bool { return cell == to }, mainRoad)
	}
	for _, i := range [2]int{1, 4} { // and leaves it at both ends
		n.join(at(i), func(cell int) bool {
			return c.land.inside[cell] < 0.4 && c.land.water[cell] < 0.9 && !n.onRoad(cell)
		}, mainRoad)
	}
	joined := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}
	order := make([]int, 0, len(c.towns))
	for i := range c.towns {
		if !joined[i] {
			order = append(order, i)
		}
	}
	sort.Slice(order, func(a, b int) bool {
		return c.towns[order[a]].at.dist(c.towns[0].at) < c.towns[order[b]].at.dist(c.towns[0].at)
	})
	for _, i := range order {
		n.join(at(i), n.onRoad, townshipRoad)
	}
	n.reuse = 0.8
	for _, l := range loopTable {
		to := at(l[1])
		n.join(at(l[0]), func(cell int) bool { return cell == to }, townshipRoad)
	}
	n.reuse = 0.22
	near := append([]settlement(nil), c.villages...)
	sort.SliceStable(near, func(a, b int) bool {
		return near[a].at.dist(c.towns[near[a].town].at) < near[b].at.dist(c.towns[near[b].town].at)
	})
	for _, v := range near {
		if cell := cellIndex(v.at); !n.onRoad(cell) {
			n.join(cell, n.onRoad, lane)
		}
	}
	return n.graph()
}

func cellIndex(p point) int {
	cx, cy := cellAt(p)
	return cy*cols + cx
}

func (n *network) onRoad(cell int) bool { return len(n.links[cell]) > 0 }

func (n *network) link(a, b int, k class) {
	for _, e := range [2][2]int{{a, b}, {b, a}} {
		if n.links[e[0]] == nil {
			n.links[e[0]] = make(map[int]class)
		}
		if old := n.links[e[0]][e[1]]; old == 0 || k < old {
			n.links[e[0]][e[1]] = k
		}
	}
}

// join builds the cheapest road from a cell to the first one that is a goal.
func (n *network) join(from int, goal func(int) bool, k class) {
	cost := map[int]int{from: 0}
	prev := map[int]int{}
	q := &queue{{from, 0}}
	for q.Len() > 0 {
		it := heap.Pop(q).(item)
		if it.cost > cost[it.cell] {
			continue
		}
		if it.cell != from && goal(it.cell) {
			for at := it.cell; at != from; at = prev[at] {
				n.link(prev[at], at, k)
			}
			return
		}
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				to, ok := n.step(it.cell, dx, dy)
				if !ok {
					continue
				}
				c := it.cost + n.price(it.cell, to, dx != 0 && dy != 0)
				if old, seen := cost[to]; !seen || c < old {
					cost[to], prev[to] = c, it.cell
					heap.Push(q, item{to, c})
				}
			}
		}
	}
}

// step is the cell beside another, unless it is outside the county or the way to it would cross
// a road where there is no junction.
func (n *network) step(cell, dx, dy int) (to int, ok bool) {
	if dx == 0 && dy == 0 {
		return 0, false
	}
	to = cell + dy*cols + dx
	if to < 0 || to >= len(n.c.land.inside) || n.c.land.inside[to] < 0.25 {
		return 0, false
	}
	if dx != 0 && dy != 0 && n.links[cell+dx][cell+dy*cols] != 0 {
		return 0, false
	}
	return to, true
}

// price of building from a cell to the next, in tenths of a metre of flat road.
func (n *network) price(a, b int, diagonal bool) int {
	flat := 1500.0
	if diagonal {
		flat = 2121.0
	}
	if n.links[a][b] != 0 {
		return int(flat * n.reuse) // it is there already
	}
	l := n.c.land
	slope := math.Abs(l.height[a]-l.height[b]) * 10 / flat
	f := l.rough[b] + 90*slope*slope + l.above[b]/260
	if l.water[b] < 0.25 {
		f *= 1.8
	}
	if l.wet[b] {
		f *= 4 // a bridge
	}
	return int(flat * f)
}

type item struct{ cell, cost int }

type queue []item

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].cost < q[j].cost || q[i].cost == q[j].cost && q[i].cell < q[j].cell
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// graph turns links between cells into nodes and smooth edges.
func (n *network) graph() graph {
	cells := make([]int, 0, len(n.links))
	for c := range n.links {
		cells = append(cells, c)
	}
	sort.Ints(cells)
	var g graph
	id := make(map[int]int)
	for _, c := range cells {
		if n.isNode(c) {
			id[c] = len(g.nodes)
			g.nodes = append(g.nodes, cellPoint(c%cols, c/cols))
		}
	}
	for _, c := range cells {
		if _, ok := id[c]; !ok {
			continue
		}
		for _, first := range n.neighbours(c) {
			chain := n.follow(c, first)
			end := chain[len(chain)-1]
			if back := chain[len(chain)-2]; end < c || end == c && back < first {
				continue // the same chain from its other end
			}
			line := make([]point, 0, len(chain))
			for _, cell := range chain {
				line = append(line, cellPoint(cell%cols, cell/cols))
			}
			g.edges = append(g.edges, edge{id[c], id[end], n.links[c][first], smoothRoad(line)})
		}
	}
	return g
}

func (n *network) isNode(c int) bool {
	if n.stops[c] || len(n.links[c]) != 2 {
		return true
	}
	nb := n.neighbours(c)
	return n.links[c][nb[0]] != n.links[c][nb[1]]
}

func (n *network) neighbours(c int) []int {
	out := make([]int, 0, len(n.links[c]))
	for nb := range n.links[c] {
		out = append(out, nb)
	}
	sort.Ints(out)
	return out
}

// follow walks from a node along one link to the next node.
func (n *network) follow(from, first int) []int {
	chain := []int{from, first}
	for prev, at := from, first; !n.isNode(at); {
		nb := n.neighbours(at)
		next := nb[0]
		if next == prev {
			next = nb[1]
		}
		chain = append(chain, next)
		prev, at = at, next
	}
	return chain
}

// smoothRoad turns a staircase of cells into a road.
func smoothRoad(line []point) []point {
	return simplify(chaikin(simplify(line, 0.09), 3, false), 0.006)
}
