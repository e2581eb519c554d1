package service

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/ca"
	"yizhan/cloud/internal/config"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/registry"
	"yizhan/devices/telemetry"
)

// ErrUsage is wrapped by an error that says how a tool is called.
var ErrUsage = errors.New("wrong usage")

// Load reads the configuration in file; its error has a line for each mistake.
func Load(file string) (Config, error) { return config.Load(file) }

// Check reads the county's folder too, which a configuration names.
func Check(cfg Config) error {
	_, _, err := readCounty(cfg.County)
	return err
}

// readCounty reads the registry and the base map of a county's folder; the map may be absent.
func readCounty(dir string) (*county.Registry, []byte, error) {
	reg, err := registry.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	base, err := os.ReadFile(filepath.Join(dir, MapFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("map: %w", err)
	}
	return reg, base, api.CheckMap(base)
}

// Tool runs one of the small tools: ca and frame. args[0] is its name.
func Tool(args []string, stdout io.Writer) error {
	if args[0] == "frame" {
		if len(args) != 2 {
			return fmt.Errorf("%w: cloud frame FILE", ErrUsage)
		}
		return printFrame(args[1], stdout)
	}
	word := ""
	if len(args) > 1 {
		word = args[1]
	}
	switch {
	case word == "init" && len(args) == 3:
		return ca.Init(args[2], time.Now(), rand.Reader)
	case word == "server" && len(args) > 3:
		return ca.Server(args[2], args[3:], time.Now(), rand.Reader)
	case word == "sign" && len(args) == 4:
		csr, err := os.ReadFile(args[3])
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		cert, _, err := ca.Sign(args[2], csr, time.Now(), rand.Reader)
		if err == nil {
			_, err = stdout.Write(cert)
		}
		return err
	}
	return fmt.Errorf("%w: cloud ca init DIR | cloud ca server DIR HOST... | cloud ca sign DIR CSR.pem", ErrUsage)
}

// printFrame prints a frame as one JSON object. Whose signature it bears can't be told from it alone.
func printFrame(file string, stdout io.Writer) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	d, err := frame.NewDecoder()
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	f, err := d.Decode(b)
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	type record struct {
		Seq     uint64            `json:"seq"`
		Type    string            `json:"type"`
		Boot    frame.Boot        `json:"boot"`
		MonoNS  int64             `json:"mono_ns"`
		Wall    *time.Time        `json:"wall,omitempty"`
		Quality telemetry.Quality `json:"quality"`
		Payload json.RawMessage   `json:"payload"`
	}
	out := struct {
		Gateway string         `json:"gateway"`
		Epoch   frame.Epoch    `json:"epoch"`
		Lane    telemetry.Lane `json:"lane"`
		Prev    string         `json:"prev"`
		Records []record       `json:"records"`
	}{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane, Prev: fmt.Sprintf("%x", f.Prev)}
	types := map[frame.Type]string{frame.TypeReading: "reading", frame.TypeOpening: "opening", frame.TypeTombstone: "tombstone", frame.TypeQuarantine: "quarantine"}
	for _, r := range f.Records {
		x := record{Seq: r.Seq, Type: types[r.Type], Boot: r.Boot, MonoNS: r.MonoNS, Quality: r.Quality, Payload: r.Payload}
		if r.WallMS != 0 {
			t := time.UnixMilli(r.WallMS).UTC()
			x.Wall = &t
		}
		if !json.Valid(r.Payload) { // whoever made the frame: the tool shows what is there
			x.Payload, _ = json.Marshal(string(r.Payload))
		}
		out.Records = append(out.Records, x)
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", " ")
	return e.Encode(out)
}
