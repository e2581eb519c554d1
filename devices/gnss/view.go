package gnss

import "yizhan/devices/telemetry"

// A view is one GSV sentence: satellites in view, up to four of them in detail.
type view struct {
	messages, message, total int
	sats                     [4]satellite
	n                        int                // of sats
	signal                   telemetry.Opt[int] // signal id since version 4.1, hexadecimal
}

type satellite struct {
	prn                     int
	elevation, azimuth, cn0 telemetry.Opt[int] // degrees, degrees, dB-Hz
}

// parseView reads GSV. Whether a signal id ends it is told by the count of fields: satellites take four each.
func parseView(s *fields) (v view, err error) {
	head := [3]telemetry.Opt[int]{}
	for i := range head {
		if head[i], err = s.int(i+1, 999); err != nil {
			return view{}, err
		}
	}
	v.messages, v.message, v.total = head[0].Or(0), head[1].Or(0), head[2].Or(0)
	rest := s.n - 4
	if rest < 0 || rest > 17 {
		return view{}, errField
	}
	for i := 4; i+4 <= 4+rest/4*4; i += 4 {
		if len(s.at(i)) == 0 {
			continue // a slot left empty
		}
		sat, err := parseSatellite(s, i)
		if err != nil {
			return view{}, err
		}
		v.sats[v.n] = sat
		v.n++
	}
	if id := s.at(s.n - 1); rest%4 == 1 && len(id) == 1 {
		d := hexDigit(id[0])
		if d > 15 {
			return view{}, errField
		}
		v.signal = telemetry.Some(int(d))
	}
	return v, nil
}

func parseSatellite(s *fields, i int) (sat satellite, err error) {
	var errs [4]error
	var prn telemetry.Opt[int]
	prn, errs[0] = s.int(i, 999)
	sat.prn = prn.Or(0)
	sat.elevation, errs[1] = s.int(i+1, 99)
	sat.azimuth, errs[2] = s.int(i+2, 360)
	sat.cn0, errs[3] = s.int(i+3, 99)
	return sat, first(errs[:]...)
}
