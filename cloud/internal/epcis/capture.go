package epcis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"

	"yizhan/cloud/internal/county"
)

// MaxEvents is the most events of one captured document, and MaxBytes its size.
const (
	MaxEvents = 1000
	MaxBytes  = 4 << 20
)

var documentShape = &shape{extra: true, required: []string{"@context", "type", "schemaVersion", "creationDate", "epcisBody"}, fields: map[string]kind{
	"@context": whatever, "id": isURI, "type": oneOf("EPCISDocument"), "schemaVersion": matches(regexp.MustCompile(`^2\.\d`), "2.0"), "creationDate": isTime,
	"instanceIdentifier": isString, "sender": isString, "receiver": isString, "epcisHeader": whatever,
	"epcisBody": (&shape{required: []string{"eventList"}, fields: map[string]kind{"eventList": whatever}}).check,
}}

// Capture takes an EPCISDocument, or with single one event, and returns what became of it: stored under the capture's id, whether all
// is well or not. Its error is a *Problem where there is nothing to be captured, or where single or rollback finds a fault.
func (r *Repository) Capture(ctx context.Context, body []byte, rollback, single bool) (county.EPCISCapture, error) {
	c := county.EPCISCapture{ID: r.cfg.NewID(), At: r.cfg.Now(), Rollback: rollback || single, Errors: []county.EPCISFault{}}
	k := &checker{spaces: map[string]string{}}
	list, err := r.open(k, body, single)
	if err != nil {
		return c, err
	}
	if len(k.faults) > 0 {
		return c, invalid(k.faults)
	}
	c.Events = len(list)
	var events []county.EPCISEvent
	var at []string
	for i, v := range list {
		path := "epcisBody.eventList[" + strconv.Itoa(i) + "]"
		if single {
			path = "event"
		}
		e, faults := r.read(k.spaces, path, v)
		if len(faults) > 0 {
			c.Errors = append(c.Errors, faults...)
			continue
		}
		events, at = append(events, e), append(at, path)
	}
	if len(c.Errors) > 0 && c.Rollback {
		if single {
			return c, invalid(c.Errors)
		}
		events, at = nil, nil
	}
	if single {
		c.EventID = events[0].ID
	}
	if len(c.Errors) > maxFaults {
		c.Errors = c.Errors[:maxFaults]
	}
	return r.cfg.Store.CaptureEPCIS(ctx, c, events, at)
}

// CaptureJob is what became of a capture.
func (r *Repository) CaptureJob(ctx context.Context, id string) (county.EPCISCapture, bool, error) {
	return r.cfg.Store.EPCISCapture(ctx, id)
}

func invalid(faults []county.EPCISFault) error {
	return &Problem{Status: 400, Type: "ValidationException", Title: "the document is not valid", Detail: faults[0].Path + ": " + faults[0].Reason, Faults: faults}
}

// open reads a document as far as its list of events.
func (r *Repository) open(k *checker, body []byte, single bool) ([]any, error) {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil || d.More() {
		return nil, &Problem{Status: 400, Type: "ValidationException", Title: "the body is not valid", Detail: "the body is no JSON object: " + fmt.Sprint(err)}
	}
	k.spaces = contextOf(k, "@context", doc["@context"])
	if single {
		if _, ok := doc["@context"]; !ok {
			k.fault("@context", "is absent")
		}
		return []any{doc}, nil
	}
	documentShape.check(k, "", doc)
	for i := range k.faults { // the document itself has no name
		k.faults[i].Path = trimDot(k.faults[i].Path)
	}
	b, _ := doc["epcisBody"].(map[string]any)
	list, ok := b["eventList"].([]any)
	if !ok {
		k.fault("epcisBody.eventList", "must be a list of events")
	}
	if len(list) > MaxEvents {
		return nil, &Problem{Status: 413, Type: "CaptureLimitExceededException", Title: "too many events", Detail: fmt.Sprintf("epcisBody.eventList: has %d events, at most %d are taken at once", len(list), MaxEvents)}
	}
	return list, nil
}

func trimDot(path string) string {
	if path != "" && path[0] == '.' {
		return path[1:]
	}
	return path
}

// read checks one event and finds in it what queries look for. Without an eventID it gets its hash id.
func (r *Repository) read(document map[string]string, path string, v any) (county.EPCISEvent, []county.EPCISFault) {
	k := &checker{spaces: document}
	m, _ := v.(map[string]any)
	if own, ok := m["@context"]; ok {
		k.spaces = maps.Clone(document)
		maps.Copy(k.spaces, contextOf(k, path+".@context", own))
	}
	k.event(path, v)
	if len(k.faults) > 0 {
		return county.EPCISEvent{}, k.faults
	}
	delete(m, "recordTime")
	if _, ok := m["eventID"]; !ok {
		m["eventID"] = HashID(m, k.spaces)
	}
	e := index(m, k.spaces)
	e.Waybill, e.Hash = r.waybill(&e), HashID(m, k.spaces)
	e.Words = r.words(m, k.spaces, &e)
	delete(m, "@context")
	raw, err := json.Marshal(m)
	if err != nil {
		return e, []county.EPCISFault{{Path: path, Reason: "can't be written again"}}
	}
	e.Doc = raw
	if len(k.spaces) > 0 { // kept with the event, for its prefixes are its own
		own, err := json.Marshal([]any{Context, k.spaces})
		if err != nil {
			return e, []county.EPCISFault{{Path: path + ".@context", Reason: "can't be written again"}}
		}
		e.Doc = append(append([]byte(`{"@context":`), own...), append([]byte(","), raw[1:]...)...)
	}
	return e, nil
}

// waybill is ours that an event names, where it does.
func (r *Repository) waybill(e *county.EPCISEvent) string {
	for _, t := range e.Terms {
		if id, ok := r.cfg.Maker.names.Waybill(t.Value); ok {
			return id
		}
	}
	return ""
}
