package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// The make-up of a round of one gateway: a frame of each lane.
const (
	perRound  = 100
	positions = 85
	climates  = 10
	tags      = 5
)

const parcels = 10_000

func gatewayID(n int) string { return fmt.Sprintf("van-%04d", n) }

func waybillID(n int) string { return fmt.Sprintf("BENCH-%06d", n) }

func epcOf(n int) string { return fmt.Sprintf("urn:epc:id:sgtin:0614141.812345.%d", n) }

// story makes the readings of gateway n, which are the same in both processes: they begin at start.
type story struct {
	n     int
	start time.Time
	rnd   *rand.Rand
	i     int
	lat   float64
	lon   float64
	tagNo int
}

func newStory(n int, start time.Time) *story {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	return &story{n: n, start: start, rnd: r, lat: 30.3 + r.Float64()*0.4, lon: 103 + r.Float64()*0.4}
}

// round makes the readings of one round, by lane.
func (s *story) round() map[telemetry.Lane][]telemetry.Reading {
	out := map[telemetry.Lane][]telemetry.Reading{}
	for range positions {
		s.i++
		s.lat += (s.rnd.Float64() - 0.5) * 2e-4
		s.lon += (s.rnd.Float64() - 0.5) * 2e-4
		at := s.start.Add(time.Duration(s.i) * time.Second)
		out[telemetry.Track] = append(out[telemetry.Track], telemetry.New("gps", at, telemetry.GNSS, telemetry.Position{
			Lat: telemetry.Some(s.lat), Lon: telemetry.Some(s.lon), AltitudeM: telemetry.Some(500 + s.rnd.Float64()*9), SpeedMPS: telemetry.Some(s.rnd.Float64() * 20),
			HeadingDeg: telemetry.Some(s.rnd.Float64() * 360), Fix: telemetry.Fix3D, Satellites: telemetry.Some(9), HDOP: telemetry.Some(0.9), Valid: true,
		}))
	}
	for j := range climates {
		at := s.start.Add(time.Duration(s.i-positions+j*8) * time.Second)
		out[telemetry.Condition] = append(out[telemetry.Condition], telemetry.New("cold", at, telemetry.NTP, telemetry.Climate{
			Probe: "1", TemperatureC: telemetry.Some(4 + s.rnd.Float64()), HumidityPct: telemetry.Some(60 + s.rnd.Float64()), Quality: telemetry.ClimateOK,
		}))
	}
	for j := range tags {
		at := s.start.Add(time.Duration(s.i-positions+j*16) * time.Second)
		passage := telemetry.Arrive
		if s.tagNo%2 == 1 {
			passage = telemetry.Depart
		}
		parcel := (s.n*10 + s.tagNo/2%10) % parcels
		s.tagNo++
		out[telemetry.Custody] = append(out[telemetry.Custody], telemetry.New("rfid", at, telemetry.NTP, telemetry.Tag{
			EPC: epcOf(parcel), EPCHex: "3074257BF7194E4000001A85", Antenna: telemetry.Some(1), RSSIDBm: telemetry.Some(-51.5), Reads: telemetry.Some(14), Passage: passage,
		}))
	}
	return out
}

// signed makes the frames of one gateway.
func signed(secret string, n, rounds int, start time.Time) ([]sealed, error) {
	id := gatewayID(n)
	enc, err := frame.NewEncoder(keyOf(secret, id))
	if err != nil {
		return nil, err
	}
	s := newStory(n, start)
	next := map[telemetry.Lane]uint64{}
	prev := map[telemetry.Lane][32]byte{}
	epoch := frame.Epoch(n + 1)
	var out []sealed
	for range rounds {
		for lane, rs := range s.round() {
			f := &frame.Frame{Gateway: id, Epoch: epoch, Lane: lane, Prev: prev[lane]}
			for _, r := range rs {
				next[lane]++
				f.Records = append(f.Records, frame.Record{
					Seq: next[lane], Type: frame.TypeReading, Quality: telemetry.NTP, Boot: frame.Boot{byte(n), byte(n >> 8)},
					MonoNS: r.At.Sub(start).Nanoseconds(), WallMS: r.At.UnixMilli(), Payload: r.AppendJSON(nil),
				})
			}
			last := &f.Records[len(f.Records)-1]
			prev[lane] = last.Hash(epoch, lane)
			raw, err := enc.Encode(f)
			if err != nil {
				return nil, err
			}
			out = append(out, sealed{lane: lane, last: last.Seq, raw: raw})
		}
	}
	return out, nil
}

// sealed is a frame ready to be sent.
type sealed struct {
	lane telemetry.Lane
	last uint64
	raw  []byte
}
