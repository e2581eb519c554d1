package epcis

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

const okEvent = `"type":"ObjectEvent","eventTime":"2026-11-22T01:30:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","epcList":["urn:epc:id:sscc:9521234.1000000001"]`

// What partners get wrong, each with the place that is named.
var wrongEvents = map[string]string{
	`{}`:                     "event.type",
	`{"type":"ParcelEvent"}`: "event.type",
	`{"type":"ObjectEvent","action":"OBSERVE","epcList":[],"eventTimeZoneOffset":"+08:00"}`:                                                "event.eventTime",
	`{"type":"ObjectEvent","action":"OBSERVE","epcList":[],"eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22 01:30"}`:                 "event.eventTime",
	`{"type":"ObjectEvent","action":"OBSERVE","epcList":[],"eventTimeZoneOffset":"8","eventTime":"2026-11-22T01:30:00Z"}`:                  "event.eventTimeZoneOffset",
	`{"type":"ObjectEvent","action":"observe","epcList":[],"eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`:             "event.action",
	`{"type":"ObjectEvent","action":"OBSERVE","eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`:                          "event.epcList",
	`{"type":"AggregationEvent","action":"ADD","childEPCs":["urn:a:b"],"eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`: "event.parentID",
	`{"type":"AggregationEvent","action":"ADD","parentID":"urn:a:b","eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`:    "event.childEPCs",
	`{"type":"TransactionEvent","action":"ADD","epcList":["urn:a:b"],"eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`:   "event.bizTransactionList",
	`{"type":"TransformationEvent","inputEPCList":["urn:a:b"],"eventTimeZoneOffset":"+08:00","eventTime":"2026-11-22T01:30:00Z"}`:          "event.transformationID",
	`{` + okEvent + `,"bizStep":"sorting"}`:                                                     "event.bizStep",
	`{` + okEvent + `,"bizStep":"urn:epcglobal:cbv:bizstep:receiving"}`:                         "event.bizStep",
	`{` + okEvent + `,"disposition":7}`:                                                         "event.disposition",
	`{` + okEvent + `,"readPoint":{"id":"dock a"}}`:                                             "event.readPoint.id",
	`{` + okEvent + `,"readPoint":"urn:a:b"}`:                                                   "event.readPoint",
	`{` + okEvent + `,"bizTransactionList":[{"type":"po","bizTransaction":"urn:a:b"},{}]}`:      "event.bizTransactionList[1].bizTransaction",
	`{` + okEvent + `,"bizTransactionList":[{"type":"po","bizTransaction":"urn:a:b","x":1}]}`:   "event.bizTransactionList[0].x",
	`{` + okEvent + `,"sourceList":[{"source":"urn:a:b"}]}`:                                     "event.sourceList[0].type",
	`{` + okEvent + `,"quantityList":[{"epcClass":"urn:a:b","quantity":"7"}]}`:                  "event.quantityList[0].quantity",
	`{` + okEvent + `,"sensorElementList":[{"sensorReport":[{"type":"Warmth"}]}]}`:              "event.sensorElementList[0].sensorReport[0].type",
	`{` + okEvent + `,"sensorElementList":[{}]}`:                                                "event.sensorElementList[0].sensorReport",
	`{` + okEvent + `,"errorDeclaration":{}}`:                                                   "event.errorDeclaration.declarationTime",
	`{` + okEvent + `,"ilmd":{"x:y":1}}`:                                                        "event.ilmd.x:y",
	`{` + okEvent + `,"colour":"red"}`:                                                          "event.colour",
	`{` + okEvent + `,"other:colour":"red"}`:                                                    "event.other:colour",
	`{` + okEvent + `,"yizhan:deep":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `}`: "event",
	`{` + okEvent + `,"parentID":"urn:a:b"}`:                                                    "event.parentID",
	`{"type":"ObjectEvent","eventTime":"2026-11-22T01:30:00Z","eventTimeZoneOffset":"+08:00","action":"OBSERVE","epcList":["urn:a:b","urn:a:b"]}`: "event.epcList[1]",
}

func TestWrongEventsAreNamed(t *testing.T) {
	for event, path := range wrongEvents {
		m, err := decode([]byte(event))
		require.NoError(t, err, event)
		k := &checker{spaces: map[string]string{"yizhan": "https://x.example/"}}
		k.event("event", m)
		require.NotEmpty(t, k.faults, event)
		paths := []string{}
		for _, f := range k.faults {
			paths = append(paths, f.Path)
		}
		require.Contains(t, paths, path, event)
	}
}

// schema is GS1's JSON schema of EPCIS 2.0, where it lies beside the checkout; else nil. Its patterns look ahead, which
// Go's regular expressions can't.
func schema(t *testing.T) *jsonschema.Schema {
	file := filepath.Join("..", "..", "..", "..", "shared", "data", "epcis", "EPCIS-JSON-Schema.json")
	f, err := os.Open(file)
	if err != nil {
		t.Log("GS1's schema isn't here: checked by our own rules only")
		return nil
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(s, regexp2.ECMAScript)
		if err != nil {
			return nil, err
		}
		re.MatchTimeout = 5 * time.Second
		return (*lookahead)(re), nil
	})
	require.NoError(t, c.AddResource("epcis.json", doc))
	sch, err := c.Compile("epcis.json")
	require.NoError(t, err)
	return sch
}

type lookahead regexp2.Regexp

func (r *lookahead) MatchString(s string) bool {
	ok, err := (*regexp2.Regexp)(r).MatchString(s)
	return err == nil && ok
}

func (r *lookahead) String() string { return (*regexp2.Regexp)(r).String() }

// Every event that this room makes is valid for GS1's schema too, and where we find a fault in an event's form, so does it.
func TestSchema(t *testing.T) {
	sch := schema(t)
	if sch == nil {
		return
	}
	valid := func(doc any) error {
		b, err := json.Marshal(doc)
		require.NoError(t, err)
		var v any
		require.NoError(t, json.Unmarshal(b, &v))
		return sch.Validate(v)
	}
	temperature := 4.5
	m := maker(t, &fridge{samples: []Sample{{At: t0, TemperatureC: &temperature, HumidityPct: &temperature}}})
	var list []json.RawMessage
	steps := []county.StepTold{told("created", county.Created, "")}
	for step := range rules {
		steps = append(steps, told(step, "", "vehicle/v03"), told(step, "", "site/wh"))
	}
	for stage := range rulesByStage {
		steps = append(steps, told("seen", stage, "site/wh"), told("seen", stage, "locker/lk-a"), told("seen", stage, ""))
	}
	for _, s := range steps {
		s.Handling, s.Row.Via, s.Row.Device = "chilled", "bag-7", "wh-1/dock-a"
		e, ok, err := m.Event(t.Context(), "step/x/e1/"+s.Row.Step+"/2", s)
		require.NoError(t, err)
		require.True(t, ok)
		e.Recorded = t0
		wrong, err := m.Retraction(e, t0, []string{e.ID})
		require.NoError(t, err)
		wrong.Recorded = t0
		list = append(list, served(&e, ""), served(&wrong, ""), served(&e, `["`+Context+`"]`))
	}
	spaces := []any{Context, m.names.Spaces()}
	require.NoError(t, valid(map[string]any{"@context": spaces, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": milli(t0), "epcisBody": map[string]any{"eventList": list}}))
	for _, event := range list {
		if string(event[:60]) != "" && json.Valid(event) {
			var doc map[string]any
			require.NoError(t, json.Unmarshal(event, &doc))
			doc["@context"] = spaces
			require.NoError(t, valid(doc), string(event))
		}
	}
	ours := map[string]bool{ // rules of the standard's text that its schema doesn't have
		"event.parentID": true, "event.childEPCs": true, "event.transformationID": true, "event.other:colour": true, "event.ilmd.x:y": true, "event.type": true, "event.epcList": true, "event": true,
	}
	for event, path := range wrongEvents {
		doc, err := decode([]byte(event))
		require.NoError(t, err)
		doc["@context"] = spaces
		if !ours[path] {
			require.Error(t, valid(doc), event)
		}
	}
}
