package passage

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"

	"yizhan/devices/telemetry"
)

// rawReads lets a technician see single reads without drowning: at most one reading an interval
// for each tag and antenna, the reads between summed up in the next.
type rawReads struct {
	every time.Duration
	tags  map[rawKey]*rawTag
}

type rawKey struct {
	hex     string
	antenna int
}

type rawTag struct {
	due time.Time // no reading before
	sum Read
}

const maxRawTags = 4096

// add takes a read in and returns the reading that is due; dropped is true for a tag too many.
func (w *rawReads) add(now time.Time, r Read) (out Read, due, dropped bool) {
	k := rawKey{r.Hex, r.Antenna}
	t := w.tags[k]
	if t == nil {
		if len(w.tags) >= maxRawTags {
			return out, false, true
		}
		if w.tags == nil {
			w.tags = make(map[rawKey]*rawTag)
		}
		t = &rawTag{}
		w.tags[k] = t
	}
	t.take(r)
	if now.Before(t.due) {
		return out, false, false
	}
	return t.give(now, w.every), true, false
}

// tick returns what became due without another read, and forgets tags that are gone.
func (w *rawReads) tick(now time.Time) (out []Read) {
	for k, t := range w.tags {
		switch {
		case now.Before(t.due):
		case t.sum.Count > 0:
			out = append(out, t.give(now, w.every))
		default:
			delete(w.tags, k)
		}
	}
	slices.SortFunc(out, func(a, b Read) int {
		return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.Hex, b.Hex), cmp.Compare(a.Antenna, b.Antenna))
	})
	return out
}

func (t *rawTag) take(r Read) {
	if t.sum.Count == 0 {
		t.sum = r
		return
	}
	t.sum.Count += r.Count
	if r.First.Before(t.sum.First) {
		t.sum.First = r.First
	}
	if r.Last.After(t.sum.Last) {
		t.sum.Last = r.Last
	}
	if v, ok := r.RSSI.Get(); ok && v > t.sum.RSSI.Or(-1000) {
		t.sum.RSSI, t.sum.Raw = r.RSSI, r.Raw
	}
	t.sum.Exact = t.sum.Exact && r.Exact
}

func (t *rawTag) give(now time.Time, every time.Duration) Read {
	t.due = now.Add(every)
	r := t.sum
	t.sum.Count = 0
	return r
}

// tag makes the body of a raw reading.
func (r Read) tag() telemetry.Tag {
	tag := telemetry.Tag{EPC: r.EPC, EPCHex: r.Hex, RSSIDBm: r.RSSI, Reads: telemetry.Some(r.Count), FirstSeen: r.First, LastSeen: r.Last}
	if r.Antenna != 0 {
		tag.Antenna = telemetry.Some(r.Antenna)
	}
	return tag
}

// WithRaw adds the reader's own figure of strength to a raw reading, as rssi_raw: with it a
// technician finds the formula that the reader needs.
func WithRaw(r telemetry.Reading, raw telemetry.Opt[int]) telemetry.Reading {
	if v, ok := raw.Get(); ok {
		b := strconv.AppendInt(append(bytes.TrimSuffix(r.Body, []byte("}")), `,"rssi_raw":`...), int64(v), 10)
		r.Body = append(b, '}')
	}
	return r
}
