package gnss

import (
	"yizhan/devices/telemetry"
)

// kind is a sentence type that is read, or what stands for one in another protocol.
type kind uint8

const (
	other kind = iota
	rmc
	gga
	gsa
	vtg
	gsv
	gns
	gll
	zda
	ubxPVT  // UBX NAV-PVT
	gpsdTPV // gpsd's TPV
)

// identify reads talker and type, five characters; other when it isn't ours.
func identify(id []byte) kind {
	if len(id) != 5 || talker(id) < 0 {
		return other
	}
	switch string(id[2:]) {
	case "RMC":
		return rmc
	case "GGA":
		return gga
	case "GSA":
		return gsa
	case "VTG":
		return vtg
	case "GSV":
		return gsv
	case "GNS":
		return gns
	case "GLL":
		return gll
	case "ZDA":
		return zda
	}
	return other
}

// talkers are whose sentences are read. BD is what Chinese modules send for GB.
var talkers = [...][2]byte{
	{'G', 'P'}, {'G', 'N'}, {'G', 'L'}, {'G', 'A'}, {'G', 'B'},
	{'B', 'D'}, {'G', 'Q'}, {'Q', 'Z'}, {'G', 'I'}, {'I', 'N'},
}

// talker returns the place of a sentence's talker in talkers, or -1.
func talker(id []byte) int {
	for i, t := range talkers {
		if id[0] == t[0] && id[1] == t[1] {
			return i
		}
	}
	return -1
}

// leastFields is how many fields a sentence without a checksum must have to be taken for whole,
// talker and type included.
var leastFields = [...]int{rmc: 12, gga: 15, gsa: 18, vtg: 9, gsv: 4, gns: 13, gll: 7, zda: 5}

// A vote is what one sentence says about the fix.
type vote uint8

const (
	silent   vote = iota
	fixed         // measured
	reckoned      // dead reckoning
	invented      // typed in by hand, or simulated
	refused       // no fix
)

// A report is what one sentence says; what it doesn't say is unknown.
type report struct {
	kind     kind
	tod      telemetry.Opt[int64] // milliseconds of the day
	date     telemetry.Opt[int64] // days since 1970
	where    telemetry.Opt[point]
	vote     vote
	speed    telemetry.Opt[float64] // m/s
	course   telemetry.Opt[float64]
	altitude telemetry.Opt[float64]
	hdop     telemetry.Opt[float64]
	used     telemetry.Opt[int] // satellites in the fix
	dims     int                // 1 none, 2, 3; 0 unknown
	inView   telemetry.Opt[int] // GSV
}

// parse reads one sentence that identify knows.
func parse(k kind, s *fields) (r report, err error) {
	r.kind = k
	switch k {
	case rmc:
		err = r.rmc(s)
	case gga:
		err = r.gga(s)
	case gsa:
		err = r.gsa(s)
	case vtg:
		err = r.vtg(s)
	case gsv:
		err = r.gsv(s)
	case gns:
		err = r.gns(s)
	case gll:
		err = r.gll(s)
	case zda:
		err = r.zda(s)
	}
	return r, err
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	knot    = 1852.0 / 3600 // m/s
	maxKnot = 1900.0        // beyond it no vehicle goes
)

func (r *report) rmc(s *fields) error {
	var errs [7]error
	var status, mode byte
	r.tod, errs[0] = s.clock(1)
	status, errs[1] = s.char(2)
	r.where, errs[2] = s.point(3)
	r.speed, errs[3] = s.scaled(7, maxKnot, knot)
	r.course, errs[4] = s.float(8, 0, 360)
	r.date, errs[5] = s.date(9)
	mode, errs[6] = s.char(12)
	r.vote = statusVote(status, mode)
	return first(errs[:]...)
}

// statusVote joins status and mode indicator. The navigational status of version 4.1 (V: none
// provided) is no such vote.
func statusVote(status, mode byte) vote {
	switch {
	case status != 'A' || mode == 'N':
		return refused
	case mode == 'E':
		return reckoned
	case mode == 'M' || mode == 'S':
		return invented
	}
	return fixed
}

func (r *report) gga(s *fields) error {
	var errs [7]error
	var quality telemetry.Opt[int]
	r.tod, errs[0] = s.clock(1)
	r.where, errs[1] = s.point(2)
	quality, errs[2] = s.int(6, 99)
	r.used, errs[3] = s.int(7, 999)
	r.hdop, errs[4] = s.float(8, 0, 1e4)
	r.altitude, errs[5] = s.float(9, -1e5, 1e6)
	var unit byte
	unit, errs[6] = s.char(10)
	if unit != 'M' {
		r.altitude = telemetry.Opt[float64]{}
	}
	switch q, _ := quality.Get(); q {
	case 0: // and unknown
		r.vote = refused
	case 6:
		r.vote = reckoned
	case 7, 8:
		r.vote = invented
	default:
		r.vote = fixed
	}
	return first(errs[:]...)
}

func (r *report) gsa(s *fields) error {
	dims, err1 := s.int(2, 3)
	hdop, err2 := s.float(16, 0, 1e4)
	r.dims, r.hdop = dims.Or(0), hdop
	return first(err1, err2)
}

// vtg has eight or nine fields, or in its old form four: course T, course M, knots, km/h.
func (r *report) vtg(s *fields) error {
	var errs [4]error
	r.course, errs[0] = s.float(1, 0, 360)
	knots, kmh, mode := 5, 7, byte(0)
	if s.n <= 5 && string(s.at(2)) != "T" {
		knots, kmh = 3, 4
	} else {
		mode, errs[1] = s.char(9)
	}
	r.speed, errs[2] = s.scaled(knots, maxKnot, knot)
	if !r.speed.Known() {
		r.speed, errs[3] = s.scaled(kmh, maxKnot*1.852, 1/3.6)
	}
	if mode == 'N' {
		r.speed, r.course = telemetry.Opt[float64]{}, telemetry.Opt[float64]{}
	}
	return first(errs[:]...)
}

func (r *report) gsv(s *fields) error {
	v, err := parseView(s)
	if err == nil && v.message == 1 {
		r.inView = telemetry.Some(v.total)
	}
	return err
}

func (r *report) gns(s *fields) error {
	var errs [5]error
	r.tod, errs[0] = s.clock(1)
	r.where, errs[1] = s.point(2)
	r.vote, errs[2] = modesVote(s.at(6))
	r.used, errs[3] = s.int(7, 999)
	r.hdop, errs[4] = s.float(8, 0, 1e4)
	altitude, err := s.float(9, -1e5, 1e6)
	r.altitude = altitude
	return first(first(errs[:]...), err)
}

// modesVote reads one mode a constellation: one that measures is a fix.
func modesVote(modes []byte) (vote, error) {
	best := refused
	for _, c := range modes {
		v := refused
		switch c {
		case 'A', 'D', 'P', 'R', 'F':
			v = fixed
		case 'E':
			v = reckoned
		case 'M', 'S':
			v = invented
		case 'N':
		default:
			return refused, errField
		}
		best = min(best, v)
	}
	return best, nil
}

func (r *report) gll(s *fields) error {
	var errs [4]error
	var status, mode byte
	r.where, errs[0] = s.point(1)
	r.tod, errs[1] = s.clock(5)
	status, errs[2] = s.char(6)
	mode, errs[3] = s.char(7)
	r.vote = statusVote(status, mode)
	return first(errs[:]...)
}

func (r *report) zda(s *fields) error {
	var errs [4]error
	var d, m, y telemetry.Opt[int]
	r.tod, errs[0] = s.clock(1)
	d, errs[1] = s.int(2, 31)
	m, errs[2] = s.int(3, 12)
	y, errs[3] = s.int(4, 9999)
	if err := first(errs[:]...); err != nil {
		return err
	}
	if d.Or(0) == 0 || m.Or(0) == 0 || y.Or(0) == 0 {
		return nil
	}
	var err error
	r.date, err = days(y.Or(0), m.Or(0), d.Or(0))
	return err
}

// scaled reads field i, 0 to hi, times unit.
func (s *fields) scaled(i int, hi, unit float64) (telemetry.Opt[float64], error) {
	v, err := s.float(i, 0, hi)
	if f, ok := v.Get(); ok {
		v = telemetry.Some(f * unit)
	}
	return v, err
}
