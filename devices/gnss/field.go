package gnss

import (
	"errors"

	"yizhan/devices/telemetry"
)

// errField says that a field with a good checksum is no value of its kind.
var errField = errors.New("bad field")

// maxFields bounds the fields of a sentence: GSV has 20 at most.
const maxFields = 40

// fields are a sentence's fields; [0] is talker and type.
type fields struct {
	f [maxFields][]byte
	n int
}

// split cuts a sentence at its commas; false when there are more than maxFields.
func (s *fields) split(body []byte) bool {
	s.n = 0
	start := 0
	for i, c := range body {
		if c != ',' {
			continue
		}
		if s.n == maxFields-1 {
			return false
		}
		s.f[s.n] = body[start:i]
		s.n++
		start = i + 1
	}
	s.f[s.n] = body[start:]
	s.n++
	return true
}

// at returns field i, empty when the sentence has no such field.
func (s *fields) at(i int) []byte {
	if i >= s.n {
		return nil
	}
	return s.f[i]
}

// char returns the only character of field i, 0 when it is empty.
func (s *fields) char(i int) (byte, error) {
	switch b := s.at(i); len(b) {
	case 0:
		return 0, nil
	case 1:
		return b[0], nil
	}
	return 0, errField
}

// A decimal is a parsed number: the integer part and the fraction, apart, since positions and
// times need them apart.
type decimal struct {
	whole    int64
	places   int // digits of whole
	frac     int64
	pow      int64 // frac is frac/pow
	negative bool
}

func parseDecimal(b []byte) (d decimal, err error) {
	d.pow = 1
	i := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		d.negative = b[0] == '-'
		i = 1
	}
	digits, point := 0, false
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			return d, errField
		case point && d.pow < 1e12: // finer than any receiver; what follows is cut off
			d.frac = d.frac*10 + int64(c-'0')
			d.pow *= 10
		case !point:
			if d.whole >= 1e14 {
				return d, errField
			}
			d.whole = d.whole*10 + int64(c-'0')
			d.places++
		}
		digits++
	}
	if digits == 0 {
		return d, errField
	}
	return d, nil
}

func (d decimal) fraction() float64 { return float64(d.frac) / float64(d.pow) }

func (d decimal) float() float64 {
	v := float64(d.whole) + d.fraction()
	if d.negative {
		v = -v
	}
	return v
}

// float reads field i; unknown when empty, an error when outside lo to hi.
func (s *fields) float(i int, lo, hi float64) (telemetry.Opt[float64], error) {
	b := s.at(i)
	if len(b) == 0 {
		return telemetry.Opt[float64]{}, nil
	}
	d, err := parseDecimal(b)
	v := d.float()
	if err != nil || v < lo || v > hi {
		return telemetry.Opt[float64]{}, errField
	}
	return telemetry.Some(v), nil
}

// int reads a field of digits.
func (s *fields) int(i, hi int) (telemetry.Opt[int], error) {
	b := s.at(i)
	if len(b) == 0 {
		return telemetry.Opt[int]{}, nil
	}
	v, ok := digits(b)
	if !ok || v > hi {
		return telemetry.Opt[int]{}, errField
	}
	return telemetry.Some(v), nil
}

func digits(b []byte) (v int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// angle reads ddmm.mmmm and its hemisphere, fields i and i+1: degrees, negative in the south and
// west. All its digits must be there: one lost on the line would be another place.
func (s *fields) angle(i, places int, plus, minus byte, limit float64) (telemetry.Opt[float64], error) {
	b := s.at(i)
	side, err := s.char(i + 1)
	if len(b) == 0 || err != nil {
		return telemetry.Opt[float64]{}, err
	}
	d, err := parseDecimal(b)
	minutes := float64(d.whole%100) + d.fraction()
	v := float64(d.whole/100) + minutes/60
	if err != nil || d.negative || b[0] == '+' || d.places != places || minutes >= 60 || v > limit {
		return telemetry.Opt[float64]{}, errField
	}
	switch side {
	case plus:
		return telemetry.Some(v), nil
	case minus:
		return telemetry.Some(-v), nil
	}
	return telemetry.Opt[float64]{}, errField // a position on an unknown side is no position
}

// A point is a position in degrees.
type point struct{ lat, lon float64 }

// point reads latitude, side, longitude, side from field i on.
func (s *fields) point(i int) (telemetry.Opt[point], error) {
	lat, err := s.angle(i, 4, 'N', 'S', 90)
	if err != nil {
		return telemetry.Opt[point]{}, err
	}
	lon, err := s.angle(i+2, 5, 'E', 'W', 180)
	if err != nil || lat.Known() != lon.Known() {
		return telemetry.Opt[point]{}, errField
	}
	if !lat.Known() {
		return telemetry.Opt[point]{}, nil
	}
	return telemetry.Some(point{lat.Or(0), lon.Or(0)}), nil
}

const day = 24 * 60 * 60 * 1000 // milliseconds

// clock reads hhmmss.sss as milliseconds of the day. A leap second is 24:00:00 at most.
func (s *fields) clock(i int) (telemetry.Opt[int64], error) {
	b := s.at(i)
	if len(b) == 0 {
		return telemetry.Opt[int64]{}, nil
	}
	d, err := parseDecimal(b)
	h, m, sec := d.whole/10000, d.whole/100%100, d.whole%100
	if err != nil || b[0] == '-' || b[0] == '+' || d.places != 6 || h > 23 || m > 59 || sec > 60 {
		return telemetry.Opt[int64]{}, errField
	}
	return telemetry.Some(((h*60+m)*60+sec)*1000 + d.frac*1000/d.pow), nil
}

// date reads ddmmyy as days since 1970.
func (s *fields) date(i int) (telemetry.Opt[int64], error) {
	b := s.at(i)
	if len(b) == 0 {
		return telemetry.Opt[int64]{}, nil
	}
	v, ok := digits(b)
	if !ok || len(b) != 6 {
		return telemetry.Opt[int64]{}, errField
	}
	if v == 0 { // some receivers before their first fix
		return telemetry.Opt[int64]{}, nil
	}
	year := v%100 + 2000
	if year >= 2080 {
		year -= 100
	}
	return days(year, v/100%100, v/10000)
}
