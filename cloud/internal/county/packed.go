package county

import "time"

// FactContents is the event of facts that tell what went into a container or out of it: Doc is a Packed.
const FactContents FactEvent = "contents"

// Packed is an item going into a container, or out of it; or, with Gone, that it did not after all: then the key
// of the fact is that of the one taken back behind "retracted/".
type Packed struct {
	Container    string    `json:"container"`
	ContainerEPC string    `json:"container_epc,omitempty"` // of its tag
	Item         string    `json:"item"`                    // a waybill, or the id of a container
	ItemEPC      string    `json:"item_epc,omitempty"`
	Parcel       bool      `json:"parcel,omitempty"` // the item is a waybill
	In           bool      `json:"in,omitempty"`
	At           time.Time `json:"at"`
	Gone         bool      `json:"gone,omitempty"`
	Times        int       `json:"times,omitempty"` // from 2 on: told before, taken back, and true again
}
