package epcis

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// Sample is what a cold box measured at a time.
type Sample struct {
	At           time.Time
	TemperatureC *float64
	HumidityPct  *float64
}

// Climate tells what a cold box measured.
type Climate interface {
	Climate(ctx context.Context, coldbox string, from, to time.Time) ([]Sample, error)
}

// around is how long before a step of cold goods what the cold box measured belongs to the step.
const around = 10 * time.Minute

// Maker makes events of the steps of parcels.
type Maker struct {
	names   *Names
	zone    *time.Location
	reg     *county.Registry
	climate Climate
}

// NewMaker makes a Maker for the county reg; climate may be nil, and then no step has a sensor element.
func NewMaker(reg *county.Registry, names *Names, climate Climate) (*Maker, error) {
	zone, err := time.LoadLocation(reg.Timezone)
	if err != nil {
		return nil, fmt.Errorf("epcis: %w", err)
	}
	return &Maker{names: names, zone: zone, reg: reg, climate: climate}, nil
}

// A rule says what a step is in the words of the CBV.
type rule struct {
	step, disp string
	action     string // of an ObjectEvent, or of an AggregationEvent where parent is set
	parent     string // vehicle: what it is loaded into or out of
	rests      bool   // it stays at the place: that is its bizLocation
}

// rules by the step of a timeline; rulesByStage is for steps that aren't here.
var rules = map[string]rule{
	"created":      {step: "commissioning", disp: "active", action: "ADD"},
	"aboard":       {step: "loading", disp: "in_transit", action: "ADD", parent: "vehicle"},
	"off":          {step: "unloading", disp: "in_progress", action: "DELETE", parent: "vehicle"},
	"left_site":    {step: "departing", disp: "in_transit", action: "OBSERVE"},
	"reached_site": {step: "arriving", disp: "in_transit", action: "OBSERVE"},
	"deposited":    {step: "storing", disp: "available", action: "OBSERVE", rests: true},
	"collected":    {step: "accepting", disp: "in_progress", action: "OBSERVE"},
}

// rulesOfPeople are for what people say that led to no stage: it stays where it is, and isn't as it should be.
var rulesOfPeople = map[string]rule{
	"cancelled": {step: "holding", disp: "non_sellable_other", action: "OBSERVE"},
	"refused":   {step: "holding", disp: "non_sellable_other", action: "OBSERVE"},
	"damaged":   {step: "inspecting", disp: "damaged", action: "OBSERVE"},
}

var rulesByStage = map[county.Stage]rule{
	county.AtWarehouse:    {step: "receiving", disp: "in_progress", action: "OBSERVE", rests: true},
	county.Sorted:         {step: "staging_outbound", disp: "in_progress", action: "OBSERVE", rests: true},
	county.Loaded:         {step: "shipping", disp: "in_transit", action: "OBSERVE"},
	county.InTransit:      {step: "transporting", disp: "in_transit", action: "OBSERVE"},
	county.AtOutlet:       {step: "receiving", disp: "available", action: "OBSERVE", rests: true},
	county.InLocker:       {step: "storing", disp: "available", action: "OBSERVE", rests: true},
	county.OutForDelivery: {step: "shipping", disp: "in_transit", action: "OBSERVE"},
	county.PickedUp:       {step: "accepting", disp: "in_progress", action: "OBSERVE"},
	county.SignedFor:      {step: "accepting", disp: "in_progress", action: "OBSERVE"},
	county.Completed:      {step: "decommissioning", disp: "inactive", action: "DELETE"},
	county.Returned:       {step: "receiving", disp: "returned", action: "OBSERVE", rests: true},
	county.LostClosed:     {step: "decommissioning", disp: "unknown", action: "DELETE"},
}

// Event is the event of a step that the fact with this key tells. ok is false for what is no business step: evidence that led to
// no stage and loaded or unloaded nothing.
func (m *Maker) Event(ctx context.Context, key string, told county.StepTold) (e county.EPCISEvent, ok bool, err error) {
	doc, ok, err := m.document(ctx, key, told)
	if err != nil || !ok {
		return e, ok, err
	}
	e, err = m.row(doc)
	e.Key, e.Waybill = key, told.Waybill
	return e, true, err
}

// Packing is the event of an item going into a container or out of it.
func (m *Maker) Packing(key string, p county.Packed) (county.EPCISEvent, error) {
	doc := event{
		Type: "AggregationEvent", EventTime: milli(p.At), Offset: p.At.In(m.zone).Format("-07:00"), Action: "ADD", BizStep: "packing", Disposition: "in_progress",
		Parent: m.names.Container(p.Container, p.ContainerEPC), Children: []string{m.names.Container(p.Item, p.ItemEPC)}, Telling: p.Times,
	}
	if !p.In {
		doc.Action, doc.BizStep = "DELETE", "unpacking"
	}
	if p.Parcel {
		doc.Children = []string{m.names.Parcel(p.Item, p.ItemEPC)}
		doc.Transactions = []transaction{{"bol", m.names.Of("waybill", p.Item)}}
	}
	e, err := m.row(doc)
	e.Key = key
	if p.Parcel {
		e.Waybill = p.Item
	}
	return e, err
}

// Retraction is the event e again, with the declaration that it was wrong (EPCIS 2.0, 7.4.1.4): did_not_occur, or
// incorrect_data where corrective says what is true.
func (m *Maker) Retraction(e county.EPCISEvent, at time.Time, corrective []string) (county.EPCISEvent, error) {
	var doc event
	if err := json.Unmarshal(e.Doc, &doc); err != nil {
		return e, fmt.Errorf("epcis: event %s: %w", e.ID, err)
	}
	doc.Declaration = &declaration{Time: milli(at), Reason: "did_not_occur"}
	if len(corrective) > 0 {
		doc.Declaration.Reason, doc.Declaration.Corrective = "incorrect_data", corrective
	}
	wrong, err := m.row(doc)
	wrong.Key, wrong.Waybill = "retracted/"+e.Key, e.Waybill
	return wrong, err
}

// row gives doc its hash id and finds in it what queries look for.
func (m *Maker) row(doc event) (county.EPCISEvent, error) {
	doc.EventID = ""
	raw, err := json.Marshal(doc)
	if err != nil {
		return county.EPCISEvent{}, fmt.Errorf("epcis: %w", err)
	}
	generic, err := decode(raw)
	if err != nil {
		return county.EPCISEvent{}, err
	}
	doc.EventID = HashID(generic, m.names.Spaces())
	generic["eventID"] = doc.EventID
	e := index(generic, m.names.Spaces())
	e.Doc, err = json.Marshal(doc)
	return e, err
}

func (m *Maker) document(ctx context.Context, key string, told county.StepTold) (doc event, ok bool, err error) {
	row := &told.Row
	r, ok := ruleOf(row)
	if !ok {
		return doc, false, nil
	}
	kind, id, _ := strings.Cut(row.Place, "/")
	doc = event{
		Type: "ObjectEvent", EventTime: milli(row.At), Offset: row.At.In(m.zone).Format("-07:00"),
		Action: r.action, BizStep: r.step, Disposition: r.disp,
		Transactions: []transaction{{"bol", m.names.Of("waybill", told.Waybill)}},
		Confidence:   string(row.Confidence), TimeQuality: string(row.TQ), Cell: row.Cell, Telling: telling(key, row),
	}
	if row.Via != "" {
		doc.Via = m.names.Of("container", row.Via)
	}
	parcel := []string{m.names.Parcel(told.Waybill, told.EPC)}
	doc.EPCs = parcel
	if parent := m.parent(r, row); parent != "" {
		doc.Type, doc.EPCs, doc.Parent, doc.Children = "AggregationEvent", nil, parent, parcel
	}
	if told.Site != "" {
		doc.Destinations = []destination{{"location", m.names.Of("site", told.Site)}}
	}
	switch site := m.site(kind, id); {
	case row.Device != "":
		doc.ReadPoint = &place{m.names.ReadPoint(row.Device, site)}
	case id != "":
		doc.ReadPoint = &place{m.names.Of(kind, id)}
	}
	if r.rests && id != "" && kind != "vehicle" {
		doc.BizLocation = &place{m.names.Of(kind, id)}
	}
	doc.SensorElements, err = m.sensors(ctx, told.Handling, kind, id, row.At)
	return doc, true, err
}

func ruleOf(row *county.Evidence) (rule, bool) {
	if r, ok := rules[row.Step]; ok {
		return r, true
	}
	if row.Stage != "" {
		r, ok := rulesByStage[row.Stage]
		return r, ok
	}
	r, ok := rulesOfPeople[row.Step]
	return r, ok
}

// telling is how often a step was told, which the end of its fact's key says; 0 the first time.
func telling(key string, row *county.Evidence) int {
	_, after, _ := strings.Cut(key, "/"+row.Step+"/")
	n, err := strconv.Atoi(after)
	if err != nil || n < 2 {
		return 0
	}
	return n
}

func (m *Maker) parent(r rule, row *county.Evidence) string {
	kind, id, _ := strings.Cut(row.Place, "/")
	if r.parent == "" || kind != r.parent || id == "" {
		return ""
	}
	return m.names.Of(kind, id)
}

// site is where a place is, as far as the registry says.
func (m *Maker) site(kind, id string) string {
	switch kind {
	case "site":
		return id
	case "locker":
		for i := range m.reg.Lockers {
			if m.reg.Lockers[i].ID == id {
				return m.reg.Lockers[i].Site
			}
		}
	}
	return ""
}

// sensors is what the cold box at the place measured before the step, of goods that must be cold.
func (m *Maker) sensors(ctx context.Context, handling, kind, id string, at time.Time) ([]sensorElement, error) {
	if m.climate == nil || handling != "chilled" && handling != "frozen" {
		return nil, nil
	}
	box, ok := m.box(handling, kind, id)
	if !ok {
		return nil, nil
	}
	samples, err := m.climate.Climate(ctx, box.ID, at.Add(-around), at)
	if err != nil {
		return nil, fmt.Errorf("epcis: climate of %s: %w", box.ID, err)
	}
	var warm, damp summary
	for _, s := range samples {
		warm.add(s.TemperatureC, s.At)
		damp.add(s.HumidityPct, s.At)
	}
	if warm.n == 0 {
		return nil, nil
	}
	e := sensorElement{Metadata: sensorMetadata{milli(warm.first), milli(warm.last), m.names.Of("coldbox", box.ID)}}
	temperature := warm.report("Temperature", "CEL")
	if warm.min < box.MinC || warm.max > box.MaxC {
		temperature.Alarm = "ALARM_CONDITION"
	}
	e.Reports = append(e.Reports, temperature)
	if damp.n > 0 {
		e.Reports = append(e.Reports, damp.report("RelativeHumidity", "P1"))
	}
	return []sensorElement{e}, nil
}

// box is the cold box that such goods are in at a place: the vehicle's, or the site's whose limits fit.
func (m *Maker) box(handling, kind, id string) (county.ColdBox, bool) {
	for _, b := range m.reg.ColdBoxes {
		fits := (handling == "frozen") == (b.MaxC < 0)
		if fits && (kind == "vehicle" && b.Vehicle == id || kind == "site" && b.Site == id) && id != "" {
			return b, true
		}
	}
	return county.ColdBox{}, false
}

// summary is the least, most and mean of some samples.
type summary struct {
	n             int
	min, max, sum float64
	first, last   time.Time
}

func (s *summary) add(v *float64, at time.Time) {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return
	}
	if s.n == 0 {
		s.min, s.max, s.first = *v, *v, at
	}
	s.n++
	s.min, s.max, s.sum = min(s.min, *v), max(s.max, *v), s.sum+*v
	if at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
}

func (s *summary) report(kind, unit string) sensorReport {
	return sensorReport{Type: kind, Min: cents(s.min), Max: cents(s.max), Mean: cents(s.sum / float64(s.n)), Unit: unit}
}

func cents(f float64) float64 { return math.Round(f*100) / 100 }
