package state

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
)

// A tale is what of a parcel's steps was told: by the name of each step (its evidence and word), what it said in short, how
// often it was told, and whether it was taken back since. It is kept with the parcel, so that a fold
// that tells nothing new reads and writes nothing else.
//
//	column = "" | "*" | entry { entry }
//	entry  = name(8) content(6) [ times ] [ "-" ] ","          name, content: base64url of a hash
//
// "*" is a parcel of before there were facts: what its next fold tells is no news.
type tale []teller // ascending by name

type teller struct {
	name, content string
	times         int
	gone          bool
	stands        bool // in the timeline that it is compared with; not kept
}

const (
	nameChars    = 8
	contentChars = 6
	oldTale      = "*"
)

func parseTale(s string) (tale, error) {
	t := make(tale, 0, strings.Count(s, ",")+1) // one more, as a rule
	for s != "" {
		entry, rest, ok := strings.Cut(s, ",")
		if !ok || len(entry) < nameChars+contentChars {
			return nil, fmt.Errorf("told: %.40q is no entry", s)
		}
		e := teller{name: entry[:nameChars], content: entry[nameChars : nameChars+contentChars], times: 1}
		tail, gone := strings.CutSuffix(entry[nameChars+contentChars:], "-")
		e.gone = gone
		if tail != "" {
			n, err := strconv.Atoi(tail)
			if err != nil {
				return nil, fmt.Errorf("told: %.40q is no entry", s)
			}
			e.times = n
		}
		t = append(t, e)
		s = rest
	}
	return t, nil
}

// find returns the entry of a name; nil where there is none. It holds until the next add.
func (t tale) find(name string) *teller {
	for i := range t {
		if t[i].name == name {
			return &t[i]
		}
	}
	return nil
}

func (t tale) String() string {
	slices.SortFunc(t, func(a, b teller) int { return strings.Compare(a.name, b.name) })
	b := make([]byte, 0, len(t)*(nameChars+contentChars+3))
	for i := range t {
		e := &t[i]
		b = append(append(b, e.name...), e.content...)
		if e.times > 1 {
			b = strconv.AppendInt(b, int64(e.times), 10)
		}
		if e.gone {
			b = append(b, '-')
		}
		b = append(b, ',')
	}
	return string(b)
}

func short(n int, parts ...string) string {
	b := make([]byte, 0, 192)
	for _, p := range parts {
		b = append(append(b, p...), 0)
	}
	sum := sha256.Sum256(b)
	var text [11]byte // of 8 bytes
	base64.RawURLEncoding.Encode(text[:], sum[:8])
	return string(text[:n])
}

// stepName names a step within its parcel.
func stepName(e *county.Evidence) string { return short(nameChars, e.ID, e.Step) }

// stepContent is what others act on: a step that says something else is taken back and told again. Witnesses
// that come later are no reason.
func stepContent(e *county.Evidence) string {
	if e.Step == parcel.Created || e.Step == parcel.Cancelled {
		return short(contentChars, e.ID) // told once
	}
	return short(contentChars, strconv.FormatInt(ms(e.At), 36), string(e.Stage), e.Place, strconv.Itoa(e.Cell), e.Via)
}

// stepKey is the key of a step's fact, told for the n-th time.
func stepKey(waybill string, e *county.Evidence, n int) string {
	return again("step/"+waybill+"/"+e.ID+"/"+e.Step, n)
}

func again(key string, n int) string {
	if n > 1 {
		key += "/" + strconv.Itoa(n)
	}
	return key
}

// retell compares a parcel's timeline with what was told of it, and tells what is new and what isn't so any more.
func (c *commit) retell(ctx context.Context, p *parcelRow, now *county.Timeline) error {
	old := p.told
	if old == oldTale {
		old = ""
	}
	t, err := parseTale(old)
	if err != nil {
		return err
	}
	quiet := p.told == oldTale
	before := county.Stage("")
	for i := range now.Evidence {
		e := &now.Evidence[i]
		name, content := stepName(e), stepContent(e)
		was := t.find(name)
		if was == nil {
			t = append(t, teller{name: name, gone: true})
			was = &t[len(t)-1]
		}
		was.stands = true
		if was.gone || was.content != content {
			if !was.gone {
				c.retract(p, e, was.times)
			}
			was.content, was.times, was.gone = content, was.times+1, false
			if !quiet {
				c.facts = append(c.facts, stepFact(now, e, before, was.times, c.s.opt.Keeping.Expire))
			}
		}
		if e.Stage != "" {
			before = e.Stage
		}
	}
	var gone map[string]int
	for i := range t {
		if e := &t[i]; !e.stands && !e.gone {
			if gone == nil {
				gone = map[string]int{}
			}
			gone[e.name], e.gone = e.times, true
		}
	}
	p.told = t.String()
	return c.retractGone(ctx, p, gone)
}

func stepFact(now *county.Timeline, e *county.Evidence, before county.Stage, n int, keep time.Duration) county.Fact {
	w := &now.Waybill
	doc := county.StepTold{
		Waybill: w.Waybill, EPC: w.EPC, Direction: w.Direction, Handling: w.Handling, Site: w.Site, Before: before, Row: *e, Deposit: e.Deposit,
	}
	if e.Stage == county.InLocker {
		doc.Until = e.At.Add(keep)
	}
	event, key := county.FactStep, stepKey(w.Waybill, e, n)
	if e.Step == parcel.Created || e.Step == parcel.Cancelled {
		event, key = county.FactWaybill, again("waybill/"+w.Waybill+"/"+e.Step, n)
	}
	return NewFact(event, "parcel/"+w.Waybill, key, doc)
}

// retract tells that a step isn't so any more that is in the timeline still, in other words. Its document is read with
// those of others, by fillRetracted.
func (c *commit) retract(p *parcelRow, e *county.Evidence, times int) {
	if e.Step == parcel.Created || e.Step == parcel.Cancelled {
		return // waybills are told apart, and not taken back
	}
	key := strings.TrimPrefix(stepKey(p.Waybill.Waybill, e, times), "step")
	c.facts = append(c.facts, county.Fact{Object: "parcel/" + p.Waybill.Waybill, Event: county.FactRetracted, Key: retracted + key})
}

const retracted = "retracted"

// fillRetracted gives the facts that take steps back the documents of those steps. One whose step was told before there were
// facts, or is past its age, is left out: there is nobody to be told.
func (c *commit) fillRetracted(ctx context.Context) error {
	var keys []string
	for i := range c.facts {
		if f := &c.facts[i]; f.Event == county.FactRetracted && f.Doc == nil {
			keys = append(keys, "step"+strings.TrimPrefix(f.Key, retracted))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	w := c.c.words()
	old, err := readFacts(ctx, c.c, w.in("key", "$1"), w.list(keys))
	if err != nil {
		return err
	}
	docs := make(map[string]county.RawJSON, len(old))
	for i := range old {
		docs[retracted+strings.TrimPrefix(old[i].Key, "step")] = old[i].Doc
	}
	c.facts = slices.DeleteFunc(c.facts, func(f county.Fact) bool { return f.Event == county.FactRetracted && f.Doc == nil && docs[f.Key] == nil })
	for i := range c.facts {
		if f := &c.facts[i]; f.Event == county.FactRetracted && f.Doc == nil {
			f.Doc = docs[f.Key]
		}
	}
	return nil
}

// retractGone tells that steps told before are not in the timeline at all any more.
func (c *commit) retractGone(ctx context.Context, p *parcelRow, gone map[string]int) error {
	if len(gone) == 0 {
		return nil
	}
	w := p.Waybill.Waybill
	facts, err := readFacts(ctx, c.c, "key >= $1 and key < $2 order by key", "step/"+w+"/", "step/"+w+"0")
	if err != nil {
		return err
	}
	for i := range facts {
		var told county.StepTold
		if err := json.Unmarshal(facts[i].Doc, &told); err != nil {
			return fmt.Errorf("fact %d: %w", facts[i].Seq, err)
		}
		if n := gone[stepName(&told.Row)]; n > 0 && facts[i].Key == stepKey(w, &told.Row, n) {
			c.facts = append(c.facts, county.Fact{
				Object: "parcel/" + w, Event: county.FactRetracted, Key: retracted + strings.TrimPrefix(facts[i].Key, "step"), Doc: facts[i].Doc,
			})
		}
	}
	return nil
}
