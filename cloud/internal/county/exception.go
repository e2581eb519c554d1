package county

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ExceptionClass is the nature of an exception: the five of the field and what contradicts itself.
type ExceptionClass string

// The classes (S4-22).
const (
	Delay       ExceptionClass = "delay"
	Loss        ExceptionClass = "loss"
	Damage      ExceptionClass = "damage"
	Misdelivery ExceptionClass = "misdelivery"
	DataError   ExceptionClass = "data_error"
)

// Exception is something that is not as it should be, with the evidence of it.
type Exception struct {
	ID         string         `json:"id"` // stable: of class, cause and object, so that it is opened once
	Class      ExceptionClass `json:"class"`
	Cause      string         `json:"cause"`              // contradiction, bad_sequence, unmatched_address, count_differs, refused, cannot_open, not_mine, excursion ...
	Object     string         `json:"object"`             // parcel/YZ123456, locker/lk-qingshi, container/bag-7
	Evidence   []string       `json:"evidence,omitempty"` // ids of evidence
	Source     string         `json:"source"`             // device, staff, customer, carrier
	Detail     string         `json:"detail,omitempty"`   // in plain words, nothing personal
	Discovered time.Time      `json:"discovered"`
	Ended      *time.Time     `json:"ended,omitempty"` // when what it says stopped being so
	Version    int64          `json:"version"`
}

// ExceptionFilter says which exceptions are asked for; empty fields are any.
type ExceptionFilter struct {
	Object string // parcel/YZ123456
	Class  ExceptionClass
	Cause  string
	Open   bool // only open ones
}

// ExceptionID is the id of an exception of an object with the evidence of it: x- and 20 hex digits.
func ExceptionID(class ExceptionClass, cause, object string, evidence ...string) string {
	h := sha256.New()
	for _, part := range append([]string{string(class), cause, object}, evidence...) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return "x-" + hex.EncodeToString(h.Sum(nil)[:10])
}
