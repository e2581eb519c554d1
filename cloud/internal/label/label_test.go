package label

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
)

func sample() Label {
	tag, _ := NewTag("9521234", 1234)
	return Label{
		Waybill: "YZ2600000001", County: county.Text{ZH: "云岭县", EN: "Yunling County"}, Site: county.Text{ZH: "青石服务站", EN: "Qingshi station"},
		Village: county.Text{ZH: "青石村", EN: "Qingshi"}, Township: county.Text{ZH: "青石镇", EN: "Qingshi"}, Run: "R-3", Locker: county.Text{ZH: "青石村智能柜"}, Cell: 7,
		Name: "张**", Phone: "138****5678", Handling: "chilled", Size: "m", Tag: tag.Hex(),
	}
}

// read decodes what a scanner would see.
func read(t *testing.T, img image.Image) (bars, square string) {
	t.Helper()
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	hard := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	if r, err := oned.NewCode128Reader().Decode(bits, hard); err == nil {
		bars = r.GetText()
	}
	r, err := qrcode.NewQRCodeReader().Decode(bits, hard)
	require.NoError(t, err)
	return bars, r.GetText()
}

func TestPDFIsReadBack(t *testing.T) {
	long := sample()
	long.Waybill, long.Handling = "ABCDEFGHIJ-KLMNOPQRST-UVWXYZ-012", ""
	linked := sample()
	tag, err := epc.FromHex(linked.Tag)
	require.NoError(t, err)
	linked.Link = DigitalLink("https://id.yunling.example", tag)
	for _, size := range []Size{Large, Small} {
		dir := t.TempDir()
		doc, err := PDF([]Label{sample(), long, linked}, size)
		require.NoError(t, err)
		again, err := PDF([]Label{sample(), long, linked}, size)
		require.NoError(t, err)
		require.Equal(t, doc, again)
		file := filepath.Join(dir, "label.pdf")
		require.NoError(t, os.WriteFile(file, doc, 0o600))
		out, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", "203", "-png", "-gray", file, filepath.Join(dir, "page")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Empty(t, string(out), "poppler finds nothing to complain of")
		for i, want := range []struct{ bars, square string }{
			{"YZ2600000001", "YZ2600000001"}, {"", long.Waybill}, {"YZ2600000001", "https://id.yunling.example/00/" + ssccOf(t, tag)},
		} {
			f, err := os.Open(filepath.Join(dir, fmt.Sprintf("page-%d.png", i+1)))
			require.NoError(t, err)
			img, err := png.Decode(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.InDelta(t, size.WidthMM*203/25.4, float64(img.Bounds().Dx()), 2)
			bars, square := read(t, img)
			require.Equal(t, want.square, square, "page %d of %v", i+1, size)
			require.Equal(t, want.bars, bars, "page %d of %v", i+1, size)
		}
		text, err := exec.CommandContext(t.Context(), "pdftotext", "-enc", "UTF-8", "-layout", file, "-").Output()
		require.NoError(t, err)
		for _, words := range []string{"云岭县", "青石村", "青石服务站", "班次 R-3", "7 号格", "138****5678", "冷藏 CHILLED", "YZ2600000001", long.Waybill} {
			require.Contains(t, string(text), words)
		}
	}
}

func ssccOf(t *testing.T, e epc.EPC) string {
	s, ok := e.SSCC18()
	require.True(t, ok)
	return s
}

var command = regexp.MustCompile(`\^([A-Z]{2})([^\^]*)`)

// A thermal is a printer of the commands that labels are made of: it draws, and writes tags.
type thermal struct {
	img      *image.Gray
	x, y     int
	module   int
	tag      string // as written
	readBack string
	pending  func(data string)
}

// play prints ZPL; at a wrong command the test fails.
func play(t *testing.T, zpl string) []*thermal {
	t.Helper()
	var all []*thermal
	var p *thermal
	wide := 0
	for _, m := range command.FindAllStringSubmatch(strings.ReplaceAll(zpl, "\n", ""), -1) {
		arg := strings.Split(m[2], ",")
		n := func(i int) int {
			v, err := strconv.Atoi(arg[i])
			require.NoError(t, err, m[0])
			return v
		}
		switch m[1] {
		case "XA":
			p = &thermal{}
			all = append(all, p)
		case "CI":
			require.Equal(t, "28", m[2], "UTF-8")
		case "PW":
			wide = n(0)
		case "LL":
			p.img = image.NewGray(image.Rect(0, 0, wide, n(0)))
			draw.Draw(p.img, p.img.Bounds(), image.White, image.Point{}, draw.Src)
		case "FO":
			p.x, p.y = n(0), n(1)
		case "GB":
			p.box(0, 0, n(0), max(n(1), n(2)))
		case "GF":
			p.graphic(t, m[2])
		case "BY":
			p.module = n(0)
		case "BC":
			require.Equal(t, "N", arg[0])
			h := n(1)
			p.pending = func(data string) { p.bars(t, data, h) }
		case "BQ":
			scale := n(2)
			p.pending = func(data string) { p.square(t, data, scale) }
		case "RF":
			if arg[0] == "W" {
				require.Equal(t, []string{"W", "H", "", "", "A"}, arg)
				p.pending = func(data string) { p.tag = data }
				break
			}
			require.Equal(t, []string{"R", "H", "2", "12", "1"}, arg)
			p.readBack = p.tag
		case "FD":
			p.pending(m[2])
			p.pending = nil
		case "HV":
			require.Equal(t, len(p.readBack), n(1))
		case "FS", "FN", "XZ", "PQ", "RS", "LH":
		default:
			require.Fail(t, "no such command", m[0])
		}
	}
	return all
}

func (p *thermal) box(x, y, w, h int) {
	r := image.Rect(p.x+x, p.y+y, p.x+x+w, p.y+y+h)
	draw.Draw(p.img, r.Intersect(p.img.Bounds()), image.Black, image.Point{}, draw.Src)
}

func (p *thermal) graphic(t *testing.T, arg string) {
	f := strings.SplitN(arg, ",", 5)
	require.Equal(t, "A", f[0])
	total, err := strconv.Atoi(f[2])
	require.NoError(t, err)
	wide, err := strconv.Atoi(f[3])
	require.NoError(t, err)
	var rows []string
	row := ""
	for _, c := range f[4] {
		switch c {
		case ':':
			rows = append(rows, rows[len(rows)-1])
		case ',':
			row += strings.Repeat("0", 2*wide-len(row))
		default:
			row += string(c)
		}
		if len(row) == 2*wide {
			rows, row = append(rows, row), ""
		}
	}
	require.Empty(t, row)
	require.Len(t, rows, total/wide)
	for y, r := range rows {
		b, err := hex.DecodeString(r)
		require.NoError(t, err)
		for x := range 8 * wide {
			if b[x/8]&(0x80>>(x%8)) != 0 {
				require.True(t, image.Pt(p.x+x, p.y+y).In(p.img.Bounds()), "off the label")
				p.img.SetGray(p.x+x, p.y+y, color.Gray{})
			}
		}
	}
}

// bars prints Code 128 as ^BC in mode N is told: >: and >; start sets B and C, >5 changes to C.
func (p *thermal) bars(t *testing.T, data string, h int) {
	var values []int
	inC := strings.HasPrefix(data, ">;")
	values = append(values, map[bool]int{true: 105, false: 104}[inC])
	for s := data[2:]; s != ""; {
		switch {
		case strings.HasPrefix(s, ">5"):
			values, inC, s = append(values, 99), true, s[2:]
		case inC:
			v, err := strconv.Atoi(s[:2])
			require.NoError(t, err)
			values, s = append(values, v), s[2:]
		default:
			values, s = append(values, int(s[0])-32), s[1:]
		}
	}
	sum := values[0]
	for i, v := range values[1:] {
		sum += (i + 1) * v
	}
	values = append(values, sum%103)
	x := 0
	for _, v := range values {
		for i, width := range patterns[6*v : 6*v+6] {
			w := int(width-'0') * p.module
			if i%2 == 0 {
				p.box(x, 0, w, h)
			}
			x += w
		}
	}
	for i, width := range "2331112" {
		w := int(width-'0') * p.module
		if i%2 == 0 {
			p.box(x, 0, w, h)
		}
		x += w
	}
	require.GreaterOrEqual(t, p.x, 10*p.module, "quiet zone")
	require.LessOrEqual(t, p.x+x+10*p.module, p.img.Bounds().Dx(), "quiet zone")
}

// patterns of Code 128: bar and space widths of the 106 signs, the starts among them (ISO/IEC 15417, table 1).
const patterns = "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221223211221132221231" +
	"213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321112313132113132311211313231113231311112133" +
	"112331132131113123113321133121313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111111224" +
	"111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111111242121142121241114212124112" +
	"124211411212421112421211212141214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232"

func (p *thermal) square(t *testing.T, data string, scale int) {
	text, ok := strings.CutPrefix(data, "MA,")
	require.True(t, ok)
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, map[gozxing.EncodeHintType]any{gozxing.EncodeHintType_ERROR_CORRECTION: "M", gozxing.EncodeHintType_MARGIN: 0})
	require.NoError(t, err)
	for y := range m.GetHeight() {
		for x := range m.GetWidth() {
			if m.Get(x, y) {
				p.box(x*scale, y*scale, scale, scale)
			}
		}
	}
	require.LessOrEqual(t, p.y+m.GetHeight()*scale, p.img.Bounds().Dy())
}

func TestZPLIsReadBack(t *testing.T) {
	require.Len(t, patterns, 6*106)
	digits, long := sample(), sample()
	digits.Waybill, digits.Tag = "773012345678901", ""
	long.Waybill = "ABCDEFGHIJ-KLMNOPQRST-UVWXYZ-012"
	for _, size := range []Size{Large, Small} {
		for _, dpi := range []int{203, 300} {
			zpl, err := ZPL([]Label{sample(), digits, long}, size, dpi)
			require.NoError(t, err)
			pages := play(t, string(zpl))
			require.Len(t, pages, 3)
			for i, want := range []string{"YZ2600000001", "773012345678901", ""} {
				p := pages[i]
				bars, square := read(t, p.img)
				require.Equal(t, want, bars, "%v %d", size, dpi)
				if want != "" {
					require.Equal(t, want, square)
				} else {
					require.Equal(t, long.Waybill, square)
				}
				if out := os.Getenv("LABEL_OUT"); out != "" {
					var b bytes.Buffer
					require.NoError(t, png.Encode(&b, p.img))
					require.NoError(t, os.WriteFile(filepath.Join(out, fmt.Sprintf("%v-%d-%d.png", size, dpi, i)), b.Bytes(), 0o600))
				}
			}
			tag, err := epc.FromHex(pages[0].tag)
			require.NoError(t, err)
			require.Equal(t, "urn:epc:id:sscc:9521234.0000001234", tag.URI())
			require.NoError(t, Verify("urn:epc:id:sscc:9521234.0000001234", "EPC:"+pages[0].readBack))
			require.Empty(t, pages[1].tag)
		}
	}
}

func TestNothingEndsAFieldEarly(t *testing.T) {
	l := sample()
	l.Link, l.Name = "https://x.example/^XZ~JA", "^FS^XZ"
	zpl, err := ZPL([]Label{l}, Large, 203)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(zpl), "^XZ"))
	require.NotContains(t, string(zpl), "~")
	for _, bad := range []string{"x", "00", "000", strings.Repeat("00", 64)} {
		l.Tag = bad
		_, err = ZPL([]Label{l}, Large, 203)
		require.ErrorIs(t, err, ErrTag, bad)
	}
	_, err = ZPL([]Label{sample()}, Large, 72)
	require.ErrorIs(t, err, ErrSize)
	_, err = ParseSize("1x1")
	require.ErrorIs(t, err, ErrSize)
	s, err := ParseSize("76x130")
	require.NoError(t, err)
	require.Equal(t, Small, s)
}

func TestTextFits(t *testing.T) {
	glyphs, scale := line("青石村", 3*12*4, 9)
	require.Equal(t, 4, scale)
	require.Len(t, glyphs, 3)
	glyphs, scale = line("青石村", 30, 9)
	require.Equal(t, 1, scale)
	require.Equal(t, '…', glyphs[len(glyphs)-1].r)
	glyphs, _ = line("", 30, 9)
	require.Empty(t, glyphs)
	glyphs, _ = line("青", 1, 9)
	require.Len(t, glyphs, 1)
	require.Equal(t, replacement, glyphOf('\U000F0000').r)
	require.Equal(t, replacement, glyphOf('\n').r)
	for _, r := range "云岭县青石镇竹溪乡白鹤松坪台茶园龙池北溪服务站智能柜冷藏冻易碎出村班次号格张王李" {
		require.Equal(t, r, glyphOf(r).r, "a county's signs have glyphs")
	}
}

func TestTags(t *testing.T) {
	e, err := NewTag("9521234", 7)
	require.NoError(t, err)
	require.Equal(t, "urn:epc:id:sscc:9521234.0000000007", e.URI())
	require.Equal(t, "https://id.yunling.example/00/"+ssccOf(t, e), DigitalLink("https://id.yunling.example", e))
	back, err := epc.FromHex(e.Hex())
	require.NoError(t, err)
	require.Equal(t, e, back)
	for _, c := range []struct {
		prefix string
		n      int64
	}{{"9521234", 0}, {"9521234", 10_000_000_000}, {"952123412345", 100_000}, {"", 1}, {"95212341234567890", 1}} {
		_, err = NewTag(c.prefix, c.n)
		require.Error(t, err, c)
	}
	require.NoError(t, Verify(e.URI(), e.Hex()+"0000"))
	require.NoError(t, Verify(e.Hex(), e.Hex()))
	other, err := NewTag("9521234", 8)
	require.NoError(t, err)
	require.ErrorContains(t, Verify(e.URI(), other.Hex()), "not urn:epc:id:sscc:9521234.0000000007")
	require.Error(t, Verify(e.URI(), "nonsense"))
	require.Error(t, Verify("nonsense", e.Hex()))
	item, err := epc.FromURI("urn:epc:id:sgtin:9521234.012345.32a%2Fb")
	require.NoError(t, err)
	require.Equal(t, "https://x/01/09521234123453/21/32a%2Fb", DigitalLink("https://x", item))
	asset, err := epc.FromURI("urn:epc:id:giai:9521234.5")
	require.NoError(t, err)
	require.Empty(t, DigitalLink("https://x", asset))
}

func FuzzLabel(f *testing.F) {
	f.Add("YZ2600000001", "张**", "青石村", "https://x.example/", "3074257BF7194E4000001A85")
	f.Add("773012345678901", "^XZ", "\xff\x00", "~JA", "")
	f.Fuzz(func(t *testing.T, waybill, name, village, link, tag string) {
		l := Label{Waybill: waybill, Name: name, Village: county.Text{ZH: village}, Link: link, Tag: tag}
		if zpl, err := ZPL([]Label{l}, Small, 203); err == nil {
			require.Equal(t, 1, bytes.Count(zpl, []byte("^XZ")))
			require.Equal(t, 1, bytes.Count(zpl, []byte("^XA")))
		}
		_, _ = PDF([]Label{l}, Large)
	})
}
