package label

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

const pointsMM = 72 / 25.4

// PDF is labels as a document, a label a page.
func PDF(labels []Label, s Size) ([]byte, error) {
	d := &paper{size: s, codes: map[rune]int{}}
	var pages []string
	for i := range labels {
		page, err := d.page(&labels[i])
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return d.write(pages), nil
}

// paper gathers pages and the glyphs that they use.
type paper struct {
	size   Size
	glyphs []glyph
	codes  map[rune]int // of a sign: its place in glyphs
}

// A font of the document holds so many glyphs; a code is a byte.
const perFont = 250

func (d *paper) code(g glyph) (font, code int) {
	n, ok := d.codes[g.r]
	if !ok {
		n = len(d.glyphs)
		d.glyphs = append(d.glyphs, g)
		d.codes[g.r] = n
	}
	return n / perFont, n%perFont + 1
}

func points(mm float64) string {
	return strconv.FormatFloat(math.Round(mm*pointsMM*1000)/1000, 'f', -1, 64)
}

// page is the content of a label's page. PDF counts from the lower left corner.
func (d *paper) page(l *Label) (string, error) {
	var b strings.Builder
	box := func(x, y, w, h float64) {
		fmt.Fprintf(&b, "%s %s %s %s re\n", points(x), points(d.size.HeightMM-y-h), points(w), points(h))
	}
	for _, a := range layout(*l, d.size) {
		switch a.kind {
		case rule:
			box(a.x, a.y, a.w, a.h)
			b.WriteString("f\n")
		case words:
			d.words(&b, &a, box)
		case bars:
			row, err := barRow(a.text)
			if err != nil {
				return "", err
			}
			mm := min(a.w/float64(len(row)+2*quiet), widest)
			left := a.x + (a.w-mm*float64(len(row)))/2
			runs(row, func(from, n int) { box(left+float64(from)*mm, a.y, float64(n)*mm, a.h) })
			b.WriteString("f\n")
		case square:
			rows, err := squareRows(a.text)
			if err != nil {
				return "", err
			}
			mm := a.w / float64(len(rows))
			for y, row := range rows {
				runs(row, func(from, n int) { box(a.x+float64(from)*mm, a.y+float64(y)*mm, float64(n)*mm, mm) })
			}
			b.WriteString("f\n")
		}
	}
	return b.String(), nil
}

// words writes a text; its size is the scale that a line of the printer would have, without steps.
func (d *paper) words(b *strings.Builder, a *part, box func(x, y, w, h float64)) {
	const steps = 64 // a dot of the grid, of which a text's size is a multiple
	glyphs, scale := line(a.text, int(a.w*steps), int(a.h*steps/ascentDots))
	dot := float64(scale) / steps // in millimetres
	if a.inverse {
		wide := 4
		for _, g := range glyphs {
			wide += g.advance
		}
		box(a.x, a.y, float64(wide)*dot, lineDots*dot)
		b.WriteString("f\n1 g\n")
	}
	x := a.x
	if a.inverse {
		x += 2 * dot
	}
	size := points(dot * lineDots)
	fmt.Fprintf(b, "BT %s %s Td\n", points(x), points(d.size.HeightMM-a.y-ascentDots*dot))
	last, text := -1, ""
	show := func() {
		if text != "" {
			fmt.Fprintf(b, "/F%d %s Tf <%s> Tj\n", last, size, text)
		}
		text = ""
	}
	for _, g := range glyphs {
		font, code := d.code(g)
		if font != last {
			show()
			last = font
		}
		text += fmt.Sprintf("%02X", code)
	}
	show()
	b.WriteString("ET\n")
	if a.inverse {
		b.WriteString("0 g\n")
	}
}

// runs tells of each run of black modules.
func runs(row []bool, tell func(from, n int)) {
	for i := 0; i < len(row); i++ {
		n := i
		for n < len(row) && row[n] {
			n++
		}
		if n > i {
			tell(i, n-i)
			i = n
		}
	}
}

// document writes numbered objects and where they are.
type document struct {
	out   bytes.Buffer
	place []int
}

// object writes the next object and returns its number.
func (d *document) object(body string) int {
	d.place = append(d.place, d.out.Len())
	fmt.Fprintf(&d.out, "%d 0 obj\n%s\nendobj\n", len(d.place), body)
	return len(d.place)
}

func (d *document) stream(content string) int {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write([]byte(content)) // into memory
	_ = w.Close()
	return d.object(fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", z.Len(), z.String()))
}

func (d *paper) write(pages []string) []byte {
	doc := &document{}
	doc.out.WriteString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	fonts := ""
	for i := 0; i*perFont < len(d.glyphs); i++ {
		fonts += fmt.Sprintf("/F%d %d 0 R ", i, doc.font(d.glyphs[i*perFont:min((i+1)*perFont, len(d.glyphs))]))
	}
	parent := len(doc.place) + 2*len(pages) + 1
	var kids []string
	for _, p := range pages {
		content := doc.stream(p)
		kid := doc.object(fmt.Sprintf("<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %s %s] /Resources << /Font << %s>> >> /Contents %d 0 R >>",
			parent, points(d.size.WidthMM), points(d.size.HeightMM), fonts, content))
		kids = append(kids, fmt.Sprintf("%d 0 R", kid))
	}
	doc.object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(kids), strings.Join(kids, " ")))
	root := doc.object(fmt.Sprintf("<< /Type /Catalog /Pages %d 0 R >>", parent))
	start := doc.out.Len()
	fmt.Fprintf(&doc.out, "xref\n0 %d\n0000000000 65535 f \n", len(doc.place)+1)
	for _, at := range doc.place {
		fmt.Fprintf(&doc.out, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&doc.out, "trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(doc.place)+1, root, start)
	return doc.out.Bytes()
}

// font writes glyphs as a Type 3 font, whose glyphs are drawings, with the table that tells which signs they are (ISO 32000-1,
// 9.6.5 and 9.10.3).
func (d *document) font(glyphs []glyph) int {
	var procs, names, widths, signs strings.Builder
	for i, g := range glyphs {
		var b strings.Builder
		fmt.Fprintf(&b, "%d 0 0 %d 16 %d d1\n", g.advance, ascentDots-lineDots, ascentDots)
		for y, bits := range g.rows {
			row := make([]bool, 16)
			for x := range row {
				row[x] = bits&(0x8000>>x) != 0
			}
			runs(row, func(from, n int) { fmt.Fprintf(&b, "%d %d %d 1 re\n", from, ascentDots-1-y, n) })
		}
		b.WriteString("f\n")
		fmt.Fprintf(&procs, "/g%d %d 0 R ", i+1, d.stream(b.String()))
		fmt.Fprintf(&names, "/g%d ", i+1)
		fmt.Fprintf(&widths, "%d ", g.advance)
		fmt.Fprintf(&signs, "<%02X> <%s>\n", i+1, utf16Hex(g.r))
	}
	var table strings.Builder
	table.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Signs def\n/CMapType 2 def\n1 begincodespacerange\n<00> <FF>\nendcodespacerange\n")
	lines := slices.Collect(strings.Lines(signs.String()))
	for part := range slices.Chunk(lines, 100) {
		fmt.Fprintf(&table, "%d beginbfchar\n%sendbfchar\n", len(part), strings.Join(part, ""))
	}
	table.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	unicode := d.stream(table.String())
	return d.object(fmt.Sprintf("<< /Type /Font /Subtype /Type3 /FontBBox [0 %d 16 %d] /FontMatrix [%.6f 0 0 %.6f 0 0] /FirstChar 1 /LastChar %d /Widths [%s] "+
		"/Encoding << /Type /Encoding /Differences [1 %s] >> /CharProcs << %s>> /Resources << >> /ToUnicode %d 0 R >>",
		ascentDots-lineDots, ascentDots, 1.0/lineDots, 1.0/lineDots, len(glyphs), widths.String(), names.String(), procs.String(), unicode))
}

func utf16Hex(r rune) string {
	out := ""
	for _, u := range utf16.Encode([]rune{r}) {
		out += fmt.Sprintf("%04X", u)
	}
	return out
}
