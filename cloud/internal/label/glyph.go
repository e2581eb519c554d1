package label

import (
	"image"
	"image/draw"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// The grid of the glyphs: a line is so many dots high, of which so many are above the base line.
const (
	lineDots   = 16
	ascentDots = 12
)

// replacement is drawn for what has no glyph.
const replacement = '\uFFFD'

// glyph is a sign as dots.
type glyph struct {
	r       rune
	advance int
	rows    [lineDots]uint16 // from the top; bit 15 is the leftmost dot
}

// glyphOf draws a sign.
func glyphOf(r rune) glyph {
	advance, ok := bitmapfont.FaceSC.GlyphAdvance(r)
	if !ok || r < ' ' || advance <= 0 {
		if r == replacement {
			return glyph{r: r, advance: 12, rows: [lineDots]uint16{4: 0xFF00, 5: 0x8100, 6: 0x8100, 7: 0x8100, 8: 0x8100, 9: 0x8100, 10: 0x8100, 11: 0xFF00}}
		}
		return glyphOf(replacement)
	}
	g := glyph{r: r, advance: min(advance.Round(), 16)}
	box := image.NewAlpha(image.Rect(0, 0, 16, lineDots))
	d := font.Drawer{Dst: box, Src: image.Opaque, Face: bitmapfont.FaceSC, Dot: fixed.P(0, ascentDots)}
	d.DrawString(string(r))
	for y := range lineDots {
		for x := range 16 {
			if box.AlphaAt(x, y).A > 127 {
				g.rows[y] |= 0x8000 >> x
			}
		}
	}
	return g
}

// line is a text as glyphs that fit into width dots at a scale, the largest up to most; what doesn't fit at 1 is cut.
func line(text string, width, most int) (glyphs []glyph, scale int) {
	var all []glyph
	total := 0
	for _, r := range text {
		g := glyphOf(r)
		all, total = append(all, g), total+g.advance
	}
	scale = max(most, 1)
	for scale > 1 && total*scale > width {
		scale--
	}
	if total*scale <= width {
		return all, scale
	}
	cut := glyphOf('…')
	for len(all) > 0 && (total+cut.advance)*scale > width {
		total -= all[len(all)-1].advance
		all = all[:len(all)-1]
	}
	return append(all, cut), scale
}

// bitmap is a line of text with each dot scale dots wide and high.
func bitmap(glyphs []glyph, scale int, inverse bool) *image.Alpha {
	width := 0
	for _, g := range glyphs {
		width += g.advance
	}
	pad := 0
	if inverse {
		pad = 2
	}
	img := image.NewAlpha(image.Rect(0, 0, (width+2*pad)*scale, lineDots*scale))
	if inverse {
		draw.Draw(img, img.Bounds(), image.Opaque, image.Point{}, draw.Src)
	}
	ink := image.Opaque
	if inverse {
		ink = image.Transparent
	}
	x := pad
	for _, g := range glyphs {
		for row, bits := range g.rows {
			for col := range 16 {
				if bits&(0x8000>>col) != 0 {
					at := image.Rect((x+col)*scale, row*scale, (x+col+1)*scale, (row+1)*scale)
					draw.Draw(img, at, ink, image.Point{}, draw.Src)
				}
			}
		}
		x += g.advance
	}
	return img
}
