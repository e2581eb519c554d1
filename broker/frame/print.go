package frame

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// printed is a frame as Print shows it.
type printed struct {
	Version int             `json:"version"`
	Gateway string          `json:"gateway"`
	Epoch   Epoch           `json:"epoch"`
	Lane    telemetry.Lane  `json:"lane"`
	Prev    string          `json:"prev"`
	Records []printedRecord `json:"records"`
}

type printedRecord struct {
	Seq     uint64            `json:"seq"`
	Type    Type              `json:"type"`
	Boot    Boot              `json:"boot"`
	MonoNS  int64             `json:"mono_ns"`
	Wall    string            `json:"wall,omitempty"`
	Quality telemetry.Quality `json:"quality"`
	Payload json.RawMessage   `json:"payload"`
}

// Print writes the frame b as one JSON object. Whose signature it bears can't be told from it alone.
func Print(w io.Writer, b []byte) error {
	h, err := ReadHeader(b)
	if err != nil {
		return err
	}
	d, err := NewDecoder()
	if err != nil {
		return err
	}
	f, err := d.Records(&h)
	if err != nil {
		return err
	}
	out := printed{Version: h.Version, Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane, Prev: fmt.Sprintf("%x", f.Prev)}
	for _, r := range f.Records {
		x := printedRecord{Seq: r.Seq, Type: r.Type, Boot: r.Boot, MonoNS: r.MonoNS, Quality: r.Quality, Payload: r.Payload}
		if r.WallMS != 0 {
			x.Wall = time.UnixMilli(r.WallMS).UTC().Format(telemetry.TimeLayout)
		}
		if !json.Valid(r.Payload) { // whoever made the frame: what is there is shown
			if x.Payload, err = json.Marshal(string(r.Payload)); err != nil {
				return err
			}
		}
		out.Records = append(out.Records, x)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}
