package epcis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The strings on the right were written by hand from the rules.
func TestPreHash(t *testing.T) {
	for name, c := range map[string]struct{ event, want string }{
		"words, times and EPCs": {
			`{"type":"ObjectEvent","eventTime":"2026-11-22T09:30:00.25+08:00","eventTimeZoneOffset":"+08:00","action":"OBSERVE","recordTime":"2026-11-22T02:00:00Z",
			"eventID":"urn:x:1","errorDeclaration":{"declarationTime":"2026-11-22T03:00:00Z"},"bizStep":"receiving","disposition":"urn:epcglobal:cbv:disp:in_progress",
			"epcList":["urn:epc:id:sgtin:9521234.012345.8","urn:epc:id:sgtin:9521234.012345.10"],
			"readPoint":{"id":"urn:epc:id:sgln:9521234.00001.dock-a"},"bizLocation":{"id":"urn:epc:id:sgln:9521234.00001.0"}}`,
			"eventType=ObjectEvent" + "eventTime=2026-11-22T01:30:00.250Z" + "eventTimeZoneOffset=+08:00" +
				"epcList" + "epc=https://id.gs1.org/01/09521234123453/21/10" + "epc=https://id.gs1.org/01/09521234123453/21/8" +
				"action=OBSERVE" + "bizStep=https://ref.gs1.org/cbv/BizStep-receiving" + "disposition=https://ref.gs1.org/cbv/Disp-in_progress" +
				"readPointid=https://id.gs1.org/414/9521234000013/254/dock-a" + "bizLocationid=https://id.gs1.org/414/9521234000013",
		},
		"aggregation, quantities, types": {
			`{"type":"AggregationEvent","eventTime":"2026-11-22T01:30:00Z","eventTimeZoneOffset":"+08:00","action":"ADD","parentID":"urn:epc:id:sscc:9521234.1000000001",
			"childEPCs":["https://shop.example/01/9521234123453/21/9?x=1"],"childQuantityList":[{"epcClass":"urn:epc:class:lgtin:9521234.012345.L1","quantity":12.50,"uom":"KGM"},{"epcClass":"urn:epc:idpat:sgtin:9521234.012345.*","quantity":3.0}],
			"bizTransactionList":[{"bizTransaction":"https://x.example/po/2","type":"po"},{"bizTransaction":"https://x.example/bol/1","type":"urn:epcglobal:cbv:btt:bol"},{"bizTransaction":"https://x.example/free"}],
			"destinationList":[{"type":"location","destination":"urn:epc:id:pgln:9521234.00002"}]}`,
			"eventType=AggregationEvent" + "eventTime=2026-11-22T01:30:00.000Z" + "eventTimeZoneOffset=+08:00" + "parentID=https://id.gs1.org/00/195212340000000010" +
				"childEPCs" + "epc=https://id.gs1.org/01/09521234123453/21/9" +
				"childQuantityList" + "quantityElement" + "epcClass=https://id.gs1.org/01/09521234123453/10/L1" + "quantity=12.5" + "uom=KGM" +
				"quantityElement" + "epcClass=https://id.gs1.org/01/09521234123453" + "quantity=3" + "action=ADD" +
				"bizTransactionList" + "bizTransaction=https://x.example/free" + "type=https://ref.gs1.org/cbv/BTT-bol" + "bizTransaction=https://x.example/bol/1" +
				"type=https://ref.gs1.org/cbv/BTT-po" + "bizTransaction=https://x.example/po/2" +
				"destinationList" + "type=https://ref.gs1.org/cbv/SDT-location" + "destination=https://id.gs1.org/417/9521234000020",
		},
		"sensors and extensions": {
			`{"type":"ObjectEvent","eventTime":"2026-11-22T01:30:00.0004Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","epcList":[],"bizStep":"sensor_reporting",
			"yizhan:zone":" B ","yizhan:list":["b",2.0,true],"yizhan:deep":{"yizhan:in":"x"},"readPoint":{"id":"https://x.example/r","yizhan:door":"7"},
			"persistentDisposition":{"set":["conformant","available"],"unset":["damaged"]},
			"sensorElementList":[{"sensorMetadata":{"deviceID":"https://x.example/d","startTime":"2026-11-22T09:00:00+08:00"},
			"sensorReport":[{"type":"Temperature","value":4.10,"uom":"CEL","exception":"ALARM_CONDITION"},{"type":"RelativeHumidity","value":60,"uom":"P1"}]}]}`,
			"eventType=ObjectEvent" + "eventTime=2026-11-22T01:30:00.000Z" + "eventTimeZoneOffset=+08:00" + "action=OBSERVE" +
				"bizStep=https://ref.gs1.org/cbv/BizStep-sensor_reporting" +
				"persistentDisposition" + "set=https://ref.gs1.org/cbv/Disp-available" + "set=https://ref.gs1.org/cbv/Disp-conformant" + "unset=https://ref.gs1.org/cbv/Disp-damaged" +
				"readPointid=https://x.example/r" +
				"sensorElement" + "sensorMetadata" + "startTime=2026-11-22T01:00:00.000Z" + "deviceID=https://x.example/d" +
				"sensorReport" + "type=https://ref.gs1.org/voc/RelativeHumidity" + "value=60" + "uom=P1" +
				"sensorReport" + "type=https://ref.gs1.org/voc/Temperature" + "exception=https://ref.gs1.org/voc/SensorAlertType-ALARM_CONDITION" + "value=4.1" + "uom=CEL" +
				"readPoint{https://x.example/ns/}door=7" +
				"{https://x.example/ns/}deep{https://x.example/ns/}in=x" + "{https://x.example/ns/}list=2" + "{https://x.example/ns/}list=b" + "{https://x.example/ns/}list=true" +
				"{https://x.example/ns/}zone=B",
		},
	} {
		m, err := decode([]byte(c.event))
		require.NoError(t, err, name)
		spaces := map[string]string{"yizhan": "https://x.example/ns/"}
		require.Equal(t, c.want, PreHash(m, spaces), name)
		id := HashID(m, spaces)
		require.Regexp(t, `^ni:///sha-256;[0-9a-f]{64}\?ver=CBV2\.0$`, id)

		m["recordTime"], m["eventID"] = "2030-01-01T00:00:00Z", "urn:other"
		require.Equal(t, id, HashID(m, spaces), "what doesn't count")
		m["eventTime"] = "2026-11-22T01:30:01Z"
		require.NotEqual(t, id, HashID(m, spaces), "what counts")
	}
}

// sha256sum of the string, by coreutils.
func TestHashID(t *testing.T) {
	m, err := decode([]byte(`{"type":"ObjectEvent","eventTime":"2026-11-22T01:30:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","epcList":["urn:epc:id:sscc:9521234.1000000001"]}`))
	require.NoError(t, err)
	require.Equal(t, "eventType=ObjectEventeventTime=2026-11-22T01:30:00.000ZeventTimeZoneOffset=+08:00epcListepc=https://id.gs1.org/00/195212340000000010action=OBSERVE", PreHash(m, nil))
	require.Equal(t, "ni:///sha-256;1e3f77b17607669915786aa10c24a1134d6209153d8c8cc350476fef2f4a8855?ver=CBV2.0", HashID(m, nil))
}

func TestLink(t *testing.T) {
	for in, want := range map[string]string{
		"urn:epc:id:sgtin:9521234.012345.32a%2Fb":           "/01/09521234123453/21/32a%2Fb",
		"urn:epc:id:sscc:9521234.1000000001":                "/00/195212340000000010",
		"urn:epc:id:sgln:9521234.00001.0":                   "/414/9521234000013",
		"urn:epc:id:grai:9521234.00001.bag.7":               "/8003/09521234000013bag.7",
		"urn:epc:id:giai:9521234.V03":                       "/8004/9521234V03",
		"urn:epc:id:gsrn:9521234.0000010253":                "/8018/952123400000102537",
		"urn:epc:id:gdti:9521234.00001.99":                  "/253/952123400001399",
		"urn:epc:id:cpi:9521234.AB.5":                       "/8010/9521234AB/8011/5",
		"urn:epc:id:itip:9521234.012345.01.02.9":            "/8006/095212341234530102/21/9",
		"urn:epc:idpat:grai:9521234.00001.*":                "/8003/09521234000013",
		"urn:epc:class:lgtin:9521234.012345.L%2F1":          "/01/09521234123453/10/L%2F1",
		"https://shop.example/a/01/9521234123453/10/L/21/9": "/01/09521234123453/21/9",
		"http://shop.example/414/9521234000013/254/x?a=b#c": "/414/9521234000013/254/x",
	} {
		require.Equal(t, linkBase+want, link(in), in)
	}
	for _, same := range []string{
		"", "urn:epc:id:sgtin:952123.012345.1", "urn:epc:id:sgtin:9521234.01x345.1", "urn:epc:id:sscc:9521234", "urn:epc:id:none:1.2", "https://shop.example/po/12345678",
		"https://shop.example/01/123", "urn:epcglobal:cbv:bt:9521234000013:7", "https://%zz/01/9521234123453", "urn:epc:idpat:sgtin:9521234.*.*",
	} {
		require.Equal(t, same, link(same), same)
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{"1": "1", "1.0": "1", "+0.3400": "0.34", "-5.": "-5", "0": "0", "2e2": "200", "12e-1": "1.2", "007": "7", ".5": "0.5"} {
		got, ok := number(in)
		require.True(t, ok, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "1a", "1_0", "NaN", "0x1", "1e", "1e999", strings.Repeat("9", 65), "-"} {
		_, ok := number(in)
		require.False(t, ok, in)
	}
}

// FuzzHash: no event makes it fail, and what doesn't count never counts.
func FuzzHash(f *testing.F) {
	f.Add([]byte(`{"type":"ObjectEvent","eventTime":"2026-11-22T01:30:00Z","epcList":["urn:epc:id:sscc:9521234.1000000001",1,null,{}],"sensorElementList":[{"sensorReport":[{"x:y":[1]}]}],"a:b":{"c:d":[{}]}}`))
	f.Add([]byte(`{"type":1,"readPoint":"x","bizTransactionList":{"type":"po"},"quantityList":[{"epcClass":"urn:epc:idpat:itip:1.2.3.4.5","quantity":1e99}],"ilmd":{"x:y":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decode(raw)
		if err != nil {
			return
		}
		spaces := contextOf(&checker{}, "@context", m["@context"])
		id := HashID(m, spaces)
		_ = index(m, spaces)
		for name := range shapes {
			m["type"] = name
			(&checker{spaces: spaces}).event("e", m)
		}
		again, err := decode(raw)
		require.NoError(t, err)
		again["recordTime"] = "x"
		require.Equal(t, id, HashID(again, spaces))
	})
}
