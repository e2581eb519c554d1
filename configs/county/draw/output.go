package main

import (
	"bytes"
	"fmt"
	"strconv"
)

func deg(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

func writePoint(b *bytes.Buffer, p point, digits int) {
	fmt.Fprintf(b, "[%s,%s]", deg(p.lon(), digits), deg(p.lat(), digits))
}

func writeLine(b *bytes.Buffer, ps []point, digits int) {
	b.WriteByte('[')
	for i, p := range ps {
		if i > 0 {
			b.WriteByte(',')
		}
		writePoint(b, p, digits)
	}
	b.WriteByte(']')
}

// writeRing writes a closed ring, its first point again at the end.
func writeRing(b *bytes.Buffer, ps []point, digits int) {
	writeLine(b, append(append([]point(nil), ps...), ps[0]), digits)
}

// geojson is the console's base map (RFC 7946), drawn from the first feature to the last.
func (c *county) geojson() []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"FeatureCollection","name_zh":"云岭县","name_en":"Yunling County","note_zh":"示意图 – 虚构县域","note_en":"fictional county","features":[` + "\n")
	first := true
	feature := func(properties, kind string, coordinates func()) {
		if !first {
			b.WriteString(",\n")
		}
		first = false
		fmt.Fprintf(&b, `{"type":"Feature","properties":{%s},"geometry":{"type":"%s","coordinates":`, properties, kind)
		coordinates()
		b.WriteString("}}")
	}
	edge := simplifyRing(c.boundary, 0.015)
	feature(`"kind":"boundary","name_zh":"云岭县","name_en":"Yunling County"`, "Polygon", func() {
		b.WriteByte('[')
		writeRing(&b, edge, 4)
		b.WriteByte(']')
	})
	for i, band := range c.land.bands() {
		feature(fmt.Sprintf(`"kind":"terrain","band":%d,"min_m":%v`, i+1, levels[i]), "MultiPolygon", func() { writeAreas(&b, band) })
	}
	for _, r := range c.rivers {
		for _, line := range c.within(r.line) {
			line = simplify(line, 0.012)
			feature(fmt.Sprintf(`"kind":"river","order":%d,%s`, r.order, nameJSON(r.zh, r.en)), "LineString", func() { writeLine(&b, line, 4) })
		}
	}
	for _, k := range []class{lane, townshipRoad, mainRoad} {
		for _, line := range c.roads.joined(k) {
			feature(fmt.Sprintf(`"kind":"road","class":"%s"`, k), "LineString", func() { writeLine(&b, simplify(line, 0.016), 4) })
		}
	}
	for _, v := range c.villages {
		feature(fmt.Sprintf(`"kind":"village","township_zh":"%s",%s`, c.towns[v.town].zh, nameJSON(v.zh, v.en)), "Point", func() { writePoint(&b, v.at, 5) })
	}
	for _, t := range c.towns {
		feature(fmt.Sprintf(`"kind":"township","seat":%t,%s`, t.seat, nameJSON(t.zh, t.en)), "Point", func() { writePoint(&b, t.at, 5) })
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

func nameJSON(zh, en string) string { return fmt.Sprintf(`"name_zh":"%s","name_en":"%s"`, zh, en) }

func writeAreas(b *bytes.Buffer, band []area) {
	b.WriteByte('[')
	for i, a := range band {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		for j, r := range a.rings {
			if j > 0 {
				b.WriteByte(',')
			}
			writeRing(b, r, 4)
		}
		b.WriteByte(']')
	}
	b.WriteByte(']')
}

// within cuts a line to the pieces inside the county's boundary.
func (c *county) within(line []point) [][]point {
	var out [][]point
	var piece []point
	for _, p := range line {
		if inRing(p, c.boundary) {
			piece = append(piece, p)
			continue
		}
		if len(piece) > 1 {
			out = append(out, piece)
		}
		piece = nil
	}
	if len(piece) > 1 {
		out = append(out, piece)
	}
	return out
}

// joined strings edges of one class together into long lines, for a smaller map.
func (g *graph) joined(k class) [][]point {
	ends := make(map[int][]int) // node -> edges of the class
	for i, e := range g.edges {
		if e.class == k {
			ends[e.from] = append(ends[e.from], i)
			ends[e.to] = append(ends[e.to], i)
		}
	}
	used := make([]bool, len(g.edges))
	walk := func(start, i int) []point {
		line := []point{g.nodes[start]}
		for at := start; i >= 0; {
			used[i] = true
			e := g.edges[i]
			ps := e.line
			if e.from != at {
				ps = reversed(ps)
			}
			line = append(line, ps[1:]...)
			at, i = e.from+e.to-at, -1
			if len(ends[at]) == 2 {
				for _, j := range ends[at] {
					if !used[j] {
						i = j
					}
				}
			}
		}
		return line
	}
	var out [][]point
	for _, through := range []bool{false, true} { // lines that end somewhere first, then rings
		for i, e := range g.edges {
			for _, n := range [2]int{e.from, e.to} {
				if e.class == k && !used[i] && (through || len(ends[n]) != 2) {
					out = append(out, walk(n, i))
				}
			}
		}
	}
	return out
}

func reversed(ps []point) []point {
	out := make([]point, len(ps))
	for i, p := range ps {
		out[len(ps)-1-i] = p
	}
	return out
}

// roadsJSON is the graph for driving: one edge a line.
func (c *county) roadsJSON() []byte {
	var b bytes.Buffer
	b.WriteString(`{"nodes":[` + "\n")
	for i, n := range c.roads.nodes { // with the height in metres
		fmt.Fprintf(&b, "[%s,%s,%.0f]", deg(n.lon(), 5), deg(n.lat(), 5), c.heightAt(n))
		b.WriteString(comma(i, len(c.roads.nodes)))
	}
	b.WriteString(`],"edges":[` + "\n")
	for i, e := range c.roads.edges {
		fmt.Fprintf(&b, `{"from":%d,"to":%d,"class":"%s","via":`, e.from, e.to, e.class)
		writeLine(&b, e.line[1:len(e.line)-1], 5)
		b.WriteString("}" + comma(i, len(c.roads.edges)))
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

func comma(i, n int) string {
	if i == n-1 {
		return "\n"
	}
	return ",\n"
}
