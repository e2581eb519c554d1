package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Kind names what a reading tells. The kind decides the body and the lane.
type Kind string

// The kinds of design section 3.
const (
	KindPosition Kind = "position" // Position
	KindTag      Kind = "tag"      // Tag
	KindClimate  Kind = "climate"  // Climate
	KindDoor     Kind = "door"     // Door
	KindLocker   Kind = "locker"   // Locker
	KindWeight   Kind = "weight"   // Weight
	KindScan     Kind = "scan"     // Scan
	KindAlarm    Kind = "alarm"    // Alarm
	KindResult   Kind = "result"   // Result
	KindHealth   Kind = "health"   // Health
)

// Quality says where the time of a reading comes from, best first: gnss, ntp, cloud, rtc,
// retro (dated afterwards from anchors), unknown.
type Quality string

// The time qualities of design section 3.
const (
	GNSS    Quality = "gnss"
	NTP     Quality = "ntp"
	Cloud   Quality = "cloud"
	RTC     Quality = "rtc"
	Retro   Quality = "retro"
	Unknown Quality = "unknown"
)

// Known reports whether q is one of the six qualities.
func (q Quality) Known() bool {
	switch q {
	case GNSS, NTP, Cloud, RTC, Retro, Unknown:
		return true
	}
	return false
}

// Lane is one of the four sequences in which records leave a gateway.
type Lane uint8

// The lanes of design section 3. Command and Custody are must-keep, Condition and Track may
// be thinned.
const (
	Command   Lane = 1 // results, alarms: never refused, never thinned
	Custody   Lane = 2 // passages, locker, scan, weight, door edges: refused when full
	Condition Lane = 3 // climate: thinned to min, max, last
	Track     Lane = 4 // position, health: thinned
)

// Lanes lists all lanes, the most urgent first.
var Lanes = [...]Lane{Command, Custody, Condition, Track}

var laneNames = [...]string{Command: "command", Custody: "custody", Condition: "condition", Track: "track"}

// String returns the lane's name as it stands in topics: command, custody, condition, track.
func (l Lane) String() string {
	if l < Command || l > Track {
		return fmt.Sprintf("lane(%d)", uint8(l))
	}
	return laneNames[l]
}

// MustKeep reports whether records of the lane are never thinned or dropped by policy.
func (l Lane) MustKeep() bool { return l == Command || l == Custody }

// MarshalText writes the lane's name.
func (l Lane) MarshalText() ([]byte, error) {
	if l < Command || l > Track {
		return nil, fmt.Errorf("lane %d is none of the four", uint8(l))
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads a lane's name.
func (l *Lane) UnmarshalText(b []byte) error {
	v, err := ParseLane(string(b))
	*l = v
	return err
}

// ParseLane is the inverse of Lane.String.
func ParseLane(s string) (Lane, error) {
	for _, l := range Lanes {
		if laneNames[l] == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("lane %q is none of command, custody, condition, track", s)
}

// kinds is the one table of kinds: the lane, and how a body is checked.
var kinds = map[Kind]struct {
	lane  Lane
	check func(body []byte) error
}{
	KindPosition: {Track, checkAs[Position]},
	KindTag:      {Custody, checkAs[Tag]},
	KindClimate:  {Condition, checkAs[Climate]},
	KindDoor:     {Custody, checkAs[Door]},
	KindLocker:   {Custody, checkAs[Locker]},
	KindWeight:   {Custody, checkAs[Weight]},
	KindScan:     {Custody, checkAs[Scan]},
	KindAlarm:    {Command, checkAs[Alarm]},
	KindResult:   {Command, checkAs[Result]},
	KindHealth:   {Track, checkAs[Health]},
}

// LaneOf returns the lane of a kind; ok is false for a kind that does not exist.
func LaneOf(k Kind) (l Lane, ok bool) {
	row, ok := kinds[k]
	return row.lane, ok
}

// Reading is one thing that one device saw. Body is a JSON object.
type Reading struct {
	Device string    // id, unique within the gateway
	Kind   Kind      // decides Body and lane
	At     time.Time // UTC, millisecond resolution; zero means unknown
	TQ     Quality   // where At comes from; Unknown when At is zero
	ErrMS  int64     // bound of At's error in milliseconds; 0 means not stated
	N      string    // the device's own message id; empty means none
	Body   []byte    // JSON object
}

// New makes a reading of body b. A zero at is an unknown time, whatever q says.
func New(device string, at time.Time, q Quality, b Body) Reading {
	if at.IsZero() {
		q = Unknown
	} else {
		at = at.UTC().Truncate(time.Millisecond)
	}
	return Reading{Device: device, Kind: b.Kind(), At: at, TQ: q, Body: b.AppendJSON(nil)}
}

// RawRead reports whether r is a tag read that no passage was made of: it is shown on dev/#
// and not recorded.
func (r Reading) RawRead() bool {
	if r.Kind != KindTag {
		return false
	}
	raw := true
	_ = EachField(r.Body, func(key, _ []byte) error {
		if bytes.Equal(key, []byte("passage")) {
			raw = false
		}
		return nil
	})
	return raw
}

// Same reports whether r and o are the same reading told twice (design section 3): same device
// and n; or, without n, same device, kind, at and body. Two readings with neither n nor at are
// never the same: a door that opens twice says the same thing twice.
func (r Reading) Same(o Reading) bool {
	if r.Device != o.Device || r.N != o.N {
		return false
	}
	return r.N != "" || !r.At.IsZero() && r.Kind == o.Kind && r.At.Equal(o.At) && bytes.Equal(r.Body, o.Body)
}

// ErrInvalid is wrapped by every error that says a reading breaks the contract.
var ErrInvalid = errors.New("invalid reading")

// FieldError names the field of a reading that is wrong.
type FieldError struct {
	Field  string // "device", "body.lat"
	Reason string
}

// Error implements error.
func (e *FieldError) Error() string { return "invalid reading: " + e.Field + ": " + e.Reason }

// Unwrap makes errors.Is(err, ErrInvalid) hold.
func (e *FieldError) Unwrap() error { return ErrInvalid }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// MaxBody is the largest body in bytes.
const MaxBody = 16 << 10

// Validate checks every field of r, the body's included. Its errors are *FieldError.
func (r Reading) Validate() error {
	if err := checkID("device", r.Device); err != nil {
		return err
	}
	row, ok := kinds[r.Kind]
	if !ok {
		return invalid("kind", "%.40q is no kind", string(r.Kind))
	}
	if err := r.validateTime(); err != nil {
		return err
	}
	if len(r.N) > 64 || !printable(r.N) {
		return invalid("n", "must be at most 64 printable characters")
	}
	if len(r.Body) > MaxBody {
		return invalid("body", "%d bytes, at most %d", len(r.Body), MaxBody)
	}
	return row.check(r.Body)
}

func (r Reading) validateTime() error {
	switch {
	case !r.TQ.Known():
		return invalid("tq", "%.20q is none of gnss, ntp, cloud, rtc, retro, unknown", string(r.TQ))
	case r.ErrMS < 0:
		return invalid("te_ms", "is negative")
	case r.At.IsZero():
		return nil
	case r.At.Year() < 1970 || r.At.Year() > 2200:
		return invalid("at", "year %d is outside 1970 to 2200", r.At.Year())
	}
	return nil
}

// ValidID reports whether s is an id: 1 to 32 of a-z, 0-9 and '-'.
func ValidID(s string) bool { return checkID("id", s) == nil }

func checkID(field, s string) error {
	if len(s) == 0 || len(s) > 32 {
		return invalid(field, "must be 1 to 32 characters, has %d", len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return invalid(field, "byte %d is %q, allowed are a-z, 0-9 and '-'", i, c)
		}
	}
	return nil
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}
