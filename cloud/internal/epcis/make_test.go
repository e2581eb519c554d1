package epcis

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

var t0 = time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)

func smallCounty() *county.Registry {
	return &county.Registry{
		Timezone: "Asia/Shanghai", GS1: county.GS1{Prefix: "9521234", Base: "https://id.yunling.example"},
		Sites: []county.Site{
			{ID: "wh", Kind: county.Warehouse, SGLN: "urn:epc:id:sgln:9521234.00001.0"}, {ID: "out-a", Kind: county.Outlet},
		},
		Vehicles: []county.Vehicle{{ID: "v03"}},
		Lockers:  []county.Locker{{ID: "lk-a", Site: "out-a"}},
		ColdBoxes: []county.ColdBox{
			{ID: "cb-v03", Vehicle: "v03", MinC: 2, MaxC: 8}, {ID: "fr-1", Site: "wh", MinC: -22, MaxC: -15}, {ID: "cr-1", Site: "wh", MinC: 2, MaxC: 8},
		},
	}
}

type fridge struct {
	asked   string
	samples []Sample
	err     error
}

func (f *fridge) Climate(_ context.Context, box string, _, _ time.Time) ([]Sample, error) {
	f.asked = box
	return f.samples, f.err
}

func maker(t testing.TB, c Climate) *Maker {
	reg := smallCounty()
	names, err := NewNames(reg.GS1.Base, reg.Sites)
	require.NoError(t, err)
	m, err := NewMaker(reg, names, c)
	require.NoError(t, err)
	return m
}

func told(step string, stage county.Stage, place string) county.StepTold {
	return county.StepTold{
		Waybill: "YZ2600000001", Site: "out-a", Handling: "ambient",
		Row: county.Evidence{ID: "e1", At: t0, TQ: "gnss", Step: step, Stage: stage, Place: place, Confidence: county.Confirmed},
	}
}

func TestEveryBusinessStepIsAnEvent(t *testing.T) {
	m := maker(t, nil)
	for _, c := range []struct {
		step  string
		stage county.Stage
		place string
		want  [4]string // type, action, bizStep, disposition
	}{
		{"created", county.Created, "", [4]string{"ObjectEvent", "ADD", "commissioning", "active"}},
		{"arrived", county.AtWarehouse, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "receiving", "in_progress"}},
		{"scanned", county.Sorted, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "staging_outbound", "in_progress"}},
		{"passed_out", county.Loaded, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "shipping", "in_transit"}},
		{"aboard", county.Loaded, "vehicle/v03", [4]string{"AggregationEvent", "ADD", "loading", "in_transit"}},
		{"aboard", "", "vehicle/v03", [4]string{"AggregationEvent", "ADD", "loading", "in_transit"}},
		{"left_site", county.InTransit, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "departing", "in_transit"}},
		{"reached_site", "", "site/out-a", [4]string{"ObjectEvent", "OBSERVE", "arriving", "in_transit"}},
		{"off", county.AtOutlet, "vehicle/v03", [4]string{"AggregationEvent", "DELETE", "unloading", "in_progress"}},
		{"scanned", county.AtOutlet, "site/out-a", [4]string{"ObjectEvent", "OBSERVE", "receiving", "available"}},
		{"deposited", county.InLocker, "locker/lk-a", [4]string{"ObjectEvent", "OBSERVE", "storing", "available"}},
		{"collected", county.PickedUp, "locker/lk-a", [4]string{"ObjectEvent", "OBSERVE", "accepting", "in_progress"}},
		{"signed", county.SignedFor, "", [4]string{"ObjectEvent", "OBSERVE", "accepting", "in_progress"}},
		{"completed", county.Completed, "", [4]string{"ObjectEvent", "DELETE", "decommissioning", "inactive"}},
		{"back", county.Returned, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "receiving", "returned"}},
		{"cancelled", county.Returned, "site/wh", [4]string{"ObjectEvent", "OBSERVE", "receiving", "returned"}},
		{"cancelled", "", "vehicle/v03", [4]string{"ObjectEvent", "OBSERVE", "holding", "non_sellable_other"}},
		{"refused", "", "site/out-a", [4]string{"ObjectEvent", "OBSERVE", "holding", "non_sellable_other"}},
		{"damaged", "", "site/out-a", [4]string{"ObjectEvent", "OBSERVE", "inspecting", "damaged"}},
		{"lost", county.LostClosed, "", [4]string{"ObjectEvent", "DELETE", "decommissioning", "unknown"}},
	} {
		e, ok, err := m.Event(t.Context(), "step/YZ2600000001/e1/"+c.step, told(c.step, c.stage, c.place))
		require.NoError(t, err, c.step)
		require.True(t, ok, c.step)
		require.Equal(t, c.want, [4]string{e.Type, e.Action, e.BizStep, e.Disposition}, c.step)
		require.Equal(t, "YZ2600000001", e.Waybill)
		validEvent(t, m, e)
	}
	_, ok, err := m.Event(t.Context(), "step/YZ2600000001/e1/departed", told("departed", "", "site/wh"))
	require.NoError(t, err)
	require.False(t, ok, "evidence that led to nothing")
}

// validEvent checks an event by the same rules as a partner's, and its id by its content.
func validEvent(t testing.TB, m *Maker, e county.EPCISEvent) map[string]any {
	doc, err := decode(e.Doc)
	require.NoError(t, err)
	k := &checker{spaces: m.names.Spaces()}
	k.event("event", doc)
	require.Empty(t, k.faults, string(e.Doc))
	require.Equal(t, e.ID, doc["eventID"])
	require.Equal(t, e.ID, HashID(doc, m.names.Spaces()))
	return doc
}

func TestAnEventInFull(t *testing.T) {
	m := maker(t, nil)
	s := told("arrived", county.AtWarehouse, "site/wh")
	s.EPC, s.Row.Device = "urn:epc:id:sscc:9521234.1000000001", "wh-1/dock-a"
	e, _, err := m.Event(t.Context(), "step/YZ2600000001/e1/arrived", s)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"ObjectEvent","eventID":"`+e.ID+`","eventTime":"2026-11-22T01:30:00.000Z","eventTimeZoneOffset":"+08:00",
		"epcList":["urn:epc:id:sscc:9521234.1000000001"],"action":"OBSERVE","bizStep":"receiving","disposition":"in_progress",
		"readPoint":{"id":"urn:epc:id:sgln:9521234.00001.wh-1.dock-a"},"bizLocation":{"id":"urn:epc:id:sgln:9521234.00001.0"},
		"bizTransactionList":[{"type":"bol","bizTransaction":"https://id.yunling.example/waybill/YZ2600000001"}],
		"destinationList":[{"type":"location","destination":"https://id.yunling.example/site/out-a"}],
		"yizhan:confidence":"confirmed","yizhan:timeQuality":"gnss"}`, string(e.Doc))
	require.Contains(t, e.Terms, county.EPCISTerm{Kind: "epc", Value: "https://id.gs1.org/00/195212340000000010"})
	require.Contains(t, e.Terms, county.EPCISTerm{Kind: "epc", Value: s.EPC})
	require.Contains(t, e.Terms, county.EPCISTerm{Kind: "bt/bol", Value: "https://id.yunling.example/waybill/YZ2600000001"})

	again, _, err := m.Event(t.Context(), "step/YZ2600000001/e1/arrived", s)
	require.NoError(t, err)
	require.Equal(t, e, again)
	third, _, err := m.Event(t.Context(), "step/YZ2600000001/e1/arrived/3", s)
	require.NoError(t, err)
	require.NotEqual(t, e.ID, third.ID, "told a third time, after it was taken back twice")
	require.EqualValues(t, "3", validEvent(t, m, third)["yizhan:telling"])
}

func TestLoadingNamesVehicleAndParcel(t *testing.T) {
	m := maker(t, nil)
	s := told("aboard", county.Loaded, "vehicle/v03")
	s.Row.Device, s.Row.Via = "van-03/rfid", "bag-7"
	e, _, err := m.Event(t.Context(), "k", s)
	require.NoError(t, err)
	doc := validEvent(t, m, e)
	require.Equal(t, "https://id.yunling.example/vehicle/v03", doc["parentID"])
	require.Equal(t, []any{"https://id.yunling.example/parcel/YZ2600000001"}, doc["childEPCs"])
	require.Equal(t, "https://id.yunling.example/container/bag-7", doc["yizhan:via"])
	require.NotContains(t, doc, "bizLocation", "it is on its way")
	require.NotContains(t, doc, "epcList")

	for _, c := range []struct {
		p    county.Packed
		want [4]any
	}{
		{county.Packed{Container: "bag-7", ContainerEPC: "urn:epc:id:grai:9521234.00001.7", Item: "YZ2600000001", Parcel: true, In: true, At: t0}, [4]any{"ADD", "packing", "urn:epc:id:grai:9521234.00001.7", "https://id.yunling.example/parcel/YZ2600000001"}},
		{county.Packed{Container: "cage-1", Item: "bag-7", ItemEPC: "urn:epc:id:grai:9521234.00001.7", At: t0, Times: 2}, [4]any{"DELETE", "unpacking", "https://id.yunling.example/container/cage-1", "urn:epc:id:grai:9521234.00001.7"}},
	} {
		e, err = m.Packing("contents/x", c.p)
		require.NoError(t, err)
		doc = validEvent(t, m, e)
		require.Equal(t, c.want, [4]any{doc["action"], doc["bizStep"], doc["parentID"], doc["childEPCs"].([]any)[0]})
		require.Equal(t, c.p.Parcel, doc["bizTransactionList"] != nil)
		require.Equal(t, c.p.Times > 0, doc["yizhan:telling"] != nil)
	}
}

func TestColdGoodsCarryTheirClimate(t *testing.T) {
	c, w, h := 4.126, 9.5, 61.0
	f := &fridge{samples: []Sample{{At: t0.Add(-9 * time.Minute), TemperatureC: &c, HumidityPct: &h}, {At: t0.Add(-time.Minute), TemperatureC: &w}, {At: t0}}}
	m := maker(t, f)
	s := told("aboard", county.Loaded, "vehicle/v03")
	e, _, err := m.Event(t.Context(), "k", s)
	require.NoError(t, err)
	require.NotContains(t, validEvent(t, m, e), "sensorElementList", "ambient goods")
	require.Empty(t, f.asked)

	s.Handling = "chilled"
	e, _, err = m.Event(t.Context(), "k", s)
	require.NoError(t, err)
	b, err := json.Marshal(validEvent(t, m, e)["sensorElementList"])
	require.NoError(t, err)
	require.JSONEq(t, `[{"sensorMetadata":{"startTime":"2026-11-22T01:21:00.000Z","endTime":"2026-11-22T01:29:00.000Z","deviceID":"https://id.yunling.example/coldbox/cb-v03"},
		"sensorReport":[{"type":"Temperature","exception":"ALARM_CONDITION","minValue":4.13,"maxValue":9.5,"meanValue":6.81,"uom":"CEL"},
		{"type":"RelativeHumidity","minValue":61,"maxValue":61,"meanValue":61,"uom":"P1"}]}]`, string(b))

	s = told("arrived", county.AtWarehouse, "site/wh")
	for handling, box := range map[string]string{"frozen": "fr-1", "chilled": "cr-1"} {
		s.Handling = handling
		_, _, err = m.Event(t.Context(), "k", s)
		require.NoError(t, err)
		require.Equal(t, box, f.asked)
	}
	f.err = errors.New("away")
	_, _, err = m.Event(t.Context(), "k", s)
	require.ErrorIs(t, err, f.err, "an event isn't told without its climate because history is away")
}

func TestRetraction(t *testing.T) {
	m := maker(t, nil)
	e, _, err := m.Event(t.Context(), "step/YZ2600000001/e1/arrived", told("arrived", county.AtWarehouse, "site/wh"))
	require.NoError(t, err)
	wrong, err := m.Retraction(e, t0.Add(time.Hour), nil)
	require.NoError(t, err)
	doc := validEvent(t, m, wrong)
	require.Equal(t, e.ID, wrong.ID, "a declaration has the id of the event that it is about")
	require.Equal(t, e.Digest, wrong.Digest)
	require.Equal(t, map[string]any{"declarationTime": "2026-11-22T02:30:00.000Z", "reason": "did_not_occur"}, doc["errorDeclaration"])
	require.Equal(t, t0.Add(time.Hour), wrong.Declared)

	right, err := m.Retraction(e, t0.Add(time.Hour), []string{"ni:///x"})
	require.NoError(t, err)
	require.Equal(t, "incorrect_data", right.Reason)
	require.Contains(t, right.Terms, county.EPCISTerm{Kind: "corrective", Value: "ni:///x"})
}

func TestNames(t *testing.T) {
	m := maker(t, nil)
	for uri, want := range map[string]string{
		"https://id.yunling.example/parcel/YZ1": "YZ1", "https://id.yunling.example/waybill/YZ1": "YZ1", "https://id.yunling.example/site/wh": "", "https://other.example/parcel/YZ1": "",
		"https://id.yunling.example/parcel/": "", "https://id.yunling.example/parcel/a/b": "",
	} {
		got, ok := m.names.Waybill(uri)
		require.Equal(t, want, got, uri)
		require.Equal(t, want != "", ok)
	}
	require.Equal(t, "urn:epc:id:sgln:9521234.00001.0", m.names.Of("site", "wh"))
	require.Equal(t, "https://id.yunling.example/device/van-03/rfid", m.names.ReadPoint("van-03/rfid", ""))
	require.Equal(t, "https://id.yunling.example/device/a-gateway-of-a-long-name/board", m.names.ReadPoint("a-gateway-of-a-long-name/board", "wh"), "too long for an extension")
	require.Equal(t, "https://id.yunling.example/parcel/YZ1", m.names.Parcel("YZ1", "00AA11BB"), "hex is no name")
	for _, bad := range []string{"", "ftp://x", "https://", "https://x?y=1", "https://x#y"} {
		_, err := NewNames(bad, nil)
		require.Error(t, err, bad)
	}
	_, err := NewNames("https://x.example", []county.Site{{ID: "wh", SGLN: "urn:epc:id:sgtin:9521234.012345.1"}})
	require.Error(t, err)
}
