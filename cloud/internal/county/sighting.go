package county

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Sighting is one piece of evidence as the store keeps it: a dated reading of the custody lane
// with its place in the total order. Told twice it has the same ID.
type Sighting struct {
	ID      string            // hash of the reading's identity
	At      time.Time         // dated
	TQ      telemetry.Quality // of At
	ErrMS   int64             // bound of At's error in milliseconds; 0 means not stated
	Gateway string            // with Epoch, Lane, Seq: the record it came in
	Epoch   string
	Lane    int
	Seq     uint64
	Device  string // gateway/device
	Thing   string // what the device was bound to then: vehicle/v03, boundary/dock-a, locker/lk-x
	Kind    telemetry.Kind
	Subject string // epc/..., scan/..., cell/lk-x/7, device/van-03/door
	Step    string // the passage or cell event
	Body    []byte
}

// Before is the total order of evidence: dated time, gateway, epoch, lane, seq.
func (a Sighting) Before(b Sighting) bool { return a.Compare(b) < 0 }

// Compare orders a and b in the total order.
func (a Sighting) Compare(b Sighting) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Epoch, b.Epoch),
		cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
}

// Identity is the hash of what makes a reading the one it is (design section 3): its device and
// n; or, without n, its device, kind, at and body; or, with neither n nor at, its record.
type Identity [16]byte

// String returns 32 hex digits.
func (i Identity) String() string { return hex.EncodeToString(i[:]) }

// IdentityOf hashes the identity of a reading of gateway that came in a record.
func IdentityOf(gateway string, r *telemetry.Reading, epoch frame.Epoch, lane telemetry.Lane, seq uint64) (id Identity) {
	b := make([]byte, 0, 256)
	b = append(append(append(b, gateway...), '/'), r.Device...)
	switch {
	case r.N != "":
		b = append(append(b, "\x00n"...), r.N...)
	case !r.At.IsZero():
		b = append(append(b, "\x00at"...), r.Kind...)
		b = binary.BigEndian.AppendUint64(append(b, 0), uint64(r.At.UnixMilli()))
		b = append(b, r.Body...)
	default:
		b = binary.BigEndian.AppendUint64(append(b, "\x00seq"...), uint64(epoch))
		b = binary.BigEndian.AppendUint64(append(b, byte(lane)), seq)
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}
