package vehicle

import (
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// Gap is how far apart two fixes may be and still belong to one stay. A longer silence ends the
// stay, so that what is told of it later has its own place in the order.
const Gap = 2 * time.Minute

// onEdge begins the words of marks between a fence and its outer edge.
const onEdge = "+"

// Word is where a fix lies, as a mark of a vehicle's trace has it: the site within whose fence, nothing outside of all, and
// "+" with the site between the fence and its outer edge. Of two fixes at one moment the greater word counts: inside, edge, outside.
func Word(sites []county.Site, lat, lon float64) string {
	zone, site := Locate(sites, lat, lon)
	if zone == Edge {
		return onEdge + site
	}
	return site
}

// Follow lays marks that come after stays, in their order, into them. It uses the array of stays.
//
// A mark inside or outside lengthens the last stay when it is of that place and near in time; otherwise it begins a stay. A mark on an edge
// lengthens the last stay when that is near in time and either of this site or of none; otherwise it says nothing.
func Follow(stays []county.Stay, vehicle string, marks ...county.Mark) []county.Stay {
	for _, m := range marks {
		site, edge := strings.CutPrefix(m.Word, onEdge)
		n := len(stays) - 1
		switch {
		case n >= 0 && m.At-stays[n].To.UnixMilli() <= gapMS && (stays[n].Site == site || edge && stays[n].Site == ""):
			stays[n].To = moment(m.At)
		case !edge:
			stays = append(stays, county.Stay{Vehicle: vehicle, Site: site, From: moment(m.At), To: moment(m.At)})
		}
	}
	return stays
}

const gapMS = int64(Gap / time.Millisecond)

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Refold returns the stays that Follow makes of all marks, after some between from and to came or became others.
// old are the stays before that, at least those that end at from - Gap or later and begin until the moment until; trace has all marks of
// from - Gap to until, in Unix milliseconds. ok is false when what changed may reach further than until.
//
// A mark inside or outside leaves the same, whatever was before it: from the first of them after to on, the old stays hold.
func Refold(old []county.Stay, vehicle string, trace county.Trace, from, to, until int64) (stays []county.Stay, ok bool) {
	i := 0
	for i < len(old) && old[i].From.UnixMilli() < from {
		i++
	}
	stays = slices.Clone(old[:i])
	if i > 0 && old[i-1].To.UnixMilli() >= from { // it was there from Gap before at the latest
		stays[i-1].To = moment(max(old[i-1].From.UnixMilli(), from-gapMS))
	}
	for _, m := range trace {
		if m.At < from && (m.At < from-gapMS || i > 0 && m.At <= stays[i-1].To.UnixMilli()) {
			continue
		}
		if m.At > to {
			j := begun(old, m.At)
			if silent(old[:j], m.At) && silent(stays, m.At) {
				return append(stays, old[j:]...), true
			}
			if !strings.HasPrefix(m.Word, onEdge) && j > 0 && old[j-1].To.UnixMilli() >= m.At {
				stays = Follow(stays, vehicle, m)
				stays[len(stays)-1].To = old[j-1].To
				return append(stays, old[j:]...), true
			}
		}
		stays = Follow(stays, vehicle, m)
	}
	j := begun(old, until)
	return append(stays, old[j:]...), silent(old[:j], until) && silent(stays, until)
}

// begun counts the stays that began until a moment.
func begun(stays []county.Stay, at int64) (n int) {
	for n < len(stays) && stays[n].From.UnixMilli() <= at {
		n++
	}
	return n
}

// silent reports whether no stay reaches to within Gap of a moment.
func silent(stays []county.Stay, at int64) bool {
	n := len(stays)
	return n == 0 || at-stays[n-1].To.UnixMilli() > gapMS
}
