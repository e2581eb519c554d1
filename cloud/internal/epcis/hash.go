package epcis

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HashID is the event's hash id: ni:///sha-256;...?ver=CBV2.0 over its pre-hash string (CBV 2.0, 8.9). What an event was
// written with - order of its fields and lists, words in short or long form, URN or Digital Link, time zone of its
// times - makes no difference; recordTime, eventID and errorDeclaration don't count.
func HashID(event map[string]any, spaces map[string]string) string {
	sum := sha256.Sum256([]byte(PreHash(event, spaces)))
	return "ni:///sha-256;" + hex.EncodeToString(sum[:]) + "?ver=CBV2.0"
}

// PreHash is the canonical string of an event, as decoded with json.Number. spaces are the prefixes that its @context declares.
func PreHash(event map[string]any, spaces map[string]string) string {
	c := canon{spaces}
	var b strings.Builder
	b.WriteString("eventType=")
	b.WriteString(text(event["type"]))
	for _, f := range eventFields {
		b.WriteString(c.field(f, event[f.name]))
	}
	b.WriteString(c.rest(event))
	return b.String()
}

// A canonField is a field in canonical order.
type canonField struct {
	name  string
	vocab *vocabulary  // of its words
	item  string       // the name of its elements, where it is a list
	inner []canonField // of its elements, or of itself where it is no list
	time  bool         // it is a timestamp
	plain bool         // its name isn't written, for the elements are named themselves
}

var quantityFields = []canonField{{name: "epcClass"}, {name: "quantity"}, {name: "uom"}}

var eventFields = []canonField{
	{name: "eventTime", time: true},
	{name: "eventTimeZoneOffset"},
	{name: "epcList", item: "epc"},
	{name: "parentID"},
	{name: "inputEPCList", item: "epc"},
	{name: "childEPCs", item: "epc"},
	{name: "quantityList", item: "quantityElement", inner: quantityFields},
	{name: "childQuantityList", item: "quantityElement", inner: quantityFields},
	{name: "inputQuantityList", item: "quantityElement", inner: quantityFields},
	{name: "outputEPCList", item: "epc"},
	{name: "outputQuantityList", item: "quantityElement", inner: quantityFields},
	{name: "action"},
	{name: "transformationID"},
	{name: "bizStep", vocab: bizSteps},
	{name: "disposition", vocab: dispositions},
	{name: "persistentDisposition", inner: []canonField{{name: "set", vocab: dispositions, item: "set", plain: true}, {name: "unset", vocab: dispositions, item: "unset", plain: true}}},
	{name: "readPoint", inner: []canonField{{name: "id"}}},
	{name: "bizLocation", inner: []canonField{{name: "id"}}},
	{name: "bizTransactionList", item: "-", inner: []canonField{{name: "type", vocab: transactions}, {name: "bizTransaction"}}},
	{name: "sourceList", item: "-", inner: []canonField{{name: "type", vocab: parties}, {name: "source"}}},
	{name: "destinationList", item: "-", inner: []canonField{{name: "type", vocab: parties}, {name: "destination"}}},
	{name: "sensorElementList", item: "sensorElement", plain: true, inner: []canonField{
		{name: "sensorMetadata", inner: metadataFields}, {name: "sensorReport", item: "sensorReport", plain: true, inner: reportFields},
	}},
}

var metadataFields = []canonField{
	{name: "time", time: true}, {name: "startTime", time: true}, {name: "endTime", time: true}, {name: "deviceID"},
	{name: "deviceMetadata"}, {name: "rawData"}, {name: "dataProcessingMethod"}, {name: "bizRules"},
}

var reportFields = []canonField{
	{name: "type", vocab: measurements}, {name: "exception", vocab: alerts}, {name: "deviceID"}, {name: "deviceMetadata"}, {name: "rawData"},
	{name: "dataProcessingMethod"}, {name: "time", time: true}, {name: "microorganism"}, {name: "chemicalSubstance"}, {name: "value"},
	{name: "component", vocab: components}, {name: "stringValue"}, {name: "booleanValue"}, {name: "hexBinaryValue"}, {name: "uriValue"},
	{name: "minValue"}, {name: "maxValue"}, {name: "meanValue"}, {name: "sDev"}, {name: "percRank"}, {name: "percValue"}, {name: "uom"},
	{name: "coordinateReferenceSystem"},
}

// canon writes canonical strings.
type canon struct{ spaces map[string]string }

func (c canon) field(f canonField, v any) string {
	if v == nil {
		return ""
	}
	if f.item != "" {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		var all []string
		for _, e := range list {
			if s := c.element(f, e); s != "" {
				all = append(all, s)
			}
		}
		if len(all) == 0 {
			return ""
		}
		slices.Sort(all)
		name := f.name
		if f.plain {
			name = ""
		}
		return name + strings.Join(all, "")
	}
	if f.inner != nil {
		s := c.object(f.inner, v)
		if s == "" {
			return ""
		}
		return f.name + s
	}
	return c.leaf(f, f.name, v)
}

// element is one element of a list; that of a pair with a type has no name of its own.
func (c canon) element(f canonField, v any) string {
	if f.inner == nil {
		return c.leaf(f, f.item, v)
	}
	s := c.object(f.inner, v)
	if s == "" || f.item == "-" {
		return s
	}
	return f.item + s
}

func (c canon) object(fields []canonField, v any) string {
	m, _ := v.(map[string]any)
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(c.field(f, m[f.name]))
	}
	return b.String()
}

func (c canon) leaf(f canonField, name string, v any) string {
	s := strings.TrimSpace(text(v))
	switch {
	case s == "":
		return ""
	case f.time:
		s = stamp(s)
	case f.vocab != nil:
		s = f.vocab.full(s, c.spaces)
	default:
		s = c.value(s)
	}
	return name + "=" + s
}

// value is the canonical form of what may be a number, an identifier or anything else.
func (c canon) value(s string) string {
	if n, ok := number(s); ok {
		return n
	}
	for _, v := range []*vocabulary{bizSteps, dispositions, transactions, parties, reasons} {
		if w, ok := strings.CutPrefix(s, v.urn); ok {
			return v.web + w
		}
	}
	if l := link(s); l != s {
		return l
	}
	return expand(s, c.spaces)
}

// rest is what the canonical order doesn't name: what the makers of events added to it, in the lexical order of what is written.
func (c canon) rest(event map[string]any) string {
	var all []string
	if ilmd, ok := event["ilmd"].(map[string]any); ok {
		if s := c.extensions(ilmd, nil); s != "" {
			all = append(all, "ilmd"+s)
		}
	}
	for _, name := range []string{"readPoint", "bizLocation"} {
		if m, ok := event[name].(map[string]any); ok {
			if s := c.extensions(m, words("id")); s != "" {
				all = append(all, name+s)
			}
		}
	}
	list, _ := event["sensorElementList"].([]any)
	for _, e := range list {
		if s := c.sensorExtensions(e); s != "" {
			all = append(all, "sensorElement"+s)
		}
	}
	for key, v := range event {
		if strings.Contains(key, ":") {
			all = append(all, c.extension(key, v)...)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func (c canon) sensorExtensions(v any) string {
	m, _ := v.(map[string]any)
	var all []string
	if meta, ok := m["sensorMetadata"].(map[string]any); ok {
		if s := c.extensions(meta, nil); s != "" {
			all = append(all, "sensorMetadata"+s)
		}
	}
	reports, _ := m["sensorReport"].([]any)
	for _, r := range reports {
		if report, ok := r.(map[string]any); ok {
			if s := c.extensions(report, nil); s != "" {
				all = append(all, "sensorReport"+s)
			}
		}
	}
	for key, e := range m {
		if strings.Contains(key, ":") {
			all = append(all, c.extension(key, e)...)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// extensions are the extension fields of m, sorted; standard names and those of known are left out.
func (c canon) extensions(m map[string]any, known map[string]bool) string {
	var all []string
	for key, v := range m {
		if !known[key] && strings.Contains(key, ":") {
			all = append(all, c.extension(key, v)...)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// extension is {namespace}name with its value or its children; a list is the field so many times.
func (c canon) extension(key string, v any) []string {
	name := key
	if prefix, local, ok := strings.Cut(key, ":"); ok {
		if space := c.spaces[prefix]; space != "" {
			name = "{" + space + "}" + local
		} else if i := strings.LastIndexAny(key, "/#:"); i >= 0 {
			name = "{" + key[:i+1] + "}" + key[i+1:]
		}
	}
	switch v := v.(type) {
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, c.extension(key, e)...)
		}
		return all
	case map[string]any:
		return []string{name + c.extensions(v, nil)}
	case nil:
		return []string{name}
	}
	s := strings.TrimSpace(text(v))
	if s == "" {
		return []string{name}
	}
	return []string{name + "=" + c.value(s)}
}

// text is a JSON scalar as it is written, strings without quotes.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// stamp is a time in UTC with milliseconds; what is no time stays.
func stamp(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.Round(time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
}

var numberForm = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$`)

// number is s without a sign of plus, leading and trailing zeros or an exponent, where it is a number.
func number(s string) (string, bool) {
	if len(s) > 64 || !numberForm.MatchString(s) {
		return s, false
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return s, false
	}
	if r.IsInt() {
		return r.Num().String(), true
	}
	out := r.FloatString(170)
	return strings.TrimRight(out, "0"), true
}
