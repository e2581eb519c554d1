package main

import (
	"math"
	"math/rand/v2"
)

// townTable names the townships and where they stand: on which river, how far along it.
var townTable = []struct {
	zh, en string
	river  int
	along  float64
	seat   bool
}{
	{"云岭镇", "Yunling", 0, 0.485, true},
	{"龙门镇", "Longmen", 0, 0.255, false},
	{"双河镇", "Shuanghe", 0, 0.375, false},
	{"平乐坝镇", "Pingleba", 0, 0.625, false},
	{"下江镇", "Xiajiang", 0, 0.79, false},
	{"北溪镇", "Beixi", 1, 0.56, false},
	{"高山乡", "Gaoshan", 1, 0.3, false},
	{"松水镇", "Songshui", 2, 0.47, false},
	{"竹溪乡", "Zhuxi", 3, 0.5, false},
	{"白水镇", "Baishui", 4, 0.5, false},
	{"青石镇", "Qingshi", 5, 0.42, false},
	{"云台乡", "Yuntai", 6, 0.5, false},
	{"茶坪乡", "Chaping", 7, 0.72, false},
	{"石门乡", "Shimen", 9, 0.45, false},
}

// outletTable names the villages that have an outlet with a locker, by township.
var outletTable = []struct {
	zh, en string
	town   int
	far    float64 // how far from the town the village should lie, kilometres
}{
	{"青石村", "Qingshi", 10, 2.5},
	{"竹海村", "Zhuhai", 8, 3},
	{"白鹤村", "Baihe", 9, 3.5},
	{"松坪村", "Songping", 7, 3},
	{"云台村", "Yuntai", 11, 2},
	{"茶园村", "Chayuan", 12, 3},
	{"龙池村", "Longchi", 1, 3.5},
	{"北溪村", "Beixi", 5, 2.5},
}

// A village's name is a first and a last character that occur together in no other village.
var (
	firstTable = []struct{ zh, en string }{
		{"青", "Qing"}, {"白", "Bai"}, {"松", "Song"}, {"柏", "Bai"}, {"竹", "Zhu"}, {"枫", "Feng"}, {"桂", "Gui"}, {"兰", "Lan"},
		{"桃", "Tao"}, {"李", "Li"}, {"杏", "Xing"}, {"梨", "Li"}, {"茶", "Cha"}, {"桑", "Sang"}, {"麻", "Ma"}, {"柳", "Liu"},
		{"石", "Shi"}, {"云", "Yun"}, {"龙", "Long"}, {"凤", "Feng"}, {"马", "Ma"}, {"鹤", "He"}, {"燕", "Yan"}, {"鹿", "Lu"},
		{"双", "Shuang"}, {"大", "Da"}, {"小", "Xiao"}, {"上", "Shang"}, {"下", "Xia"}, {"新", "Xin"}, {"高", "Gao"}, {"清", "Qing"},
		{"红", "Hong"}, {"黄", "Huang"}, {"银", "Yin"}, {"金", "Jin"}, {"月", "Yue"}, {"天", "Tian"}, {"花", "Hua"}, {"长", "Chang"},
	}
	lastTable = []struct{ zh, en string }{
		{"溪", "xi"}, {"坪", "ping"}, {"坝", "ba"}, {"沟", "gou"}, {"湾", "wan"}, {"岭", "ling"}, {"岩", "yan"}, {"坡", "po"},
		{"垭", "ya"}, {"塘", "tang"}, {"桥", "qiao"}, {"井", "jing"}, {"岗", "gang"}, {"坎", "kan"}, {"槽", "cao"}, {"林", "lin"},
		{"滩", "tan"}, {"冲", "chong"}, {"寨", "zhai"}, {"铺", "pu"}, {"台", "tai"}, {"洞", "dong"}, {"泉", "quan"}, {"田", "tian"},
	}
)

const villageCount = 180

// settle puts towns on their rivers and villages where people would live: low, gentle, apart.
func (c *county) settle(seed uint64) {
	for i, t := range townTable {
		line := c.rivers[t.river].line
		at := int(t.along * float64(len(line)-1))
		along := line[at+1].sub(line[at-1])
		n := point{-along.y, along.x}.scale(0.42 / math.Sqrt(along.dot(along)))
		if p, q := line[at].add(n), line[at].sub(n); c.heightAt(q) < c.heightAt(p) {
			n = n.scale(-1)
		}
		cx, cy := cellAt(line[at].add(n))
		c.towns = append(c.towns, settlement{zh: t.zh, en: t.en, at: cellPoint(cx, cy), town: i, seat: t.seat})
	}
	line := c.rivers[0].line
	at := int(0.53 * float64(len(line)-1))
	cx, cy := cellAt(line[at].add(point{0.25, 0.5}))
	c.depot = settlement{zh: "县级物流仓储中心", en: "County warehouse", at: cellPoint(cx, cy)}
	c.placeVillages(seed)
	c.chooseOutlets()
}

func (c *county) placeVillages(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	names := villageNames(rng)
	for gap := 1.9; len(c.villages) < villageCount; gap *= 0.97 {
		for range 400 {
			if len(c.villages) == villageCount {
				return
			}
			p := point{(rng.Float64()*2 - 1) * 27, (rng.Float64()*2 - 1) * 23}
			cx, cy := cellAt(p)
			i := cy*cols + cx
			p = cellPoint(cx, cy)
			chance := 1 / (1 + c.land.above[i]/90)
			if c.land.inside[i] < 0.9 || c.land.water[i] < 0.3 || c.land.above[i] > 520 || rng.Float64() > chance || !c.apart(p, gap) {
				continue
			}
			n := names[len(c.villages)]
			c.villages = append(c.villages, settlement{zh: n[0], en: n[1], at: p, town: c.nearestTown(p)})
		}
	}
}

func (c *county) apart(p point, gap float64) bool {
	for _, t := range c.towns {
		if t.at.dist(p) < 1.4 {
			return false
		}
	}
	for _, v := range c.villages {
		if v.at.dist(p) < gap {
			return false
		}
	}
	return c.depot.at.dist(p) > 1.2
}

func (c *county) nearestTown(p point) int {
	best := 0
	for i, t := range c.towns {
		if t.at.dist(p) < c.towns[best].at.dist(p) {
			best = i
		}
	}
	return best
}

// chooseOutlets renames, in each of eight townships, the village nearest to the wished distance.
func (c *county) chooseOutlets() {
	for _, o := range outletTable {
		best := -1
		miss := func(i int) float64 { return math.Abs(c.villages[i].at.dist(c.towns[o.town].at) - o.far) }
		for i, v := range c.villages {
			if v.town == o.town && (best < 0 || miss(i) < miss(best)) {
				best = i
			}
		}
		c.villages[best].zh, c.villages[best].en = o.zh, o.en
		c.outlets = append(c.outlets, c.villages[best])
	}
}

func villageNames(rng *rand.Rand) [][2]string {
	taken := make(map[string]bool)
	for _, o := range outletTable {
		taken[o.en] = true
	}
	var names [][2]string
	for _, k := range rng.Perm(len(firstTable) * len(lastTable)) {
		f, l := firstTable[k/len(lastTable)], lastTable[k%len(lastTable)]
		if en := f.en + l.en; !taken[en] { // no two sound alike
			taken[en] = true
			names = append(names, [2]string{f.zh + l.zh + "村", en})
		}
	}
	return names
}

func (c *county) heightAt(p point) float64 {
	cx, cy := cellAt(p)
	return c.land.height[cy*cols+cx]
}
