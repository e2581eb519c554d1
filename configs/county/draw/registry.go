package main

import (
	"bytes"
	"fmt"
	"strings"
)

var vanTable = []struct{ plate, kind, zh, en string }{
	{"岭A·20311", "postal_van", "邮政1号车", "Postal van 1"},
	{"岭A·20312", "postal_van", "邮政2号车", "Postal van 2"},
	{"岭A·20325", "carrier_van", "共配3号车", "Carrier van 3"},
	{"岭A·20326", "carrier_van", "共配4号车", "Carrier van 4"},
	{"岭A·20408", "rural_bus", "客运5号车", "Rural bus 5"},
	{"岭A·20507", "freight", "冷链6号车", "Cold-chain van 6"},
}

// termed vans carry a terminal of JT/T 808, whose positions come by its own network; their boards have no receiver.
var termed = map[int]bool{4: true, 5: true}

// lockerSizes is how many small, medium and large cells each outlet's locker has.
var lockerSizes = [][3]int{{12, 8, 4}, {8, 6, 2}, {12, 8, 4}, {8, 6, 2}, {6, 4, 2}, {8, 6, 4}, {8, 6, 2}, {12, 8, 4}}

// yaml is the registry: what stands where, and which device speaks for it.
func (c *county) yaml() []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The demo county. Drawn by configs/county/draw; don't edit, run it again.")
	p("name: {zh: 云岭县, en: Yunling County}")
	p("note: {zh: 示意图 – 虚构县域, en: fictional county}")
	p("timezone: Asia/Shanghai")
	p("gs1: {prefix: \"9521234\", base: https://id.yunling.example} # a prefix of GS1's for demonstrations")
	p("\nsites:")
	site := func(id, kind string, s, village settlement, fence int) {
		t := c.towns[s.town]
		p("  - {id: %s, kind: %s, name: {zh: %s, en: %s}, village: {zh: %s, en: %s}, township: {zh: %s, en: %s}, lat: %s, lon: %s, fence_m: %d}",
			id, kind, s.zh, s.en, village.zh, village.en, t.zh, t.en, deg(s.at.lat(), 5), deg(s.at.lon(), 5), fence)
	}
	site("wh", "warehouse", c.depot, c.towns[0], 200)
	for _, o := range c.outlets {
		v := o
		o.zh, o.en = strings.TrimSuffix(o.zh, "村")+"服务站", o.en+" station"
		site("out-"+slug(v), "outlet", o, v, 150)
	}
	p("\nvehicles:")
	for i, v := range vanTable {
		p("  - {id: v%02d, plate: %s, kind: %s, name: {zh: %s, en: %s}}", i+1, v.plate, v.kind, v.zh, v.en)
	}
	p("\nlockers:")
	for i, o := range c.outlets {
		var cells []string
		for k, size := range []string{"s", "m", "l"} {
			for range lockerSizes[i][k] {
				cells = append(cells, size)
			}
		}
		p("  - {id: lk-%s, name: {zh: %s智能柜, en: %s locker}, site: out-%s, cells: [%s]}", slug(o), o.zh, o.en, slug(o), strings.Join(cells, ", "))
	}
	p("\ncold_boxes:")
	p("  - {id: cr-1, name: {zh: 冷藏库1, en: Cold room 1}, site: wh, min_c: 2, max_c: 8}")
	p("  - {id: cr-2, name: {zh: 冷冻库2, en: Freezer room 2}, site: wh, min_c: -22, max_c: -15}")
	for i := range vanTable {
		p("  - {id: cb-v%02d, name: {zh: %d号车冷藏箱, en: Cold box of van %d}, vehicle: v%02d, min_c: 2, max_c: 8}", i+1, i+1, i+1, i+1)
	}
	p("\nboundaries:")
	p("  - {id: dock-a, site: wh, kind: inbound}")
	p("  - {id: dock-b, site: wh, kind: outbound}")
	c.places(p)
	p("\ngateways:")
	p("  - {id: wh-1, site: wh}")
	for i := range vanTable {
		p("  - {id: van-%02d, vehicle: v%02d}", i+1, i+1)
	}
	for _, o := range c.outlets {
		p("  - {id: lk-%s-1, site: out-%s}", slug(o), slug(o))
	}
	p("  - {id: jt-1} # beside the cloud: its device is the network of terminals")
	c.bindings(p)
	return b.Bytes()
}

// places say which villages an outlet serves besides its own: those of its township.
func (c *county) places(p func(format string, args ...any)) {
	p("\nplaces:")
	for _, o := range c.outlets {
		var names []string
		for _, v := range c.villages {
			if v.town == o.town && v.zh != o.zh {
				names = append(names, v.zh, v.en)
			}
		}
		if len(names) > 0 {
			p("  - {site: out-%s, names: [%s]}", slug(o), strings.Join(names, ", "))
		}
	}
}

// bindings say which device speaks for which thing.
func (c *county) bindings(p func(format string, args ...any)) {
	p("\nbindings:")
	bind := func(device, thing string) { p("  - {device: %s, thing: %s}", device, thing) }
	bind("wh-1/dock-a", "boundary/dock-a")
	bind("wh-1/dock-b", "boundary/dock-b")
	bind("wh-1/cold-1", "coldbox/cr-1")
	bind("wh-1/cold-2", "coldbox/cr-2")
	for i := range vanTable {
		if !termed[i] {
			bind(fmt.Sprintf("van-%02d/gps", i+1), fmt.Sprintf("vehicle/v%02d", i+1))
		}
		bind(fmt.Sprintf("van-%02d/rfid", i+1), fmt.Sprintf("vehicle/v%02d", i+1))
		bind(fmt.Sprintf("van-%02d/cold", i+1), fmt.Sprintf("coldbox/cb-v%02d", i+1))
	}
	for i, o := range c.outlets {
		bind("lk-"+slug(o)+"-1/board", "locker/lk-"+slug(o))
		bind("lk-"+slug(o)+"-1/handheld", fmt.Sprintf("courier/c%02d", i+1))
	}
	for i := range vanTable {
		if termed[i] {
			bind(fmt.Sprintf("jt-1/v%02d-term", i+1), fmt.Sprintf("vehicle/v%02d", i+1))
		}
	}
	bind("lk-"+slug(c.outlets[2])+"-1/modem", "site/out-"+slug(c.outlets[2]))
}

func slug(s settlement) string { return strings.ToLower(s.en) }
