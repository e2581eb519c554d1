package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// waybill is a row of POST /waybills as the OpenAPI document shows it; county.Waybill is the noun.
type waybill struct {
	Waybill  string `json:"waybill" pattern:"^[A-Z0-9-]{6,32}$" patternDescription:"6 to 32 of A-Z, 0-9 and '-'" example:"YZ2600000001"`
	EPC      string `json:"epc,omitempty" maxLength:"200" doc:"pure identity URI, or hex of the tag"`
	Site     string `json:"site" pattern:"^[a-z0-9-]{1,32}$" doc:"the outlet it goes to"`
	Locker   string `json:"locker,omitempty" pattern:"^[a-z0-9-]{1,32}$"`
	Handling string `json:"handling,omitempty" enum:"ambient,chilled,frozen,fragile"`
}

var reflectWaybill = reflect.TypeFor[waybill]()

// rows is the body: one waybill or a list of them.
type rows []json.RawMessage

// UnmarshalJSON takes an object as a list of one.
func (r *rows) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '[' {
		*r = rows{append(json.RawMessage(nil), b...)}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > maxRows {
		return fmt.Errorf("body must be 1 to %d waybills, has %d", maxRows, len(list))
	}
	*r = list
	return nil
}

// Schema describes both shapes.
func (rows) Schema(r huma.Registry) *huma.Schema {
	one := r.Schema(reflectWaybill, true, "Waybill")
	low, high := 1, maxRows
	return &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one, MinItems: &low, MaxItems: &high}}}
}
