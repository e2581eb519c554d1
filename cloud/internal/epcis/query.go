package epcis

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// The sizes of pages.
const (
	defaultPage = 30
	maxPage     = 1000
)

// Problem is what a partner is told: an exception of the standard's REST binding (EPCIS 2.0, 12).
type Problem struct {
	Status int
	Type   string // QueryParameterException, ValidationException, ...
	Title  string
	Detail string
	Faults []county.EPCISFault
}

// Error is the detail.
func (p *Problem) Error() string { return "epcis: " + p.Type + ": " + p.Detail }

// Problem is what an HTTP answer says.
func (p *Problem) Problem() (status int, kind, title, detail string, faults []county.EPCISFault) {
	return p.Status, p.Type, p.Title, p.Detail, p.Faults
}

func badParameter(name, format string, args ...any) error {
	return &Problem{Status: 400, Type: "QueryParameterException", Title: "a query parameter is wrong", Detail: name + ": " + fmt.Sprintf(format, args...)}
}

func notImplemented(name string) error {
	return &Problem{Status: 501, Type: "ImplementationException", Title: "not implemented", Detail: name + ": this repository does not offer this parameter"}
}

// later are parameters of the standard that this repository doesn't offer.
var later = []string{
	"WD_", "EQ_quantity", "GT_quantity", "GE_quantity", "LT_quantity", "LE_quantity", "EQ_persistentDisposition_", "EQ_ILMD_", "GT_ILMD_", "GE_ILMD_", "LT_ILMD_", "LE_ILMD_",
	"EXISTS_ILMD_", "EQ_INNER", "GT_INNER", "GE_INNER", "LT_INNER", "LE_INNER", "EXISTS_INNER", "HASATTR_", "EQATTR_", "EQ_SENSOR", "GT_SENSOR", "GE_SENSOR", "LT_SENSOR",
	"LE_SENSOR", "EQ_type", "EQ_deviceID", "EQ_dataProcessingMethod", "EQ_microorganism", "EQ_chemicalSubstance", "EQ_bizRules", "EQ_stringValue", "EQ_booleanValue",
	"EQ_hexBinaryValue", "EQ_uriValue", "GE_startTime", "LT_startTime", "GE_endTime", "LT_endTime", "GE_SENSORMETADATA", "EQ_value", "GT_value", "GE_value", "LT_value", "LE_value",
	"EQ_minValue", "EQ_maxValue", "EQ_meanValue", "EQ_sDev", "EQ_percRank", "EQ_percValue", "GE_percRank", "LT_percRank", "EXISTS_sensorElementList",
}

// parse reads the parameters of a query (EPCIS 2.0, 8.2.7.1).
func parse(values url.Values, spaces map[string]string) (q county.EPCISQuery, err error) {
	q.Limit = defaultPage
	for _, name := range sortedKeys(values) {
		given := values[name]
		if len(given) != 1 {
			return q, badParameter(name, "is given more than once")
		}
		if err := parameter(&q, name, given[0], spaces); err != nil {
			return q, err
		}
	}
	if next := values.Get("nextPageToken"); next != "" {
		if err := goOn(&q, next, values); err != nil {
			return county.EPCISQuery{}, err
		}
	}
	return q, nil
}

func parameter(q *county.EPCISQuery, name, value string, spaces map[string]string) error {
	list, err := listed(name, value)
	if err != nil {
		return err
	}
	short := func(v *vocabulary) []string {
		out := make([]string, len(list))
		for i, w := range list {
			out[i] = v.bare(expandWord(v, w, spaces))
		}
		return out
	}
	switch name {
	case "nextPageToken":
	case "eventType":
		for _, t := range list {
			if shapes[t] == nil {
				return badParameter(name, "%.40q is no event type", t)
			}
		}
		q.Types = list
	case "GE_eventTime", "LT_eventTime", "GE_recordTime", "LT_recordTime", "GE_errorDeclaration_Time", "LT_errorDeclaration_Time", "GE_errorDeclarationTime", "LT_errorDeclarationTime":
		return timeParameter(q, name, value)
	case "EQ_action":
		for _, a := range list {
			if a != "ADD" && a != "OBSERVE" && a != "DELETE" {
				return badParameter(name, "%.40q is none of ADD, OBSERVE, DELETE", a)
			}
		}
		q.Actions = list
	case "EQ_bizStep":
		q.BizSteps = short(bizSteps)
	case "EQ_disposition":
		q.Dispositions = short(dispositions)
	case "EQ_readPoint":
		q.ReadPoints = links(list)
	case "EQ_bizLocation":
		q.BizLocations = links(list)
	case "EQ_eventID":
		q.IDs = list
	case "EQ_errorReason":
		q.Reasons = short(reasons)
	case "EXISTS_errorDeclaration":
		if value != "" && value != "true" {
			return badParameter(name, "takes no value")
		}
		q.Declared = true
	case "orderBy", "orderDirection", "perPage", "eventCountLimit":
		return orderParameter(q, name, value)
	case "maxEventCount":
		return notImplemented(name)
	default:
		return matchParameter(q, name, list)
	}
	return nil
}

// orderParameter reads how much of the answer is wanted, and in which order.
func orderParameter(q *county.EPCISQuery, name, value string) error {
	switch name {
	case "orderBy":
		if value != "eventTime" && value != "recordTime" {
			return badParameter(name, "must be eventTime or recordTime")
		}
		q.ByRecord = value == "recordTime"
	case "orderDirection":
		if value != "ASC" && value != "DESC" {
			return badParameter(name, "must be ASC or DESC")
		}
		q.Up = value == "ASC"
	default:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return badParameter(name, "must be a whole number above 0")
		}
		q.Limit = min(n, maxPage)
	}
	return nil
}

// matching says which terms the MATCH parameters look at.
var matching = map[string][]string{
	"MATCH_epc": {"epc"}, "MATCH_parentID": {"parent"}, "MATCH_inputEPC": {"input"}, "MATCH_outputEPC": {"output"},
	"MATCH_anyEPC": {"epc", "parent", "input", "output"}, "MATCH_epcClass": {"class"}, "MATCH_inputEPCClass": {"inputclass"},
	"MATCH_outputEPCClass": {"outputclass"}, "MATCH_anyEPCClass": {"class", "inputclass", "outputclass"},
}

func matchParameter(q *county.EPCISQuery, name string, list []string) error {
	m := county.EPCISMatch{}
	switch {
	case matching[name] != nil:
		m.Kinds = matching[name]
		for _, v := range list {
			if i := strings.IndexByte(v, '*'); i >= 0 {
				if strings.Trim(v[i:], "*.") != "" || !strings.HasPrefix(v, "urn:epc:idpat:") {
					return badParameter(name, "%.80q: only the last fields of a pattern may be *", v)
				}
				m.Prefixes = append(m.Prefixes, strings.Replace(v[:i], "urn:epc:idpat:", "urn:epc:id:", 1))
				if l := link(v); l != v { // what was captured as a Digital Link
					m.Prefixes = append(m.Prefixes, l)
				}
				continue
			}
			m.Values = append(m.Values, v, link(v))
		}
	case name == "EQ_transformationID", name == "EQ_correctiveEventID":
		m.Kinds = []string{map[string]string{"EQ_transformationID": "transformation", "EQ_correctiveEventID": "corrective"}[name]}
		m.Values = list
	default:
		kind, ok := typedParameter(name)
		if !ok {
			if slices.ContainsFunc(later, func(p string) bool { return strings.HasPrefix(name, p) }) {
				return notImplemented(name)
			}
			return badParameter(name, "is no parameter of an event query")
		}
		m.Kinds = []string{kind}
		for _, v := range list {
			m.Values = append(m.Values, v, link(v))
		}
	}
	slices.Sort(m.Values)
	m.Values = slices.Compact(m.Values)
	q.Matches = append(q.Matches, m)
	return nil
}

// typedParameter is the kind of terms of EQ_bizTransaction_po and its like.
func typedParameter(name string) (string, bool) {
	for _, p := range []struct {
		before, kind string
		vocab        *vocabulary
	}{{"EQ_bizTransaction_", "bt/", transactions}, {"EQ_source_", "source/", parties}, {"EQ_destination_", "destination/", parties}} {
		if t, ok := strings.CutPrefix(name, p.before); ok && t != "" {
			return p.kind + p.vocab.bare(t), true
		}
	}
	return "", false
}

func timeParameter(q *county.EPCISQuery, name, value string) error {
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+")) // a plus that wasn't escaped
	if err != nil {
		return badParameter(name, "must be a date and time with its zone (RFC 3339)")
	}
	which, what, _ := strings.Cut(name, "_")
	from, until := &q.From, &q.Until
	switch {
	case what == "recordTime":
		from, until = &q.RecordedFrom, &q.RecordedUntil
	case strings.HasPrefix(what, "errorDeclaration"):
		from, until = &q.DeclaredFrom, &q.DeclaredUntil
	}
	if which == "GE" {
		*from = t
	} else {
		*until = t
	}
	return nil
}

// listed takes a list apart, whose elements stand between commas.
func listed(name, value string) ([]string, error) {
	if len(value) > 8192 {
		return nil, badParameter(name, "is longer than 8192 bytes")
	}
	list := strings.Split(value, ",")
	for i := range list {
		if list[i] = strings.TrimSpace(list[i]); list[i] == "" && len(list) > 1 {
			return nil, badParameter(name, "has an empty element")
		}
	}
	if len(list) > 100 {
		return nil, badParameter(name, "has more than 100 elements")
	}
	return list, nil
}

func links(list []string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = link(v)
	}
	return out
}

func expandWord(v *vocabulary, w string, spaces map[string]string) string {
	if v.words[w] {
		return w
	}
	return expand(w, spaces)
}

func sortedKeys(v url.Values) []string {
	keys := make([]string, 0, len(v))
	for k := range v {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// A token names the last event of a page and the query that it is of, so that it can't go on with another.
func token(ms, no int64, values url.Values) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", ms, no, queryMark(values)))
}

func cutToken(s string) (ms, no int64, mark string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, 0, "", err
	}
	_, err = fmt.Sscanf(string(b), "%d %d %s", &ms, &no, &mark)
	return ms, no, mark, err
}

func queryMark(values url.Values) string {
	own := url.Values{}
	for k, v := range values {
		if k != "nextPageToken" && k != "perPage" {
			own[k] = v
		}
	}
	sum := sha256.Sum256([]byte(own.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// goOn moves q behind the event that a token names.
func goOn(q *county.EPCISQuery, s string, values url.Values) error {
	ms, no, mark, err := cutToken(s)
	if err != nil || mark != queryMark(values) {
		return badParameter("nextPageToken", "is none of this query")
	}
	q.After, q.AfterMS, q.AfterNo = true, ms, no
	return nil
}
