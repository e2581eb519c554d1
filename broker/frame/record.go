package frame

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"

	"yizhan/devices/telemetry"
)

// Type says what the payload of a record is.
type Type uint8

// The record types.
const (
	TypeReading    Type = 1 // telemetry.Reading
	TypeOpening    Type = 2 // Opening: the first record of an epoch in each lane
	TypeTombstone  Type = 3 // Tombstone: records dropped by policy
	TypeQuarantine Type = 4 // Quarantine: input that was refused, with the reason
)

// String returns the type's name.
func (t Type) String() string {
	switch t {
	case TypeReading:
		return "reading"
	case TypeOpening:
		return "opening"
	case TypeTombstone:
		return "tombstone"
	case TypeQuarantine:
		return "quarantine"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// MarshalText writes String.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Boot identifies one run of a gateway's kernel (/proc/sys/kernel/random/boot_id).
type Boot [16]byte

// String returns 32 hex digits.
func (b Boot) String() string { return hex.EncodeToString(b[:]) }

// MarshalText writes String.
func (b Boot) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads 32 hex digits.
func (b *Boot) UnmarshalText(t []byte) error {
	if len(t) != 32 {
		return fmt.Errorf("boot id has %d characters, not 32", len(t))
	}
	_, err := hex.Decode(b[:], t)
	return err
}

// Epoch identifies one opening of a spool. Zero is none.
type Epoch uint64

// String returns 16 hex digits.
func (e Epoch) String() string { return fmt.Sprintf("%016x", uint64(e)) }

// MarshalText writes String: as JSON an epoch is a string, for a browser's numbers end at 2^53.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads 16 hex digits.
func (e *Epoch) UnmarshalText(t []byte) error {
	if len(t) != 16 {
		return fmt.Errorf("epoch has %d characters, not 16", len(t))
	}
	v, err := strconv.ParseUint(string(t), 16, 64)
	*e = Epoch(v)
	return err
}

// Record is one durable entry of a spool.
type Record struct {
	Seq     uint64            // from 1, gap-free within (epoch, lane)
	Type    Type              //
	Quality telemetry.Quality // of WallMS: unknown, gnss, ntp, cloud or rtc
	Boot    Boot              // the boot in which the record was made
	MonoNS  int64             // CLOCK_BOOTTIME when the record was made, nanoseconds
	WallMS  int64             // the gateway's clock then, Unix milliseconds; 0 when it had none
	Payload []byte            // JSON
}

// Hash is the SHA-256 of a record's identity and content; it chains frames. The bytes hashed
// are epoch, lane, seq, type, quality, boot, mono, wall (fixed size, big-endian) and payload.
func (r *Record) Hash(epoch Epoch, lane telemetry.Lane) (sum [32]byte) {
	h := sha256.New()
	r.hashInto(h, epoch, lane)
	h.Sum(sum[:0])
	return sum
}

func (r *Record) hashInto(h hash.Hash, epoch Epoch, lane telemetry.Lane) {
	var b [8 + 1 + 8 + 1 + 1 + 16 + 8 + 8]byte
	binary.BigEndian.PutUint64(b[0:], uint64(epoch))
	b[8] = byte(lane)
	binary.BigEndian.PutUint64(b[9:], r.Seq)
	b[17] = byte(r.Type)
	b[18] = qualityByte(r.Quality)
	copy(b[19:], r.Boot[:])
	binary.BigEndian.PutUint64(b[35:], uint64(r.MonoNS))
	binary.BigEndian.PutUint64(b[43:], uint64(r.WallMS))
	h.Write(b[:])
	h.Write(r.Payload)
}

// Range is the seqs From to To, both included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// LaneEnd is how far a lane of an epoch is durable.
type LaneEnd struct {
	Lane telemetry.Lane `json:"lane"`
	Last uint64         `json:"last"`
}

// Opening is the payload of an epoch's first record in each lane.
type Opening struct {
	Prev Epoch     `json:"prev,omitzero"` // the epoch before; absent on a new card
	Ends []LaneEnd `json:"ends"`          // its last durable seq in every lane
}

// Tombstone is the payload of a record that stands for records dropped by policy.
type Tombstone struct {
	Epoch  Epoch   `json:"epoch"`
	Ranges []Range `json:"ranges,omitempty"` // seqs that will never come; none when thinned at admission
	Count  uint64  `json:"count"`            // readings dropped
	Reason string  `json:"reason"`           // a constant word: lane_full, segment_damaged, thinned
}

// Quarantine is the payload of a record that stands for refused input.
type Quarantine struct {
	Source string `json:"source"` // the device id or, where unknown, the MQTT client id
	Reason string `json:"reason"` // names the field
	Raw    []byte `json:"raw"`    // the input, cut to 4 KiB (base64)
}

// LaneState is what a gateway holds of one lane of one epoch.
type LaneState struct {
	Epoch Epoch          `json:"epoch"`
	Lane  telemetry.Lane `json:"lane"`
	First uint64         `json:"first"` // oldest seq still on the card
	Next  uint64         `json:"next"`  // the seq the next record will get
	Acked uint64         `json:"acked"` // highest seq ever acknowledged as committed
}

// Hello is what a gateway says on up/{gateway}/hello after each connect (JSON).
type Hello struct {
	Conn    uint64      `json:"conn"` // connection number, counts up on the board
	Boot    Boot        `json:"boot"`
	MonoNS  int64       `json:"mono_ns"` // CLOCK_BOOTTIME now
	Version string      `json:"version,omitempty"`
	Lanes   []LaneState `json:"lanes"`
}

// Ack is what the cloud answers on down/{gateway}/ack (JSON), after a hello and after each commit. One of epoch 0
// is about no lane and carries credit and time only.
type Ack struct {
	Epoch  Epoch          `json:"epoch"`
	Lane   telemetry.Lane `json:"lane"`
	Ranges []Range        `json:"ranges"`            // all committed seqs of this epoch and lane, merged, ascending
	Credit int            `json:"credit"`            // backlog records a second, valid 60 s; 0 holds the backlog
	WallMS int64          `json:"wall_ms,omitempty"` // the cloud's clock when it said this, Unix milliseconds; 0 when not said
	Frames int            `json:"frames,omitempty"`  // the newest version of frames that the cloud reads; 0 when not said: version 1 only
}

// State is the retained birth and last will on up/{gateway}/state (JSON).
type State struct {
	Conn   uint64 `json:"conn"` // a lower one than seen before is ignored
	Online bool   `json:"online"`
}

// Command is what the cloud sends on down/{gateway}/command (JSON). It runs only while the
// gateway's clock says Boot and MonoNS .. MonoNS+LeaseMS.
type Command struct {
	ID      string            `json:"id"`
	Issuer  string            `json:"issuer"`
	Device  string            `json:"device"`
	Action  string            `json:"action"` // open_cell, identify, restart, ping
	Args    map[string]string `json:"args,omitempty"`
	Boot    Boot              `json:"boot"`     // as last reported by the gateway
	MonoNS  int64             `json:"mono_ns"`  // as last reported by the gateway
	LeaseMS int64             `json:"lease_ms"` // transit counts in full
}

// Entry is what is handed to a spool: it stamps sequence, boot and time.
type Entry struct {
	Lane    telemetry.Lane
	Type    Type
	Payload []byte
}
