package label

import (
	"errors"
	"fmt"
	"strings"

	"yizhan/cloud/internal/county"
)

// Label is what is printed of a parcel. Everything but Waybill may be empty.
type Label struct {
	Waybill  string
	County   county.Text
	Site     county.Text // the outlet it goes to
	Village  county.Text
	Township county.Text
	Run      string // the run that brings it
	Locker   county.Text
	Cell     int
	Name     string // masked
	Phone    string // masked
	Handling string // chilled, frozen, fragile
	Size     string // s, m, l
	Outbound bool
	Tag      string // hex of the EPC that the tag gets, whole words; empty: none is written
	Link     string // what the QR code says; empty: the waybill
}

// Size is a size of labels.
type Size struct{ WidthMM, HeightMM float64 }

// The sizes.
var (
	Large = Size{100, 150}
	Small = Size{76, 130}
)

// ErrSize says that there is no such size or resolution.
var ErrSize = errors.New("no such size of labels")

// ParseSize reads 100x150 or 76x130.
func ParseSize(s string) (Size, error) {
	for _, z := range []Size{Large, Small} {
		if s == z.String() {
			return z, nil
		}
	}
	return Size{}, fmt.Errorf("%w: %.20q", ErrSize, s)
}

// String is the size as ParseSize reads it.
func (s Size) String() string { return fmt.Sprintf("%gx%g", s.WidthMM, s.HeightMM) }

// maxTag is the most bytes of an EPC that are written.
const maxTag = 62

var handlings = map[string]string{"chilled": "冷藏 CHILLED", "frozen": "冷冻 FROZEN", "fragile": "易碎 FRAGILE"}

// A part is something at a place of the label. Places and sizes are millimetres from its upper left corner.
type part struct {
	kind    kind
	x, y    float64
	w, h    float64
	text    string
	inverse bool // white on black
}

type kind byte

const (
	rule kind = iota // a black rectangle
	words
	bars
	square // a QR code
)

// layout places the parts of a label.
func layout(l Label, s Size) []part {
	const margin = 4.0
	w := s.WidthMM - 2*margin
	k := s.HeightMM / Large.HeightMM
	var parts []part
	y := margin
	row := func(text string, h float64) {
		if text != "" {
			parts = append(parts, part{kind: words, x: margin, y: y, w: w, h: h * k, text: text})
		}
		y += (h*lineDots/ascentDots + 0.7) * k
	}
	line := func() {
		parts = append(parts, part{kind: rule, x: margin, y: y, w: w, h: 0.5})
		y += 2 * k
	}
	head := join(" ", l.County.ZH, l.County.EN)
	if mark := handlings[l.Handling]; mark != "" {
		parts = append(parts, part{kind: words, x: margin + w*0.55, y: y, w: w * 0.45, h: 5 * k, text: mark, inverse: true},
			part{kind: words, x: margin, y: y, w: w * 0.53, h: 4 * k, text: head})
		y += 6.5 * k
	} else {
		row(head, 4)
	}
	line()
	to := join(" ", l.Village.ZH, l.Village.EN)
	if l.Outbound {
		to = join(" ", "出村 OUT", to)
	}
	row(to, 11)
	row(join(" · ", l.Site.ZH, l.Site.EN), 5)
	row(join(" · ", l.Township.ZH, l.Township.EN), 4)
	hint := ""
	if l.Run != "" {
		hint = "班次 " + l.Run
	}
	if l.Locker.ZH != "" {
		hint = join("  ", hint, l.Locker.ZH)
	}
	if l.Cell > 0 {
		hint = join("  ", hint, fmt.Sprintf("%d 号格", l.Cell))
	}
	row(hint, 6)
	line()
	row(join("  ", l.Name, l.Phone), 7)
	line()
	return codes(parts, l, s, margin, y, k)
}

// codes places the waybill's bars and QR code below y.
func codes(parts []part, l Label, s Size, margin, y, k float64) []part {
	w := s.WidthMM - 2*margin
	low := s.HeightMM - margin
	if _, ok := barWidth(l.Waybill, w); ok {
		parts = append(parts, part{kind: bars, x: margin, y: y, w: w, h: 25 * k, text: l.Waybill})
		y += 26 * k
	}
	parts = append(parts, part{kind: words, x: margin, y: y, w: w, h: 6 * k, text: l.Waybill})
	y += 9 * k
	side := min(low-y-2, w*0.5)
	says := l.Link
	if says == "" {
		says = l.Waybill
	}
	parts = append(parts, part{kind: square, x: margin, y: y, w: side, h: side, text: says})
	x := margin + side*1.2 // its quiet zone is 4 modules of at least 21
	note := func(text string, h float64) {
		if text != "" {
			parts = append(parts, part{kind: words, x: x, y: y, w: s.WidthMM - margin - x, h: h * k, text: text})
		}
		y += (h*lineDots/ascentDots + 0.7) * k
	}
	if l.Size != "" {
		note(map[string]string{"s": "小 S", "m": "中 M", "l": "大 L"}[l.Size], 9)
	}
	if l.Tag != "" {
		note("RFID", 6)
		tag := strings.TrimRight(l.Tag, "0") // an SSCC ends in padding
		note(tag[max(0, len(tag)-8):], 4)
	}
	return parts
}

func join(between string, parts ...string) string {
	out := ""
	for _, p := range parts {
		switch {
		case p == "":
		case out == "":
			out = p
		default:
			out += between + p
		}
	}
	return out
}
