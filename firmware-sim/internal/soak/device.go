package soak

import (
	"fmt"
	"slices"
	"time"

	"yizhan/broker"
	"yizhan/devices/telemetry"
)

// event is something that happened once, and the reading that tells it.
type event struct {
	id      string // unique in the world; the body carries it
	device  *device
	reading telemetry.Reading
	acked   bool
	under   bool // offered, and not answered yet
}

// device is the firmware of a device: it tells its events until they are acknowledged, and now and then once more.
type device struct {
	w      *world
	board  *board
	name   string
	serial string // unique in the world
	kind   telemetry.Kind
	lan    bool // speaks MQTT; else a driver speaks for it
	memory bool // keeps what is not acknowledged over a crash of the gateway
	made   int
	waits  []*event

	visit *broker.Visit
	id    uint16
	sent  map[uint16]*event
}

var deviceKinds = map[string][]struct {
	name string
	kind telemetry.Kind
	lan  bool
}{
	"van-01":       {{"gps", telemetry.KindPosition, false}, {"cold", telemetry.KindClimate, true}, {"rfid", telemetry.KindTag, false}},
	"wh-1":         {{"dock-a", telemetry.KindTag, false}, {"cold-1", telemetry.KindClimate, true}, {"bench", telemetry.KindScan, true}},
	"lk-qingshi-1": {{"board", telemetry.KindLocker, false}, {"handheld", telemetry.KindScan, true}, {"lid", telemetry.KindDoor, true}},
}

func (w *world) attach(b *board) {
	for _, k := range deviceKinds[b.gateway] {
		w.serials++
		d := &device{w: w, board: b, name: k.name, serial: fmt.Sprintf("s%d", w.serials), kind: k.kind, lan: k.lan, memory: k.lan || k.kind == telemetry.KindLocker}
		b.devices = append(b.devices, d)
	}
}

// happen makes n events.
func (d *device) happen(n int) {
	for i := range n {
		d.made++
		id := fmt.Sprintf("%s-%d", d.serial, d.made)
		e := &event{id: id, device: d}
		at := d.w.wall()
		if d.kind == telemetry.KindPosition { // a van is in one place at a time
			at = at.Add(time.Duration(i-n) * time.Millisecond)
		}
		r := telemetry.New(d.name, at, telemetry.NTP, d.body())
		// A device with a clock of its own may have it wrong by years; one without says nothing.
		if d.w.plan.clockless && d.w.chance(.3) {
			r.At, r.TQ = time.Time{}, telemetry.Unknown
		} else if d.w.plan.clockless && d.w.chance(.1) {
			r.At = at.AddDate([]int{-20, 9, 1}[d.w.rng.IntN(3)], 0, 0)
		}
		if r.At.IsZero() || d.memory && d.kind != telemetry.KindClimate {
			r.N = id
		}
		r.Body = fmt.Appendf(r.Body[:len(r.Body)-1], `,"x":%q}`, id)
		e.reading = r
		d.waits = append(d.waits, e)
		d.w.events[id] = e
		d.w.made = append(d.w.made, e)
	}
	if most := 200; len(d.waits) > most && !d.memory {
		d.waits = d.waits[len(d.waits)-most:] // nothing was promised for them
	}
}

func (d *device) body() telemetry.Body {
	r := d.w.rng
	switch d.kind {
	case telemetry.KindPosition:
		return telemetry.Position{Lat: telemetry.Some(30.5 + float64(r.IntN(200))/1000), Lon: telemetry.Some(103.2 + float64(r.IntN(200))/1000), Valid: true}
	case telemetry.KindClimate:
		return telemetry.Climate{Probe: "a", TemperatureC: telemetry.Some(float64(r.IntN(200))/10 - 2)}
	case telemetry.KindTag:
		return telemetry.Tag{EPC: tags[r.IntN(len(tags))], Passage: []telemetry.Passage{telemetry.Arrive, telemetry.Depart, telemetry.In, telemetry.Out}[r.IntN(4)]}
	case telemetry.KindScan:
		return telemetry.Scan{Symbology: "code128", Text: waybills[r.IntN(len(waybills))]}
	case telemetry.KindDoor:
		return telemetry.Door{Open: telemetry.Some(r.IntN(2) == 0)}
	}
	events := []telemetry.CellEvent{telemetry.CellOpened, telemetry.CellClosed, telemetry.CellDeposited, telemetry.CellEmptied}
	return telemetry.Locker{Cell: telemetry.Some(1 + r.IntN(4)), Event: events[r.IntN(len(events))]}
}

// tell offers what waits.
func (d *device) tell() {
	if d.lan {
		d.publish()
		return
	}
	var batch []*event
	for _, e := range d.waits {
		if !e.under && len(batch) < 1+d.w.rng.IntN(8) {
			batch = append(batch, e)
		}
	}
	if len(batch) == 0 {
		return
	}
	var rs []telemetry.Reading
	for _, e := range batch {
		rs = append(rs, e.reading)
	}
	core := d.board.core
	if d.kind == telemetry.KindPosition {
		core.Observe(rs[len(rs)-1])
	}
	for _, e := range batch {
		e.under = true
	}
	err := core.Offer(rs, func(err error) {
		for _, e := range batch {
			e.under = false
			if err == nil {
				d.heard(e)
			}
		}
	})
	if err != nil {
		for _, e := range batch {
			e.under = false
		}
	}
}

// publish is tell for a device that speaks MQTT.
func (d *device) publish() {
	if d.visit == nil {
		d.visit, d.sent = d.board.core.Visit(d.name), map[uint16]*event{}
	}
	for _, e := range d.waits {
		if e.under {
			continue
		}
		d.id++
		ok, err := d.visit.Publish(d.id, d.kind, e.reading.AppendJSON(nil))
		if err != nil {
			d.lost()
			return
		}
		if !ok {
			break
		}
		e.under, d.sent[d.id] = true, e
	}
}

// acks takes the PUBACKs that came.
func (d *device) acks() {
	if d.visit == nil {
		return
	}
	ids, err := d.visit.Acks()
	for _, id := range ids {
		if e := d.sent[id]; e != nil {
			delete(d.sent, id)
			e.under = false
			d.heard(e)
		}
	}
	if err != nil {
		d.lost()
	}
}

// heard notes that an event was acknowledged. Now and then the device doesn't hear it.
func (d *device) heard(e *event) {
	if !e.acked {
		e.acked = true
		d.w.result.Acked++
		d.w.trace.note(d.w.now, "%s acknowledges %s", d.board.name, e.id)
	}
	if d.w.chance(d.w.plan.repeat) {
		d.w.count("repeated reading")
		return
	}
	d.waits = slices.DeleteFunc(d.waits, func(o *event) bool { return o == e })
}

// lost ends the connection to the gateway.
func (d *device) lost() {
	d.visit, d.sent = nil, nil
	for _, e := range d.waits {
		e.under = false
	}
	if !d.memory {
		d.waits = nil
	}
}
