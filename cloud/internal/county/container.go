package county

import "time"

// Container is a bag or cage: what its tag or code passes, its contents inherit as inferred.
type Container struct {
	ID   string `json:"id"`
	Kind string `json:"kind" enum:"bag,cage"`
	EPC  string `json:"epc,omitempty"`  // its tag: a GRAI's pure identity URI, or hex
	Code string `json:"code,omitempty"` // its barcode as scanners tell it
}

// Content is an item that was in a container.
type Content struct {
	Item  string     `json:"item"` // a waybill, or the id of a container
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until,omitempty"` // absent while it is still in
}

// Held is a container with what is and was in it.
type Held struct {
	Container
	Contents   []Content   `json:"contents"`
	Exceptions []Exception `json:"exceptions,omitempty"`
}
