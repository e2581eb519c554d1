package jt808

import (
	"math/bits"
	"time"

	"yizhan/devices/telemetry"
)

// alarmBits are the alarms of a location by bit (JT/T 808-2019, table 24).
var alarmBits = [32]struct {
	code     string
	severity telemetry.Severity
}{
	0: {"sos", telemetry.Critical}, 1: {"overspeed", telemetry.Major}, 2: {"fatigue", telemetry.Major},
	3: {"danger", telemetry.Major}, 4: {"gnss_fault", telemetry.Minor}, 5: {"antenna_cut", telemetry.Minor},
	6: {"antenna_short", telemetry.Minor}, 7: {"main_power_low", telemetry.Minor}, 8: {"main_power_off", telemetry.Major},
	9: {"display_fault", telemetry.Info}, 10: {"tts_fault", telemetry.Info}, 11: {"camera_fault", telemetry.Info},
	12: {"card_reader_fault", telemetry.Info}, 13: {"overspeed_warning", telemetry.Minor}, 14: {"fatigue_warning", telemetry.Minor},
	15: {"violation", telemetry.Minor}, 16: {"tyre_pressure", telemetry.Major}, 17: {"blind_spot", telemetry.Minor},
	18: {"day_driving", telemetry.Minor}, 19: {"parked_too_long", telemetry.Minor}, 20: {"area", telemetry.Minor},
	21: {"route", telemetry.Minor}, 22: {"segment_time", telemetry.Minor}, 23: {"off_route", telemetry.Minor},
	24: {"vss_fault", telemetry.Minor}, 25: {"fuel", telemetry.Major}, 26: {"stolen", telemetry.Critical},
	27: {"illegal_ignition", telemetry.Major}, 28: {"illegal_move", telemetry.Major}, 29: {"collision", telemetry.Critical},
	30: {"rollover", telemetry.Critical}, 31: {"illegal_door", telemetry.Major},
}

// bitsOf2019 were reserved before.
const bitsOf2019 = 1<<15 | 1<<16 | 1<<17

// A series is where a run of locations in the order of their times stands.
type series struct {
	at    int64 // unix seconds of the last
	alarm uint32
}

// edges are the alarm bits of the live locations and of a replay, which goes through old times in an order of its own.
type edges struct{ live, replay series }

// rising returns the bits that a location raises. One without a time follows the last.
func (e *edges) rising(alarm uint32, at time.Time) uint32 {
	s := &e.live
	t := at.Unix()
	switch {
	case at.IsZero():
		t = s.at
	case t < s.at:
		if s = &e.replay; t < s.at {
			*s = series{} // another replay begins
		}
	}
	up := alarm &^ s.alarm
	*s = series{t, alarm}
	return up
}

// appendAlarms appends one alarm for each rising bit.
func (e *edges) appendAlarms(rs []telemetry.Reading, device string, alarm uint32, is2019 bool, at time.Time, q telemetry.Quality, count *counters) []telemetry.Reading {
	if !is2019 {
		alarm &^= bitsOf2019
	}
	for up := e.rising(alarm, at); up != 0; up &= up - 1 {
		a := alarmBits[bits.TrailingZeros32(up)]
		rs = append(rs, telemetry.New(device, at, q, telemetry.Alarm{Code: a.code, Severity: a.severity}))
		count.add(alarms)
	}
	return rs
}
