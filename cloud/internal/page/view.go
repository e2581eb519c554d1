package page

import (
	"context"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"

	"yizhan/cloud/internal/county"
)

// shownRows is how many rows of the way are shown at once; the rest unfolds.
const shownRows = 5

// view is what the page shows. Without a waybill it is a sentence alone.
type view struct {
	Words    *words
	Sentence string // where it is
	Detail   string // how sure, how old
	Said     string // what became of a form
	Waybill  string
	Code     string // "48 39 20"
	Family   string // another
	QR       template.HTML
	Until    string
	More     bool // it may be extended
	CanHelp  bool // something may be reported
	Reported bool
	Cold     string
	Rows     []row // newest first
	Older    []row
	Wish     string   // where the recipient wants it
	Wishes   []choice // where they may
	Rate     bool
	Scores   []int
	Rated    int
}

// choice is a button.
type choice struct{ Do, Name string }

// row is a step of the way.
type row struct {
	When string
	What string
	Sure string // what is not quite sure of it
}

// deposit is the step that put the parcel into the cell that it lies in.
func deposit(tl *county.Timeline) *county.Evidence {
	if tl.Stage != county.InLocker {
		return nil
	}
	for _, e := range slices.Backward(tl.Evidence) {
		if e.Stage == county.InLocker {
			return &e
		}
	}
	return nil
}

func (p *Page) view(ctx context.Context, words *words, tl *county.Timeline, q url.Values) (*view, error) {
	now := p.opt.Now()
	v := &view{Words: words, Waybill: tl.Waybill.Waybill, Said: words.Said[q.Get("said")]}
	v.Sentence = p.sentence(ctx, words, tl)
	if last := confirmed(tl); last != nil && !tl.Stage.Over() {
		v.Detail = fmt.Sprintf(words.Confirmed, p.when(words, last.At, now), words.age(now.Sub(last.At)))
	}
	if d := deposit(tl); d != nil {
		if err := p.showDeposit(ctx, v, d, q); err != nil {
			return nil, err
		}
	}
	for _, w := range p.wishes(&tl.Parcel) {
		if w == tl.Wish {
			v.Wish = fmt.Sprintf(words.Wished, words.Wish[w])
			if tl.Plan() == county.WishHome {
				v.Wish += words.Bring
			}
			continue
		}
		v.Wishes = append(v.Wishes, choice{string(w), words.Wish[w]})
	}
	for _, x := range tl.Exceptions {
		if x.Ended == nil && x.Source == "customer" {
			v.Reported = true
		}
		if x.Ended == nil && x.Cause == "excursion" {
			v.Cold = words.ColdOut
		}
	}
	if v.Cold == "" && (tl.Handling == "chilled" || tl.Handling == "frozen") {
		v.Cold = words.ColdGood
	}
	v.CanHelp = !v.Reported && (tl.Stage == county.InLocker || tl.Stage == county.AtOutlet || tl.Stage.Received())
	for _, e := range slices.Backward(tl.Evidence) {
		if e.Stage != "" {
			v.Rows = append(v.Rows, p.row(words, &e, now))
		}
	}
	if len(v.Rows) > shownRows {
		v.Rows, v.Older = v.Rows[:shownRows], v.Rows[shownRows:]
	}
	if tl.Stage.Received() {
		score, err := p.opt.Store.Rated(ctx, tl.Waybill.Waybill)
		if err != nil {
			return nil, err
		}
		v.Rated, v.Rate, v.Scores = score, score == 0, []int{5, 4, 3, 2, 1}
	}
	return v, nil
}

func (p *Page) showDeposit(ctx context.Context, v *view, d *county.Evidence, q url.Values) error {
	locker := strings.TrimPrefix(d.Place, "locker/")
	generation := d.Generation
	if p.opt.Keeping != nil && d.Deposit != "" {
		kept, err := p.opt.Keeping.Kept(ctx, d.Deposit)
		if err != nil {
			return err
		}
		generation = max(generation, kept.Generation)
		if !kept.Until.IsZero() {
			v.More, v.Until = kept.More, fmt.Sprintf(v.Words.Until, kept.Until.In(p.zone).Format(v.Words.Day), v.Words.left(kept.Until.Sub(p.opt.Now())))
		}
	}
	if p.opt.Code != nil {
		v.Code = spaced(p.opt.Code(locker, d.Deposit, generation, 0))
		if q.Has("family") {
			v.Family = spaced(p.opt.Code(locker, d.Deposit, generation, 1))
		}
	}
	if p.opt.Ticket != nil {
		v.QR = drawn(p.opt.Ticket(locker, d.Deposit, generation))
	}
	return nil
}

// confirmed is the last step that changed where the parcel is.
func confirmed(tl *county.Timeline) *county.Evidence {
	for _, e := range slices.Backward(tl.Evidence) {
		if e.Place != "" || e.Stage != "" {
			return &e
		}
	}
	return nil
}

// sentence says where the parcel is.
func (p *Page) sentence(ctx context.Context, words *words, tl *county.Timeline) string {
	name := ""
	if s := p.sites[tl.Site]; s != nil {
		name = words.of(s.Name)
	}
	switch tl.Stage {
	case county.InLocker:
		if l, ok, err := p.opt.Store.Locker(ctx, strings.TrimPrefix(tl.Place, "locker/")); err == nil && ok {
			return fmt.Sprintf(words.InLocker, words.of(l.Name), tl.Cell)
		}
		return fmt.Sprintf(words.InLocker, name, tl.Cell)
	case county.AtOutlet:
		if tl.Plan() == county.WishHome {
			return fmt.Sprintf(words.AtOutletHome, name)
		}
		return fmt.Sprintf(words.AtOutlet, name)
	}
	return words.Stage[tl.Stage]
}

func (p *Page) row(words *words, e *county.Evidence, now time.Time) row {
	r := row{When: p.when(words, e.At, now), What: words.Row[e.Stage]}
	if kind, id, _ := strings.Cut(e.Place, "/"); kind == "site" {
		if s := p.sites[id]; s != nil {
			r.What += " · " + words.of(s.Name)
		}
	}
	switch {
	case e.Confidence == county.Contradicted:
		r.Sure = words.Contradicted
	case e.TQ == "unknown":
		r.Sure = words.NoTime
	case e.Via != "":
		r.Sure = words.Inferred
	}
	return r
}

// when is a time of the county's clock, with the day where it isn't today.
func (p *Page) when(words *words, t, now time.Time) string {
	t, now = t.In(p.zone), now.In(p.zone)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format(words.Day)
}

// spaced writes six digits in pairs.
func spaced(code string) string {
	if len(code) != 6 {
		return code
	}
	return code[:2] + " " + code[2:4] + " " + code[4:]
}

// drawn is a QR code as SVG; empty for no text.
func drawn(text string) template.HTML {
	if text == "" {
		return ""
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return ""
	}
	n := code.Bounds().Dx()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="-4 -4 %d %d" role="img" aria-label="QR" shape-rendering="crispEdges"><path d="`, n+8, n+8)
	for y := range n {
		for x := 0; x < n; x++ {
			run := 0
			for x+run < n && dark(code.At(x+run, y).RGBA()) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x, y, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()) // numbers only
}

func dark(r, _, _, _ uint32) bool { return r < 0x8000 }
