package county

import (
	"errors"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Arrival is one frame as it came in, verified and unpacked: what ingest hands to the store.
type Arrival struct {
	Frame    *frame.Frame
	Raw      []byte    // the frame as sent; the archive keeps it
	Received time.Time // by the cloud's clock
	Sights   []Sight   // one a record, in the order of Frame.Records
}

// Sight is what one record tells.
type Sight struct {
	Reading telemetry.Reading // of a record of type reading, when Bad is empty
	Bad     string            // why the record is no valid reading; empty when it is, or when it is of another type

	Position *telemetry.Position // its body, where it is one and was decoded already
}

// AsPosition is the body of a position; it must not be changed.
func (s *Sight) AsPosition() (*telemetry.Position, error) {
	if s.Position != nil {
		return s.Position, nil
	}
	p, err := telemetry.As[telemetry.Position](s.Reading)
	return &p, err
}

// ErrAway is wrapped by errors of the store that another try may cure: the server is away, busy,
// full or restarting. Any other error of a commit is about what was to be committed.
var ErrAway = errors.New("state is away")

// Verdict is what became of one Arrival.
type Verdict struct {
	Gateway  string
	Epoch    frame.Epoch
	Lane     telemetry.Lane
	Ranges   []frame.Range // everything committed of that epoch and lane, merged
	Fresh    int           // records that were new
	Readings int           // of them readings
	Fork     bool          // a known identity came with another hash: nothing of the frame was applied

	No        int64     // of the frame in the archive; 0 where it isn't there, for nothing of it was new
	Committed time.Time // as the archive says
}

// Refusal is input that was refused, on its way to quarantine.
type Refusal struct {
	Gateway  string
	Source   string // ingest, or the device that the gateway named
	Reason   string
	Raw      []byte
	Received time.Time
}

// Archived is a frame as the archive holds it. No counts up without gaps in commit order.
type Archived struct {
	No        int64
	Received  time.Time
	Committed time.Time
	Raw       []byte
	Arrival   *Arrival // unpacked, where it comes right from the commit; nil where it was read
}
