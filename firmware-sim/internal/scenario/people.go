package scenario

import (
	"math/rand/v2"
	"regexp"
	"strconv"
)

// Names that many people have, in every combination: nobody in particular.
var (
	surnames = []string{"王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"}
	given    = []string{"秀英", "桂花", "建国", "小明", "玉兰", "志强", "春梅", "大山", "丽华", "永福"}
)

// nowhere is a village that isn't in the county.
const nowhere = "远山坳"

// person gives a parcel somebody who lives where its outlet is, or in one of the villages that it serves.
func (s *Story) person(rng *rand.Rand, p *Parcel) {
	p.To.Name = surnames[rng.IntN(len(surnames))] + given[rng.IntN(len(given))]
	p.To.Lang = "zh"
	if rng.IntN(5) == 0 {
		p.To.Lang = "en"
	}
	villages := []string{}
	if site := s.County.site(p.Site); site != nil && site.Village.ZH != "" {
		villages = append(villages, site.Village.ZH)
	}
	for _, places := range s.County.Places {
		for i := 0; places.Site == p.Site && i < len(places.Names); i += 2 {
			villages = append(villages, places.Names[i])
		}
	}
	if len(villages) > 0 {
		p.To.Village = villages[rng.IntN(len(villages))]
	}
	p.Size = []string{"s", "s", "s", "s", "m", "m", "l"}[rng.IntN(7)]
}

// What somebody looks for in a message.
var (
	codeIn = regexp.MustCompile(`(?:取件码|[Cc]ode )(\d{6})`)
	cellIn = regexp.MustCompile(`(\d+)号格|cell (\d+)`)
)

// read finds cell and code in the message about a parcel; ok is false where it has none.
func read(text string) (cell int, code string, ok bool) {
	c, n := codeIn.FindStringSubmatch(text), cellIn.FindStringSubmatch(text)
	if c == nil || n == nil {
		return 0, "", false
	}
	cell, err := strconv.Atoi(n[1] + n[2])
	return cell, c[1], err == nil
}

// slip is a code with its last digit typed wrong.
func slip(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}
