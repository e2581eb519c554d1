package county

import (
	"time"

	"yizhan/devices/telemetry"
)

// Live is a value that a device measured. AgeS is filled in when it is served.
type Live[T any] struct {
	Value T                 `json:"value"`
	At    time.Time         `json:"at"`    // when it was measured
	AgeS  int64             `json:"age_s"` // seconds between At and the answer, never negative
	TQ    telemetry.Quality `json:"tq"`
}

// Aged returns l with its age at now; nil stays nil.
func (l *Live[T]) Aged(now time.Time) *Live[T] {
	if l == nil {
		return nil
	}
	c := *l
	c.AgeS = max(0, int64(now.Sub(l.At)/time.Second))
	return &c
}

// Text is a name in the two languages people read.
type Text struct {
	ZH string `json:"zh" yaml:"zh"`
	EN string `json:"en" yaml:"en"`
}

// Point is a WGS-84 position in degrees.
type Point struct {
	Lat float64 `json:"lat" yaml:"lat"`
	Lon float64 `json:"lon" yaml:"lon"`
}

// Change is one object as a commit left it; it is what SSE carries.
type Change struct {
	Kind    ChangeKind // the SSE event
	ID      string
	Version int64 // grows with each change of the object
	Object  any   // Vehicle, Parcel, Locker, ColdBox, Gateway or Command
}

// ChangeKind is the name of an SSE event.
type ChangeKind string

// The SSE events of design section 3.
const (
	VehicleChanged ChangeKind = "vehicle"
	ParcelChanged  ChangeKind = "parcel"
	LockerChanged  ChangeKind = "locker"
	ColdBoxChanged ChangeKind = "coldbox"
	GatewayChanged ChangeKind = "gateway"
	CommandChanged ChangeKind = "command" // an order to open a cell
)
