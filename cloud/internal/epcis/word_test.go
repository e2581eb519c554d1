package epcis

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestTagsOfALink(t *testing.T) {
	for _, tag := range []string{"urn:epc:id:sscc:0614141.1234567890", "urn:epc:id:sgtin:0614141.812345.7", "urn:epc:id:grai:0614141.12345.400", "urn:epc:id:sscc:061414112345.12345"} {
		l := Link(tag)
		require.NotEmpty(t, l)
		require.Contains(t, Tags(l), tag)
		require.LessOrEqual(t, len(Tags(l)), 7)
		for _, other := range Tags(l) {
			require.Equal(t, l, Link(other))
		}
	}
	for _, none := range []string{"", "YZ-1", "E200001122334455", "https://x.example/parcel/YZ-000001", linkBase + "/00/12", linkBase + "/414/0614141000012"} {
		require.Empty(t, Link(none))
		require.Empty(t, Tags(none))
	}
}

func TestWhatPartnersSay(t *testing.T) {
	names, err := NewNames("https://id.county.example", []county.Site{{ID: "wh", Kind: county.Warehouse, SGLN: "urn:epc:id:sgln:0614141.00001.0"}, {ID: "out-a", Kind: county.Outlet}})
	require.NoError(t, err)
	m, err := NewMaker(&county.Registry{Timezone: "Asia/Shanghai"}, names, nil)
	require.NoError(t, err)
	r := New(Config{Maker: m})
	const base = `"eventTime":"2026-11-21T08:00:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE"`
	const parcel = `"epcList":["https://id.county.example/parcel/YZ-000001"]`
	word := func(step string) county.PartnerWord {
		return county.PartnerWord{Subject: "parcel/YZ-000001", Step: step, TQ: "unknown"}
	}
	at := func(w county.PartnerWord, site, vehicle, locker string) county.PartnerWord {
		w.Site, w.Vehicle, w.Locker = site, vehicle, locker
		return w
	}
	for event, want := range map[string]county.PartnerWord{
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"arriving","readPoint":{"id":"urn:epc:id:sgln:0614141.00001.0"}`:                                                                                    at(word("at_warehouse"), "wh", "", ""),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"arriving","readPoint":{"id":"urn:epc:id:sgln:0614141.00001.dock4"}`:                                                                                at(word("at_warehouse"), "wh", "", ""),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"receiving","bizLocation":{"id":"https://id.county.example/site/out-a"}`:                                                                            at(word("at_outlet"), "out-a", "", ""),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"storing","bizLocation":{"id":"https://id.county.example/locker/lk-a"}`:                                                                             at(word("in_locker"), "", "", "lk-a"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"accepting","bizLocation":{"id":"https://id.county.example/site/out-a"}`:                                                                            at(word("at_outlet"), "out-a", "", ""),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"accepting"`:                                                                                                                                        word("signed_for"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"retail_selling"`:                                                                                                                                   word("signed_for"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"collecting"`:                                                                                                                                       word("picked_up"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"departing","readPoint":{"id":"https://id.county.example/site/wh"}`:                                                                                 at(word("in_transit"), "wh", "", ""),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"receiving","disposition":"returned"`:                                                                                                               word("returned"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"inspecting","disposition":"damaged"`:                                                                                                               word("damaged"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"decommissioning","disposition":"inactive"`:                                                                                                         word("completed"),
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"arriving","readPoint":{"id":"https://other.example/site/wh"}`:                                                                                      {},
		`"type":"ObjectEvent",` + parcel + `,"bizStep":"commissioning"`:                                                                                                                                    {},
		`"type":"ObjectEvent","epcList":["urn:epc:id:sscc:0614141.1234567890"],"bizStep":"departing","bizTransactionList":[{"type":"bol","bizTransaction":"https://id.county.example/waybill/YZ-000001"}]`: word("in_transit"),
		`"type":"AggregationEvent","parentID":"https://id.county.example/vehicle/v03","childEPCs":["https://id.county.example/parcel/YZ-000001"],"bizStep":"loading"`:                                      at(word("loaded"), "", "v03", ""),
		`"type":"ObjectEvent","epcList":["https://id.gs1.org/00/106141412345678908"],"bizStep":"departing"`:                                                                                                {Subject: "link/https://id.gs1.org/00/106141412345678908", Step: "in_transit", TQ: "unknown"},
	} {
		var doc any
		d := `{` + event + `,` + base + `}`
		require.NoError(t, json.Unmarshal([]byte(d), &doc), d)
		e, faults := r.read(map[string]string{}, "event", doc)
		require.Empty(t, faults, d)
		if want.Step == "" {
			require.Empty(t, e.Words, event)
			continue
		}
		require.Equal(t, []county.PartnerWord{want}, e.Words, event)
	}
	var stated any
	require.NoError(t, json.Unmarshal([]byte(`{"type":"ObjectEvent",`+parcel+`,"bizStep":"departing","their:timeQuality":"ntp",`+base+`}`), &stated))
	e, faults := r.read(map[string]string{"their": names.Space()}, "event", stated)
	require.Empty(t, faults)
	require.EqualValues(t, "ntp", e.Words[0].TQ)
}
