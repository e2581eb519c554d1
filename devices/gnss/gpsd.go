package gnss

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"yizhan/devices/telemetry"
)

// maxObject is the longest line taken from gpsd, which says itself that 10 KiB is its longest.
const maxObject = 16 << 10

// objects are the lines of gpsd, and what they said of the sky.
type objects struct {
	line   []byte
	long   bool  // the line is longer than maxObject: the rest of it is skipped
	offset int64 // of the next byte

	used telemetry.Opt[int]
	hdop telemetry.Opt[float64]
}

// watch asks gpsd for reports, of one receiver where it is named.
func watch(receiver string) []byte {
	type policy struct {
		Enable bool   `json:"enable"`
		JSON   bool   `json:"json"`
		Device string `json:"device,omitempty"`
	}
	p, _ := json.Marshal(policy{Enable: true, JSON: true, Device: receiver}) // plain fields: it can't fail
	return fmt.Appendf(nil, "?WATCH=%s;\n", p)
}

// lines cuts a stream of gpsd into its objects, one a line.
func (d *decoder) lines(b []byte) {
	g := d.gpsd
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte("\n"))
		g.offset += int64(len(b) - len(rest))
		b = rest
		if room := maxObject - len(g.line); len(part) > room {
			part, g.long = part[:room], true
		}
		g.line = append(g.line, part...)
		if ended {
			d.line(1)
		}
	}
}

// lastLine takes what the stream ended with.
func (d *decoder) lastLine() {
	if d.gpsd != nil {
		d.line(0)
	}
}

// line takes the line that is complete but for its end.
func (d *decoder) line(end int64) {
	g := d.gpsd
	raw, long := bytes.TrimSpace(g.line), g.long
	at := g.offset - end - int64(len(g.line))
	g.line, g.long = g.line[:0], false
	switch {
	case long:
		d.refuse(tooLong, at, raw)
	case len(raw) > 0:
		if why := d.object(raw); why != framesOK {
			d.refuse(why, at, raw)
			return
		}
		d.count.add(framesOK)
	}
}

func (d *decoder) refuse(why counter, at int64, raw []byte) {
	d.count.add(why)
	d.reject(why, at, raw[:min(len(raw), maxSentence)])
}

// object takes one object by its class, and says why not: framesOK when it did. Unknown classes and
// keys are none of ours.
func (d *decoder) object(raw []byte) counter {
	var head struct {
		Class  string `json:"class"`
		Device string `json:"device"`
	}
	err := json.Unmarshal(raw, &head)
	mine := d.opt.Receiver == "" || head.Device == "" || head.Device == d.opt.Receiver
	switch {
	case err != nil:
	case head.Class == "TPV" && mine:
		err = d.tpv(raw)
	case head.Class == "SKY" && mine:
		err = d.sky(raw)
	case head.Class == "ERROR":
		return gpsdErrors // it can't do what it was asked
	default:
		d.count.add(ignored)
	}
	if err != nil {
		return malformed
	}
	return framesOK
}

// gpsd's modes and states of a fix (gpsd_json, TPV).
const (
	mode2D, mode3D                = 2, 3
	statusReckoned, statusFeigned = 5, 8
)

// tpv takes a position report. What gpsd doesn't know it leaves out.
func (d *decoder) tpv(raw []byte) error {
	var v struct {
		Mode   int        `json:"mode"`
		Status int        `json:"status"`
		Time   *time.Time `json:"time"`
		Lat    *float64   `json:"lat"`
		Lon    *float64   `json:"lon"`
		AltMSL *float64   `json:"altMSL"`
		Alt    *float64   `json:"alt"` // of releases before 3.20
		Speed  *float64   `json:"speed"`
		Track  *float64   `json:"track"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	r := report{kind: gpsdTPV, vote: refused, dims: max(min(v.Mode, mode3D), 1)}
	if t := v.Time; t != nil {
		if y := t.Year(); y < 1980 || y > 2199 {
			return errField
		}
		ms := t.Round(time.Millisecond).UnixMilli()
		r.tod, r.date = telemetry.Some(ms%day), telemetry.Some(ms/day)
	}
	g := d.gpsd
	if v.Mode < mode2D {
		g.used, g.hdop = telemetry.Opt[int]{}, telemetry.Opt[float64]{}
		d.apply(&r)
		return nil
	}
	var errs [5]error
	var lat, lon telemetry.Opt[float64]
	lat, errs[0] = bounded(v.Lat, -90, 90)
	lon, errs[1] = bounded(v.Lon, -180, 180)
	if v.AltMSL == nil {
		v.AltMSL = v.Alt
	}
	r.altitude, errs[2] = bounded(v.AltMSL, -1e5, 1e6)
	r.speed, errs[3] = bounded(v.Speed, 0, maxKnot*knot)
	r.course, errs[4] = bounded(v.Track, 0, 360)
	if err := first(errs[:]...); err != nil || lat.Known() != lon.Known() {
		return errField
	}
	if lat.Known() {
		r.where = telemetry.Some(point{lat.Or(0), lon.Or(0)})
	}
	r.used, r.hdop = g.used, g.hdop
	switch v.Status {
	case statusReckoned:
		r.vote = reckoned
	case statusFeigned:
		r.vote = invented
	default:
		r.vote = fixed
	}
	d.apply(&r)
	return nil
}

func bounded(v *float64, lo, hi float64) (telemetry.Opt[float64], error) {
	if v == nil {
		return telemetry.Opt[float64]{}, nil
	}
	if *v < lo || *v > hi {
		return telemetry.Opt[float64]{}, errField
	}
	return telemetry.Some(*v), nil
}

// sky takes a report of satellites; some say nothing of dilution, some nothing of satellites.
func (d *decoder) sky(raw []byte) error {
	var v struct {
		HDOP       *float64 `json:"hdop"`
		Seen       *int     `json:"nSat"`
		Used       *int     `json:"uSat"` // since release 3.22
		Satellites []struct {
			Used bool `json:"used"`
		} `json:"satellites"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	hdop, err := bounded(v.HDOP, 0, 1e4)
	if err != nil {
		return err
	}
	if hdop.Known() {
		d.gpsd.hdop = hdop
	}
	seen, used := len(v.Satellites), 0
	for _, s := range v.Satellites {
		if s.Used {
			used++
		}
	}
	if v.Used == nil && seen > 0 {
		v.Used = &used
	}
	if v.Seen == nil && seen > 0 {
		v.Seen = &seen
	}
	if v.Used != nil {
		if *v.Used < 0 || *v.Used > 999 {
			return errField
		}
		d.gpsd.used = telemetry.Some(*v.Used)
	}
	if v.Seen != nil && *v.Seen >= 0 {
		d.satellites(*v.Seen)
	}
	return nil
}
