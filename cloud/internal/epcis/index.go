package epcis

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// decode reads a JSON object with its numbers as they are written.
func decode(raw []byte) (map[string]any, error) {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("epcis: %w", err)
	}
	if m == nil {
		return nil, errors.New("epcis: null is no object")
	}
	return m, nil
}

// lists are the fields that name things, and the kinds of terms that these are.
var lists = []struct {
	field, kind string
	item        string // of objects: the field that holds the value
}{
	{"epcList", "epc", ""}, {"childEPCs", "epc", ""}, {"parentID", "parent", ""}, {"inputEPCList", "input", ""}, {"outputEPCList", "output", ""},
	{"quantityList", "class", "epcClass"}, {"childQuantityList", "class", "epcClass"},
	{"inputQuantityList", "inputclass", "epcClass"}, {"outputQuantityList", "outputclass", "epcClass"}, {"transformationID", "transformation", ""},
}

var typed = []struct {
	field, kind, item string
	vocab             *vocabulary
}{
	{"bizTransactionList", "bt/", "bizTransaction", transactions}, {"sourceList", "source/", "source", parties}, {"destinationList", "destination/", "destination", parties},
}

// index finds in an event what queries look for. The event has been checked.
func index(m map[string]any, spaces map[string]string) county.EPCISEvent {
	sum := sha256.Sum256([]byte(PreHash(m, spaces)))
	e := county.EPCISEvent{
		ID: text(m["eventID"]), Type: text(m["type"]), Action: text(m["action"]), BizStep: bizSteps.bare(text(m["bizStep"])),
		Disposition: dispositions.bare(text(m["disposition"])), ReadPoint: link(idOf(m["readPoint"])), BizLocation: link(idOf(m["bizLocation"])),
		Digest: hex.EncodeToString(sum[:]),
	}
	e.At, _ = time.Parse(time.RFC3339Nano, text(m["eventTime"]))
	if d, ok := m["errorDeclaration"].(map[string]any); ok {
		e.Declared, _ = time.Parse(time.RFC3339Nano, text(d["declarationTime"]))
		e.Reason = reasons.bare(text(d["reason"]))
		for _, id := range elements(d["correctiveEventIDs"]) {
			e.Terms = append(e.Terms, county.EPCISTerm{Kind: "corrective", Value: text(id)})
		}
	}
	for _, l := range lists {
		for _, v := range elements(m[l.field]) {
			if o, ok := v.(map[string]any); ok && l.item != "" {
				v = o[l.item]
			}
			e.Terms = append(e.Terms, terms(l.kind, text(v))...)
		}
	}
	for _, l := range typed {
		for _, v := range elements(m[l.field]) {
			o, _ := v.(map[string]any)
			e.Terms = append(e.Terms, terms(l.kind+l.vocab.bare(text(o["type"])), text(o[l.item]))...)
		}
	}
	slices.SortFunc(e.Terms, func(a, b county.EPCISTerm) int {
		return strings.Compare(a.Kind+"\x00"+a.Value, b.Kind+"\x00"+b.Value)
	})
	e.Terms = slices.Compact(e.Terms)
	return e
}

// terms are how a value may be asked for: as it is written, and as its canonical Digital Link.
func terms(kind, value string) []county.EPCISTerm {
	if value == "" {
		return nil
	}
	all := []county.EPCISTerm{{Kind: kind, Value: value}}
	if l := link(value); l != value {
		all = append(all, county.EPCISTerm{Kind: kind, Value: l})
	}
	return all
}

func idOf(v any) string {
	m, _ := v.(map[string]any)
	return text(m["id"])
}

// elements are those of a list; one value is a list of itself, and nothing is none.
func elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}
