package spool

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// maxProbes bounds what a summary remembers; readings of further probes are dropped and counted only.
const maxProbes = 256

// A summary is what is left of the climate readings of a stretch that is dropped: of each probe of each device the
// readings with the lowest and the highest value and the last one, as they were, each with what it is, and the
// last with how many all of them stand for (telemetry.Climate: summary, of). The value is the temperature, or the humidity where there is no temperature.
type summary struct {
	probes map[probeKey]*probeLeft
	order  []probeKey
}

type probeKey struct {
	device, probe string
	wet           bool // humidity only
}

type probeLeft struct {
	n              uint64
	low, high      float64
	min, max, last *kept
}

// kept is a reading that may be left.
type kept struct {
	reading telemetry.Reading
	stamp   stamp
	seq     uint64
}

func (s *summary) add(r *stored) {
	if r.lane != telemetry.Condition {
		return
	}
	var reading telemetry.Reading
	if json.Unmarshal(r.Payload, &reading) != nil || reading.Kind != telemetry.KindClimate {
		return
	}
	c, err := telemetry.As[telemetry.Climate](reading)
	if err != nil {
		return
	}
	k := probeKey{device: reading.Device, probe: c.Probe}
	v, known := c.TemperatureC.Get()
	if !known {
		v, known = c.HumidityPct.Get()
		k.wet = known
	}
	p := s.probes[k]
	if p == nil {
		if len(s.order) == maxProbes {
			return
		}
		if s.probes == nil {
			s.probes = map[probeKey]*probeLeft{}
		}
		p = &probeLeft{}
		s.probes[k] = p
		s.order = append(s.order, k)
	}
	this := &kept{reading, stamp{r.Boot, r.MonoNS, r.WallMS, r.Quality}, r.Seq}
	if c.Summary == "" {
		p.n++
	} else { // of an older stretch; its last reading has the number
		p.n += uint64(max(0, c.Of.Or(0)))
	}
	p.last = this
	if !known {
		return
	}
	if p.min == nil || v < p.low {
		p.min, p.low = this, v
	}
	if p.max == nil || v > p.high {
		p.max, p.high = this, v
	}
}

// entries returns what is left, in the order in which it was recorded, under the stamps it had. It is at most room bytes of
// records: the probes that were seen first go first.
func (s *summary) entries(room int64) (out []own) {
	type left struct {
		own
		seq uint64
	}
	var all []left
	for _, k := range s.order {
		p := s.probes[k]
		var mine []left
		for _, m := range []struct {
			*kept
			what string
			n    uint64
		}{{p.last, "last", p.n}, {p.min, "min", 0}, {p.max, "max", 0}} {
			if m.kept == nil || slices.ContainsFunc(mine, func(o left) bool { return o.seq == m.seq }) {
				continue
			}
			r := m.reading
			r.Body = summarised(r.Body, m.what, m.n)
			e := frame.Entry{Lane: telemetry.Condition, Type: frame.TypeReading, Payload: r.AppendJSON(nil)}
			mine = append(mine, left{own{e, m.stamp}, m.seq})
			room -= recordSize(len(e.Payload))
		}
		if room < 0 {
			break
		}
		all = append(all, mine...)
	}
	slices.SortStableFunc(all, func(a, b left) int { return cmp.Compare(a.seq, b.seq) })
	for _, l := range all {
		out = append(out, l.own)
	}
	return out
}

// summarised returns a body with what it is and, unless n is 0, of how many; what it said of that before is replaced.
func summarised(body []byte, what string, n uint64) []byte {
	out := []byte{'{'}
	_ = telemetry.EachField(body, func(key, val []byte) error {
		if string(key) != "summary" && string(key) != "of" {
			out = append(append(append(append(out, '"'), key...), '"', ':'), val...)
			out = append(out, ',')
		}
		return nil
	})
	out = append(append(append(out, `"summary":"`...), what...), '"')
	if n > 0 {
		out = strconv.AppendUint(append(out, `,"of":`...), n, 10)
	}
	return append(out, '}')
}
