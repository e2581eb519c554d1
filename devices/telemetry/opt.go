package telemetry

import (
	"bytes"
	"encoding/json"
)

// Opt is a value that may be unknown. Its zero value is unknown. With the json tag option
// omitzero an unknown value is absent from the object, and null is read as unknown.
type Opt[T any] struct {
	v  T
	ok bool
}

// Some is a known value.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// Get returns the value and whether it is known.
func (o Opt[T]) Get() (T, bool) { return o.v, o.ok }

// Or returns the value, or d when it is unknown.
func (o Opt[T]) Or(d T) T {
	if o.ok {
		return o.v
	}
	return d
}

// Known reports whether there is a value.
func (o Opt[T]) Known() bool { return o.ok }

// IsZero makes omitzero leave out an unknown value.
func (o Opt[T]) IsZero() bool { return !o.ok }

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.ok {
		return []byte("null"), nil
	}
	return json.Marshal(o.v)
}

// UnmarshalJSON reads a value; null is unknown.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*o = Opt[T]{}
		return nil
	}
	if err := json.Unmarshal(b, &o.v); err != nil {
		return err
	}
	o.ok = true
	return nil
}
