package epcis

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// A checker says what is wrong with a document, and where.
type checker struct {
	spaces map[string]string // declared prefixes
	faults []county.EPCISFault
}

// The most faults that are told of a document, and how deep an event may be nested.
const (
	maxFaults = 50
	maxDepth  = 24
)

// deeper reports whether v is nested more than so many levels.
func deeper(v any, levels int) bool {
	if levels < 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if deeper(e, levels-1) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return deeper(e, levels-1) })
	}
	return false
}

func (c *checker) fault(path, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, county.EPCISFault{Path: path, Reason: fmt.Sprintf(format, args...)})
	}
}

// A kind checks a value at a path.
type kind func(c *checker, path string, v any)

// A shape is which fields an object may have, and which it must.
type shape struct {
	fields   map[string]kind
	required []string
	extra    bool // it may have extension fields
}

func (s *shape) check(c *checker, path string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.fault(path, "must be an object")
		return
	}
	for _, name := range s.required {
		if _, ok := m[name]; !ok {
			c.fault(path+"."+name, "is absent")
		}
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch k, known := s.fields[name]; {
		case known:
			k(c, path+"."+name, m[name])
		case !s.extra:
			c.fault(path+"."+name, "is no field of it")
		default:
			c.extension(path+"."+name, name)
		}
	}
}

// extension wants the name of a field that isn't the standard's to be that of a declared namespace, or a whole URI.
func (c *checker) extension(path, name string) {
	prefix, local, ok := strings.Cut(name, ":")
	switch {
	case !ok || local == "":
		c.fault(path, "is no field of it; extensions have a prefix that @context declares")
	case c.spaces[prefix] != "" || slices.Contains([]string{"gs1", "cbv", "epcis", "cbvmda", "rdfs", "owl", "xsd", "dcterms"}, prefix):
	case strings.HasPrefix(local, "//") || prefix == "urn":
	default:
		c.fault(path, "its prefix %q is not declared in @context", prefix)
	}
}

func isString(c *checker, path string, v any) {
	if s, ok := v.(string); !ok || s == "" || len(s) > 4096 {
		c.fault(path, "must be a text")
	}
}

func isBool(c *checker, path string, v any) {
	if _, ok := v.(bool); !ok {
		c.fault(path, "must be true or false")
	}
}

func isNumber(c *checker, path string, v any) {
	n, ok := v.(json.Number)
	if _, err := n.Float64(); !ok || err != nil {
		c.fault(path, "must be a number")
	}
}

func isTime(c *checker, path string, v any) {
	s, _ := v.(string)
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		c.fault(path, "must be a date and time with its zone (RFC 3339)")
	}
}

func isURI(c *checker, path string, v any) {
	s, _ := v.(string)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || len(s) > 1024 || strings.ContainsAny(s, " \t\r\n<>\"{}|\\^`") || u.Opaque == "" && u.Host == "" && u.Path == "" {
		c.fault(path, "must be a URI")
	}
}

var offsetForm, unitForm, hexForm = regexp.MustCompile(`^[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)$`), regexp.MustCompile(`^[A-Z0-9]{2,3}$`), regexp.MustCompile(`^[A-Fa-f0-9]+$`)

func matches(form *regexp.Regexp, what string) kind {
	return func(c *checker, path string, v any) {
		if s, _ := v.(string); !form.MatchString(s) {
			c.fault(path, "must be %s", what)
		}
	}
}

func oneOf(words ...string) kind {
	return func(c *checker, path string, v any) {
		if s, _ := v.(string); !slices.Contains(words, s) {
			c.fault(path, "must be one of %s", strings.Join(words, ", "))
		}
	}
}

func wordOf(vocab *vocabulary) kind {
	return func(c *checker, path string, v any) {
		if s, _ := v.(string); !vocab.knows(s) {
			c.fault(path, "is neither a standard word in its bare form nor a URI of your own")
		}
	}
}

func listOf(k kind, least int) kind {
	return func(c *checker, path string, v any) {
		list, ok := v.([]any)
		if !ok || len(list) < least {
			c.fault(path, "must be a list of at least %d", least)
			return
		}
		for i, e := range list {
			k(c, path+"["+strconv.Itoa(i)+"]", e)
		}
	}
}

// uniqueURIs are identifiers, each named once.
func uniqueURIs(c *checker, path string, v any) {
	listOf(isURI, 0)(c, path, v)
	seen := map[string]int{}
	for i, e := range elements(v) {
		s, _ := e.(string)
		if first, twice := seen[s]; twice {
			c.fault(path+"["+strconv.Itoa(i)+"]", "is that of [%d] too", first)
			continue
		}
		seen[s] = i
	}
}

func whatever(*checker, string, any) {}

var (
	placeShape    = &shape{fields: map[string]kind{"id": isURI}, required: []string{"id"}, extra: true}
	quantityShape = &shape{fields: map[string]kind{"epcClass": isURI, "quantity": isNumber, "uom": matches(unitForm, "a unit code of 2 or 3 letters or digits")}, required: []string{"epcClass"}}
	metadataShape = &shape{extra: true, fields: map[string]kind{
		"time": isTime, "startTime": isTime, "endTime": isTime, "deviceID": isURI, "deviceMetadata": isURI, "rawData": isURI, "dataProcessingMethod": isURI, "bizRules": isURI,
	}}
	reportShape = &shape{extra: true, required: []string{"type"}, fields: map[string]kind{
		"type": wordOf(measurements), "exception": wordOf(alerts), "deviceID": isURI, "deviceMetadata": isURI, "rawData": isURI, "dataProcessingMethod": isURI,
		"bizRules": isURI, "time": isTime, "microorganism": isURI, "chemicalSubstance": isURI, "coordinateReferenceSystem": isURI, "value": isNumber,
		"component": wordOf(components), "stringValue": isString, "booleanValue": isBool, "hexBinaryValue": matches(hexForm, "hex digits"), "uriValue": isURI,
		"minValue": isNumber, "maxValue": isNumber, "meanValue": isNumber, "sDev": isNumber, "percRank": isNumber, "percValue": isNumber,
		"uom": matches(unitForm, "a unit code of 2 or 3 letters or digits"),
	}}
	elementShape     = &shape{extra: true, required: []string{"sensorReport"}, fields: map[string]kind{"sensorMetadata": metadataShape.check, "sensorReport": listOf(reportShape.check, 1)}}
	declarationShape = &shape{extra: true, required: []string{"declarationTime"}, fields: map[string]kind{
		"declarationTime": isTime, "reason": wordOf(reasons), "correctiveEventIDs": listOf(isURI, 0),
	}}
	dispositionShape = &shape{fields: map[string]kind{"set": listOf(wordOf(dispositions), 0), "unset": listOf(wordOf(dispositions), 0)}}
)

func pair(id string, vocab *vocabulary, required ...string) kind {
	return listOf((&shape{fields: map[string]kind{"type": wordOf(vocab), id: isURI}, required: append(required, id)}).check, 0)
}

// fields of all events, and those that some have.
var (
	common = map[string]kind{
		"@context": whatever, "type": whatever, "eventTime": isTime, "recordTime": isTime, "eventTimeZoneOffset": matches(offsetForm, "a zone offset such as +08:00"),
		"eventID": isURI, "certificationInfo": whatever, "errorDeclaration": declarationShape.check,
	}
	some = map[string]kind{
		"action": oneOf("ADD", "OBSERVE", "DELETE"), "bizStep": wordOf(bizSteps), "disposition": wordOf(dispositions), "persistentDisposition": dispositionShape.check,
		"readPoint": placeShape.check, "bizLocation": placeShape.check, "bizTransactionList": pair("bizTransaction", transactions),
		"sourceList": pair("source", parties, "type"), "destinationList": pair("destination", parties, "type"), "sensorElementList": listOf(elementShape.check, 0),
		"epcList": uniqueURIs, "childEPCs": uniqueURIs, "inputEPCList": uniqueURIs, "outputEPCList": uniqueURIs, "parentID": isURI, "transformationID": isURI,
		"quantityList": listOf(quantityShape.check, 0), "childQuantityList": listOf(quantityShape.check, 0), "inputQuantityList": listOf(quantityShape.check, 0), "outputQuantityList": listOf(quantityShape.check, 0),
		"ilmd": isILMD,
	}
)

func isILMD(c *checker, path string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.fault(path, "must be an object")
	}
	for name := range m {
		c.extension(path+"."+name, name)
	}
}

const shared = "bizStep disposition persistentDisposition readPoint bizLocation bizTransactionList sourceList destinationList sensorElementList"

// shapes of the event types (EPCIS 2.0, 7.4).
var shapes = map[string]*shape{
	"ObjectEvent":         eventShape("action", "action epcList quantityList ilmd"),
	"AggregationEvent":    eventShape("action", "action parentID childEPCs childQuantityList"),
	"TransactionEvent":    eventShape("action bizTransactionList", "action parentID epcList quantityList"),
	"TransformationEvent": eventShape("", "inputEPCList inputQuantityList outputEPCList outputQuantityList transformationID ilmd"),
	"AssociationEvent":    eventShape("action parentID", "action parentID childEPCs childQuantityList"),
}

func eventShape(required, own string) *shape {
	s := &shape{extra: true, fields: map[string]kind{}, required: append([]string{"type", "eventTime", "eventTimeZoneOffset"}, strings.Fields(required)...)}
	for name, k := range common {
		s.fields[name] = k
	}
	for _, name := range strings.Fields(own + " " + shared) {
		s.fields[name] = some[name]
	}
	return s
}

// event checks an event and what a shape can't say.
func (c *checker) event(path string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.fault(path, "must be an object")
		return
	}
	name, _ := m["type"].(string)
	s, ok := shapes[name]
	if !ok {
		c.fault(path+".type", "must be one of ObjectEvent, AggregationEvent, TransactionEvent, TransformationEvent, AssociationEvent")
		return
	}
	if deeper(v, maxDepth) {
		c.fault(path, "is nested more than %d deep", maxDepth)
		return
	}
	s.check(c, path, v)
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return len(elements(m[n])) > 0 })
	}
	action := text(m["action"])
	switch name {
	case "ObjectEvent":
		if _, there := m["epcList"]; !there && !has("quantityList") && !has("sensorElementList") {
			c.fault(path+".epcList", "is absent, and so are quantityList and sensorElementList")
		}
		if has("ilmd") && action != "ADD" {
			c.fault(path+".ilmd", "goes with action ADD only")
		}
	case "AggregationEvent", "AssociationEvent":
		if action != "OBSERVE" && !has("parentID") {
			c.fault(path+".parentID", "is absent, and action %s needs it", action)
		}
		if action != "DELETE" && !has("childEPCs", "childQuantityList") {
			c.fault(path+".childEPCs", "is absent, and so is childQuantityList")
		}
	case "TransactionEvent":
		if !has("bizTransactionList") {
			c.fault(path+".bizTransactionList", "must be a list of at least 1")
		}
		if !has("epcList", "quantityList", "parentID") && action != "DELETE" {
			c.fault(path+".epcList", "is absent, and so are quantityList and parentID")
		}
	case "TransformationEvent":
		if !has("transformationID") && !(has("inputEPCList", "inputQuantityList") && has("outputEPCList", "outputQuantityList")) {
			c.fault(path+".transformationID", "is absent, and inputs or outputs are too")
		}
	}
}

// contextOf reads the prefixes of a JSON-LD context: its objects of prefix and namespace.
func contextOf(c *checker, path string, v any) map[string]string {
	spaces := map[string]string{}
	for i, e := range elements(v) {
		m, ok := e.(map[string]any)
		if !ok {
			if _, ok := e.(string); !ok {
				c.fault(path+"["+strconv.Itoa(i)+"]", "must be a URI or an object")
			}
			continue
		}
		for prefix, space := range m {
			if s, ok := space.(string); ok && s != "" && len(prefix) <= 64 {
				spaces[prefix] = s
			}
		}
	}
	return spaces
}
