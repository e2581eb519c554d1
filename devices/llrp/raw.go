package llrp

import (
	"cmp"
	"slices"
	"time"

	"yizhan/devices/passage"
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
	sum passage.Read
}

const maxRawTags = 4096

// add takes a read in and returns the reading that is due; dropped is true for a tag too many.
func (w *rawReads) add(now time.Time, r passage.Read) (out passage.Read, due, dropped bool) {
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
func (w *rawReads) tick(now time.Time) (out []passage.Read) {
	for k, t := range w.tags {
		switch {
		case now.Before(t.due):
		case t.sum.Count > 0:
			out = append(out, t.give(now, w.every))
		default:
			delete(w.tags, k)
		}
	}
	slices.SortFunc(out, func(a, b passage.Read) int {
		return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.Hex, b.Hex), cmp.Compare(a.Antenna, b.Antenna))
	})
	return out
}

func (t *rawTag) take(r passage.Read) {
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
		t.sum.RSSI = r.RSSI
	}
	t.sum.Exact = t.sum.Exact && r.Exact
}

func (t *rawTag) give(now time.Time, every time.Duration) passage.Read {
	t.due = now.Add(every)
	r := t.sum
	t.sum.Count = 0
	return r
}

// rawTagBody makes the body of a raw reading.
func rawTagBody(r passage.Read) telemetry.Tag {
	tag := telemetry.Tag{EPC: r.EPC, EPCHex: r.Hex, RSSIDBm: r.RSSI, Reads: telemetry.Some(r.Count), FirstSeen: r.First, LastSeen: r.Last}
	if r.Antenna != 0 {
		tag.Antenna = telemetry.Some(r.Antenna)
	}
	return tag
}
