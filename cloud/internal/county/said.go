package county

import "time"

// Said is what a person says of a parcel.
type Said struct {
	ID      string    `json:"id"` // the client's own: the same id again is the same event
	Waybill string    `json:"waybill,omitempty"`
	Step    string    `json:"step"` // a stage, or refused, damaged, cancelled
	At      time.Time `json:"at"`   // when it was so, by the client's clock
	Site    string    `json:"site,omitempty"`
	Vehicle string    `json:"vehicle,omitempty"`
	Locker  string    `json:"locker,omitempty"`
	Cell    int       `json:"cell,omitempty"`
	Reason  string    `json:"reason,omitempty"`  // nothing personal
	Channel string    `json:"channel,omitempty"` // page, sms, api, upstream
	Actor   string    `json:"-"`                 // who said so: the session, the key, the partner
}
