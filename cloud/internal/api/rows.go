package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// intake is a row of POST /waybills as the OpenAPI document shows it; county.Waybill is the noun.
type intake struct {
	Waybill   string    `json:"waybill" pattern:"^[A-Z0-9-]{6,32}$" patternDescription:"6 to 32 of A-Z, 0-9 and '-'" example:"YZ2600000001"`
	EPC       string    `json:"epc,omitempty" maxLength:"200" doc:"pure identity URI, or hex of the tag"`
	Direction string    `json:"direction,omitempty" enum:"inbound,outbound" doc:"inbound goes to an outlet, outbound comes from one"`
	Site      string    `json:"site,omitempty" pattern:"^[a-z0-9-]{1,32}$" doc:"the outlet it goes to, or comes from; absent: found by the recipient's address"`
	Locker    string    `json:"locker,omitempty" pattern:"^[a-z0-9-]{1,32}$"`
	Handling  string    `json:"handling,omitempty" enum:"ambient,chilled,frozen,fragile"`
	Size      string    `json:"size,omitempty" enum:"s,m,l"`
	Consent   string    `json:"consent,omitempty" enum:"yes,no,unknown" doc:"of the recipient, for a locker"`
	Wish      string    `json:"wish,omitempty" enum:"locker,station,home" doc:"where it shall go; consent follows, and may be absent"`
	Hold      bool      `json:"hold,omitempty" doc:"it must not leave the warehouse"`
	Order     string    `json:"order,omitempty" maxLength:"64" doc:"of which it is one parcel"`
	Pieces    int       `json:"pieces,omitempty" minimum:"1" maximum:"99" doc:"so many parcels of one order: waybill-1, waybill-2, ..."`
	Recipient addressee `json:"recipient,omitempty" doc:"kept sealed"`
}

// addressee is who a parcel is for.
type addressee struct {
	Name    string `json:"name,omitempty" maxLength:"64"`
	Phone   string `json:"phone" maxLength:"40" doc:"digits; a virtual number has its extension behind a comma"`
	Village string `json:"village,omitempty" maxLength:"64"`
	Address string `json:"address,omitempty" maxLength:"256"`
	Email   string `json:"email,omitempty" maxLength:"128"`
	Lang    string `json:"lang,omitempty" enum:"zh,en"`
}

var reflectWaybill = reflect.TypeFor[intake]()

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
	one := r.Schema(reflectWaybill, true, "Intake")
	low, high := 1, maxRows
	return &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one, MinItems: &low, MaxItems: &high}}}
}
