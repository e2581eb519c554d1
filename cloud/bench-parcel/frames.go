package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// A county of so many boards; each run of perFrame parcels goes one way through it.
const (
	perFrame = 500 // readings of a frame
	halls    = 4   // gateways of the warehouse, each at a door inwards and one outwards
	outlets  = 8   // each with a van
	steps    = 4   // readings of a parcel
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)) // of all boards

// smallCounty is where the parcels go.
func smallCounty() *county.Registry {
	r := &county.Registry{Sites: []county.Site{{ID: "wh", Kind: county.Warehouse, Lat: 30.5, Lon: 103.2, FenceM: 200}}, Bindings: map[string]string{}}
	for n := range halls {
		g, in, out := fmt.Sprintf("wh-%d", n), fmt.Sprintf("in-%d", n), fmt.Sprintf("out-%d", n)
		r.Gateways = append(r.Gateways, county.Gateway{ID: g, Site: "wh"})
		r.Boundaries = append(r.Boundaries, county.Boundary{ID: in, Site: "wh", Kind: county.Inbound}, county.Boundary{ID: out, Site: "wh", Kind: county.Outbound})
		r.Bindings[g+"/dock-a"], r.Bindings[g+"/scan-a"] = "boundary/"+in, "boundary/"+in
		r.Bindings[g+"/dock-b"], r.Bindings[g+"/scan-b"] = "boundary/"+out, "boundary/"+out
	}
	for n := range outlets {
		o, v, g := outlet(n*perFrame), fmt.Sprintf("v%02d", n), fmt.Sprintf("van-%02d", n)
		r.Sites = append(r.Sites, county.Site{ID: o, Kind: county.Outlet, Lat: 30.6 + 0.02*float64(n), Lon: 103.3, FenceM: 150})
		r.Vehicles = append(r.Vehicles, county.Vehicle{ID: v, Kind: "postal_van", Gateway: g})
		r.Gateways = append(r.Gateways, county.Gateway{ID: g, Vehicle: v}, county.Gateway{ID: o + "-1", Site: o})
		r.Bindings[g+"/rfid"] = "vehicle/" + v
	}
	return r
}

func waybill(i int) string { return fmt.Sprintf("YZ%010d", i) }

// tag is that of a parcel, where it bears one.
func tag(i int) string {
	if i%10 >= 3 {
		return ""
	}
	return fmt.Sprintf("urn:epc:id:sgtin:0614141.812345.%d", i+1)
}

func outlet(i int) string { return fmt.Sprintf("village-%d", i/perFrame%outlets) }

// reading is one of the readings of a parcel, and the gateway that tells it.
func (b *bench) reading(i, step int) (gateway string, r telemetry.Reading) {
	at := b.start.Add(time.Duration(step)*time.Hour + time.Duration(i%3_000_000)*time.Millisecond)
	seen := func(device string, p telemetry.Passage) telemetry.Reading {
		return telemetry.New(device, at, telemetry.NTP, telemetry.Tag{EPC: tag(i), Passage: p, Antenna: telemetry.Some(1), Reads: telemetry.Some(17), RSSIDBm: telemetry.Some(-58.5)})
	}
	scan := func(device string) telemetry.Reading {
		return telemetry.New(device, at, telemetry.NTP, telemetry.Scan{Symbology: "code128", Text: waybill(i)})
	}
	tagged := tag(i) != ""
	hall, van := fmt.Sprintf("wh-%d", i/perFrame%halls), fmt.Sprintf("van-%02d", i/perFrame%outlets)
	switch {
	case step == 0 && tagged:
		return hall, seen("dock-a", telemetry.In)
	case step == 0:
		return hall, scan("scan-a")
	case step == 1 && tagged:
		return hall, seen("dock-b", telemetry.Out)
	case step == 1:
		return hall, scan("scan-b")
	case step == 2 && tagged:
		return van, seen("rfid", telemetry.Arrive)
	case step == 2:
		return van, scan("handheld")
	}
	return outlet(i) + "-1", scan("handheld")
}

// A sent is a frame as its gateway sends it.
type sent struct {
	gateway string
	n       int // readings
	raw     []byte
}

// live are the frames of a county at work: at any time parcels are at each of the steps, and between two readings of a parcel lie
// three times -parcels-at-once others.
func (b *bench) live(from, to int) (out []sent, err error) {
	cohorts := (to - from + b.o.batch - 1) / b.o.batch
	for wave := range cohorts + steps - 1 {
		for step := steps - 1; step >= 0; step-- {
			if c := wave - step; c >= 0 && c < cohorts {
				lo := from + c*b.o.batch
				if out, err = b.frames(out, lo, min(to, lo+b.o.batch), step); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// backlog are the frames of boards that were cut off: of few parcels at a time all that there is.
func (b *bench) backlog(from, to int) (out []sent, err error) {
	at := max(perFrame, b.o.batch/steps)
	for lo := from; lo < to; lo += at {
		for step := range steps {
			if out, err = b.frames(out, lo, min(to, lo+at), step); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// frames adds the frames of one step of some parcels.
func (b *bench) frames(out []sent, from, to, step int) ([]sent, error) {
	enc, err := frame.NewEncoder(key)
	if err != nil {
		return nil, err
	}
	for lo := from; lo < to; lo += perFrame {
		b.epoch++
		f := &frame.Frame{Epoch: b.epoch, Lane: telemetry.Custody}
		for i := lo; i < min(to, lo+perFrame); i++ {
			gateway, r := b.reading(i, step)
			f.Gateway = gateway
			f.Records = append(f.Records, frame.Record{Seq: uint64(i - lo + 1), Type: frame.TypeReading, Quality: telemetry.Unknown, MonoNS: int64(i), Payload: r.AppendJSON(nil)})
		}
		raw, err := enc.Encode(f)
		if err != nil {
			return nil, err
		}
		out = append(out, sent{f.Gateway, len(f.Records), raw})
	}
	return out, nil
}

// rawRows are the readings from one to before another as COPY gets them.
func (b *bench) rawRows(from, to int) (rows [][]any) {
	for n := from; n < to; n++ {
		gateway, r := b.reading(n/steps, n%steps)
		id := county.IdentityOf(gateway, &r, 1, telemetry.Custody, 1).String()
		rows = append(rows, []any{id, gateway, gateway + "/" + r.Device, string(r.Kind), waybill(n / steps), r.At.UnixMilli(), string(r.Body)})
	}
	return rows
}
