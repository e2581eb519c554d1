package label

import (
	"fmt"

	"github.com/boombuler/barcode/code128"
	"github.com/boombuler/barcode/qr"
)

// narrowest is the width of the narrowest bar in millimetres, quiet the modules left free on each side.
const (
	narrowest = 0.25
	widest    = 0.6
	quiet     = 10
)

// barModules is the number of modules of text as Code 128 in set B with its even tail of digits in set C: what ^BC is told to do.
func barModules(text string) int {
	head, tail := barSets(text)
	n := 11 + 11 + 13 + 11*len(head) // start, check sign, stop
	if tail != "" {
		n += 11 * len(tail) / 2
		if head != "" {
			n += 11 // change of sets
		}
	}
	return n
}

// barSets cuts text into what is written in set B and its even tail of digits, which is written in set C.
func barSets(text string) (head, tail string) {
	i := len(text)
	for i > 0 && text[i-1] >= '0' && text[i-1] <= '9' {
		i--
	}
	if (len(text)-i)%2 == 1 {
		i++
	}
	if len(text)-i < 4 {
		return text, ""
	}
	return text[:i], text[i:]
}

// barWidth is the width of a module, where the bars fit into w with their quiet zones.
func barWidth(text string, w float64) (mm float64, ok bool) {
	mm = w / float64(barModules(text)+2*quiet)
	return min(mm, widest), mm >= narrowest
}

// barRow is text as Code 128: true is a black module.
func barRow(text string) ([]bool, error) {
	code, err := code128.Encode(text)
	if err != nil {
		return nil, fmt.Errorf("label: code 128: %w", err)
	}
	row := make([]bool, code.Bounds().Dx())
	for i := range row {
		r, _, _, _ := code.At(i, 0).RGBA()
		row[i] = r == 0
	}
	return row, nil
}

// squareRows is text as a QR code of level M.
func squareRows(text string) ([][]bool, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("label: qr code: %w", err)
	}
	n := code.Bounds().Dx()
	rows := make([][]bool, n)
	for y := range rows {
		rows[y] = make([]bool, n)
		for x := range rows[y] {
			r, _, _, _ := code.At(x, y).RGBA()
			rows[y][x] = r == 0
		}
	}
	return rows, nil
}
