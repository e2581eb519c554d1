package label

import (
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"math"
	"strings"
)

// ErrTag says that the hex of a tag is none.
var ErrTag = errors.New("label: tag: must be the hex of whole words, at most 62 bytes")

// ZPL is labels for a printer of 203 or 300 dots an inch, one after the other.
func ZPL(labels []Label, s Size, dpi int) ([]byte, error) {
	if dpi != 203 && dpi != 300 {
		return nil, fmt.Errorf("%w: %d dpi", ErrSize, dpi)
	}
	p := printer{dots: float64(dpi) / 25.4}
	for i := range labels {
		if err := p.label(&labels[i], s); err != nil {
			return nil, err
		}
	}
	return []byte(p.out.String()), nil
}

// printer writes ZPL; dots is how many a millimetre has.
type printer struct {
	out  strings.Builder
	dots float64
}

func (p *printer) dot(mm float64) int { return int(math.Round(mm * p.dots)) }

func (p *printer) label(l *Label, s Size) error {
	fmt.Fprintf(&p.out, "^XA\n^CI28\n^PW%d\n^LL%d\n^LH0,0\n", p.dot(s.WidthMM), p.dot(s.HeightMM))
	if l.Tag != "" {
		if b, err := hex.DecodeString(l.Tag); err != nil || len(b) == 0 || len(b)%2 != 0 || len(b) > maxTag {
			return ErrTag
		}
		// Write the EPC with its length word (bank A), then read it back to whoever prints. A tag that
		// won't take it voids the label, and the next is tried, twice.
		fmt.Fprintf(&p.out, "^RS8,,,2\n^RFW,H,,,A^FD%s^FS\n^RFR,H,2,%d,1^FN1^FS\n^HV1,%d,EPC:^FS\n", strings.ToUpper(l.Tag), len(l.Tag)/2, len(l.Tag))
	}
	for _, part := range layout(*l, s) {
		if err := p.part(&part); err != nil {
			return err
		}
	}
	p.out.WriteString("^PQ1\n^XZ\n")
	return nil
}

func (p *printer) part(a *part) error {
	x, y, w, h := p.dot(a.x), p.dot(a.y), p.dot(a.w), p.dot(a.h)
	switch a.kind {
	case rule:
		fmt.Fprintf(&p.out, "^FO%d,%d^GB%d,%d,%d^FS\n", x, y, w, max(h, 1), max(h, 1))
	case words:
		glyphs, scale := line(a.text, w, int(math.Round(float64(h)/ascentDots)))
		p.graphic(x, y, bitmap(glyphs, scale, a.inverse))
	case bars:
		mm, _ := barWidth(a.text, a.w)
		module := max(int(mm*p.dots), int(math.Ceil(narrowest*p.dots)))
		left := x + max(0, (w-module*barModules(a.text))/2)
		head, tail := barSets(a.text)
		data := ">:" + head
		switch {
		case head == "":
			data = ">;" + tail
		case tail != "":
			data += ">5" + tail
		}
		fmt.Fprintf(&p.out, "^FO%d,%d^BY%d^BCN,%d,N,N,N,N^FD%s^FS\n", left, y, module, h, data)
	case square:
		rows, err := squareRows(a.text)
		if err != nil {
			return err
		}
		fmt.Fprintf(&p.out, "^FO%d,%d^BQN,2,%d^FDMA,%s^FS\n", x, y, min(max(w/len(rows), 1), 10), fieldData(a.text))
	}
	return nil
}

// graphic writes a picture as ^GFA: hex by rows, zeros to the end of a row as a comma, a row like the one above as a colon.
func (p *printer) graphic(x, y int, img *image.Alpha) {
	b := img.Bounds()
	wide := (b.Dx() + 7) / 8
	fmt.Fprintf(&p.out, "^FO%d,%d^GFA,%d,%d,%d,", x, y, wide*b.Dy(), wide*b.Dy(), wide)
	before := ""
	row := make([]byte, wide)
	for py := range b.Dy() {
		clear(row)
		for px := range b.Dx() {
			if img.AlphaAt(px, py).A > 127 {
				row[px/8] |= 0x80 >> (px % 8)
			}
		}
		now := strings.ToUpper(hex.EncodeToString(row))
		switch short := strings.TrimRight(now, "0"); {
		case py > 0 && now == before:
			p.out.WriteByte(':')
		case len(short) < len(now):
			p.out.WriteString(short + ",")
		default:
			p.out.WriteString(now)
		}
		before = now
	}
	p.out.WriteString("^FS\n")
}

// fieldData takes out what would end a field or begin a command.
func fieldData(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '^' || r == '~' || r < ' ' {
			return -1
		}
		return r
	}, s)
}
