package telemetry

import (
	"errors"
	"time"
)

// Body is what a reading of one kind tells.
type Body interface {
	// Kind returns the kind whose body this is.
	Kind() Kind
	// AppendJSON appends the body as a JSON object, unknown values left out.
	AppendJSON(dst []byte) []byte
}

// fielded is how a body is read: one call a field, then one check of the whole.
type fielded[T any] interface {
	*T
	set(key, val []byte) error
	check() error
}

// As decodes the body of a reading into T, which must be one of the bodies of this package. It
// does not look at the reading's kind. Its errors are *FieldError; unknown fields are skipped.
func As[T any, P fielded[T]](r Reading) (T, error) { return decode[T, P](r.Body) }

func checkAs[T any, P fielded[T]](body []byte) error {
	_, err := decode[T, P](body)
	return err
}

func decode[T any, P fielded[T]](body []byte) (T, error) {
	var v T
	err := EachField(body, func(key, val []byte) error {
		if string(val) == "null" {
			return nil
		}
		if err := P(&v).set(key, val); err != nil {
			if errors.Is(err, ErrInvalid) {
				return err
			}
			return invalid("body."+string(key), "%v", err)
		}
		return nil
	})
	if err != nil {
		if !errors.Is(err, ErrInvalid) {
			err = invalid("body", "%v", err)
		}
		return v, err
	}
	return v, P(&v).check()
}

func setFloat(o *Opt[float64], val []byte) error {
	f, err := number(val)
	*o = Some(f)
	return err
}

func setInt(o *Opt[int], val []byte) error {
	n, err := integer(val)
	*o = Some(int(n))
	return err
}

func setBool(o *Opt[bool], val []byte) error {
	b, err := boolean(val)
	*o = Some(b)
	return err
}

func setText(s *string, val []byte) (err error) {
	*s, err = text(val)
	return err
}

func setTime(t *time.Time, val []byte) error {
	s, err := text(val)
	if err != nil {
		return err
	}
	*t, err = time.Parse(time.RFC3339Nano, s)
	return err
}

func within(field string, o Opt[float64], lo, hi float64) error {
	if v, ok := o.Get(); ok && !(v >= lo && v <= hi) {
		return invalid("body."+field, "%v is outside %v to %v", v, lo, hi)
	}
	return nil
}

// first returns the first error that isn't nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func oneOf(field, v string, allowed ...string) error {
	for _, a := range allowed {
		if v == a {
			return nil
		}
	}
	return invalid("body."+field, "%.40q is none of %q", v, allowed)
}

// Fix says how a position was found: none, 2d, 3d, dr (dead reckoning).
type Fix string

// The fixes.
const (
	FixNone Fix = "none"
	Fix2D   Fix = "2d"
	Fix3D   Fix = "3d"
	FixDR   Fix = "dr"
)

// Position is the body of KindPosition: WGS-84 degrees, metres above mean sea level, metres a
// second, degrees from true north. Without a fix Valid is false and Lat and Lon are unknown.
type Position struct {
	Lat, Lon   Opt[float64] // degrees, WGS-84
	AltitudeM  Opt[float64] // above mean sea level
	SpeedMPS   Opt[float64]
	HeadingDeg Opt[float64] // true course over ground
	Fix        Fix
	Satellites Opt[int] // used in the fix
	HDOP       Opt[float64]
	Valid      bool
	// DateSuspect marks a date that is a GPS week roll-over old: the position holds, the date
	// must set no clock.
	DateSuspect bool
}

// Kind returns KindPosition.
func (Position) Kind() Kind { return KindPosition }

// AppendJSON appends the body.
func (p Position) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.float("lat", p.Lat, 9)
	o.float("lon", p.Lon, 9)
	o.float("altitude_m", p.AltitudeM, 2)
	o.float("speed_mps", p.SpeedMPS, 3)
	o.float("heading_deg", p.HeadingDeg, 2)
	o.str("fix", string(p.Fix))
	o.int("satellites", p.Satellites)
	o.float("hdop", p.HDOP, 2)
	o.bool("valid", Some(p.Valid))
	if p.DateSuspect {
		o.bool("date_suspect", Some(true))
	}
	return o.end()
}

func (p *Position) set(key, val []byte) error {
	switch string(key) {
	case "lat":
		return setFloat(&p.Lat, val)
	case "lon":
		return setFloat(&p.Lon, val)
	case "altitude_m":
		return setFloat(&p.AltitudeM, val)
	case "speed_mps":
		return setFloat(&p.SpeedMPS, val)
	case "heading_deg":
		return setFloat(&p.HeadingDeg, val)
	case "fix":
		return setText((*string)(&p.Fix), val)
	case "satellites":
		return setInt(&p.Satellites, val)
	case "hdop":
		return setFloat(&p.HDOP, val)
	case "valid":
		var err error
		p.Valid, err = boolean(val)
		return err
	case "date_suspect":
		var err error
		p.DateSuspect, err = boolean(val)
		return err
	}
	return nil
}

func (p *Position) check() error {
	if p.Lat.Known() != p.Lon.Known() {
		return invalid("body.lat", "lat and lon come together or not at all")
	}
	if p.Valid && !p.Lat.Known() {
		return invalid("body.valid", "is true without lat and lon")
	}
	if p.Fix != "" {
		if err := oneOf("fix", string(p.Fix), "none", "2d", "3d", "dr"); err != nil {
			return err
		}
	}
	return first(within("lat", p.Lat, -90, 90), within("lon", p.Lon, -180, 180),
		within("speed_mps", p.SpeedMPS, 0, 1000), within("heading_deg", p.HeadingDeg, 0, 360))
}

// Tag is the body of KindTag: an RFID tag seen by an antenna. Without Passage it is a raw read.
type Tag struct {
	EPC       string // pure identity URI, or upper-case hex when the tag isn't GS1
	EPCHex    string // upper-case hex of the EPC bank
	Antenna   Opt[int]
	RSSIDBm   Opt[float64] // strongest read
	Reads     Opt[int]     // reads folded into this one
	FirstSeen time.Time    // zero means unknown
	LastSeen  time.Time
	Passage   Passage
}

// Passage says what a fold of reads means: arrive, depart, in or out; empty for a raw read.
type Passage string

// The passages.
const (
	Arrive Passage = "arrive" // the tag came into the field
	Depart Passage = "depart" // the tag left the field
	In     Passage = "in"     // the tag went through the portal inwards
	Out    Passage = "out"    // the tag went through the portal outwards
)

// Kind returns KindTag.
func (Tag) Kind() Kind { return KindTag }

// AppendJSON appends the body.
func (t Tag) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("epc", t.EPC)
	o.str("epc_hex", t.EPCHex)
	o.int("antenna", t.Antenna)
	o.float("rssi_dbm", t.RSSIDBm, 2)
	o.int("reads", t.Reads)
	o.time("first_seen", t.FirstSeen)
	o.time("last_seen", t.LastSeen)
	o.str("passage", string(t.Passage))
	return o.end()
}

func (t *Tag) set(key, val []byte) error {
	switch string(key) {
	case "epc":
		return setText(&t.EPC, val)
	case "epc_hex":
		return setText(&t.EPCHex, val)
	case "antenna":
		return setInt(&t.Antenna, val)
	case "rssi_dbm":
		return setFloat(&t.RSSIDBm, val)
	case "reads":
		return setInt(&t.Reads, val)
	case "first_seen":
		return setTime(&t.FirstSeen, val)
	case "last_seen":
		return setTime(&t.LastSeen, val)
	case "passage":
		return setText((*string)(&t.Passage), val)
	}
	return nil
}

func (t *Tag) check() error {
	if t.EPC == "" {
		return invalid("body.epc", "is absent")
	}
	if len(t.EPC) > 256 || !printable(t.EPC) {
		return invalid("body.epc", "must be at most 256 printable characters")
	}
	if t.Passage != "" {
		return oneOf("passage", string(t.Passage), "arrive", "depart", "in", "out")
	}
	return nil
}

// ClimateQuality says whether a climate value can be trusted: ok, fault (no value), stuck, suspect.
type ClimateQuality string

// The climate qualities.
const (
	ClimateOK      ClimateQuality = "ok"
	ClimateFault   ClimateQuality = "fault"
	ClimateStuck   ClimateQuality = "stuck"
	ClimateSuspect ClimateQuality = "suspect"
)

// Climate is the body of KindClimate: one probe's temperature in degrees Celsius and relative
// humidity in per cent. A faulty probe gives Quality fault and no values.
//
// A gateway whose card was full for long drops the oldest readings, and of each probe leaves the one with the
// lowest value, the one with the highest and the last one (by temperature; by humidity where there is
// none). Such a reading says which it is in Summary (min, max, last); the last one says in Of how many there were.
type Climate struct {
	Probe        string
	TemperatureC Opt[float64]
	HumidityPct  Opt[float64]
	Quality      ClimateQuality
	Summary      string   // min, max or last; empty: a reading like any other
	Of           Opt[int] // readings that a summary's three stand for, with the last of them
}

// Kind returns KindClimate.
func (Climate) Kind() Kind { return KindClimate }

// AppendJSON appends the body.
func (c Climate) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("probe", c.Probe)
	o.float("temperature_c", c.TemperatureC, 3)
	o.float("humidity_pct", c.HumidityPct, 2)
	o.str("quality", string(c.Quality))
	o.str("summary", c.Summary)
	o.int("of", c.Of)
	return o.end()
}

func (c *Climate) set(key, val []byte) error {
	switch string(key) {
	case "probe":
		return setText(&c.Probe, val)
	case "temperature_c":
		return setFloat(&c.TemperatureC, val)
	case "humidity_pct":
		return setFloat(&c.HumidityPct, val)
	case "quality":
		return setText((*string)(&c.Quality), val)
	case "summary":
		return setText(&c.Summary, val)
	case "of":
		return setInt(&c.Of, val)
	}
	return nil
}

func (c *Climate) check() error {
	if c.Quality != "" {
		if err := oneOf("quality", string(c.Quality), "ok", "fault", "stuck", "suspect"); err != nil {
			return err
		}
	}
	if !c.TemperatureC.Known() && !c.HumidityPct.Known() && c.Quality != ClimateFault {
		return invalid("body.temperature_c", "neither temperature nor humidity, and quality is not fault")
	}
	return first(within("temperature_c", c.TemperatureC, -273.15, 1000), within("humidity_pct", c.HumidityPct, 0, 100))
}
