package county

// Direction is which way a parcel goes (S0-09).
type Direction string

// The directions.
const (
	ToVillage   Direction = Inbound  // from the county warehouse to an outlet
	FromVillage Direction = Outbound // from an outlet to the county warehouse, and on
)

// Consent is what a recipient said about a locker.
type Consent string

// The consents. Only ConsentYes lets a parcel into a locker.
const (
	ConsentYes     Consent = "yes"
	ConsentNo      Consent = "no"
	ConsentUnknown Consent = "unknown"
)

// Wish is where a recipient wants a parcel; empty while they haven't said.
type Wish string

// The wishes.
const (
	WishLocker  Wish = "locker"
	WishStation Wish = "station"
	WishHome    Wish = "home" // to be brought to the door, where the outlet does that
)

// Consent is what a wish says of a locker.
func (w Wish) Consent() Consent {
	switch w {
	case WishLocker:
		return ConsentYes
	case WishStation, WishHome:
		return ConsentNo
	}
	return ConsentUnknown
}

// Plan is where a parcel goes at its outlet: home where that is wished, into a locker where its recipient agreed and it needs no
// cold, else over the counter of the station. One from a village goes nowhere there.
func (w *Waybill) Plan() Wish {
	switch {
	case w.Direction == FromVillage:
		return ""
	case w.Wish == WishHome:
		return WishHome
	case w.Consent == ConsentYes && w.Handling != "chilled" && w.Handling != "frozen":
		return WishLocker
	}
	return WishStation
}

// Recipient is who a parcel is for. It is kept sealed, and shown only masked.
type Recipient struct {
	Name    string `json:"name,omitempty"`
	Phone   string `json:"phone,omitempty"`   // digits, maybe +; a virtual number may have an extension behind ','
	Village string `json:"village,omitempty"` // as the sender wrote it
	Address string `json:"address,omitempty"`
	Email   string `json:"email,omitempty"`
	Lang    string `json:"lang,omitempty"` // zh or en
}
