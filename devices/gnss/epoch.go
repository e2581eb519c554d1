package gnss

import (
	"math"
	"time"

	"yizhan/devices/telemetry"
)

// An epoch gathers the sentences of one time of day.
type epoch struct {
	seen     uint16 // bit per kind
	tod      telemetry.Opt[int64]
	date     telemetry.Opt[int64]
	zdaDate  telemetry.Opt[int64] // used when RMC has none
	where    telemetry.Opt[point]
	apart    bool // two sentences say positions that can't be one
	worst    vote // the least of what the sentences say
	speed    telemetry.Opt[float64]
	course   telemetry.Opt[float64]
	altitude telemetry.Opt[float64]
	hdop     telemetry.Opt[float64]
	used     telemetry.Opt[int]
	dims     int
}

const locating = 1<<rmc | 1<<gga | 1<<gns | 1<<gll | 1<<ubxPVT | 1<<gpsdTPV // the kinds that tell of a fix

// located reports whether there is anything to make a reading of.
func (e *epoch) located() bool { return e.seen&locating != 0 }

// ends reports whether r belongs to a later epoch. Receivers that don't know the time yet leave it
// empty: then a kind that comes again begins the next.
func (e *epoch) ends(r *report) bool {
	if !e.located() || locating&(1<<r.kind) == 0 {
		return false
	}
	if e.another(r) {
		return true
	}
	if e.tod.Known() && r.tod.Known() {
		return false
	}
	return e.seen&(1<<r.kind) != 0
}

// rounding is how far the times of one epoch may lie apart, in milliseconds, where NAV-PVT tells one
// of them: sentences round to 10 ms what it tells to the nanosecond.
const rounding = 10

// another reports whether r tells another time than the epoch's.
func (e *epoch) another(r *report) bool {
	slack := int64(0)
	if (e.seen|1<<r.kind)&(1<<ubxPVT) != 0 {
		slack = rounding
	}
	today, dated := e.date.Get()
	date, isDated := r.date.Get()
	now, timed := e.tod.Get()
	tod, isTimed := r.tod.Get()
	dated, timed = dated && isDated, timed && isTimed
	switch {
	case dated && timed:
		gap := (today-date)*day + now - tod
		return gap < -slack || gap > slack
	case timed:
		return !near(now, tod, slack)
	}
	return dated && today != date
}

// near reports whether two times of day are one, but for slack.
func near(a, b, slack int64) bool {
	gap := max(a-b, b-a)
	return min(gap, day-gap) <= slack
}

func (e *epoch) add(r *report) {
	e.seen |= 1 << r.kind
	switch r.kind {
	case zda:
		e.zdaDate = r.date
		return
	case gsa:
		// One a constellation: those without satellites in the fix say 1.
		e.dims = max(e.dims, r.dims)
	case ubxPVT, gpsdTPV:
		e.dims = r.dims
	case vtg:
		take(&e.speed, r.speed, !e.speed.Known())
		take(&e.course, r.course, !e.course.Known())
		return
	}
	take(&e.tod, r.tod, true)
	take(&e.date, r.date, true)
	if a, b := e.where, r.where; a.Known() && b.Known() {
		e.apart = e.apart || apart(a.Or(point{}), b.Or(point{}))
	}
	take(&e.where, r.where, true)
	take(&e.speed, r.speed, true)
	take(&e.course, r.course, true)
	take(&e.altitude, r.altitude, true)
	take(&e.hdop, r.hdop, r.kind != gsa || !e.hdop.Known())
	take(&e.used, r.used, true)
	e.worst = max(e.worst, r.vote)
}

// apart reports whether two positions differ by more than sentences of one fix round: about 100 m.
func apart(a, b point) bool {
	const degree = 0.001
	east := math.Abs(a.lon - b.lon)
	return math.Abs(a.lat-b.lat) > degree || min(east, 360-east) > degree
}

func take[T any](dst *telemetry.Opt[T], v telemetry.Opt[T], over bool) {
	if v.Known() && over {
		*dst = v
	}
}

// ownDate is the date that the epoch's sentences give.
func (e *epoch) ownDate() telemetry.Opt[int64] {
	if e.date.Known() {
		return e.date
	}
	return e.zdaDate
}

// position makes the body of the epoch's reading and says why it isn't valid: framesOK when it is.
func (e *epoch) position() (p telemetry.Position, why counter) {
	p = telemetry.Position{Fix: telemetry.FixNone, Satellites: e.used, HDOP: e.hdop}
	where, known := e.where.Get()
	switch {
	case e.worst == invented:
		return p, notMeasured
	case e.worst != fixed && e.worst != reckoned || !known:
		return p, noFix
	case e.apart:
		return p, disagree
	case where == point{}:
		return p, zeroPosition
	}
	p.Lat, p.Lon = telemetry.Some(where.lat), telemetry.Some(where.lon)
	p.AltitudeM, p.SpeedMPS, p.HeadingDeg = e.altitude, e.speed, e.course
	p.Valid = true
	switch {
	case e.worst == reckoned:
		p.Fix = telemetry.FixDR
	case e.dims == 3 || e.dims < 2 && e.altitude.Known():
		p.Fix = telemetry.Fix3D
	default:
		p.Fix = telemetry.Fix2D
	}
	return p, framesOK
}

// A fix is a finished epoch.
type fix struct {
	position telemetry.Position
	at       time.Time // zero: unknown
	quality  telemetry.Quality
}

func (f fix) reading(device string) telemetry.Reading {
	return telemetry.New(device, f.at, f.quality, f.position)
}
